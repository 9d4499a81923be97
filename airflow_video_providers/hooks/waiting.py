"""Waiting for one job in a worker: what the sensor and the one-task operator do between two looks."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_video_providers import metrics, polling
from airflow_video_providers.exceptions import (
    InvalidRequestError,
    JobTimeoutError,
    JobUnknownError,
    RateLimitedError,
    VendorUnavailableError,
    VideoProviderError,
    rebuild,
)
from airflow_video_providers.hooks.base import VideoHook
from airflow_video_providers.jobs import VideoJob, read_job
from airflow_video_providers.timing import TIMING, own_interval
from airflow_video_providers.vendors.base import utcnow

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

#: Airflow's own limit on a deferred task ends it without a word: it comes so much later than ours.
AIRFLOWS_MARGIN = timedelta(minutes=2)
#: How long a worker tries to read the result that the trigger has seen.
_RESULT_PATIENCE = timedelta(minutes=5)


class Waiting:
    """A job, how long to wait for it, and the hook to ask.

    :param job: The job.
    :param timeout: Seconds to wait, from ``started``.
    :param started: When the wait began, if that was in an earlier run of the task; by default now.
    :param pace: Seconds between two looks; None leaves it to what was learned of the model.
    :param log: Where a change of state is told.
    :param sleep: How to pause.
    :raises InvalidRequestError: the connection is missing or wrong.
    """

    def __init__(
        self,
        job: VideoJob,
        *,
        timeout: float,
        log: Any,
        started: datetime | None = None,
        pace: float | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        try:
            self.hook = VideoHook.for_model(job.model, job.conn_id)
            _ = self.hook.settings  # a wrong connection must show before waiting
        except InvalidRequestError as wrong:
            raise wrong.about(job) from wrong.__cause__
        began = started or utcnow()
        self._told_before = started is not None  # a rescheduled task has told its state in an earlier run
        job = job.but(conn_id=self.hook.conn_id)
        self.watch = polling.Watch(job, started=began, deadline=began + timedelta(seconds=timeout))
        self._pace = pace
        self._log = log
        self._sleep = sleep
        self._asked_pause: float | None = None

    @property
    def job(self) -> VideoJob:
        """The job as it was last seen."""
        return self.watch.job

    def look(self) -> VideoJob | None:
        """The finished job, or None: look again. An odd answer is settled here and now.

        :raises VideoProviderError: the wait is over.
        """
        while True:
            verdict = self._look_once()
            if verdict.error is not None or verdict.done is not None:
                self.hook.close()
            if verdict.error is not None:
                raise verdict.error
            if verdict.done is not None:
                TIMING.record(verdict.done.model, self._age(verdict.done.completed_at))
                return verdict.done
            if self.watch.trouble is None:
                return None
            # Lost answers between odd ones name no pause of their own, and must not make a storm.
            self._sleep(self.pause())

    def done_before(self) -> VideoJob | None:
        """The finished job, if it is one that may have been finished long ago; None: put the wait aside.

        A trigger would end at once, and Airflow fails a task whose trigger ends before the scheduler has heard that
        the task was put aside (3.3.2, on a busy machine).
        """
        long_ago = self.job.status.terminal or self.job.submitted_at is None
        try:
            return self.look() if long_ago else None
        finally:
            self.hook.close()

    def until_done(self) -> VideoJob:
        """Look until the wait is over, holding the worker."""
        while (job := self.look()) is None:
            self._sleep(self.pause())
        return job

    def pause(self) -> float:
        """Seconds until the next look."""
        wait = None if self._pace is None else own_interval(self._pace)
        if wait is None:
            wait = TIMING.next_look(self.job.model, self._age(None), self.hook.vendor_class.poll_seconds)
        left = (self.watch.deadline - utcnow()).total_seconds()
        return max(0.0, min(max(wait, self._asked_pause or 0.0), left))

    def airflows_limit(self) -> timedelta:
        """What to set as Airflow's own limit on a deferred task."""
        return self.watch.deadline - self.watch.started + AIRFLOWS_MARGIN

    def timed_out(self) -> JobTimeoutError | JobUnknownError:
        """The error for a wait whose time is over."""
        return polling.timed_out(self.watch)

    def trigger_arguments(self) -> dict[str, Any]:
        """What the trigger needs: plain values, no secret, no output address."""
        return {
            "job": json.dumps(self.job.but(outputs=()).to_dict()),
            "poll_interval": self._pace,
            "started_at": self.watch.started.timestamp(),
            "end_time": self.watch.deadline.timestamp(),
        }

    def _look_once(self) -> polling.Verdict:
        seen: VideoJob | VideoProviderError
        try:
            seen = self.hook.status(self.job)
        except VideoProviderError as error:
            seen = error
        metrics.polled(self.job.model)
        if isinstance(seen, RateLimitedError):
            metrics.throttled(self.job.model)
        before = self.job.status
        self.watch, verdict = polling.after(self.watch, seen, utcnow())
        self._asked_pause = verdict.pause
        if verdict.reconnect:
            self.hook.reconnect()
        if self.job.status is not before and not self._told_before:
            waited = (utcnow() - self.watch.started).total_seconds()
            self._log.info(
                "Job %s: %s (%s) after %.1f s.", self.job.request_id, self.job.status, self.job.vendor_status, waited
            )
        return verdict

    def _age(self, at: datetime | None) -> float:
        return ((at or utcnow()) - (self.job.submitted_at or self.watch.started)).total_seconds()


