"""The operator's way out: list, attach what was bought, forget what was not, clear what failed."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from tests.chaos.cluster import DAG_ID

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.chaos.cluster import Cluster
    from tests.chaos.scene import Scene

#: Seconds in which everything that was cleared has to come to its end.
SECONDS = 420
UNFINISHED = ("failed", "upstream_failed", "skipped")


def listing(cluster: Cluster) -> list[dict[str, Any]]:
    """What ``list`` says of the ledger that is in use."""
    said = _ledger(cluster, "list", "--output", "json")
    found: list[dict[str, Any]] = json.loads(said)
    return found


def repair(cluster: Cluster, scenes: Iterable[Scene]) -> None:
    """Attach and forget by what the vendors' ledger shows, as a person would by the vendors' pages; then clear."""
    bought = {row["prompt"]: row["request_id"] for row in cluster.vendor.ledger()["jobs"]}
    by_task = {
        (one.run_id, one.task_id, one.map_index): bought.get(one.prompt) for scene in scenes for one in scene.purchases
    }
    found, hopeless = [], set()
    for entry in listing(cluster):
        identity = (entry.get("run_id"), entry.get("task_id"), entry.get("map_index"))
        if identity in by_task and not entry.get("request_id"):
            if request_id := by_task[identity]:
                found.append(entry | {"request_id": request_id})
            else:
                hopeless.add(entry["run_id"])
    if found:
        file = cluster.home / "found.json"
        file.write_text(json.dumps(found))
        _ledger(cluster, "attach", "--from-file", str(file))
    for run_id in sorted(hopeless):  # what is still open there was looked for and is not at the vendors
        _ledger(cluster, "forget", "--all", "--dag-id", DAG_ID, "--run-id", run_id)
    for scene in scenes:
        query = "SELECT task_id, map_index FROM task_instance WHERE run_id = %s AND state = ANY(%s)"
        cluster.clear(scene.run_id, cluster.rows(query, scene.run_id, list(UNFINISHED)))


def _ledger(cluster: Cluster, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "airflow_video_providers.ledger", *arguments],
        env=dict(cluster.ledger_env(cluster.ledger)), cwd=cluster.home, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"The ledger's command ended with {done.returncode}: {done.stderr[-3000:]}")
    return done.stdout
