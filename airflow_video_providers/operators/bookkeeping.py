"""What a task that knows a job reports to the ledger of purchases. No trouble with it changes how the task ends."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.errors import VideoProviderError
from airflow_video_providers.core.purchase import endings
from airflow_video_providers.core.purchase.ledger import Ledger
from airflow_video_providers.core.purchase.receipts import repair
from airflow_video_providers.core.purchase.stores.base import NoStore
from airflow_video_providers.integration.callbacks import drop_mail
from airflow_video_providers.integration.ledger_config import open_ledger
from airflow_video_providers.integration.this_try import identity_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow.sdk import Context

    from airflow_video_providers.core.jobs import VideoJob

#: Under which a task leaves the job that nothing will come of any more, with what the vendor said: for people to read.
ENDED_JOB = "ended_job"


def repair_receipt(job: VideoJob, context: Context, log: Any) -> None:
    """Store the receipt of a job that the ledger refused when it was bought.

    On Airflow's state store a task reaches its own rows only: there the task that bought repairs it, and nobody else.
    """
    if job.receipt_due is not None:
        with reporting_to_ledger(context, log, f"{job.request_id} was bought") as ledger:
            repair(ledger, job, own=identity_of(context), log=log)


def note_finished(job: VideoJob, context: Context, log: Any) -> None:
    """Write what the finished job has really cost; the ledger is not asked where its vendor does not say."""
    if job.cost_usd is not None:
        with reporting_to_ledger(context, log, f"{job.request_id} cost ${job.cost_usd}") as ledger:
            endings.note_finished(ledger, job)


def note_landed(job: VideoJob, manifest: Mapping[str, Any], context: Context, log: Any) -> None:
    """Take the job off the list of what was bought and never landed; a Clear may now buy again.

    :param manifest: As the landing returned it.
    """
    with reporting_to_ledger(context, log, f"{job.request_id} has landed") as ledger:
        endings.note_landed(ledger, job, manifest)


def note_ending(error: VideoProviderError, job: VideoJob | None, context: Context, log: Any) -> None:
    """Write how a job ended that nothing will come of any more: lost, or failed, and whether it was charged."""
    known = getattr(error, "job", None) or job
    if known is None:
        return
    if isinstance(error, endings.FINAL):
        _leave(known, context, log)
        with reporting_to_ledger(context, log, f"{known.request_id} has ended ({type(error).__name__})") as ledger:
            endings.note_ending(ledger, error, known)
    if known.status.terminal:
        drop_mail(known, log)


def _leave(job: VideoJob, context: Context, log: Any) -> None:
    try:
        context["ti"].xcom_push(key=ENDED_JOB, value=job.replace(outputs=()).to_dict())
    except Exception as error:  # noqa: BLE001 - no trouble here changes how the task ends
        log.warning("What the vendor said of %s could not be kept: %s", job.request_id, type(error).__name__)


@contextmanager
def reporting_to_ledger(context: Context, log: Any, what: str) -> Iterator[Ledger]:
    """The ledger, or a stand-in where there is none.

    :param what: What is recorded, for the log line about a ledger that does not listen.
    """
    try:
        yield open_ledger(context) or Ledger(NoStore())
    except VideoProviderError as error:
        log.warning("The ledger could not record that %s: %s", what, error.what)
