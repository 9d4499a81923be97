"""The state store of a real Airflow as the pages read it: all of it, in slices, and afterwards only what is new."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest

from airflow_video_providers.integration.retries import HAS_POLICIES
from tests.support.home import environment, new_home, run_python

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not HAS_POLICIES, reason="Airflow has a state store from 3.3 on")]
SLICE = 40


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    said = run_python(environment(new_home(tmp_path_factory)), "-m", "tests.plugin.ask_state_store")
    return json.loads(said.rpartition("\nTOLD ")[2])


def test_a_slice_takes_in_so_many_rows_and_no_more_until_all_are_there(told):
    assert max(more - less for less, more in pairwise(told["sizes"])) <= SLICE
    assert [done for done, *_ in told["seen"]] == [SLICE * (number + 1) for number in range(len(told["seen"]))]
    assert {total for _, total, _ in told["seen"]} == {200 + 200 + 196}
    assert told["states"] == {"landed": 196, "bought": 2, "unknown": 2}
    assert told["ledger"] == {"submitted": 198, "unknown": 2, "endings": 196}


def test_nothing_half_read_seems_bought_and_not_landed_that_has_landed(told):
    assert max(bought for *_, bought in told["seen"]) <= 2


def test_a_second_walk_reads_nothing_and_one_that_was_broken_off_reads_each_row_once(told):
    assert told["again"] == [0, []]
    half, rest, same = told["broken off"]
    assert (half + rest, same) == (396, True)


def test_rows_of_a_run_that_was_deleted_go(told):
    assert told["half"] == 100


def test_what_a_person_answers_is_written_to_the_state_store_and_read_from_it(told):
    assert told["attached"] == ["found-by-hand", "bought"]
