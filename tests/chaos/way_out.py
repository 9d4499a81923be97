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

#: The package's own command, several times in one process: each start of it is five seconds of Airflow's imports.
_COMMANDS = """
import json, sys
from airflow_video_providers.ledger.cli import main
sys.exit(sum(main(arguments) for arguments in json.load(sys.stdin)))
"""
#: Seconds in which everything that was cleared has to come to its end.
SECONDS = 420
UNFINISHED = ("failed", "upstream_failed", "skipped")


def listing(cluster: Cluster) -> list[dict[str, Any]]:
    """What ``list`` says of the ledger that is in use."""
    said = _python(cluster, "-m", "airflow_video_providers.ledger", "list", "--output", "json")
    lines = said.splitlines()  # an object store's library logs before it
    start = max(number for number, line in enumerate(lines) if line in ("[", "[]"))
    found: list[dict[str, Any]] = json.loads("\n".join(lines[start:]))
    return found


def repair(cluster: Cluster, scenes: Iterable[Scene]) -> None:
    """Attach and forget by what the vendors' ledger shows, as a person would by the vendors' pages; then clear."""
    bought = {row["prompt"]: row["request_id"] for row in cluster.vendor.ledger()["jobs"]}
    by_task = {
        (one.run_id, one.task_id, one.map_index): bought.get(one.prompt) for scene in scenes for one in scene.purchases
    }
    commands = []
    for entry in listing(cluster):
        identity = (entry["run_id"], entry["task_id"], entry["map_index"])
        if entry.get("request_id") or identity not in by_task:
            continue
        words = [DAG_ID, entry["run_id"], entry["task_id"]]
        mapped = ["--map-index", str(entry["map_index"])]
        request_id = by_task[identity]
        commands.append(["attach", *words, request_id, *mapped] if request_id else ["forget", *words, *mapped])
    if commands:
        _python(cluster, "-c", _COMMANDS, stdin=json.dumps(commands))
    for scene in scenes:
        query = "SELECT task_id, map_index FROM task_instance WHERE run_id = %s AND state = ANY(%s)"
        cluster.clear(scene.run_id, cluster.rows(query, scene.run_id, list(UNFINISHED)))


def _python(cluster: Cluster, *arguments: str, stdin: str = "") -> str:
    done = subprocess.run(
        [sys.executable, *arguments], env=dict(cluster.ledger_env(cluster.ledger)), cwd=cluster.home, input=stdin,
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"The ledger's command ended with {done.returncode}: {done.stderr[-3000:]}")
    return done.stdout