def job_to_wait_for(
    job: object = None, model: str | None = None, request_id: str | None = None, conn_id: str | None = None
) -> VideoJob:
    """The job an author names: a task's output, or a model and a request_id.

    :raises InvalidRequestError: it is not a job, or the id is empty after rendering.
    """
    if job is not None:
        known = read_job(job)
        return known.but(conn_id=conn_id) if conn_id else known
    if not model or not request_id:
        raise InvalidRequestError(
            "The model or the request_id is empty after rendering.",
            remedy="Check the task it comes from: it may have been skipped.",
            field="request_id",
            value=request_id,
        )
    hook = VideoHook.for_model(model, conn_id)
    return VideoJob(model=model, request_id=request_id, conn_id=hook.conn_id, status_route=hook.settings.status_route)


def job_of_event(event: Any) -> VideoJob | None:
    """The job that a trigger's event speaks of; in ``dag.test()`` it may be nothing but a word."""
    return read_job(event["job"]) if isinstance(event, dict) and event.get("job") else None


def finished_job(event: Any, job: VideoJob | None, log: Any, sleep: Callable[[float], None] = time.sleep) -> VideoJob:
    """The finished job that a trigger's event speaks of, with its outputs, read from the vendor once more.

    The event holds no output addresses, because Airflow logs every event; in ``dag.test()`` it may even be
    nothing but a word.

    :param job: The job as the task knows it, for an event that does not hold it.
    :raises VideoProviderError: the event's error, or what the vendor says now.
    """
    told = event if isinstance(event, dict) else {}
    if told.get("job"):
        job = read_job(told["job"])
    if told.get("error"):
        raise rebuild(told["error"], job)
    if job is None:
        raise InvalidRequestError(
            f"The trigger's event holds no job: {event!r:.80}.",
            money="The job is not affected.",
            remedy="Run the task again: it returns to the job it bought.",
            charged="unknown",
            field="event",
        )
    waiting = Waiting(job, timeout=_RESULT_PATIENCE.total_seconds(), log=log, pace=5.0, sleep=sleep)
    try:
        return waiting.until_done()
    except (JobTimeoutError, JobUnknownError) as late:
        raise VendorUnavailableError(
            f"The trigger saw the job's end, and its result could not be read for {_RESULT_PATIENCE.seconds // 60} "
            "minutes.",
            money="The job is not affected.",
            model=job.model,
            request_id=job.request_id,
            charged=waiting.job.charged,
        ) from late


def tell_outcome(job: VideoJob, log: Any) -> None:
    """The outcome, once more in the task's own log, and in the metrics."""
    metrics.succeeded(job)
    age = "" if job.submitted_at is None else f" {(utcnow() - job.submitted_at).total_seconds():.1f} s after its submit"
    if job.expires_at is not None:
        age += f" (the vendor forgets it at {job.expires_at:%H:%M} UTC)"
    cost = "not known" if job.estimated_cost_usd is None else f"${job.estimated_cost_usd}"
    log.info(
        "Job %s of %s is finished%s: %d output(s), charged: %s, estimated cost: %s.",
        job.request_id, job.model, age, len(job.outputs), job.charged, cost,
    )  # fmt: skip
