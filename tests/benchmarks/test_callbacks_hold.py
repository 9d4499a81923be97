"""What callbacks promise, measured on a virtual clock: seconds of notice, requests, and what a loss of all calls costs."""

from __future__ import annotations

from tests.benchmarks.bench_callbacks import JOBS, PER_MINUTE, measure, perfect, population


def test_one_every_two_seconds_costs_three_seconds_and_two_requests_at_most():
    result = measure(2.0, callbacks=True)
    assert result.lost <= 3.0
    assert result.requests <= 2.0


def test_all_at_once_comes_within_a_twentieth_of_the_bound():
    result = measure(0.0, callbacks=True)
    assert result.lost <= 1.05 * perfect(list(population(0.0)[0].values()), PER_MINUTE)
    assert result.requests <= 2.0


def test_with_all_calls_lost_it_is_polling_once_the_trust_is_taken_back():
    polling, lost = measure(2.0, callbacks=False), measure(2.0, callbacks=True, arrive=False)
    assert lost.late <= 1.1 * polling.lost
    assert lost.requests <= 1.1 * polling.requests


def test_the_listings_are_one_per_connection_and_not_one_per_job():
    assert measure(2.0, callbacks=True).listings < JOBS
