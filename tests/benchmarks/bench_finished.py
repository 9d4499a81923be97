"""CPU per finished video inside Airflow's TriggerRunner, over TLS, at equal mean notice: this package and its peers.

What a user feels of a trigger is how soon after a video is done its task goes on (the notice), and what the waiting costs
until then. So each peer polls at the fixed interval whose mean notice is the one that this package had in the same round,
and what is compared is all the CPU from the start of a trigger to its event, per video.

Time runs faster here, in everything alike: durations, the vendor's bounds of a pause, what a second of notice is worth.
How many polls a video takes does not change by that. The default is as dense as a triggerer that waits for three thousand
videos: a loop that polls once in a while finds its code in no cache of the processor, and whoever polls more often pays less for
each poll. ``python -m tests.benchmarks.bench_finished``.
"""
# ruff: noqa: S311 # chance repeats itself here: seeds are fixed

from __future__ import annotations

import argparse
import asyncio
import importlib
import math
import os
import random
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import mean, median
from typing import TYPE_CHECKING, Any

from tests.benchmarks.status_server import Counts, certificate, finishing_id, status_server

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.benchmarks.trigger_runner import Runner

SEED = 20260101
#: Median in seconds, and spread of the logarithm, of each model: the three that are compared, and the one beside them.
POPULATIONS = {
    "three models (25, 90, 280 s, 0.25)": [(25.0, 0.25), (90.0, 0.25), (280.0, 0.25)],
    "one population (90 s, 0.6)": [(90.0, 0.6)],
}
MODELS = (
    "pixazo:mochi-v1",
    "pixazo:pixverse-v6-text-to-video",
    "pixazo:pixverse-c1-text-to-video",
)
#: At most so much of a peer's CPU, on the first population.
WANTED = {"HttpSensorTrigger": 0.35, "dbt Cloud trigger": 0.35, "Databricks trigger": 0.8}
#: Videos of each model whose durations this package has seen before, as a triggerer that has run for a day has.
SEEN_BEFORE = 100
#: Videos that each contender waits for first, which is not measured: imports, connections, what is cached.
WARM_UP = 6
#: The vendor's bounds of a pause, in seconds of the vendor.
BOUNDS = (5.0, 30.0)


@dataclass(frozen=True)
class Contender:
    """A trigger to measure.

    :param kwargs: Its arguments, for a model, a job's id and the seconds between two polls; None leaves them to it.
    """

    name: str
    classpath: str
    kwargs: Callable[[str, str, float | None], dict[str, Any]]

    @property
    def installed(self) -> bool:
        """Is its provider there?"""
        try:
            importlib.import_module(self.classpath.rpartition(".")[0])
        except ImportError:
            return False
        return True


def _ours(model: str, request_id: str, seconds: float | None) -> dict[str, Any]:
    from airflow_video_providers.core.jobs import VideoJob

    job = VideoJob(model=model, request_id=request_id, conn_id="bench_pixazo", submitted_at=datetime.now(UTC))
    return {"job": job.model_dump_json(exclude_none=True), "poll_interval": seconds, "end_time": time.time() + 3600}


OURS = Contender("this package", "airflow_video_providers.triggers.video.VideoJobTrigger", _ours)
PEERS = (
    Contender(
        "HttpSensorTrigger",
        "airflow.providers.http.triggers.http.HttpSensorTrigger",
        lambda _, request_id, seconds: {
            "endpoint": f"sensor/{request_id}",
            "http_conn_id": "bench_http",
            "poke_interval": seconds,
        },
    ),
    Contender(
        "dbt Cloud trigger",
        "airflow.providers.dbt.cloud.triggers.dbt.DbtCloudRunJobTrigger",
        lambda _, request_id, seconds: {
            "conn_id": "bench_dbt",
            "run_id": int(request_id),
            "account_id": 1,
            "end_time": time.time() + 3600,
            "poll_interval": seconds,
        },
    ),
    Contender(
        "Databricks trigger",
        "airflow.providers.databricks.triggers.databricks.DatabricksExecutionTrigger",
        lambda _, request_id, seconds: {
            "run_id": int(request_id),
            "databricks_conn_id": "bench_databricks",
            "polling_period_seconds": seconds,
        },
    ),
)


