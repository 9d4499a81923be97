"""From a trigger's event to the finished job, in the worker that resumes."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.clock import utcnow
from airflow_video_providers.core.errors import (
    InvalidRequestError,
    JobTimeoutError,
    JobUnknownError,
    VendorUnavailableError,
    rebuild,
)
from airflow_video_providers.core.jobs import read_job
from airflow_video_providers.hooks.base import VideoHook
from airflow_video_providers.integration import metrics
from airflow_video_providers.integration.callbacks import drop_mail
from airflow_video_providers.integration.waiting import WorkerWait, sleep_of, span_of

if TYPE_CHECKING:
    from airflow_video_providers.core.jobs import VideoJob

#: How long a worker tries to read the result that the trigger has seen.
_RESULT_PATIENCE = timedelta(minutes=5)
_RESULT_PAUSE = 5.0


def job_of_event(event: Any) -> VideoJob | None:
    """The job that a trigger's event speaks of; in ``dag.test()`` it may be nothing but a word."""
    return read_job(event["job"]) if isinstance(event, dict) and event.get("job") else None


def finished_job(event: Any, job: VideoJob | None, task: Any) -> VideoJob:
    """The finished job that a trigger's event speaks of, with its outputs, read from the vendor once more.

    The event holds no output addresses, because Airflow logs every event; in ``dag.test()`` it may even be
    nothing but a word.

    :param job: The job as the task knows it, for an event that does not hold it.
    :param task: The task that resumes; ``execution_timeout`` is Airflow's in this process, and counts anew.
    :raises VideoProviderError: the event's error, or what the vendor says now.
    """
    payload = event if isinstance(event, dict) else {}
    if payload.get("job"):
        job = read_job(payload["job"])
    if payload.get("error"):
        raise rebuild(payload["error"], job)
    if job is None:
        raise InvalidRequestError(
            f"The trigger's event holds no job: {event!r:.80}.",
            money="The job is not affected.",
            remedy="Run the task again: it returns to the job it bought.",
            charged="unknown",
            field="event",
        )
    span = span_of(_RESULT_PATIENCE.total_seconds(), execution_timeout=task.execution_timeout)
    hook = VideoHook.of_task(task, job.model, job.conn_id)
    waiting = WorkerWait(job, span, hook=hook, log=task.log, pace=_RESULT_PAUSE, sleep=sleep_of(task))
    try:
        return waiting.until_done()
    except (JobTimeoutError, JobUnknownError) as late:
        raise VendorUnavailableError(
            f"The trigger saw the job's end, and its result could not be read for {(span.end - span.began).total_seconds():.0f} s.",
            money="The job is not affected.",
            model=job.model,
            request_id=job.request_id,
            charged=waiting.job.charged,
        ) from late


def report_outcome(job: VideoJob, log: Any) -> None:
    """The outcome, once more in the task's own log, and in the metrics."""
    metrics.succeeded(job)
    drop_mail(job, log)
    age = "" if job.submitted_at is None else f" {(utcnow() - job.submitted_at).total_seconds():.1f} s after its submit"
    if job.expires_at is not None:
        age += f" (the vendor forgets it at {job.expires_at:%H:%M} UTC)"
    cost = "not known" if job.estimated_cost_usd is None else f"${job.estimated_cost_usd}"
    real = "" if job.cost_usd is None else f", cost: ${job.cost_usd}"
    log.info(
        "Job %s of %s is finished%s: %d output(s), charged: %s%s, estimated cost: %s.",
        job.request_id, job.model, age, len(job.outputs), job.charged, real, cost,
    )  # fmt: skip
    if job.cost_usd is not None and job.estimated_cost_usd is not None and job.cost_usd > job.estimated_cost_usd:
        log.warning(
            "Job %s cost more than was estimated, and limits count estimates: put the account's own price of %s into prices of "
            "the connection's extra.",
            job.request_id, job.model,
        )  # fmt: skip
