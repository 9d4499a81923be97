"""When to poll a job next: learned from how long earlier jobs of its model took.

Pure: ages in, seconds out; no clock and no Airflow. Polls are placed so that their density follows the square
root of the hazard (the chance that a job which is not done at an age is done a moment later). That placing has
the lowest product of requests and seconds lost after completion, of all that know the durations' distribution.

What was learned lives in the process. A triggerer runs for days and learns; a worker that pokes lives for one
task and goes by the first guess, the model's ``typical_seconds``.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_left
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.vendors import catalogue

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_video_providers.core.jobs import VideoJob

#: How many past durations count, per model.
WINDOW = 200
#: Spread of the logarithm of the durations before anything was learned: nine jobs in ten take between a
#: quarter and four times the typical time.
PRIOR_SIGMA = 0.9
#: How many durations the first guess is worth.
PRIOR_WEIGHT = 2
#: However alike past durations were, the next one may differ by this much.
LOWEST_SIGMA = 0.1
#: One job in fifty is unlike its past and spread like the first guess: a stuck job must not count as one that
#: is done any moment now.
STRANGERS = 0.02
#: A second lost after completion weighs as much as so many requests.
REQUESTS_PER_SECOND_LOST = 4.0
#: Each pause is stretched by up to this share, so that jobs submitted together do not stay together.
JITTER = 0.1

#: A job whose call is awaited is polled no sooner than this many seconds after almost every job of its model is done.
NET_MARGIN = 90.0
#: An author's own interval cannot be shorter than this, in seconds.
SHORTEST_INTERVAL = 1.0
#: After so many seconds at most the next poll follows one that got no answer.
LONGEST_SILENCE = 60.0

_STEPS = [step / 5 for step in range(-23, 24)]
_ROOT_2 = math.sqrt(2)


def own_interval(seconds: float) -> float:
    """An author's interval between two polls, in seconds, as it is kept to."""
    return max(seconds, SHORTEST_INTERVAL)


def took(done: VideoJob, unfinished: float | None, seen: float) -> float | None:
    """How long a job took, in seconds from its submit: what the vendor says, as far as it fits what was seen.

    :param unfinished: The age at which it was last known to be unfinished; None where nobody knows.
    :param seen: The age at which it was seen finished.
    :return: None where nobody knows.
    """
    if done.completed_at is not None and done.submitted_at is not None:
        said = (done.completed_at - done.submitted_at).total_seconds()
        return min(max(said, unfinished or 0.0), seen)
    return None if unfinished is None else (unfinished + seen) / 2


class Timing:
    """The past durations of each model, and what follows from them.

    :param typical: A model's first guess in seconds; by default what the catalogue says.
    :param jitter: Random numbers from 0 to 1.
    """

    def __init__(
        self, *, typical: Callable[[str], float] | None = None, jitter: Callable[[], float] = random.random
    ) -> None:
        self._typical = typical or _typical_seconds
        self._jitter = jitter
        self._past: dict[str, deque[float]] = {}
        self._curves: dict[str, _Curve] = {}

    def record(self, model: str, seconds: float) -> None:
        """A job of this model took so long from submit to completion."""
        if not (math.isfinite(seconds) and seconds > 0):
            return
        self._past.setdefault(model, deque(maxlen=WINDOW)).append(math.log(seconds))
        self._curves.pop(model, None)

    def first_poll(self, model: str, age: float) -> float:
        """Seconds until the first poll of a job of this age: none where it may be done already."""
        curve = self._curve(model)
        return 0.0 if curve.polls(age) >= 1.0 else self.spread(curve.age_of_poll(1.0) - age)

    def next_poll(self, model: str, age: float, bounds: tuple[float, float]) -> float:
        """Seconds until the next poll of a job of this age that was just seen unfinished.

        :param model: The model's id.
        :param age: Seconds since its submit.
        :param bounds: Shortest and longest pause (the vendor's ``poll_seconds``). The longest holds from the
            moment that completion is plausible; before that nothing is polled.
        """
        curve = self._curve(model)
        shortest, longest = bounds
        polls = curve.polls(age)
        pause = curve.age_of_poll(max(polls + 1.0, 1.0)) - age
        if polls >= 1.0:
            pause = min(pause, longest / (1 + JITTER))
        return self.spread(max(pause, shortest))

    def pause(
        self,
        model: str,
        age: float,
        bounds: tuple[float, float],
        *,
        interval: float | None = None,
        asked: float | None = None,
        silent: int = 0,
    ) -> float:
        """Seconds until the next poll of a job that goes on: what every way of waiting asks.

        :param bounds: As in :meth:`next_poll`.
        :param interval: The author's own seconds between two polls; None leaves it to what was learned.
        :param asked: What the decision asks for: a vendor's Retry-After, or the pause after an odd answer.
        :param silent: How many polls in a row got no answer.
        """
        shortest, _ = bounds
        if asked is not None:
            return self.spread(max(asked, shortest))
        if interval is not None:
            return self.spread(own_interval(interval))
        if silent:
            return self.spread(min(shortest * 2 ** min(silent, 10), LONGEST_SILENCE))
        return self.next_poll(model, age, bounds)

    def chance(self, model: str, seen_age: float, age: float) -> float:
        """How likely it is (0 to 1) that a job which was unfinished at ``seen_age`` is done at ``age``."""
        curve = self._curve(model)
        before = curve.surviving(seen_age)
        return 1.0 - curve.surviving(age) / before if before > 0.0 else 0.0

    def net(self, model: str, age: float) -> float:
        """Seconds until a job of this age is polled although nobody has called: hardly any is unfinished by then."""
        late = math.exp(self._curve(model).late) + NET_MARGIN
        return self.spread(max(late - age, NET_MARGIN, age / 2))

    def spread(self, pause: float) -> float:
        """A pause with jitter."""
        return max(pause, 0.0) * (1 + JITTER * self._jitter())

    def _curve(self, model: str) -> _Curve:
        curve = self._curves.get(model)
        if curve is None:
            past = self._past.get(model, ())
            curve = self._curves[model] = _Curve.of(*_fitted(past, math.log(self._typical(model))))
        return curve


