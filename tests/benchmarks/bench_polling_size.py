"""What one more job costs the shared poller: CPU per poll at 100 and 10,000 jobs, memory, and the event loop's time."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import sys
import time
from datetime import UTC, datetime, timedelta
from statistics import median

import psutil

from airflow_video_providers.core.client.async_client import AsyncVideoClient
from airflow_video_providers.core.jobs import VideoJob
from airflow_video_providers.core.polling import timing
from airflow_video_providers.core.polling.connection_cache import SharedClient
from airflow_video_providers.core.polling.decision import PollState
from airflow_video_providers.core.polling.poller import Poller
from airflow_video_providers.core.polling.timing import JITTER
from airflow_video_providers.core.vendors.segmind import Segmind
from tests.benchmarks.bench_polling_cpu import CONTENDERS, Contender, _connections
from tests.benchmarks.speed import Meter
from tests.benchmarks.status_server import Counts, status_server
from tests.benchmarks.trigger_runner import LoopWatch, Runner, quiet_logs, running

FEW, MANY = 100, 10_000


def _poller(port: int) -> Poller:
    async def connect() -> SharedClient:
        return SharedClient(AsyncVideoClient(Segmind(f"https://127.0.0.1:{port}"), "a-key-0123456789"), 1e7)

    return Poller(connect, Segmind)


async def _jobs(poller: Poller, jobs: int, interval: float) -> list[asyncio.Task[VideoJob]]:
    """That many waits, begun evenly over one interval."""
    tasks = []
    begun = time.monotonic()
    for number in range(jobs):
        now = datetime.now(UTC)
        job = VideoJob(model="segmind:mochi-1", request_id=f"r{number}", submitted_at=now)
        state = PollState(job=job, started=now, deadline=now + timedelta(hours=1))
        tasks.append(asyncio.create_task(poller.wait(state, interval=interval)))
        await asyncio.sleep(max(0.0, begun + (number + 1) * interval / jobs - time.monotonic()))
    return tasks


async def _drop(tasks: list[asyncio.Task[VideoJob]]) -> None:
    for number, task in enumerate(tasks):
        task.cancel()
        if number % 100 == 0:
            await asyncio.sleep(0)
    await asyncio.gather(*tasks, return_exceptions=True)


async def _per_poll(port: int, counts: Counts, jobs: int, rate: float, window: float) -> float:
    interval = jobs / rate
    tasks = await _jobs(_poller(port), jobs, interval)
    await asyncio.sleep(JITTER * interval + 0.5)  # until the first round's last have come round
    meter, polled = Meter(), counts.requests
    await asyncio.sleep(window)
    spent, polls = meter.read(), counts.requests - polled
    await _drop(tasks)
    return spent / polls


def flat(port: int, counts: Counts, rounds: int, rate: float = 400.0, window: float = 16.0) -> None:
    """The same polls per second from few jobs and from many, in turn."""
    timing.SHORTEST_INTERVAL = 0.1

    async def main() -> list[tuple[float, float]]:
        return [
            (await _per_poll(port, counts, FEW, rate, window), await _per_poll(port, counts, MANY, rate, window))
            for _ in range(rounds)
        ]

    found = asyncio.run(main())
    few, many = (median(1e3 * pair[which] for pair in found) for which in (0, 1))
    print(
        f"\nCPU per poll, {rate:.0f} polls a second, {rounds} rounds in turns: {few:.2f} ms at {FEW} jobs, {many:.2f} ms "
        f"at {MANY}, ratio of the medians {many / few:.2f} (wanted: at most 1.2)"
    )


def memory(port: int, jobs: int = 5000) -> None:
    """Resident memory of a process with that many waiting jobs, all looked at once.

    In a process of its own: in one that has done something before, they fit into what was freed.
    """
    process = multiprocessing.get_context("spawn").Process(target=_memory, args=(port, jobs))
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(process.exitcode)


def _memory(port: int, jobs: int) -> None:
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

    found = asyncio.run(main()) / 1024
    print(f"\nMemory per waiting job, {jobs} jobs: {found:.1f} KiB (wanted: at most 30)", flush=True)


def blocks(port: int, counts: Counts, jobs: int = 5000) -> None:
    """The triggerer's event loop while that many triggers start at once, and while all of them come due at once."""

    async def one(runner: Runner, contender: Contender) -> tuple[LoopWatch, LoopWatch, float]:
        gc.collect()
        before = psutil.Process().memory_info().rss
        state, polled = LoopWatch(), counts.requests
        for number in range(jobs):
            runner.want(contender.classpath, contender.kwargs(number, 20))
        await runner.hand_over()
        while counts.requests - polled < jobs:  # noqa: ASYNC110 # another process counts
            await asyncio.sleep(0.05)
        starting = state.stop()
        grown = (psutil.Process().memory_info().rss - before) / jobs / 1024
        state = LoopWatch()
        await asyncio.sleep(25.0)
        polling = state.stop()
        await runner.drop_all()
        return starting, polling, grown

    async def main() -> None:
        print(f"\n{jobs} triggers inside TriggerRunner: longest CPU time in one go (wanted: at most 50 ms)")
        print(
            f"  {'':34} starting  polling  the interpreter's own full collections  KiB per trigger, Airflow's included"
        )
        os.environ["BENCH_URL"] = f"https://127.0.0.1:{port}"
        async with running(_connections(port)) as runner:
            for contender in (CONTENDERS[0], CONTENDERS[-1]):
                starting, polling, grown = await one(runner, contender)
                collecting = max(starting.longest_collection, polling.longest_collection)
                print(
                    f"  {contender.name:34} {1e3 * starting.longest:5.0f} ms {1e3 * polling.longest:5.0f} ms "
                    f"{1e3 * collecting:36.0f} ms {grown:40.1f}"
                )

    asyncio.run(main())


def main(rounds: int = 5) -> None:
    quiet_logs()
    with status_server() as (port, counts):
        blocks(port, counts)  # first: what is imported for the first look counts, too
        sys.stdout.flush()
        memory(port)
        flat(port, counts, rounds)
