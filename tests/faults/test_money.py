"""The fault table that the docs show is what happens."""

from __future__ import annotations

import pytest

from tests.faults.money.__main__ import TABLE, measure
from tests.faults.money.cases import CASES
from tests.faults.money.lane import Purchase
from tests.faults.money.table import render, wrong

#: Purchases per row here; ``make faults`` runs 20. The table's numbers are per purchase.
SAMPLE = 2


@pytest.mark.slow
def test_every_fault_costs_what_the_table_says_and_nothing_is_bought_twice():
    results = measure(CASES, jobs=SAMPLE, lanes=2)
    assert wrong(results) == []
    assert render(results) == TABLE.read_text()


@pytest.mark.parametrize(
    "purchase",
    [
        Purchase(2, 2, 2, 2, "success"),
        Purchase(1, 1, 1, 0, "success"),
        Purchase(4, 4, 1, 1, "failed: RateLimitedError"),
        Purchase(2, 2, 2, 2, "failed: SubmissionOutcomeUnknownError"),
        Purchase(1, 1, 0, 0, "running"),
        Purchase(1, 1, 1, 1, "success", "it did not land"),
    ],
)
def test_a_purchase_that_costs_more_than_it_may_is_reported(purchase):
    assert len(wrong({CASES[0]: [purchase]})) == 1


def test_with_callbacks_an_unknown_outcome_is_reported():
    (called, *_) = (case for case in CASES if case.callbacks)
    unknown = Purchase(1, 1, 1, 1, "failed: SubmissionOutcomeUnknownError")
    assert len(wrong({called: [unknown]})) == 1
    assert wrong({called: [Purchase(1, 1, 1, 1, "success")]}) == []


@pytest.mark.parametrize(
    "purchase",
    [
        Purchase(1, 1, 1, 1, "success"),
        Purchase(1, 1, 1, 1, "failed: SubmissionOutcomeUnknownError"),
        Purchase(1, 1, 0, 0, "failed: SubmissionOutcomeUnknownError"),
        Purchase(4, 32, 0, 0, "failed: RateLimitedError"),
    ],
)
def test_a_purchase_that_is_in_order_is_not_reported(purchase):
    assert wrong({CASES[0]: [purchase]}) == []


def test_a_sample_of_any_size_gives_the_same_row():
    one = Purchase(1, 1, 1, 1, "success")
    assert render({CASES[0]: [one]}) == render({CASES[0]: [one] * 20})
    assert "1 to 2" in render({CASES[0]: [one, Purchase(1, 2, 1, 1, "success")]})
