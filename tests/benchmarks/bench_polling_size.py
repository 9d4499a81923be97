"""What one more job costs the shared poller: CPU per poll at 100 and 10,000 jobs, memory, and the event loop's time."""

from __future__ import annotations

import asyncio
import gc
import time
from datetime import UTC, datetime, timedelta
from statistics import median

import psutil

from airflow_video_providers.client import AsyncVideoClient
from airflow_video_providers.jobs import VideoJob
from airflow_video_providers.polling import Watch
from airflow_video_providers.triggers import poller as room
from airflow_video_providers.triggers.line import Opened
from airflow_video_providers.triggers.poller import Poller
from airflow_video_providers.vendors.segmind import Segmind
from tests.benchmarks.bench_polling_cpu import CONTENDERS, _connections
from tests.benchmarks.status_server import Counts, status_server
from tests.benchmarks.trigger_runner import LoopWatch, quiet_logs, running

FEW, MANY = 100, 10_000


def _poller(port: int) -> Poller:
    async def connect() -> Opened:
        return Opened(AsyncVideoClient(Segmind(f"https://127.0.0.1:{port}"), "a-key-0123456789"), 1e7)

    return Poller(connect, Segmind)


async def _jobs(poller: Poller, jobs: int, interval: float) -> list[asyncio.Task[VideoJob]]:
    """That many waits, begun evenly over one interval."""
    tasks = []
    begun = time.monotonic()
    for number in range(jobs):
        now = datetime.now(UTC)
        job = VideoJob(model="segmind:mochi-1", request_id=f"r{number}", submitted_at=now)
        watch = Watch(job=job, started=now, deadline=now + timedelta(hours=1))
        tasks.append(asyncio.create_task(poller.wait(watch, interval=interval)))
        await asyncio.sleep(max(0.0, begun + (number + 1) * interval / jobs - time.monotonic()))
    return tasks


async def _drop(tasks: list[asyncio.Task[VideoJob]]) -> None:
    for number, task in enumerate(tasks):
        task.cancel()
        if number % 100 == 0:
            await asyncio.sleep(0)
    await asyncio.gather(*tasks, return_exceptions=True)


async def _per_poll(port: int, counts: Counts, jobs: int, rate: float, window: float) -> float:
    tasks = await _jobs(_poller(port), jobs, jobs / rate)
    begun, polled = time.process_time(), counts.requests
    await asyncio.sleep(window)
    spent, polls = time.process_time() - begun, counts.requests - polled
    await _drop(tasks)
    return spent / polls


def flat(port: int, counts: Counts, rounds: int, rate: float = 400.0, window: float = 8.0) -> None:
    """The same polls per second from few jobs and from many, in turn."""
    room.SHORTEST_INTERVAL = 0.1

    async def main() -> list[tuple[float, float]]:
        return [
            (await _per_poll(port, counts, FEW, rate, window), await _per_poll(port, counts, MANY, rate, window))
            for _ in range(rounds)
        ]

    found = asyncio.run(main())
    few, many = (median(1e3 * pair[which] for pair in found) for which in (0, 1))
    print(
        f"\nCPU per poll, {rate:.0f} polls a second, {rounds} rounds: {few:.2f} ms at {FEW} jobs, {many:.2f} ms at {MANY}"
    )
    print(f"  ratio, paired: {median(pair[1] / pair[0] for pair in found):.2f}")


def memory(port: int, jobs: int = 5000) -> None:
    """Resident memory of a process with that many waiting jobs, all looked at once."""

    async def main() -> float:
        warm = await _jobs(_poller(port), 200, 1.0)
        await asyncio.sleep(0.5)
        await _drop(warm)
        gc.collect()
        before = psutil.Process().memory_info().rss
        tasks = await _jobs(_poller(port), jobs, 15.0)
        gc.collect()
        grown = psutil.Process().memory_info().rss - before
        await _drop(tasks)
        return grown / jobs

    print(f"\nMemory per waiting job, {jobs} jobs: {asyncio.run(main()) / 1024:.1f} KiB")


def blocks(port: int, counts: Counts, jobs: int = 5000) -> None:
    """The triggerer's event loop while that many triggers start at once, and while all of them come due at once."""

    async def main() -> None:
        async with running(_connections(port)) as runner:
            gc.collect()
            before = psutil.Process().memory_info().rss
            watch, polled = LoopWatch(), counts.requests
            for number in range(jobs):
                runner.want(CONTENDERS[0].classpath, CONTENDERS[0].kwargs(number, 20))
            await runner.hand_over()
            while counts.requests - polled < jobs:  # noqa: ASYNC110 # another process counts
                await asyncio.sleep(0.05)
            started = watch.stop()
            grown = (psutil.Process().memory_info().rss - before) / jobs / 1024
            watch = LoopWatch()
            await asyncio.sleep(25.0)
            polling = watch.stop()
            await runner.drop_all()
        print(
            f"\n{jobs} triggers inside TriggerRunner: the loop's longest CPU time in one go is {1e3 * started:.0f} ms "
        )
        print(
            f"  while they start and {1e3 * polling:.0f} ms while they poll; {grown:.1f} KiB per trigger, Airflow's share included"
        )

    asyncio.run(main())


def main(rounds: int = 5) -> None:
    quiet_logs()
    with status_server() as (port, counts):
        memory(port)
        blocks(port, counts)
        flat(port, counts, rounds)