def _fitted(past: deque[float] | tuple[()], guess: float) -> tuple[float, float]:
    """Mean and spread of the logarithm of the durations, the first guess counted in."""
    weight = PRIOR_WEIGHT + len(past)
    center = (PRIOR_WEIGHT * guess + sum(past)) / weight
    mean = sum(past) / len(past) if past else guess
    square = (PRIOR_WEIGHT * PRIOR_SIGMA**2 + sum((value - mean) ** 2 for value in past)) / weight
    return center, max(math.sqrt(square), LOWEST_SIGMA)


def _above(z: float) -> float:
    return 0.5 * math.erfc(z / _ROOT_2)


def _density(z: float) -> float:
    return math.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)


@dataclass(frozen=True)
class _Curve:
    """How many polls a job has earned by each age, as a table over the logarithm of the age."""

    center: float
    sigma: float
    log_ages: list[float]
    earned: list[float]

    @classmethod
    def of(cls, center: float, sigma: float) -> _Curve:
        log_ages = sorted({center + spread * z for spread in (sigma, PRIOR_SIGMA) for z in _STEPS})
        rates = [_polls_per_log_age(log_age, center, sigma) for log_age in log_ages]
        earned = [0.0]
        for index in range(1, len(log_ages)):
            width = log_ages[index] - log_ages[index - 1]
            earned.append(earned[-1] + width * (rates[index] + rates[index - 1]) / 2)
        return cls(center, sigma, log_ages, earned)

    @property
    def late(self) -> float:
        """The logarithm of an age that one job in a hundred passes."""
        return self.center + 2.33 * self.sigma

    def surviving(self, age: float) -> float:
        """The share of jobs that are not done at this age."""
        return _surviving(math.log(age), self.center, self.sigma) if age > 0 else 1.0

    def polls(self, age: float) -> float:
        """How many polls a job of this age has earned."""
        return _interpolated(self.log_ages, self.earned, math.log(age)) if age > 0 else 0.0

    def age_of_poll(self, number: float) -> float:
        """The age at which a job earns this poll; infinite beyond the table."""
        if number >= self.earned[-1]:
            return math.inf
        return math.exp(_interpolated(self.earned, self.log_ages, number))


def _surviving(log_age: float, center: float, sigma: float) -> float:
    away = log_age - center
    return (1 - STRANGERS) * _above(away / sigma) + STRANGERS * _above(away / PRIOR_SIGMA)


def _polls_per_log_age(log_age: float, center: float, sigma: float) -> float:
    away = log_age - center
    density = (1 - STRANGERS) * _density(away / sigma) / sigma + STRANGERS * _density(away / PRIOR_SIGMA) / PRIOR_SIGMA
    hazard = density / _surviving(log_age, center, sigma)  # per unit of the logarithm: the age is multiplied in
    return math.sqrt(REQUESTS_PER_SECOND_LOST / 2 * hazard * math.exp(log_age))


def _interpolated(xs: list[float], ys: list[float], x: float) -> float:
    right = min(max(bisect_left(xs, x), 1), len(xs) - 1)
    left = right - 1
    share = (x - xs[left]) / (xs[right] - xs[left])
    return ys[left] + min(max(share, 0.0), 1.0) * (ys[right] - ys[left])


def _typical_seconds(model: str) -> float:
    try:
        return catalogue.find(model).typical_seconds
    except InvalidRequestError:  # a model that only the buyer's version of the package knows
        return 60.0


#: The process's own.
TIMING = Timing()
