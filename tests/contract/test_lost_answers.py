"""Lost answers to submits through the vendors' own clients and through this package: what the table in the docs shows is measured."""

from __future__ import annotations

import pytest

from tests.contract.lost_answers import FAULTS, MODELS, PURCHASES, TABLE, WITH_EQUALS, Count, ours, python, theirs

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not TABLE.exists(), reason="the table is not measured yet")]
needs_clients = pytest.mark.skipif(not python().exists(), reason="the clients' own environment is not there: make sdks")


def column(name: str) -> dict[str, str]:
    head, _, *rows = [
        [cell.strip() for cell in line.strip("| \n").split("|")] for line in TABLE.read_text().splitlines()
    ]
    return {row[0]: row[head.index(name)] for row in rows}


@pytest.mark.parametrize(("fault", "times", "name"), FAULTS, ids=[name for _, _, name in FAULTS])
@pytest.mark.parametrize("vendor", ["fal", "replicate"])
def test_with_a_history_every_purchase_is_charged_once_and_lands_and_no_person_is_needed(vendor, fault, times, name):
    found = ours(vendor, fault, times)
    assert found == Count(PURCHASES, PURCHASES, PURCHASES, 0)
    assert column(f"this package, {vendor if vendor == 'fal' else 'Replicate'}")[name] == str(found)


@pytest.mark.parametrize(("fault", "times", "name"), FAULTS, ids=[name for _, _, name in FAULTS])
def test_without_a_history_nothing_is_bought_twice_and_a_person_is_asked(fault, times, name):
    found = ours("segmind", fault, times)
    assert found.charges == PURCHASES
    assert (found.landed, found.people) == ((0, PURCHASES) if times else (PURCHASES, 0))
    assert column("this package, Segmind")[name] == str(found)


@pytest.mark.parametrize("vendor", ["fal", "replicate"])
def test_of_equal_requests_the_later_ones_stay_unknown_and_are_not_bought_again(vendor):
    assert ours(vendor, "drop_after_accept", 1, WITH_EQUALS) == Count(PURCHASES, PURCHASES, PURCHASES - 2, 2)


@needs_clients
@pytest.mark.parametrize(("fault", "times", "name"), FAULTS, ids=[name for _, _, name in FAULTS])
@pytest.mark.parametrize("vendor", MODELS)
def test_the_table_shows_what_the_vendors_own_clients_buy(vendor, fault, times, name):
    client = {"fal": "fal-client", "replicate": "replicate", "segmind": "segmind"}[vendor]
    assert column(client)[name] == str(theirs(vendor, fault, times))


@needs_clients
def test_fals_own_client_buys_one_video_more_for_each_lost_answer():
    assert [theirs("fal", "drop_after_accept", times).charges // PURCHASES for times in (1, 2)] == [2, 3]
