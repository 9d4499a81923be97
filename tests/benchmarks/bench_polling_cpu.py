"""CPU per poll inside Airflow's TriggerRunner, over TLS: this package's trigger and its peers'."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.polling.shared import _pollers
from tests.benchmarks.speed import Meter
from tests.benchmarks.status_server import Counts, status_server
from tests.benchmarks.trigger_runner import Runner, quiet_logs, running

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Contender:
    """A trigger to measure.

    :param kwargs: Its arguments, for a number and seconds between two polls.
    """

    name: str
    classpath: str
    kwargs: Callable[[int, int], dict[str, Any]]
    own: bool = False


def _job(number: int) -> str:
    started = datetime.now(UTC).isoformat()
    return json.dumps(
        {"model": "segmind:mochi-1", "request_id": f"r{number}", "conn_id": "segmind_default", "submitted_at": started}
    )


def _ours(number: int, seconds: int) -> dict[str, Any]:
    return {"job": _job(number), "poll_interval": float(seconds), "end_time": time.time() + 3600}


OURS = "airflow_video_providers.triggers.video.VideoJobTrigger"
CONTENDERS = (
    Contender("this package", OURS, _ours, own=True),
    Contender(
        "HttpSensorTrigger",
        "airflow.providers.http.triggers.http.HttpSensorTrigger",
        lambda number, seconds: {
            "endpoint": f"sensor/{number}",
            "http_conn_id": "bench_http",
            "poke_interval": seconds,
        },
    ),
    Contender(
        "dbt Cloud trigger",
        "airflow.providers.dbt.cloud.triggers.dbt.DbtCloudRunJobTrigger",
        lambda number, seconds: {
            "conn_id": "bench_dbt",
            "run_id": number,
            "account_id": 1,
            "end_time": time.time() + 3600,
            "poll_interval": float(seconds),
        },
    ),
    Contender(
        "Databricks trigger",
        "airflow.providers.databricks.triggers.databricks.DatabricksExecutionTrigger",
        lambda number, seconds: {
            "run_id": number,
            "databricks_conn_id": "bench_databricks",
            "polling_period_seconds": seconds,
        },
    ),
    Contender(
        "bare shared aiohttp session",
        "tests.benchmarks.trigger_runner.BareTrigger",
        lambda number, seconds: {"url": f"{os.environ['BENCH_URL']}/v2/requests/{number}/status", "seconds": seconds},
    ),
)


def _connections(port: int) -> dict[str, dict[str, Any]]:
    home = {"host": f"https://127.0.0.1:{port}", "password": "a-key-0123456789"}
    plenty = json.dumps({"requests_per_minute": 10_000_000})
    return {
        "segmind_default": {"conn_type": "segmind", "extra": plenty, **home},
        "bench_http": {"conn_type": "http", **home},
        "bench_dbt": {"conn_type": "dbt_cloud", **home, "host": f"127.0.0.1:{port}"},
        "bench_databricks": {"conn_type": "databricks", **home, "host": "https://127.0.0.1", "port": port},
    }


@dataclass
class Measured:
    """One contender in one round. Times are CPU seconds of the process, at one speed of the machine.

    :param per_start: Until it has asked once.
    :param per_quiet_start: Until it waits, where it does not ask at once: this package without an author's interval.
    """

    per_poll: float
    per_start: float
    per_quiet_start: float
    connections_per_poll: float
    most_open: int
    look_ups: int


async def _measure(
    runner: Runner, contender: Contender, jobs: int, seconds: int, window: float, counts: Counts
) -> Measured:
    counts.forget_most_open()
    look_ups = runner.supervisor.look_ups
    for number in range(jobs):
        runner.want(contender.classpath, contender.kwargs(number, seconds))
    meter, polled = Meter(), counts.requests
    await runner.hand_over()
    async with asyncio.timeout(300):
        while counts.requests - polled < jobs:  # noqa: ASYNC110 # another process counts
            await asyncio.sleep(0.05)
    per_start = meter.read() / jobs
    await asyncio.sleep(seconds)  # until all are at their own pace
    meter, polled, shared = Meter(), counts.requests, counts.connections
    await asyncio.sleep(window)
    spent, polls = meter.read(), counts.requests - polled
    measured = Measured(
        spent / polls,
        per_start,
        per_start,
        (counts.connections - shared) / polls,
        counts.most_open,
        runner.supervisor.look_ups - look_ups,
    )
    await runner.drop_all()
    if contender.own:
        measured.per_quiet_start = await _quiet_start(runner, contender, jobs)
    return measured


async def _quiet_start(runner: Runner, contender: Contender, jobs: int) -> float:
    for number in range(jobs):
        runner.want(contender.classpath, contender.kwargs(number, 1) | {"poll_interval": None})
    meter = Meter()
    await runner.hand_over()
    while sum(one.jobs for known in _pollers.values() for one in known.values()) < jobs:  # noqa: ASYNC110 # in a benchmark
        await asyncio.sleep(0.01)
    spent = meter.read()
    await runner.drop_all()
    return spent / jobs


async def _rounds(
    port: int, jobs: int, seconds: int, window: float, counts: Counts, rounds: int
) -> dict[str, list[Measured]]:
    quiet_logs()
    found: dict[str, list[Measured]] = {contender.name: [] for contender in CONTENDERS}
    async with running(_connections(port)) as runner:
        for _ in range(rounds):
            for contender in CONTENDERS:
                print(f"  ... {contender.name}", file=sys.stderr, flush=True)
                found[contender.name].append(await _measure(runner, contender, jobs, seconds, window, counts))
    return found


def measure(jobs: int, seconds: int, window: float, rounds: int) -> dict[str, list[Measured]]:
    with status_server() as (port, counts):
        os.environ["BENCH_URL"] = f"https://127.0.0.1:{port}"
        found = asyncio.run(_rounds(port, jobs, seconds, window, counts, rounds))
        if counts.unknown:
            raise SystemExit(f"{counts.unknown} requests went to a path that the server does not know")
    return found


def show(found: dict[str, list[Measured]]) -> None:
    """Medians, and how much of each peer's cost is this package's: paired within a round, median of the rounds."""
    print(
        "  start: until a trigger waits; the peers ask before they wait, this package without an author's interval does not"
    )
    print(f"  {'':34} ms/poll  ms/start and poll  ms/start  connections/poll  most open  look-ups")
    for name, rounds in found.items():
        print(
            f"  {name:34} {1e3 * median(one.per_poll for one in rounds):7.2f} "
            f"{1e3 * median(one.per_start for one in rounds):18.2f} "
            f"{1e3 * median(one.per_quiet_start for one in rounds):9.2f} "
            f"{median(one.connections_per_poll for one in rounds):17.3f} "
            f"{max(one.most_open for one in rounds):10d} "
            f"{median(one.look_ups for one in rounds):9.0f}"
        )
    for own in [contender.name for contender in CONTENDERS if contender.own]:
        print(f"  {own}, of each peer's:        CPU per poll   CPU per start")
        for peer in [contender.name for contender in CONTENDERS if not contender.own]:
            polls = [one.per_poll / other.per_poll for one, other in zip(found[own], found[peer], strict=True)]
            starts = [
                one.per_quiet_start / other.per_quiet_start for one, other in zip(found[own], found[peer], strict=True)
            ]
            print(f"    {peer:44} {median(polls):14.2f} {median(starts):15.2f}")


def main(rounds: int = 5, sizes: tuple[tuple[int, int, float], ...] = ((100, 1, 4.0), (1000, 8, 8.0))) -> None:
    for jobs, seconds, window in sizes:
        print(
            f"\n{jobs} jobs, one poll each {seconds} s, windows of {window:.0f} s, {rounds} rounds, inside TriggerRunner, TLS"
        )
        show(measure(jobs, seconds, window, rounds))
