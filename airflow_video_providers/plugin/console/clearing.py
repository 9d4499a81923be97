"""The command that clears what a page says to clear: a call of Airflow's own API, which names a run and one map index."""

from __future__ import annotations

import json
import shlex
from itertools import groupby
from typing import TYPE_CHECKING
from urllib.parse import quote

from airflow.providers.common.compat.sdk import conf

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow_video_providers.core.purchase.records import Identity


def clear_failed(who: Identity) -> str:
    """Clear what has failed of a purchase: its own task, or the tasks after it that wait or land."""
    return _clear(who.dag_id, who.run_id, [who], after=True)


def clear_each(buyers: Iterable[Identity]) -> Iterator[str]:
    """Clear these alone, a command for each run."""
    ordered = sorted(buyers, key=lambda who: (who.dag_id, who.run_id, who.task_id, who.map_index))
    for (dag_id, run_id), of_run in groupby(ordered, key=lambda who: (who.dag_id, who.run_id)):
        yield _clear(dag_id, run_id, list(of_run), after=False)


def _clear(dag_id: str, run_id: str, buyers: list[Identity], *, after: bool) -> str:
    body = {
        "dag_run_id": run_id,
        "task_ids": [[who.task_id, who.map_index] if who.map_index >= 0 else who.task_id for who in buyers],
        "include_downstream": after,
        "only_failed": True,
        "dry_run": False,
    }
    base = (conf.get("api", "base_url", fallback="") or "http://localhost:8080").rstrip("/")
    address = shlex.quote(f"{base}/api/v2/dags/{quote(dag_id, safe='')}/clearTaskInstances")
    return (
        f'curl -X POST {address} -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" '
        f"-d {shlex.quote(json.dumps(body))}"
    )
