"""What is learned about durations, and where looks are placed because of it."""

from __future__ import annotations

import itertools
import math
import random

import pytest

from airflow_video_providers.core.polling.timing import JITTER, TIMING, WINDOW, Timing
from airflow_video_providers.core.vendors.catalogue import models

BOUNDS = (5.0, 30.0)


def timing(typical: float = 60.0, jitter: float = 0.0) -> Timing:
    return Timing(typical=lambda _: typical, jitter=lambda: jitter)


def taught(median: float, sigma: float, jobs: int = WINDOW, typical: float = 60.0) -> Timing:
    learned, chance = timing(typical), random.Random(1)  # noqa: S311 # the same in each run
    for _ in range(jobs):
        learned.record("m", median * math.exp(sigma * chance.gauss(0, 1)))
    return learned


def looks(clock: Timing, until: float, bounds: tuple[float, float] = BOUNDS) -> list[float]:
    age, found = clock.first_poll("m", 0.0), []
    while age < until:
        found.append(age)
        age += clock.next_poll("m", age, bounds)
    return found


def test_the_first_look_comes_when_completion_is_plausible_and_not_before() -> None:
    first = taught(280.0, 0.25).first_poll("m", 0.0)
    assert 70 < first < 220


def test_the_first_look_of_an_unknown_model_comes_early() -> None:
    assert 3 < timing(60.0).first_poll("m", 0.0) < 20


def test_a_job_that_may_be_done_already_is_looked_at_at_once() -> None:
    assert taught(90.0, 0.25).first_poll("m", 200.0) == 0.0


def test_looks_are_dense_where_completion_is_likely() -> None:
    placed = looks(taught(280.0, 0.15), 1000.0, (1.0, 60.0))
    near = sum(1 for age in placed if 240 <= age < 320)
    early = sum(1 for age in placed if 120 <= age < 200)
    late = sum(1 for age in placed if 800 <= age < 880)
    assert near > 3 * early
    assert near > 2 * late


@pytest.mark.parametrize("bounds", [(5.0, 15.0), (2.0, 30.0), (10.0, 30.0)])
@pytest.mark.parametrize("jitter", [0.0, 1.0])
def test_the_documented_bounds_hold_between_two_looks(bounds: tuple[float, float], jitter: float) -> None:
    clock = taught(90.0, 0.6)
    clock._jitter = lambda: jitter
    placed = looks(clock, 4000.0, bounds)
    pauses = [later - earlier for earlier, later in itertools.pairwise(placed)]
    assert min(pauses) >= bounds[0] - 1e-9  # ages are sums
    assert max(pauses) <= bounds[1] + 1e-9


def test_before_completion_is_plausible_the_longest_pause_does_not_hold() -> None:
    assert taught(280.0, 0.1).next_poll("m", 1.0, BOUNDS) > BOUNDS[1]


def test_a_wrong_first_guess_is_soon_forgotten() -> None:
    few = taught(25.0, 0.25, jobs=8, typical=180.0)
    assert few.first_poll("m", 0.0) < timing(180.0).first_poll("m", 0.0)
    assert taught(25.0, 0.25, typical=180.0).first_poll("m", 0.0) == pytest.approx(
        taught(25.0, 0.25, typical=25.0).first_poll("m", 0.0), rel=0.15
    )


def test_only_the_last_durations_count() -> None:
    clock = taught(280.0, 0.2)
    chance = random.Random(2)  # noqa: S311 # the same in each run
    for _ in range(WINDOW):
        clock.record("m", 25.0 * math.exp(0.2 * chance.gauss(0, 1)))
    assert clock.first_poll("m", 0.0) < 25


def test_models_do_not_teach_each_other() -> None:
    clock = taught(280.0, 0.2)
    assert clock.first_poll("another", 0.0) == timing().first_poll("another", 0.0)


def test_equal_durations_do_not_make_it_blind() -> None:
    clock = timing()
    for _ in range(WINDOW):
        clock.record("m", 100.0)
    placed = looks(clock, 600.0)
    assert placed[0] < 100
    assert max(b - a for a, b in itertools.pairwise(placed)) <= BOUNDS[1]


@pytest.mark.parametrize("nonsense", [0.0, -5.0, math.nan, math.inf])
def test_durations_that_cannot_be_are_not_learned(nonsense: float) -> None:
    clock = timing()
    before = clock.first_poll("m", 0.0)
    clock.record("m", nonsense)
    assert clock.first_poll("m", 0.0) == before


def test_the_chance_that_a_job_is_done_grows_with_its_age_and_starts_anew_after_a_look() -> None:
    clock = taught(90.0, 0.3)
    chances = [clock.chance("m", 0.0, age) for age in (10.0, 60.0, 90.0, 150.0, 300.0)]
    assert chances == sorted(chances)
    assert chances[0] < 0.05
    assert chances[-1] > 0.95
    assert clock.chance("m", 89.0, 90.0) < 0.2


def test_a_job_far_beyond_its_like_is_stuck_and_not_done_any_moment_now() -> None:
    clock = taught(90.0, 0.1)
    assert clock.chance("m", 900.0, 905.0) < clock.chance("m", 90.0, 95.0) / 4
    assert clock.next_poll("m", 900.0, (1.0, 30.0)) > 5 * clock.next_poll("m", 95.0, (1.0, 30.0))


@pytest.mark.parametrize("age", [0.0, 1e-9, 1e9])
def test_no_age_is_too_odd(age: float) -> None:
    clock = taught(90.0, 0.1)
    assert clock.first_poll("m", age) >= 0.0
    assert BOUNDS[0] <= clock.next_poll("m", age, BOUNDS) < math.inf
    assert 0.0 <= clock.chance("m", age, age + 1.0) <= 1.0


def test_jitter_stretches_and_never_shortens() -> None:
    low, high = timing(jitter=0.0), timing(jitter=1.0)
    assert high.spread(10.0) == pytest.approx(low.spread(10.0) * (1 + JITTER))


def test_the_same_past_and_the_same_chance_give_the_same_looks() -> None:
    assert looks(taught(90.0, 0.6), 500.0) == looks(taught(90.0, 0.6), 500.0)


def test_the_process_has_one_that_goes_by_what_the_catalogue_says() -> None:
    quick, slow = sorted(models().values(), key=lambda model: model.typical_seconds)[:: len(models()) - 1]
    timing = Timing()  # as the process's is before anything was learnt
    assert timing.first_poll(quick.id, 0.0) < timing.first_poll(slow.id, 0.0)
    assert timing.first_poll("newer:model", 0.0) > 0.0
    assert isinstance(TIMING, Timing)
