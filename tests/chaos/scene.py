"""One run of the campaign's DAG: what is bought in it, how far it is, and the moments at which a fault may strike."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psutil

from tests.chaos.cluster import WORKERS
from tests.chaos.supervisor import send

if TYPE_CHECKING:
    from signal import Signals

    from tests.chaos.cluster import Cluster

MODELS = (
    "pixazo:pixverse-v6-text-to-video", "pixazo:mochi-v1", "appypie:mochi-1", "segmind:mochi-1",
    "fal:fal-ai/ltx-video", "replicate:minimax/video-01",
)  # fmt: skip
#: ``kind`` of a job -> the task that buys it.
BUYERS = {"three": "group.submit", "one": "clip"}


@dataclass(frozen=True)
class Purchase:
    """A video that is asked for, and the task instance that buys it."""

    run_id: str
    kind: str
    map_index: int
    model: str
    prompt: str

    @property
    def task_id(self) -> str:
        """The task that buys it."""
        return BUYERS[self.kind]


@dataclass
class Scene:
    """A run, for whoever strikes at it.

    :param takeovers: Seconds until a silent triggerer's jobs were another's, for each that was struck.
    :param by_hand: Task instances that a person failed, whose failure is nobody's fault.
    """

    cluster: Cluster
    run_id: str
    number: int
    dice: random.Random = field(default_factory=lambda: random.Random(20_261_126))  # noqa: S311  the same in every campaign
    takeovers: list[float] = field(default_factory=list)
    by_hand: set[tuple[str, int]] = field(default_factory=set)

    @property
    def purchases(self) -> list[Purchase]:
        """Everything that is asked for: half in three tasks, half in one, over all models."""
        kinds = {"three": self.number - self.number // 2, "one": self.number // 2}
        return [
            Purchase(self.run_id, kind, index, MODELS[index % len(MODELS)], f"{self.run_id}, {kind}, clip {index}")
            for kind, many in kinds.items()
            for index in range(many)
        ]

    def start(self) -> None:
        """Trigger the run."""
        jobs = [{"kind": one.kind, "model": one.model, "prompt": one.prompt} for one in self.purchases]
        self.cluster.trigger(self.run_id, {"jobs": jobs})

    def accepted(self) -> list[dict[str, Any]]:
        """The simulator's rows of this run."""
        wanted = {one.prompt for one in self.purchases}
        return [row for row in self.cluster.vendor.ledger()["jobs"] if row["prompt"] in wanted]

    def made(self) -> bool:
        """Has every job of this run come to its end at the vendors?"""
        return all(row["finished_at"] for row in self.accepted())

    def until_accepted(self, share: float, seconds: float = 180) -> None:
        """Wait until this share of the videos is bought; also when it never comes to that."""
        self._until(lambda: len(self.accepted()) >= share * self.number, seconds)

    def until_deferred(self, share: float, seconds: float = 180) -> None:
        """Wait until this share of the videos waits in the triggerers; also when it never comes to that."""
        self._until(lambda: self.cluster.states(self.run_id)["deferred"] >= share * self.number, seconds)

    def _until(self, seen: Any, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not seen() and not self.cluster.over(self.run_id):
            time.sleep(0.3)

    def at_work(self) -> list[psutil.Process]:
        """The processes below the workers that run a task: Airflow's supervisor of a task, and the task."""
        found: list[psutil.Process] = []
        for worker in WORKERS:
            family = self.cluster.supervisor.family(worker)
            parents = {member.pid: _parent(member) for member in family}
            tasks = [member for member in family if _depth(member.pid, parents) >= 3]
            above = {parents[task.pid] for task in tasks}
            found += [*tasks, *(member for member in family if member.pid in above)]
        return found

    def strike_one(self, number: Signals) -> bool:
        """Send a signal to one process that runs a task; False where there is none just now."""
        members = self.at_work()
        if members:
            send([self.dice.choice(members)], number)
        return bool(members)


def _parent(process: psutil.Process) -> int:
    try:
        return process.ppid()
    except psutil.NoSuchProcess:
        return 0


def _depth(pid: int, parents: dict[int, int]) -> int:
    """1 for the worker itself, 2 for a process of its pool, 3 for a task in it."""
    depth = 0
    while pid in parents:
        pid, depth = parents[pid], depth + 1
    return depth
