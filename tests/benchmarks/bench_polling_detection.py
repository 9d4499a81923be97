"""How soon a finished job is noticed, and for how many requests. A virtual clock and fixed seeds: it takes seconds."""
# ruff: noqa: S311 # chance repeats itself here: seeds are fixed

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_video_providers.core.errors import RateLimitedError
from airflow_video_providers.core.jobs import JobStatus, VideoJob, VideoOutput
from airflow_video_providers.core.polling.connection_cache import SharedClient
from airflow_video_providers.core.polling.poller import Poller
from airflow_video_providers.core.polling.timing import Timing
from tests.support.virtual import Pixel, new_job, run_virtually, state, wall_clock

if TYPE_CHECKING:
    from collections.abc import Iterator

SEED = 20260101
JOBS = 4000
#: Median in seconds, and spread of the logarithm, of each model.
POPULATIONS = {
    "one population (90 s, 0.6)": [(90.0, 0.6)],
    "three models (25, 90, 280 s, 0.25)": [(25.0, 0.25), (90.0, 0.25), (280.0, 0.25)],
}
BOUNDS = (5.0, 30.0)
FIRST_GUESS = 60.0


def fixed(seconds: float) -> Callable[[str, float], Iterator[float]]:
    """Look at once and then every so many seconds: what the peers' triggers do."""

    def ages(model: str, duration: float) -> Iterator[float]:
        age = 0.0
        while True:
            yield age
            age += seconds

    return ages


def exponential(first: float, longest: float) -> Callable[[str, float], Iterator[float]]:
    def ages(model: str, duration: float) -> Iterator[float]:
        age, pause = 0.0, first
        while True:
            yield age
            age += pause
            pause = min(2 * pause, longest)

    return ages


def learned() -> Callable[[str, float], Iterator[float]]:
    """This package: knows the catalogue's first guess at first, and then what it has seen."""
    timing = Timing(typical=lambda _: FIRST_GUESS, jitter=random.Random(SEED).random)

    def ages(model: str, duration: float) -> Iterator[float]:
        age, unfinished = timing.first_poll(model, 0.0), 0.0
        while age < duration:
            yield age
            unfinished = age
            age += timing.next_poll(model, age, BOUNDS)
        timing.record(model, (unfinished + age) / 2)
        yield age

    return ages


def detect(strategy: Callable[[str, float], Iterator[float]], models: list[tuple[float, float]]) -> list[float]:
    """Requests per job, mean and 95th percentile of the seconds lost after completion."""
    chance = random.Random(SEED)
    requests, lost = 0, []
    for number in range(JOBS):
        median, sigma = models[number % len(models)]
        duration = median * math.exp(sigma * chance.gauss(0, 1))
        for age in strategy(f"m{number % len(models)}", duration):
            requests += 1
            if age >= duration:
                lost.append(age - duration)
                break
    lost.sort()
    return [requests / JOBS, sum(lost) / JOBS, lost[int(0.95 * JOBS)]]


def detection() -> None:
    print(f"Detection, {JOBS} jobs, pauses of {BOUNDS[0]:.0f} to {BOUNDS[1]:.0f} s, first guess {FIRST_GUESS:.0f} s")
    for name, models in POPULATIONS.items():
        print(f"  {name:36}  requests/job  mean s lost   p95   requests x mean, of fixed 5 s")
        base = 0.0
        for title, strategy in (
            ("fixed 5 s", fixed(5.0)),
            ("fixed 10 s", fixed(10.0)),
            ("exponential 1 to 15 s", exponential(1.0, 15.0)),
            ("learned", learned()),
        ):
            requests, mean, late = detect(strategy, models)
            base = base or requests * mean
            print(f"    {title:34}  {requests:12.1f} {mean:12.2f} {late:5.1f} {requests * mean / base:14.2f}")


