"""Buy on the route that answers with the video itself, and land what it answered."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.errors import InvalidRequestError, OutputMissingError
from airflow_video_providers.core.landing.spool import private_directory
from airflow_video_providers.core.purchase.records import digest
from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.core.vendors.base import Vendor
from airflow_video_providers.core.vendors.models import comes_later
from airflow_video_providers.integration.results import report_outcome
from airflow_video_providers.integration.this_try import identity_of
from airflow_video_providers.operators.bookkeeping import note_finished
from airflow_video_providers.operators.download import check_before_purchase, deliver
from airflow_video_providers.operators.kept import is_next_try, kept_job
from airflow_video_providers.operators.submit import buy

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_video_providers.core.jobs import VideoJob
    from airflow_video_providers.operators.base import BuysAndLands


def check_synchronous(model: str) -> None:
    """Has the model's vendor such a route?

    :raises InvalidRequestError: it has none.
    """
    if not comes_later(model) and catalogue.vendor_of(model).generate is Vendor.generate:
        raise InvalidRequestError(
            f"{model} has no route that answers with the video itself.",
            remedy="Leave synchronous=False.",
            model=model,
            field="synchronous",
            value=True,
        )


def generate_now(task: BuysAndLands, context: Context) -> dict[str, Any]:
    """Buy, hold the worker until the video has come, land it; returns the manifest.

    There is no way back to such a job: the video exists in the answer alone. It is kept on the worker's disk
    until it has landed, so that a retry, or a Clear, on the same worker lands it without buying again.

    :raises SubmissionOutcomeUnknownError: the call was interrupted after it was sent; it may be charged.
    :raises OutputMissingError: an earlier try was charged, and its file is not on this worker.
    """
    folder = Path(private_directory("airflow-video-providers"))
    identity = identity_of(context)

    def kept_as(job: VideoJob) -> Path:
        return folder / f"{digest([str(identity), job.request_id])[:32]}.video"

    with tempfile.TemporaryDirectory(dir=folder) as fresh:
        received = Path(fresh, "video")
        job = buy(
            task,
            context,
            into=received,
            check=lambda: check_before_purchase(task),
            keeps=lambda job: kept_as(job).exists(),
        )
        kept = kept_as(job)
        if received.exists():
            received.replace(kept)
    context["ti"].xcom_push(key="request_id", value=job.request_id)
    reused = job.reused_from is not None
    finished = kept_job(job, task, context) if is_next_try(context) and not reused else None
    job = task.as_kept(finished or job)
    report_outcome(job, task.log)
    note_finished(job, context, task.log)
    context["ti"].xcom_push(key="job", value=job.to_dict())
    try:
        manifest = deliver(job, task, context, file=kept if kept.exists() else None)  # what has landed is found first
    except OutputMissingError as missing:
        if job.outputs or reused or finished or kept.exists():
            raise
        raise OutputMissingError(
            "The video came with the answer of an earlier try, and its file is not on this worker.",
            remedy=f"Look for {kept.name} in {folder} of the worker that ran the earlier try; to buy again, clear the "
            "task with on_clear='resubmit'.",
            job=job,
        ) from missing
    kept.unlink(missing_ok=True)
    return manifest
