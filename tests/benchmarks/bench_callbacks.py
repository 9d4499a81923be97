"""How soon a finished job is noticed with callbacks, and for how many requests. A virtual clock: it takes seconds."""
# ruff: noqa: S311 # chance repeats itself here: seeds are fixed

from __future__ import annotations

import asyncio
import logging
import math
import random
from dataclasses import dataclass
from datetime import timedelta

from airflow_video_providers.core.jobs import JobStatus, VideoJob
from airflow_video_providers.core.polling.connection_cache import SharedClient
from airflow_video_providers.core.polling.mailbox import EVERY, Mail, MailReader, job_mark
from airflow_video_providers.core.polling.poller import Poller
from airflow_video_providers.core.polling.trust import Trust
from tests.benchmarks.bench_polling_detection import POPULATIONS, SEED, LimitedVendor, _experienced, perfect
from tests.support.virtual import START, Pixel, new_job, run_virtually, state, wall_clock

JOBS, PER_MINUTE = 500, 60
#: Seconds from a job's end to the receiver's mail: a vendor that is not in a hurry.
DELIVERY = 0.2, 1.5
#: US dollars for a thousand listings on S3.
S3_LISTINGS = 0.005


class CallingVendor(LimitedVendor):
    """Says when a job was completed, too."""

    async def status(self, job: VideoJob, **options: object) -> VideoJob:
        seen = await super().status(job, **options)  # type: ignore[arg-type]
        if seen.status is not JobStatus.SUCCEEDED:
            return seen
        return seen.replace(completed_at=START + timedelta(seconds=self.done_at[job.request_id]))


@dataclass
class Result:
    """What a run has cost.

    :param lost: Mean seconds from a job's end to its read; ``late`` of the jobs that were submitted after the trust was lost.
    """

    lost: float
    requests: float
    listings: int
    late: float


def population(gap: float) -> tuple[dict[str, float], list[int]]:
    """When each job is done, and of which model it is."""
    models = POPULATIONS["three models (25, 90, 280 s, 0.25)"]
    chance, kinds = random.Random(SEED), [number % len(models) for number in range(JOBS)]
    done = {}
    for number, kind in enumerate(kinds):
        median, sigma = models[kind]
        done[f"r{number}"] = number * gap + median * math.exp(sigma * chance.gauss(0, 1))
    return done, kinds


def measure(gap: float, *, callbacks: bool, arrive: bool = True) -> Result:
    """500 jobs of three models, 60 requests a minute.

    :param gap: Seconds between two submits.
    :param callbacks: Is the vendor asked to call, and trusted from the beginning?
    :param arrive: Do the calls arrive?
    """
    done, kinds = population(gap)
    chance = random.Random(SEED + 2)
    mail = [
        (at + chance.uniform(*DELIVERY), Mail(10**10, "0" * 32, job_mark(Pixel.id, name), terminal=True))
        for name, at in done.items()
    ]
    listings = 0
    lost_at = math.inf

    class Box:
        def listed(self) -> list[Mail]:
            nonlocal listings
            listings += 1
            now = asyncio.get_running_loop().time() - 1000.0
            return [one for at, one in mail if arrive and at <= now]

    async def main() -> LimitedVendor:
        vendor = CallingVendor(done, PER_MINUTE)

        async def connect() -> SharedClient:
            return SharedClient(vendor, float(PER_MINUTE))

        async def opened() -> Box:
            return Box()

        class Noticing(Trust):
            def lost(self, why: str) -> None:
                nonlocal lost_at
                lost_at = min(lost_at, asyncio.get_running_loop().time() - 1000.0)
                super().lost(why)

        trust = Noticing("bench")
        trust.arrived()
        reader = MailReader(opened, wall=lambda: 0.0)  # type: ignore[arg-type]
        poller = Poller(connect, Pixel, timing=_experienced(), now=wall_clock, trust=trust)

        async def submit_and_wait(number: int) -> None:
            await asyncio.sleep(number * gap)
            until = wall_clock() + timedelta(days=7) if callbacks else None
            job = new_job(f"r{number}", model=f"m{kinds[number]}", callback_until=until)
            await poller.wait(state(job, 24 * 3600.0), mail=reader if callbacks else None)

        await asyncio.gather(*(submit_and_wait(number) for number in range(JOBS)))
        return vendor

    async def now(function, *arguments):  # type: ignore[no-untyped-def]
        return function(*arguments)

    threads, asyncio.to_thread = asyncio.to_thread, now  # a virtual clock does not wait for threads
    try:
        vendor = run_virtually(main())
    finally:
        asyncio.to_thread = threads
    waited = {name: vendor.noticed[name] - at for name, at in done.items()}
    after = [waited[f"r{number}"] for number in range(JOBS) if number * gap >= lost_at]
    return Result(
        sum(waited.values()) / JOBS, (vendor.answered + vendor.refused) / JOBS, listings,
        sum(after) / len(after) if after else math.nan,
    )  # fmt: skip


def main() -> None:
    logging.disable(logging.WARNING)
    print(f"Callbacks, {JOBS} jobs of three models, {PER_MINUTE} requests a minute, a listing every {EVERY:.0f} s")
    print("                                          mean s lost  requests/job   listings")
    for gap, how in ((2.0, "one every 2 s"), (0.0, "all at once")):
        bound = perfect(list(population(gap)[0].values()), PER_MINUTE)
        rows = (
            ("polling", measure(gap, callbacks=False)),
            ("callbacks", measure(gap, callbacks=True)),
            ("callbacks, all of them lost", measure(gap, callbacks=True, arrive=False)),
        )
        for title, result in rows:
            late = "" if math.isnan(result.late) else f"   after the trust was lost {result.late:.1f}"
            print(f"  {how:14} {title:28} {result.lost:8.1f} {result.requests:13.2f} {result.listings:10}{late}")
        print(f"  {how:14} {'bound, one read per job':28} {bound:8.1f} {1:13.2f}")
    a_day = 24 * 3600 / EVERY
    print(f"  one connection, all day: {a_day:.0f} listings, {a_day / 1000 * S3_LISTINGS:.2f} US dollars on S3")


if __name__ == "__main__":
    main()
