"""Lost answers to submits through the vendors' own clients and through this package: what the table in the docs shows is measured."""

from __future__ import annotations

import json

import pytest

from airflow_video_providers.core.vendors.schema_files import made

pytest.importorskip("airflow.sdk._shared.module_loading", reason="the tests' Airflow without a database is of 3.3")
from tests.contract.lost_answers import (  # not with an older Airflow
    FAULTS,
    MODELS,
    PURCHASES,
    TABLE,
    WITH_EQUALS,
    Count,
    ours,
    python,
    theirs,
)

pytestmark = pytest.mark.slow
needs_clients = pytest.mark.skipif(not python().exists(), reason="the clients' own environment is not there: make sdks")


def column(name: str) -> dict[str, str]:
    head, _, *rows = [
        [cell.strip() for cell in line.strip("| \n").split("|")] for line in TABLE.read_text().splitlines()
    ]
    return {row[0]: row[head.index(name)] for row in rows}


by_fault = pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
FIRST = FAULTS[1]


@by_fault
@pytest.mark.parametrize("vendor", ["fal", "replicate"])
def test_with_a_history_every_purchase_is_charged_once_and_lands_and_no_person_is_needed(vendor, fault):
    found, asked = ours(vendor, fault), fault.purchases
    assert found == Count(asked, charges=asked, landed=asked, people=0)
    assert column(f"this package, {vendor if vendor == 'fal' else 'Replicate'}")[fault.name] == str(found)


@by_fault
def test_without_a_history_nothing_is_bought_twice_and_a_person_is_asked(fault):
    found, asked = ours("segmind", fault), fault.purchases
    assert found == Count(asked, asked, *((0, asked) if fault.times else (asked, 0)))
    assert column("this package, Segmind")[fault.name] == str(found)


@pytest.mark.parametrize("vendor", ["fal", "replicate"])
def test_of_equal_requests_the_later_ones_stay_unknown_and_are_not_bought_again(vendor):
    assert ours(vendor, FIRST, WITH_EQUALS) == Count(PURCHASES, PURCHASES, PURCHASES - 2, 2)


@pytest.mark.parametrize("vendor", ["fal", "replicate"])
def test_equal_requests_that_were_made_unique_all_land_and_no_person_is_needed(vendor, tmp_path):
    schema = {"type": "object", "properties": {"prompt": {"type": "string"}, "seed": {"type": "integer"}}}
    place = tmp_path / "schema.json"
    place.write_text(json.dumps(made(MODELS[vendor], schema, fetched="2026-01-02").to_dict()))
    found = ours(vendor, FIRST, WITH_EQUALS, make_unique=True, schema=str(place), unchecked=False)
    assert found == Count(PURCHASES, charges=PURCHASES, landed=PURCHASES, people=0)


@needs_clients
@by_fault
@pytest.mark.parametrize("vendor", MODELS)
def test_the_table_shows_what_the_vendors_own_clients_buy(vendor, fault):
    client = {"fal": "fal-client", "replicate": "replicate", "segmind": "segmind"}[vendor]
    found = theirs(vendor, fault)
    assert column(client)[fault.name] == str(found)
    assert fault.times or found.charges == found.asked


def test_fals_own_client_buys_one_video_more_for_each_lost_answer():
    assert [column("fal-client")[fault.name] for fault in FAULTS[:3]] == ["1", "2", "3"]
