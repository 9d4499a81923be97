"""What an unfinished purchase is called, once Airflow has been asked about its task."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from airflow_video_providers.core.polling.decision import RETENTION_WARNING
from airflow_video_providers.integration import ledger_listing as words
from airflow_video_providers.plugin.console.purchases import MAKING, Purchase

if TYPE_CHECKING:
    from airflow_video_providers.core.purchase.records import Attempt
    from airflow_video_providers.integration.airflow_view import AirflowView

#: States of a DAG run whose tasks may still go on.
_GOING_ON = frozenset({"running", "queued"})
#: States of a task that comes to nothing any more by itself.
_OVER = frozenset({"failed", "upstream_failed", "skipped", "removed"})


def named(one: Purchase, view: AirflowView, runs: dict[tuple[str, str], str], now: datetime) -> Purchase:
    """The purchase, called by how Airflow's task and run stand.

    :param runs: States of DAG runs.
    """
    task, run = view.tasks.get(one.identity), runs.get((one.attempt.dag_id, one.attempt.run_id))
    attempt = view.receipted(one.attempt, set())
    word = words.BOUGHT if one.word == words.UNKNOWN and not attempt.open else one.word
    if word == words.UNKNOWN and view.in_flight(attempt, now):
        word = words.IN_FLIGHT
    elif word == words.BOUGHT and (attempt.model, attempt.request_id) in view.landed:
        word = words.LANDED
    elif word == words.BOUGHT and run in _GOING_ON and (task is None or task.state not in _OVER):
        word = MAKING
    return replace(
        one, attempt=attempt, word=word, task_state=task.state if task else None, run_state=run,
        expiring=word in (MAKING, words.BOUGHT) and _expiring(attempt, now),
    )  # fmt: skip


def _expiring(attempt: Attempt, now: datetime) -> bool:
    """Is three quarters of the time over for which the vendor keeps it? Then waits and landings warn, too."""
    expires = (attempt.job or {}).get("expires_at")
    with suppress(ValueError, TypeError):
        kept = datetime.fromisoformat(str(expires)) - attempt.created_at
        return bool(expires) and now >= attempt.created_at + RETENTION_WARNING * kept
    return False
