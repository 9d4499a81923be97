"""In a process of its own: the state store of a real Airflow, read into an index in slices. Prints JSON behind ``TOLD``."""

from __future__ import annotations

import json
import sys
from collections import Counter
from datetime import UTC, datetime

from airflow.models.task_state_store import TaskStateStoreModel  # noqa: TID251 - rows are removed behind the index's back
from airflow.utils.session import create_session

from airflow_video_providers.core.jobs import VideoJob
from airflow_video_providers.core.purchase import resolve
from airflow_video_providers.core.purchase.ledger import Ledger
from airflow_video_providers.integration.state_store_admin import MetadataStore
from airflow_video_providers.plugin.console import state_store_feed
from airflow_video_providers.plugin.console.index import Index
from airflow_video_providers.plugin.console.state_store_feed import StateStoreFeed
from tests.benchmarks import bench_console

SLICE = 40


def states(index: Index) -> dict[str, int]:
    return {row[0]: row[1] for row in index.rows("SELECT word, COUNT(*) FROM purchases GROUP BY word")}


def main() -> None:
    bench_console.PURCHASES, bench_console.DAGS = 200, 2
    state_store_feed.MOST = SLICE
    bench_console.write_database(ledger=True)
    index, sizes, seen = Index(), [0], []
    for progress in StateStoreFeed().slices(index):
        sizes.append(len(index.stamps()))
        seen.append([progress.done, progress.total, states(index).get("bought", 0)])
    told = {"sizes": [*sizes, len(index.stamps())], "seen": seen, "states": states(index)}
    known = Ledger(MetadataStore()).overview()
    told["ledger"] = Counter(attempt.state for attempt in known.attempts) | {"endings": len(known.settled)}
    read: list[int] = []
    texts = StateStoreFeed._texts
    StateStoreFeed._texts = lambda self, wanted: read.append(len(wanted)) or texts(self, wanted)  # type: ignore[method-assign,func-returns-value]
    told["again"] = [len(list(StateStoreFeed().slices(index))), list(read)]
    broken_off = Index()
    walk = StateStoreFeed().slices(broken_off)
    next(walk), next(walk)
    half = len(broken_off.stamps())
    read.clear()
    list(StateStoreFeed().slices(broken_off))
    told["broken off"] = [half, sum(read), states(broken_off) == states(index)]
    with create_session() as session:
        session.query(TaskStateStoreModel).filter(TaskStateStoreModel.dag_id == "dag_1").delete()
    list(StateStoreFeed().slices(index))
    told["half"] = sum(states(index).values())
    told["attached"] = _attach(index)
    sys.stdout.write(f"\nTOLD {json.dumps(told)}\n")


def _attach(index: Index) -> list[object]:
    """What a person answers by the command, or on the page, is in the state store and in the index."""
    ledger = Ledger(MetadataStore())
    lost = next(one for one in ledger.overview("dag_0").attempts if one.open)
    job = VideoJob(model=lost.model, request_id="found-by-hand", conn_id=lost.conn_id)
    resolve.attach(ledger, lost.identity, job, now=datetime.now(UTC))
    list(StateStoreFeed().slices(index))
    word = index.rows("SELECT word FROM purchases WHERE request_id = 'found-by-hand'")[0][0]
    return [ledger.attempts(lost.identity)[-1].request_id, word]


if __name__ == "__main__":
    main()