@dataclass
class LimitedVendor:
    """Finishes each job at its time, and answers no more than so many requests a minute."""

    done_at: dict[str, float]
    per_minute: int
    answered: int = 0
    refused: int = 0
    _window: int = -1
    _used: int = 0
    noticed: dict[str, float] = field(default_factory=dict)

    async def status(self, job: VideoJob, *, on_request: Callable[[], None] | None = None) -> VideoJob:
        if on_request is not None:
            on_request()
        now = asyncio.get_running_loop().time() - 1000.0
        await asyncio.sleep(0.2)
        if (window := int(now // 60)) != self._window:
            self._window, self._used = window, 0
        if self._used >= self.per_minute:
            self.refused += 1
            raise RateLimitedError("too many", retry_after=60.0 - now % 60)
        self._used += 1
        self.answered += 1
        if now < self.done_at[job.request_id]:
            return job.replace(status=JobStatus.RUNNING)
        self.noticed[job.request_id] = now
        return job.replace(status=JobStatus.SUCCEEDED, outputs=(VideoOutput(url="https://cdn.invalid/v.mp4"),))

    async def aclose(self) -> None: ...


Wait = Callable[[VideoJob], Awaitable[object]]


def one_timer_per_job(vendor: LimitedVendor) -> Wait:
    """Each job looks every 5 s, and does as a 429 asks."""
    chance = random.Random(SEED)

    async def wait(job: VideoJob) -> None:
        while True:
            try:
                if (await vendor.status(job)).status is JobStatus.SUCCEEDED:
                    return
                pause = 5.0
            except RateLimitedError as error:
                pause = error.retry_after or 5.0
            await asyncio.sleep(pause + chance.random())

    return wait


def one_poller(vendor: LimitedVendor) -> Wait:
    async def connect() -> SharedClient:
        return SharedClient(vendor, float(vendor.per_minute))

    poller = Poller(connect, Pixel, timing=_experienced(), now=wall_clock)
    return lambda job: poller.wait(state(job, 24 * 3600.0))


def perfect(done: list[float], per_minute: int) -> float:
    """Mean loss if each job cost one request, sent the moment it is of use."""
    waiting, now, lost = sorted(done), 0.0, 0.0
    for moment in waiting:
        now = max(now + 60.0 / per_minute, moment)
        lost += now - moment
    return lost / len(done)


def _experienced() -> Timing:
    """A triggerer that has seen 100 jobs of each model."""
    timing, chance = Timing(typical=lambda _: FIRST_GUESS, jitter=random.Random(SEED).random), random.Random(SEED + 1)
    for kind, (median, sigma) in enumerate(POPULATIONS["three models (25, 90, 280 s, 0.25)"]):
        for _ in range(100):
            timing.record(f"m{kind}", median * math.exp(sigma * chance.gauss(0, 1)))
    return timing


def shortage(gap: float, jobs: int = 500, per_minute: int = 60) -> None:
    models = POPULATIONS["three models (25, 90, 280 s, 0.25)"]
    chance = random.Random(SEED)
    kinds = [number % len(models) for number in range(jobs)]
    done = {}
    for number, kind in enumerate(kinds):
        median, sigma = models[kind]
        done[f"r{number}"] = number * gap + median * math.exp(sigma * chance.gauss(0, 1))

    async def main(strategy: Callable[[LimitedVendor], Wait]) -> LimitedVendor:
        vendor = LimitedVendor(done, per_minute)
        wait = strategy(vendor)

        async def submit_and_wait(number: int) -> None:
            await asyncio.sleep(number * gap)
            await wait(new_job(f"r{number}", model=f"m{kinds[number]}"))

        await asyncio.gather(*(submit_and_wait(number) for number in range(jobs)))
        return vendor

    how = f"one every {gap:.0f} s" if gap else "all at once"
    print(f"\n{jobs} jobs of three models, submitted {how}; {per_minute} requests a minute")
    print(f"  {'':34}  mean s lost   p95   answered  refused")
    means = []
    for title, strategy in (("one timer per job, 5 s", one_timer_per_job), ("one poller", one_poller)):
        vendor = run_virtually(main(strategy))
        lost = sorted(vendor.noticed[name] - done[name] for name in done)
        means.append(sum(lost) / jobs)
        print(f"  {title:34}  {means[-1]:11.1f} {lost[int(0.95 * jobs)]:6.1f} {vendor.answered:9d} {vendor.refused:8d}")
    print(f"  {'nobody can do better than':34}  {perfect(list(done.values()), per_minute):11.1f}")
    print(f"  mean of one poller, of one timer per job: {means[1] / means[0]:.2f}")


def main() -> None:
    logging.disable(logging.WARNING)
    detection()
    for gap in (2.0, 0.0):
        shortage(gap)
