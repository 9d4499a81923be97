"""How a job ended, for the ledger: it has landed, or nothing will come of it any more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.errors import (
    JobCancelledError,
    JobErroredError,
    JobExpiredError,
    JobFailedError,
    OutputExpiredError,
    VideoProviderError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_video_providers.core.jobs import VideoJob
    from airflow_video_providers.core.purchase.ledger import Ledger

LOST = (OutputExpiredError, JobExpiredError)
#: After these nothing will come of a job any more.
FINAL = (*LOST, JobFailedError, JobErroredError, JobCancelledError)


def note_ending(ledger: Ledger, error: VideoProviderError, job: VideoJob) -> None:
    """Write that the job is lost, or that it has failed and whether it was charged; of other errors nothing.

    :param job: The job, where the error knows none.
    :raises LedgerError: it could not be written.
    """
    known = getattr(error, "job", None) or job
    if isinstance(error, LOST):
        ledger.mark_lost(known)
    elif isinstance(error, FINAL):
        ledger.mark_failed(known)


def note_finished(ledger: Ledger, job: VideoJob) -> None:
    """Write what a finished job has cost, where its vendor says so: it may never land here.

    :raises LedgerError: it could not be written.
    """
    if job.reused_from is None:  # else it is another task's
        ledger.mark_finished(job)


def note_landed(ledger: Ledger, job: VideoJob, manifest: Mapping[str, Any]) -> None:
    """Write that the job's output is in storage.

    :param manifest: As the landing returned it.
    :raises LedgerError: it could not be written.
    """
    from airflow_video_providers.core.landing.manifest import stored_sha256  # not needed where a DAG is parsed
    from airflow_video_providers.core.purchase.reuse import note_reusable

    if job.reused_from is not None:
        return  # it is another task's, whose landing is recorded
    ledger.mark_landed(
        job, manifest["manifest_uri"], manifest_sha256=stored_sha256(manifest), before=bool(manifest.get("skipped"))
    )
    note_reusable(ledger, job, manifest)
