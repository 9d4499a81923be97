"""What a task that knows a job reports to the ledger of purchases. No trouble with it changes how the task ends."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.errors import (
    JobCancelledError,
    JobErroredError,
    JobExpiredError,
    JobFailedError,
    OutputExpiredError,
    VideoProviderError,
)
from airflow_video_providers.core.purchase.ledger import Ledger
from airflow_video_providers.core.purchase.receipts import repair
from airflow_video_providers.core.purchase.records import Identity, Run
from airflow_video_providers.core.purchase.reuse import note_reusable
from airflow_video_providers.core.purchase.stores.base import NoStore
from airflow_video_providers.integration.ledger_config import open_ledger

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow.sdk import Context

    from airflow_video_providers.core.jobs import VideoJob


def identity_of(context: Context) -> Identity:
    """Who buys: the task instance, never its try."""
    ti = context["ti"]
    return Identity(ti.dag_id, ti.run_id, ti.task_id, -1 if ti.map_index is None else ti.map_index)


def run_of(context: Context) -> Run:
    """Which DAG run it is, among runs of one id of which the earlier ones were deleted."""
    run: Any = context.get("dag_run")
    return Run(*(getattr(run, name, None) for name in ("run_after", "start_date", "clear_number")))


def repair_receipt(job: VideoJob, context: Context, log: Any) -> None:
    """Store the receipt of a job that the ledger refused when it was bought.

    On Airflow's state store a task reaches its own rows only: there the task that bought repairs it, and nobody else.
    """
    if job.receipt_due is not None:
        with reporting_to_ledger(context, log, f"{job.request_id} was bought") as ledger:
            repair(ledger, job, own=identity_of(context), log=log)


def note_landed(job: VideoJob, manifest: Mapping[str, Any], context: Context, log: Any) -> None:
    """Take the job off the list of what was bought and never landed; a Clear may now buy again.

    :param manifest: As the landing returned it.
    """
    from airflow_video_providers.core.landing.manifest import stored_sha256  # not needed where a DAG is parsed

    with reporting_to_ledger(context, log, f"{job.request_id} has landed") as ledger:
        if job.reused_from is not None:
            return  # it is another task's, whose landing is recorded
        ledger.mark_landed(
            job, manifest["manifest_uri"], manifest_sha256=stored_sha256(manifest), before=bool(manifest.get("skipped"))
        )
        note_reusable(ledger, job, manifest)


def note_ending(error: VideoProviderError, job: VideoJob | None, context: Context, log: Any) -> None:
    """Write how a job ended that nothing will come of any more: lost, or failed, and whether it was charged."""
    known = getattr(error, "job", None) or job
    if known is None:
        return
    if isinstance(error, OutputExpiredError | JobExpiredError):
        with reporting_to_ledger(context, log, f"the output of {known.request_id} is gone") as ledger:
            ledger.mark_lost(known)
    elif isinstance(error, JobFailedError | JobErroredError | JobCancelledError):
        with reporting_to_ledger(context, log, f"{known.request_id} ended as {known.status}") as ledger:
            ledger.mark_failed(known)


@contextmanager
def reporting_to_ledger(context: Context, log: Any, what: str) -> Iterator[Ledger]:
    """The ledger, or a stand-in where there is none.

    :param what: What is recorded, for the log line about a ledger that does not listen.
    """
    try:
        yield open_ledger(context) or Ledger(NoStore())
    except VideoProviderError as error:
        log.warning("The ledger could not record that %s: %s", what, error.what)
