"""What a run has come to: the simulator's ledger and the files decide, and never Airflow's state alone."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from tests.chaos.table import Row

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.chaos.cluster import Cluster
    from tests.chaos.scene import Purchase, Scene

#: The one error that may end a task for good while it has tries left: a person has to look.
UNKNOWN = "SubmissionOutcomeUnknownError"


@dataclass(frozen=True)
class Failure:
    """A task instance that ended failed.

    :param error: The class of its last error; ``killed`` where its process said nothing.
    """

    task_id: str
    map_index: int
    tries: int
    retries: int
    error: str
    text: str = ""


@dataclass(frozen=True)
class Storage:
    """What lies below a run's folder.

    :param whole: The ids of the jobs whose manifest is there and whose files are what it says.
    :param partial: Files that belong to no such manifest.
    """

    whole: frozenset[str]
    partial: tuple[str, ...]


def storage(folder: Path) -> Storage:
    """Read every manifest below a folder, and every file that it names."""
    whole, named = set(), set()
    for manifest in folder.rglob("manifest.json"):
        content = json.loads(manifest.read_bytes())
        files = [_path(output) for output in content["outputs"]]
        good = files and all(
            file.is_file() and hashlib.sha256(file.read_bytes()).hexdigest() == output["sha256"]
            for file, output in zip(files, content["outputs"], strict=True)
        )
        if good:
            whole.add(str(content["request_id"]))
            named |= {manifest, *files}
    found = {path for path in folder.rglob("*") if path.is_file()}
    return Storage(frozenset(whole), tuple(sorted(str(path.relative_to(folder)) for path in found - named)))


def _path(output: dict[str, Any]) -> Path:
    from pathlib import Path

    return Path(unquote(urlsplit(output["uri"]).path))


def failures(cluster: Cluster, run_id: str) -> list[Failure]:
    """The failed task instances of a run, with what their last try noted."""
    notes: dict[tuple[str, int], dict[str, Any]] = {}
    file = cluster.home / "failures.jsonl"
    for line in file.read_text().splitlines() if file.exists() else ():
        note = json.loads(line)
        if note["run_id"] == run_id and note["kind"] == "failed":
            notes[note["task_id"], note["map_index"]] = note
    query = "SELECT task_id, map_index, try_number, max_tries FROM task_instance WHERE run_id = %s AND state = 'failed'"
    found = []
    for task_id, map_index, tries, retries in cluster.rows(query, run_id):
        note = notes.get((task_id, map_index), {})
        found.append(Failure(task_id, map_index, tries, retries, note.get("error", "killed"), note.get("text", "")))
    return found


def judge(scene: Scene, fault: str, posts: int, listing: Iterable[dict[str, Any]]) -> tuple[Row, list[str]]:
    """The row of a run that is over, and what is wrong with it beyond what the row shows.

    :param posts: Paid calls that arrived while it ran.
    :param listing: What the ledger's command lists.
    """
    cluster = scene.cluster
    bought = scene.accepted()
    ids = {str(row["request_id"]) for row in bought}
    stored = storage(cluster.home / "videos" / scene.run_id)
    by_prompt = {one.prompt: one for one in scene.purchases}
    listing = list(listing)
    shown = [entry for entry in listing if entry.get("run_id") == scene.run_id]
    listed_ids = {entry.get("request_id") for entry in shown}
    open_for = {(entry["task_id"], entry["map_index"]) for entry in shown if not entry.get("request_id")}
    absent = [row for row in bought if row["request_id"] not in stored.whole]
    listed = [
        row for row in absent if row["request_id"] in listed_ids or _identity(by_prompt[row["prompt"]]) in open_for
    ]
    ended = [one for one in failures(cluster, scene.run_id) if (one.task_id, one.map_index) not in scene.by_hand]
    twice = [found for found in cluster.vendor.ledger()["duplicates"] if ids & set(found["request_ids"])]
    row = Row(
        fault, cluster.ledger, scene.number, posts, sum(row["charged"] > 0 for row in bought), len(twice),
        len(ids & stored.whole), len(listed), len(absent) - len(listed), dict(Counter(one.error for one in ended)),
        max(scene.takeovers, default=None),
    )  # fmt: skip
    wrong = [f"a partial file: {name}" for name in stored.partial]
    wrong += [f"a damaged record: {entry}" for entry in listing if entry["state"] == "damaged"]
    wrong += [f"landed, and nobody bought it: {one}" for one in sorted(stored.whole - ids)]
    wrong += [
        f"{one.task_id}[{one.map_index}] failed on try {one.tries} of {one.retries + 1}: {one.error}: {one.text}"
        for one in ended
        if one.error != UNKNOWN and one.tries <= one.retries
    ]
    wrong += [
        f"{task}[{index}] succeeded and is listed as open" for task, index in sorted(open_for & _successes(scene))
    ]
    wrong += [f"{one} has landed and is listed" for one in sorted(listed_ids & stored.whole)]
    if not cluster.over(scene.run_id):
        wrong.append(f"the run does not end: {dict(cluster.states(scene.run_id))}")
    return row, [f"{fault} ({cluster.ledger}): {text}" for text in wrong]


def _identity(purchase: Purchase) -> tuple[str, int]:
    return purchase.task_id, purchase.map_index


def _successes(scene: Scene) -> set[tuple[str, int]]:
    query = "SELECT task_id, map_index FROM task_instance WHERE run_id = %s AND state = 'success'"
    return {(task_id, map_index) for task_id, map_index in scene.cluster.rows(query, scene.run_id)}
