"""CPU per finished video in Airflow's TriggerRunner where the vendor calls: mailbox included, at equal mean notice.

500 videos of three models, one submitted every two seconds, 60 requests a minute, the trust in callbacks earned. A process
of its own stands for the receiver and for the workers: it writes each call into the mailbox, and removes it some seconds
later, as a worker does that has read the finished job. The peer polls at the fixed interval whose mean notice is the one
that this package had. What Airflow's runner spends with nothing to wait for is measured first and taken off both: it is spent
by the second, not by the video. Time runs faster here, in everything alike. ``python -m tests.benchmarks.bench_called``.
"""
# ruff: noqa: S311 # chance repeats itself here: seeds are fixed

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

from tests.benchmarks.bench_finished import PEERS, POPULATIONS, SEED, WARM_UP, Population, _connections
from tests.benchmarks.status_server import Counts, certificate, finishing_id, status_server

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.benchmarks.trigger_runner import Runner

THREE_MODELS = next(iter(POPULATIONS.values()))
#: Seconds of the vendor between two submits.
GAP = 2.0
PER_MINUTE = 60
#: Seconds of the vendor from a job's end to its call, and from the call to the worker that removes it.
DELIVERY, WORKER = (0.2, 1.5), 10.0
#: At most so much of the peer's CPU.
WANTED = 0.1
CONN_ID = "bench_pixazo"


@dataclass(frozen=True)
class Video:
    """A video to wait for, in seconds of the wall clock."""

    model: str
    submitted: float
    done: float
    request_id: str


@dataclass(frozen=True)
class Measured:
    """What a video has cost: CPU seconds, seconds of the vendor between its end and the event, requests.

    :param idle: CPU seconds that the runner would have spent without it.
    """

    cpu: float
    idle: float
    notice: float
    polls: float


def _ours(video: Video, _: float | None) -> dict[str, Any]:
    from airflow_video_providers.core.jobs import VideoJob

    submitted = datetime.fromtimestamp(video.submitted, UTC)
    job = VideoJob(
        model=video.model,
        request_id=video.request_id,
        conn_id=CONN_ID,
        submitted_at=submitted,
        callback_until=submitted + timedelta(days=7),
    )
    return {"job": job.model_dump_json(exclude_none=True), "poll_interval": None, "end_time": time.time() + 7200}


@dataclass(frozen=True)
class Contender:
    """A trigger to measure.

    :param kwargs: Its arguments, for a video and the seconds between two polls; None leaves them to it.
    """

    name: str
    classpath: str
    kwargs: Callable[[Video, float | None], dict[str, Any]]


OURS = Contender("this package, called", "airflow_video_providers.triggers.video.VideoJobTrigger", _ours)
HTTP = Contender(
    PEERS[0].name, PEERS[0].classpath, lambda video, every: PEERS[0].kwargs(video.model, video.request_id, every)
)
#: Seconds for which the runner is measured with nothing to wait for.
IDLE = 10.0


def faster(by: float) -> None:
    """Everything of this package that knows seconds, in a process where time runs faster."""
    from airflow_video_providers.core.polling import calls, mailbox, timing, trust

    timing.NET_MARGIN = 90.0 / by
    trust.ON_ITS_WAY = calls.ON_ITS_WAY = 60.0 / by
    mailbox.MailReader.__init__.__kwdefaults__["every"] = mailbox.EVERY / by


def videos(jobs: int, by: float, begin: float) -> list[Video]:
    """Videos that are submitted one after the other from ``begin`` on."""
    found = []
    for number, (model, seconds) in enumerate(Population(THREE_MODELS, by).videos(jobs, random.Random(SEED + 10))):
        submitted = begin + number * GAP / by
        done = submitted + seconds / by
        found.append(Video(model, submitted, done, finishing_id(done, number)))
    return found


def _receiver_and_workers(folder: str, wanted: list[Video], by: float) -> None:
    from airflow_video_providers.core.callbacks.token import Claim
    from airflow_video_providers.core.polling.mailbox import Mailbox
    from airflow_video_providers.core.purchase.records import Identity
    from airflow_video_providers.core.purchase.stores.local_directory import LocalDirectory

    mailbox = Mailbox(LocalDirectory(Path(folder)), CONN_ID)
    chance, expires = random.Random(SEED + 2), datetime.now(UTC) + timedelta(days=7)
    moments = []
    for number, video in enumerate(wanted):
        called = video.done + chance.uniform(*DELIVERY) / by
        moments += [(called, number, True), (called + WORKER / by, number, False)]
    for moment, number, calls in sorted(moments):
        time.sleep(max(0.0, moment - time.time()))
        video = wanted[number]
        if calls:
            claim = Claim("pixazo", CONN_ID, Identity("bench", "run", "submit", number), 1, expires)
            mailbox.put(claim, video.request_id, terminal=True)
        else:
            mailbox.drop("pixazo", video.request_id)


