"""Every fault of the campaign: when it strikes, and how."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from signal import SIGCONT, SIGINT, SIGKILL, SIGSTOP, SIGTERM
from typing import TYPE_CHECKING

from tests.chaos.cluster import DAG_ID, OBJECT_STORE, STATE_STORE, TRIGGERERS, WORKERS

if TYPE_CHECKING:
    from collections.abc import Callable
    from signal import Signals

    from tests.chaos.scene import Scene

AWAY_SECONDS = 10
FROZEN_SECONDS = 60
KILLS = 24
#: Seconds that jobs take where many are to wait in the triggerers at the same time.
LONG = (35.0, 50.0)
SHORT = (4.0, 8.0)


@dataclass(frozen=True)
class Fault:
    """One row of the table.

    :param strike: Does it, while the run goes on; returns when nothing more will be done.
    :param ledger: Where the workers keep their ledger.
    :param fast: Is it part of ``FAST=1``?
    :param run_seconds: How long the vendors take.
    """

    name: str
    strike: Callable[[Scene], None]
    ledger: str
    fast: bool = False
    run_seconds: tuple[float, float] = SHORT


def _nothing(scene: Scene) -> None:
    scene.until_accepted(1)


def _tasks_killed(scene: Scene, *, trickle: float = 0) -> None:
    if trickle:
        for stage in ("submit", "status"):
            scene.cluster.vendor.fault(f"slow_body:{trickle:g}", count=None, on=stage, probability=0.5)
    scene.until_accepted(0.05)
    struck = 0
    deadline = time.monotonic() + 180
    kills = min(KILLS, round(0.6 * scene.number))  # of few tasks fewer: each has its tries
    while struck < kills and not scene.cluster.over(scene.run_id) and time.monotonic() < deadline:
        struck += scene.strike_one(SIGKILL)
        time.sleep(scene.dice.uniform(0.5, 3))


def _workers_killed(scene: Scene) -> None:
    for share, worker in zip((0.25, 0.6), WORKERS, strict=True):
        scene.until_accepted(share)
        scene.cluster.supervisor.kill(worker)


def _triggerer(scene: Scene, number: Signals, *, stays_dead: bool = False) -> None:
    """Strike the triggerer that holds most, and see who takes over what it held."""
    scene.until_deferred(0.6)
    cluster = scene.cluster
    holding = cluster.held()
    name = max(TRIGGERERS, key=lambda triggerer: len(holding.get(triggerer, ())))
    dead, held = cluster.triggerer_job(name), sorted(holding.get(name, ()))
    struck = time.monotonic()
    if number == SIGKILL:
        cluster.supervisor.kill(name, stay_dead=stays_dead)
    else:
        cluster.supervisor.signal(name, number, tree=number == SIGSTOP)
    query = "SELECT count(*) FROM trigger WHERE id = ANY(%s) AND triggerer_id = %s"
    cluster.wait_for("a takeover", lambda: cluster.rows(query, held, dead)[0][0] == 0, seconds=120, every=0.2)
    scene.takeovers.append(time.monotonic() - struck)
    if number == SIGSTOP:
        time.sleep(AWAY_SECONDS)
        cluster.supervisor.signal(name, SIGCONT, tree=True)


def _away(scene: Scene, name: str, number: Signals = SIGKILL, *, trickle: float = 0) -> None:
    if trickle:  # so that it happens between a purchase and its record
        scene.cluster.vendor.fault(f"slow_body:{trickle:g}", count=None, on="submit")
    scene.until_accepted(0.25)
    if number == SIGKILL:
        scene.cluster.supervisor.kill(name, stay_dead=True)
    else:
        scene.cluster.supervisor.stop(name, number)
    time.sleep(AWAY_SECONDS)
    scene.cluster.supervisor.start(name)


def _vendor_errs(scene: Scene) -> None:
    fault = scene.cluster.vendor.fault
    fault("drop_after_accept", count=None, on="submit", probability=0.1)
    fault("error_500", count=None, on="submit", probability=0.05)
    fault("rate_limited", count=None, on="submit", probability=0.2)
    for name in ("drop_after_accept", "error_500", "rate_limited"):
        fault(name, count=None, on="status", probability=0.1)
    scene.until_accepted(0.3)
    scene.cluster.supervisor.kill(WORKERS[0])
    scene.until_accepted(0.6)
    scene.cluster.supervisor.kill(TRIGGERERS[0])


def _vendor_frozen(scene: Scene) -> None:
    scene.until_accepted(0.25)
    scene.cluster.supervisor.signal("vendor", SIGSTOP)
    time.sleep(FROZEN_SECONDS)
    scene.cluster.supervisor.signal("vendor", SIGCONT)


def _all_answers_lost(scene: Scene) -> None:
    scene.cluster.vendor.fault("drop_after_accept", count=None, on="submit")
    scene.until_accepted(1)


def _by_hand(scene: Scene) -> None:
    """A person marks five tasks that wait as failed, and clears five others."""
    scene.until_deferred(0.6)
    query = "SELECT task_id, map_index FROM task_instance WHERE run_id = %s AND state = 'deferred' ORDER BY 1, 2"
    waiting = scene.cluster.rows(query, scene.run_id)
    chosen = scene.dice.sample(waiting, min(10, len(waiting)))
    for task_id, map_index in chosen[:5]:
        scene.by_hand.add((task_id, map_index))
        path = f"/dags/{DAG_ID}/dagRuns/{scene.run_id}/taskInstances/{task_id}/{map_index}"
        scene.cluster.api.patch(path, json={"new_state": "failed"}).raise_for_status()
    scene.cluster.clear(scene.run_id, chosen[5:])


_STATE, _OBJECT = STATE_STORE, OBJECT_STORE
_API_AWAY = partial(_away, name="api-server", trickle=4)

#: Those of one ledger stand together: another ledger means other workers.
FAULTS: tuple[Fault, ...] = (
    Fault("none", _nothing, _STATE),
    Fault("24 tasks and their supervisors killed", _tasks_killed, _STATE),
    Fault("the same, while answers trickle for 6 s", partial(_tasks_killed, trickle=6), _STATE, fast=True),
    Fault("API server away for 10 s, after purchases", _API_AWAY, _STATE, fast=True),
    Fault("scheduler away for 10 s", partial(_away, name="scheduler"), _STATE),
    Fault("triggerer stopped (SIGSTOP)", partial(_triggerer, number=SIGSTOP), _STATE, run_seconds=LONG),
    Fault("triggerer killed", partial(_triggerer, number=SIGKILL), _STATE, run_seconds=LONG),
    Fault("lost answers, 429, 500; a worker and a triggerer die", _vendor_errs, _STATE),
    Fault("5 marked failed, 5 cleared while they wait", _by_hand, _STATE, run_seconds=LONG),
    Fault("worker trees killed, one after the other", _workers_killed, _OBJECT),
    Fault("API server away for 10 s, after purchases", _API_AWAY, _OBJECT),
    Fault("PostgreSQL away for 10 s", partial(_away, name="postgres", number=SIGINT), _OBJECT, fast=True),
    Fault("Redis away for 10 s", partial(_away, name="redis", number=SIGTERM), _OBJECT),
    Fault("triggerer ended (SIGTERM)", partial(_triggerer, number=SIGTERM), _OBJECT, run_seconds=LONG),
    Fault(
        "triggerer killed, stays dead", partial(_triggerer, number=SIGKILL, stays_dead=True), _OBJECT, fast=True,
        run_seconds=LONG,
    ),
    Fault("vendors frozen for 60 s", _vendor_frozen, _OBJECT),
    Fault("vendors killed, back after 10 s", partial(_away, name="vendor"), _OBJECT),
    Fault("every answer to a purchase lost", _all_answers_lost, _OBJECT),
)  # fmt: skip
