"""In a process of its own: the state store of a real Airflow, read into an index in slices. Prints JSON behind ``TOLD``."""

from __future__ import annotations

import json
import sys
from collections import Counter

from airflow.models.task_state_store import TaskStateStoreModel  # noqa: TID251 - rows are removed behind the index's back
from airflow.utils.session import create_session

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
        session.query(TaskStateStoreModel).filter(TaskStateStoreModel.dag_id == "dag_0").delete()
    list(StateStoreFeed().slices(index))
    told["half"] = sum(states(index).values())
    sys.stdout.write(f"\nTOLD {json.dumps(told)}\n")


if __name__ == "__main__":
    main()