async def _wait_for(
    runner: Runner, contender: Contender, wanted: list[Video], arguments: list[dict[str, Any]], by: float
) -> list[float]:
    """A trigger for each video at its time, until all have fired; the notice of each, in seconds of the vendor."""
    fired: dict[int, float] = {}
    everyone = asyncio.Event()
    done: dict[int, float] = {}

    def on_event(number: int) -> None:
        fired[number] = time.time()
        if len(fired) == len(wanted):
            everyone.set()

    runner.on_event = on_event
    async with asyncio.timeout(120 + max(video.done for video in wanted) - time.time()):
        for video, kwargs in zip(wanted, arguments, strict=True):
            await asyncio.sleep(max(0.0, video.submitted - time.time()))
            done[runner.want(contender.classpath, kwargs)] = video.done
        await everyone.wait()
    return [(fired[number] - at) * by for number, at in done.items()]


async def _measure(
    runner: Runner, contender: Contender, jobs: int, notice: float | None, by: float, counts: Counts, ledger: str
) -> Measured:
    from tests.benchmarks.speed import Meter

    meter = Meter()
    await asyncio.sleep(IDLE)
    a_second = meter.read() / IDLE
    interval = None if notice is None else 2 * notice / by
    for number in (WARM_UP, jobs):
        wanted = videos(number, by, time.time() + 3.0)
        others = multiprocessing.get_context("spawn").Process(
            target=_receiver_and_workers, args=(ledger, wanted, by), daemon=True
        )
        if contender is OURS:
            others.start()
        arguments = [contender.kwargs(video, interval) for video in wanted]
        await asyncio.sleep(max(0.0, wanted[0].submitted - time.time()))
        meter, polled, began = Meter(), counts.requests, time.monotonic()
        noticed = await _wait_for(runner, contender, wanted, arguments, by)
        idle = a_second * (time.monotonic() - began)
        polls = (counts.requests - polled) / number
        measured = Measured(meter.read() / number - idle / number, idle / number, mean(noticed), polls)
        if contender is OURS:
            others.join(60)
    return measured


async def _both(port: int, jobs: int, by: float, counts: Counts, ledger: str) -> tuple[Measured, Measured]:
    from tests.benchmarks.trigger_runner import quiet_logs, running

    quiet_logs()
    connections = _connections(port)
    connections[CONN_ID]["extra"] = json.dumps({"requests_per_minute": round(PER_MINUTE * by)})
    faster(by)
    async with running(connections) as runner:
        Population(THREE_MODELS, by).learn()
        print(f"  ... {OURS.name}", file=sys.stderr, flush=True)
        own = await _measure(runner, OURS, jobs, None, by, counts, ledger)
        print(f"  ... {HTTP.name}", file=sys.stderr, flush=True)
        return own, await _measure(runner, HTTP, jobs, own.notice, by, counts, ledger)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=500, help="default: 500")
    parser.add_argument("--faster", type=float, default=8.0, help="how much faster time runs; default: 8")
    chosen = parser.parse_args()
    os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="bench-"))
    certificate()
    print(
        f"{chosen.jobs} videos of three models, one every {GAP:.0f} s, {PER_MINUTE} requests a minute, inside TriggerRunner, "
        f"TLS, time {chosen.faster:.0f} times as fast; load {os.getloadavg()[0]:.1f}"
    )
    with tempfile.TemporaryDirectory(prefix="bench-ledger-") as ledger, status_server() as (port, counts):
        os.environ["AIRFLOW__VIDEO_PROVIDERS__LEDGER_PATH"] = ledger
        own, peer = asyncio.run(_both(port, chosen.jobs, chosen.faster, counts, ledger))
        if counts.unknown:
            raise SystemExit(f"{counts.unknown} requests went to a path that the server does not know")
    print(f"  {'':22} ms CPU/video  idle runner's  mean s of notice  polls/video")
    for one, measured in ((OURS, own), (HTTP, peer)):
        cpu, idle = 1e3 * measured.cpu, 1e3 * measured.idle
        print(f"  {one.name:22} {cpu:12.2f} {idle:14.2f} {measured.notice:17.2f} {measured.polls:12.1f}")
    with_idle = (own.cpu + own.idle) / (peer.cpu + peer.idle)
    print(
        f"  this package, of {HTTP.name}: {own.cpu / peer.cpu:.3f} (wanted: at most {WANTED}); with the idle runner's own "
        f"CPU, which grows as time runs slower, {with_idle:.3f}"
    )


if __name__ == "__main__":
    main()
