"""Who buys, as Airflow names it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.purchase.decision import Try
from airflow_video_providers.core.purchase.records import Identity, Run

if TYPE_CHECKING:
    from airflow.sdk import Context


def identity_of(context: Context) -> Identity:
    """Who buys: the task instance, never its try."""
    ti = context["ti"]
    return Identity(ti.dag_id, ti.run_id, ti.task_id, -1 if ti.map_index is None else ti.map_index)


def run_of(context: Context) -> Run:
    """Which DAG run it is, among runs of one id of which the earlier ones were deleted."""
    run: Any = context.get("dag_run")
    return Run(*(getattr(run, name, None) for name in ("run_after", "start_date", "clear_number")))


def this_try(context: Context) -> Try:
    """The try that runs."""
    ti = context["ti"]
    return Try(identity_of(context), ti.max_tries, ti.try_number, run_of(context))
