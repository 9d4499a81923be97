"""``python -m tests.chaos``"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.chaos import document, way_out
from tests.chaos.cluster import TRIGGERER_SILENCE, Cluster, NotReadyError, running
from tests.chaos.faults import FAULTS
from tests.chaos.oracle import judge, storage
from tests.chaos.scene import Scene
from tests.chaos.servers import MissingServerError, programs
from tests.chaos.table import Row, render

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.chaos.faults import Fault

#: Videos per fault, and minutes after which a campaign is ended from outside: a machine that is this slow shows nothing.
JOBS, FAST_JOBS = 50, 40
MINUTES, FAST_MINUTES = 90, 25
#: Seconds in which a run has to end: the slowest task is one that Airflow believes alive for 90 s, twice.
RUN_SECONDS = 480


class OutOfTimeError(BaseException):
    """The campaign took longer than it may; no loop that asks again may catch it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Kill a cluster and print what it cost; 0 only if nothing was bought twice or lost, and all of it has landed."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=main.__doc__)
    parser.add_argument("--fast", action="store_true", help=f"four faults, {FAST_JOBS} videos each")
    parser.add_argument("--jobs", type=int, help=f"videos per fault ({JOBS})")
    parser.add_argument("--only", default="", help="faults whose name or ledger contains this text")
    parser.add_argument("--minutes", type=float, help=f"give up after this ({MINUTES}; fast: {FAST_MINUTES})")
    parser.add_argument("--keep", action="store_true", help="leave logs and files behind")
    parser.add_argument(
        "--write", action="store_true", help="write the table that docs/chaos.md shows; the whole campaign alone does"
    )
    args = parser.parse_args(arguments)
    faults = [one for one in FAULTS if one.fast >= args.fast and args.only in f"{one.name} {one.ledger}"]
    jobs = args.jobs or (FAST_JOBS if args.fast else JOBS)
    started = time.monotonic()
    try:
        found = programs()
        with (
            limited(args.minutes or (FAST_MINUTES if args.fast else MINUTES)),
            home(keep=args.keep) as folder,
            running(folder, found) as cluster,
        ):
            say(started, "the cluster is up")
            rows, wrong = campaign(cluster, faults, jobs, started)
    except KeyboardInterrupt:
        print("make chaos: interrupted, and everything is ended.", file=sys.stderr)
        return 130
    except (MissingServerError, NotReadyError, OutOfTimeError) as error:
        print(f"make chaos: {error}", file=sys.stderr)
        return 2
    text = render(rows)
    minutes = (time.monotonic() - started) / 60
    summary = document.summary(rows, minutes)
    print(f"\n{text}\n{summary}")
    for line in wrong:
        print(f"WRONG  {line}", file=sys.stderr)
    if args.write and not (wrong or args.fast or args.only or args.jobs):
        document.write(text, summary)
    return 1 if wrong else 0


def campaign(cluster: Cluster, faults: Sequence[Fault], jobs: int, started: float) -> tuple[list[Row], list[str]]:
    """All faults, ledger by ledger, each ledger's way out, and the verdict."""
    rows: list[Row] = []
    wrong: list[str] = []
    for ledger in dict.fromkeys(fault.ledger for fault in faults):
        cluster.use(ledger)
        played: list[tuple[Row, Scene]] = []
        for fault in (one for one in faults if one.ledger == ledger):
            scene = Scene(cluster, f"{len(rows) + len(played):02}-{ledger.replace(' ', '-')}", jobs)
            row, bad = play(scene, fault)
            played.append((row, scene))
            wrong += bad
            say(started, f"{fault.name} ({ledger}): {row.landed} of {row.charges} landed, {row.listed} listed")
        scenes = [scene for _, scene in played]
        way_out.repair(cluster, scenes)
        end(cluster, scenes, way_out.SECONDS)
        say(started, f"after the way out of the {ledger}")
        for row, scene in played:
            row.finally_landed = after(scene, row)
            wrong += row.wrong(TRIGGERER_SILENCE)
            rows.append(row)
    return rows, wrong


def play(scene: Scene, fault: Fault) -> tuple[Row, list[str]]:
    """One fault: start, strike, wait for the end, look."""
    cluster = scene.cluster
    cluster.vendor.configure(run_seconds=list(fault.run_seconds))
    before = cluster.vendor.ledger()["submits"]
    scene.start()
    missed: list[str] = []
    try:
        fault.strike(scene)
    except NotReadyError as error:
        missed.append(f"{fault.name} ({fault.ledger}): {str(error).splitlines()[0]}")
    end(cluster, [scene], RUN_SECONDS)
    cluster.vendor.clear_faults()
    cluster.wait_for("the end of every job", scene.made, seconds=120)
    row, wrong = judge(scene, fault.name, cluster.vendor.ledger()["submits"] - before, way_out.listing(cluster))
    for name in cluster.supervisor.starts():
        cluster.supervisor.start(name)  # what stayed dead
    cluster.ready()
    return row, missed + wrong


def end(cluster: Cluster, scenes: Sequence[Scene], seconds: float) -> None:
    """Wait until these runs are over; one that never is shows in its row."""
    with contextlib.suppress(NotReadyError):
        cluster.wait_for("the runs' end", lambda: all(cluster.over(scene.run_id) for scene in scenes), seconds, 1)


def after(scene: Scene, row: Row) -> int:
    """How many of a run's videos have landed now; what was bought meanwhile counts as the row's."""
    bought = scene.accepted()
    ids = {str(one["request_id"]) for one in bought}
    twice = [one for one in scene.cluster.vendor.ledger()["duplicates"] if ids & set(one["request_ids"])]
    row.duplicates = max(row.duplicates, len(twice))
    return len(ids & storage(scene.cluster.home / "videos" / scene.run_id).whole)


def say(started: float, text: str) -> None:
    """One line of progress."""
    print(f"{(time.monotonic() - started) / 60:5.1f} min  {text}", flush=True)


@contextlib.contextmanager
def home(*, keep: bool) -> Iterator[Path]:
    """A folder for everything; PostgreSQL's user may pass through it."""
    folder = Path(tempfile.mkdtemp(prefix="airflow-chaos-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        if keep:
            print(f"Logs and files: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def limited(minutes: float) -> Iterator[None]:
    """End what runs within by an exception, when its time is over or somebody ends this process."""

    def over(number: int, _frame: Any) -> None:
        raise OutOfTimeError(f"{signal.Signals(number).name} after at most {minutes:g} minutes: this is no result.")

    numbers = (signal.SIGALRM, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, over) for number in numbers}
    signal.setitimer(signal.ITIMER_REAL, minutes * 60)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


if __name__ == "__main__":
    sys.exit(main())