def _connections(port: int) -> dict[str, dict[str, Any]]:
    home = {"host": f"https://127.0.0.1:{port}", "password": "a-key-0123456789"}
    plenty = '{"requests_per_minute": 10000000}'
    return {
        "bench_pixazo": {"conn_type": "pixazo", "extra": plenty, **home},
        "bench_http": {"conn_type": "http", **home},
        "bench_dbt": {"conn_type": "dbt_cloud", **home, "host": f"127.0.0.1:{port}"},
        "bench_databricks": {"conn_type": "databricks", **home, "host": "https://127.0.0.1", "port": port},
    }


@dataclass(frozen=True)
class Measured:
    """One contender in one round.

    :param cpu: CPU seconds of the process for each finished video, at one speed of the machine.
    :param notice: Mean seconds of the vendor between the end of a video and the trigger's event.
    :param polls: Requests for each finished video.
    """

    cpu: float
    notice: float
    polls: float


@dataclass(frozen=True)
class Population:
    """Videos to wait for: which model, and how many seconds each takes, in seconds of the vendor."""

    models: list[tuple[float, float]]
    faster: float

    def videos(self, jobs: int, chance: random.Random) -> list[tuple[str, float]]:
        found = []
        for number in range(jobs):
            middle, sigma = self.models[number % len(self.models)]
            draw = max(-2.0, min(2.0, chance.gauss(0, 1)))  # a tail of minutes would say nothing more
            found.append((MODELS[number % len(self.models)], middle * math.exp(sigma * draw)))
        return found

    def learn(self) -> None:
        """The process's timing as it is where this population was waited for before."""
        from airflow_video_providers.core.polling import scheduler, timing
        from airflow_video_providers.core.vendors.pixazo import Pixazo
        from airflow_video_providers.triggers import first_event

        first_event.HEARD_AFTER = 10.0 / self.faster
        timing.REQUESTS_PER_SECOND_LOST = 4.0 * self.faster
        scheduler.SLACK = 1.0 / self.faster
        Pixazo.poll_seconds = (BOUNDS[0] / self.faster, BOUNDS[1] / self.faster)
        timing.TIMING._past.clear()
        timing.TIMING._curves.clear()
        for model, seconds in self.videos(SEEN_BEFORE * len(self.models), random.Random(SEED + 1)):
            timing.TIMING.record(model, seconds / self.faster)


async def _wait_for(
    runner: Runner, contender: Contender, videos: list[tuple[str, float]], interval: float | None, faster: float
) -> list[float]:
    """Run a trigger for each video until all have fired; the notice of each, in seconds of the vendor."""
    finished: dict[int, float] = {}
    fired: dict[int, float] = {}
    everyone = asyncio.Event()

    def on_event(number: int) -> None:
        fired[number] = time.time()
        if len(fired) == len(videos):
            everyone.set()

    def submit() -> None:
        for number, (model, seconds) in enumerate(videos):
            done = time.time() + seconds / faster
            trigger = runner.want(contender.classpath, contender.kwargs(model, finishing_id(done, number), interval))
            finished[trigger] = done

    runner.on_event, runner.on_round = on_event, submit
    async with asyncio.timeout(60 + max(seconds for _, seconds in videos) / faster):
        await everyone.wait()
    return [(fired[trigger] - done) * faster for trigger, done in finished.items()]


