"""How often a worker is started per video, and what CPU that costs, on a whole Airflow with LocalExecutor.

    python -m tests.benchmarks.bench_worker_starts

The same videos as three tasks and in one task; in turns, so that a busy
machine slows all alike; the median of five rounds after one that warms up. CPU is that of the processes themselves,
less what each burns when idle for as long. Nothing is asserted by time.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import psutil

from airflow_video_providers.testing.simulator import SimulatorHandle, running
from tests.support.cluster import Cluster, airflow_cluster
from tests.support.home import copy_of, original

DAGS = {
    "three_tasks": "three tasks",
    "one_task": "one task (GenerateVideoOperator)",
}
VIDEOS = 4
IDLE_SECONDS = 20
PARTS = ("workers", "triggerer", "scheduler", "api-server")


def cpu(cluster: Cluster) -> dict[str, float]:
    """CPU seconds used so far; the workers are the scheduler's children, with all that they have started."""
    scheduler, *children = (process.cpu_times() for process in _and_children(cluster.pid("scheduler")))
    used = {
        "scheduler": scheduler.user + scheduler.system,
        "workers": scheduler.children_user + scheduler.children_system + sum(map(sum_of, children)),
    }
    for part in ("triggerer", "api-server"):
        used[part] = sum(sum_of(process.cpu_times()) for process in _and_children(cluster.pid(part)))
    return used


def sum_of(times) -> float:
    """Of a process and of the children that it has seen end."""
    return times.user + times.system + times.children_user + times.children_system


def _and_children(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children()]


def idle(cluster: Cluster) -> dict[str, float]:
    """CPU seconds per second of an Airflow that has nothing to do."""
    before, began = cpu(cluster), time.monotonic()
    time.sleep(IDLE_SECONDS)
    after, seconds = cpu(cluster), time.monotonic() - began
    return {part: (after[part] - before[part]) / seconds for part in PARTS}


def measure(
    cluster: Cluster, simulator: SimulatorHandle, dag_id: str, output_path: str, at_rest: dict[str, float]
) -> dict[str, float]:
    """Worker starts and CPU seconds of one run, per video."""
    starts, before, began = cluster.worker_starts(), cpu(cluster), time.monotonic()
    cluster.run_put_aside(simulator, dag_id, VIDEOS, output_path=output_path)
    after, seconds = cpu(cluster), time.monotonic() - began
    found = {part: max(0.0, after[part] - before[part] - at_rest[part] * seconds) / VIDEOS for part in PARTS}
    return {**found, "all": sum(found.values()), "starts": (cluster.worker_starts() - starts) / VIDEOS, "run": seconds}


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    found: dict[str, list[dict[str, float]]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as name, running(frozen_clock=True) as simulator:
        folder = Path(name)
        home = copy_of(original(folder / "original"), folder / "home")
        videos = (folder / "videos").as_uri()
        with airflow_cluster(home, Path(__file__).parent / "dags", simulator.environment()) as cluster:
            cluster.ready(*DAGS)
            for dag_id in DAGS:  # the first of everything costs more
                cluster.run_put_aside(simulator, dag_id, VIDEOS, output_path=videos)
            at_rest = idle(cluster)
            for number in range(rounds):
                print(f"round {number + 1} of {rounds}", flush=True)
                for dag_id in DAGS:
                    found[dag_id].append(measure(cluster, simulator, dag_id, videos, at_rest))
    show({dag_id: middle(runs) for dag_id, runs in found.items()}, rounds)


def middle(runs: list[dict[str, float]]) -> dict[str, float]:
    """The median of each column."""
    return {column: statistics.median(run[column] for run in runs) for column in runs[0]}


def show(table: dict[str, dict[str, float]], rounds: int) -> None:
    """The table, and what it says."""
    print(f"\nPer video: worker starts, and CPU seconds; {VIDEOS} videos a run, median of {rounds} rounds in turns.")
    print("| | worker starts | workers | triggerer | scheduler | api-server | CPU in all | to three tasks |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for dag_id, name in DAGS.items():
        row = table[dag_id]
        cells = [f"{row['starts']:g}", *(f"{row[part]:.2f}" for part in (*PARTS, "all"))]
        print(f"| {name} | {' | '.join(cells)} | {row['all'] / table['three_tasks']['all']:.2f} |")


if __name__ == "__main__":
    main()
