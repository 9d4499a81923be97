"""How fast a connection may ask, and what a refusal changes."""

from __future__ import annotations

import pytest

from airflow_video_providers.core.polling.rate_limiter import LONGEST_PAUSE, LOWEST_SHARE, PAUSE, RateLimiter


def sent(budget: RateLimiter, begin: float, end: float) -> list[float]:
    """When requests go if there is always one waiting."""
    now, moments = begin, []
    while now < end:
        budget.spend(now)
        moments.append(now)
        now = max(now, budget.next_at())
    return moments


@pytest.mark.parametrize("per_minute", [1, 5, 60, 600])
def test_no_minute_sees_more_requests_than_allowed(per_minute: int) -> None:
    moments = sent(RateLimiter(per_minute), 0.0, 600.0)
    most = max(sum(1 for moment in moments if start <= moment < start + 60) for start in moments)
    assert most <= per_minute
    assert len(moments) >= 0.95 * 10 * per_minute


def test_a_late_wake_up_catches_up_by_half_a_second_and_not_more() -> None:
    budget = RateLimiter(600)
    budget.spend(0.0)
    at_once = 0
    while budget.next_at() <= 100.0:
        budget.spend(100.0)
        at_once += 1
    assert 4 <= at_once <= 7


def test_a_refusal_stops_all_requests_for_as_long_as_it_asks() -> None:
    budget = RateLimiter(60)
    budget.refused(100.0, 37.0)
    assert budget.next_at() == 137.0


def test_a_refusal_that_names_no_time_stops_them_for_a_while() -> None:
    budget = RateLimiter(60)
    budget.refused(100.0, None)
    assert budget.next_at() == 100.0 + PAUSE


def test_a_refusal_that_asks_for_days_is_tried_again_after_minutes() -> None:
    budget = RateLimiter(60)
    budget.refused(0.0, 1e6)
    assert budget.next_at() == LONGEST_PAUSE


def test_a_refusal_halves_the_rate_and_minutes_without_one_bring_it_back() -> None:
    budget = RateLimiter(60)
    budget.refused(0.0, 10.0)
    assert budget.share(10.0) == 0.5
    assert len(sent(budget, 10.0, 70.0)) <= 34
    assert budget.share(10.0 + 120.0) == pytest.approx(0.7)
    assert budget.share(10.0 + 3600.0) == 1.0


def test_requests_refused_together_count_once() -> None:
    budget = RateLimiter(60)
    for _ in range(16):
        budget.refused(5.0, 10.0)
    assert budget.share(15.0) == 0.5


def test_refusal_after_refusal_ends_at_a_floor() -> None:
    budget = RateLimiter(60)
    for round_ in range(20):
        budget.refused(round_ * 20.0 + 1.0, 10.0)
    assert budget.share(391.0) == pytest.approx(LOWEST_SHARE)


def test_a_turn_that_sent_nothing_is_given_back() -> None:
    budget = RateLimiter(60)
    budget.spend(100.0)
    after_one = budget.next_at()
    budget.spend(100.0)
    budget.spend(100.0, -1)
    assert budget.next_at() == pytest.approx(after_one)