async def _measure(
    runner: Runner,
    contender: Contender,
    videos: list[tuple[str, float]],
    notice: float | None,
    late: float,
    faster: float,
    counts: Counts,
) -> Measured:
    """One contender.

    :param notice: The mean notice to have, in seconds of the vendor: a fixed interval's is half of it, and what comes
        to it.
    :param late: What came to it in the round before: how long an answer takes where others are awaited, too.
    """
    from tests.benchmarks.speed import Meter

    interval = None if notice is None else 2 * max(0.1 * notice, notice - late) / faster
    await _wait_for(runner, contender, [(model, 10.0) for model, _ in videos[:WARM_UP]], interval, faster)
    meter, polled = Meter(), counts.requests
    noticed = await _wait_for(runner, contender, videos, interval, faster)
    return Measured(meter.read() / len(videos), mean(noticed), (counts.requests - polled) / len(videos))


async def _rounds(
    port: int, population: Population, jobs: int, rounds: int, counts: Counts, contenders: list[Contender]
) -> dict[str, list[Measured]]:
    from tests.benchmarks.trigger_runner import quiet_logs, running

    quiet_logs()
    found: dict[str, list[Measured]] = {one.name: [] for one in contenders}
    late = dict.fromkeys(found, 0.0)
    async with running(_connections(port)) as runner:
        for number in range(-1, rounds):  # the first says only how late an answer comes
            videos = population.videos(jobs, random.Random(SEED + 10 + number))
            notice = None
            for one in contenders:
                print(f"  ... {one.name}", file=sys.stderr, flush=True)
                population.learn()
                measured = await _measure(runner, one, videos, notice, late[one.name], population.faster, counts)
                if notice is not None:
                    late[one.name] += max(-late[one.name], measured.notice - notice)
                if number >= 0:
                    found[one.name].append(measured)
                notice = notice or measured.notice
    return found


def _show(found: dict[str, list[Measured]], *, wanted: bool) -> None:
    own = found[OURS.name]
    print(f"  {'':20} ms CPU/video  mean s of notice  polls/video   this package, of it")
    for name, measured in found.items():
        ratio = median(mine.cpu / other.cpu for mine, other in zip(own, measured, strict=True))
        limit = f" (wanted: at most {WANTED[name]})" if wanted and name in WANTED else ""
        print(
            f"  {name:20} {1e3 * median(one.cpu for one in measured):12.2f} {median(one.notice for one in measured):17.2f} "
            f"{median(one.polls for one in measured):12.1f}" + ("" if name == OURS.name else f" {ratio:20.2f}{limit}")
        )


def main() -> None:
    """Print the table of each population."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=200, help="videos in each round; default: 200")
    parser.add_argument("--rounds", type=int, default=3, help="default: 3")
    parser.add_argument("--faster", type=float, default=15.0, help="how much faster time runs; default: 15")
    chosen = parser.parse_args()
    os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="bench-"))
    certificate()
    contenders = [OURS, *(peer for peer in PEERS if peer.installed)]
    print(
        f"{chosen.jobs} videos at once, {chosen.rounds} rounds after one that sets the intervals, inside TriggerRunner, TLS, "
        f"time {chosen.faster:.0f} times "
        f"as fast; load {os.getloadavg()[0]:.1f}. Warm-up, not measured: {WARM_UP} videos of each contender in each round, "
        f"and {SEEN_BEFORE} durations of each model that this package has seen"
    )
    for missing in [peer.name for peer in PEERS if peer not in contenders]:
        print(f"  {missing}: its provider is not installed")
    for number, (title, models) in enumerate(POPULATIONS.items()):
        population = Population(models, chosen.faster)
        longest = timedelta(seconds=max(seconds for _, seconds in population.videos(chosen.jobs, random.Random(SEED))))
        print(f"\n{title}, the longest {longest.total_seconds():.0f} s")
        with status_server() as (port, counts):
            found = asyncio.run(_rounds(port, population, chosen.jobs, chosen.rounds, counts, contenders))
            if counts.unknown:
                raise SystemExit(f"{counts.unknown} requests went to a path that the server does not know")
        _show(found, wanted=number == 0)


if __name__ == "__main__":
    main()
