"""Waiting for one job in a worker: what the sensor and the one-task operator do between two looks."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow.providers.common.compat.sdk import AirflowTaskTimeout

from airflow_video_providers.core.errors import (
    InvalidRequestError,
    JobTimeoutError,
    JobUnknownError,
    RateLimitedError,
    VendorUnavailableError,
    VideoProviderError,
    rebuild,
)
from airflow_video_providers.core.jobs import VideoJob, read_job
from airflow_video_providers.core.polling import decision
from airflow_video_providers.core.polling.timing import TIMING, own_interval
from airflow_video_providers.core.vendors.base import utcnow
from airflow_video_providers.core.vendors.parameters import without_texts
from airflow_video_providers.hooks.base import VideoHook
from airflow_video_providers.integration import metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_video_providers.core.settings import Settings

#: Airflow's own limit on a deferred task ends it without a word: it comes so much later than ours.
AIRFLOWS_MARGIN = timedelta(minutes=2)
#: How long a worker tries to read the result that the trigger has seen.
_RESULT_PATIENCE = timedelta(minutes=5)
_RESULT_PAUSE = 5.0


#: Pauses of a worker between two look-ups of a connection that a paid job needs: about a minute in all, seconds.
LOOK_UP_PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0, 15.0, 15.0)
_LOOK_UP_PATIENCE = sum(LOOK_UP_PAUSES)


class Span(NamedTuple):
    """From when to when a job is waited for (UTC)."""

    began: datetime
    end: datetime


def span_of(
    timeout: float,
    *,
    began: datetime | None = None,
    execution_timeout: timedelta | None = None,
    try_began: datetime | None = None,
) -> Span:
    """How long to wait: ``timeout``, or Airflow's ``execution_timeout`` where that is over sooner.

    Airflow itself does not apply ``execution_timeout`` to a deferred task.

    :param timeout: Seconds to wait, from ``began``.
    :param began: When the wait began, if that was in an earlier process of the task; by default now.
    :param execution_timeout: The task's.
    :param try_began: When the try began, from where ``execution_timeout`` counts; by default when the wait did.
    """
    now = utcnow()
    span = Span(began or now, (began or now) + timedelta(seconds=timeout))
    if execution_timeout is None:
        return span
    start = began or try_began or now  # a rescheduled try began with its first process
    return min(span, Span(start, start + execution_timeout), key=lambda one: one.end)


def sleep_of(task: Any) -> Callable[[float], None]:
    """How a task pauses, in seconds."""
    pause: Callable[[float], None] = getattr(task, "_sleep", time.sleep)
    return pause


def settings_for(hook: VideoHook, job: VideoJob, log: Any, sleep: Callable[[float], None] = time.sleep) -> Settings:
    """The connection of a job that is paid for: an outage of Airflow's is asked about again for a minute.

    :raises InvalidRequestError: it is wrong, or still not to be had. The job is not affected, and a retry goes on with it.
    """
    pauses, began = iter(LOOK_UP_PAUSES), time.monotonic()
    while True:
        try:
            return hook.settings
        except InvalidRequestError as wrong:
            pause = next(pauses, None)
            if not wrong.retryable or pause is None or time.monotonic() - began > _LOOK_UP_PATIENCE:
                raise wrong.while_paid(job) from wrong.__cause__
            log.warning("%s Job %s is not affected; asking again in %.0f s.", wrong.what, job.request_id, pause)
            sleep(pause)


class WorkerWait:
    """A job, how long to wait for it, and the hook to ask.

    :param job: The job.
    :param span: From when to when to wait.
    :param hook: Asks the vendor; its connection is looked up here, once.
    :param rescheduled: An earlier process of the task has told the job's state.
    :param pace: Seconds between two looks; None leaves it to what was learned of the model.
    :param log: Where a change of state is told.
    :param sleep: How to pause.
    :raises InvalidRequestError: the connection is wrong, or missing also after a minute; a retry may help.
    """

    def __init__(
        self,
        job: VideoJob,
        span: Span,
        *,
        hook: VideoHook,
        log: Any,
        rescheduled: bool = False,
        pace: float | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.hook = hook
        self._reported_before = rescheduled
        job = job.replace(conn_id=hook.conn_id)
        settings_for(hook, job, log, sleep)  # a wrong connection must show before the task is deferred
        self.state = decision.PollState(job, started=span.began, deadline=span.end)
        self._pace = pace
        self._log = log
        self._sleep = sleep
        self._asked_pause: float | None = None
        asked = hook.vendor_class.documented_poll_seconds
        if pace is not None and asked is not None and pace < asked and not rescheduled:
            log.warning(
                "An interval of %g s is shorter than the %g s that the documents of %s ask for. Jobs are asked about every "
                "%g s all the same.",
                pace, asked, hook.vendor_class.title, own_interval(pace),
            )  # fmt: skip

    @property
    def job(self) -> VideoJob:
        """The job as it was last seen."""
        return self.state.job

    def poll(self) -> VideoJob | None:
        """The finished job, or None: look again. An odd answer is settled here and now.

        :raises VideoProviderError: the wait is over.
        """
        while True:
            verdict = self._poll_once()
            if verdict.error is not None or verdict.done is not None:
                self.hook.close()
            if verdict.error is not None:
                raise verdict.error
            if verdict.done is not None:
                TIMING.record(verdict.done.model, self._age(verdict.done.completed_at))
                return verdict.done
            if self.state.trouble is None:
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
            return self.poll() if long_ago else None
        finally:
            self.hook.close()

    def until_done(self) -> VideoJob:
        """Look until the wait is over, holding the worker."""
        with self.airflows_alarm_means_time_out():
            while (job := self.poll()) is None:
                self._sleep(self.pause())
            return job

    @contextmanager
    def airflows_alarm_means_time_out(self) -> Iterator[None]:
        """Airflow's own alarm for ``execution_timeout`` may ring in a worker before the last look has its answer.

        :raises JobTimeoutError: it has rung.
        """
        try:
            yield
        except AirflowTaskTimeout:
            self.hook.close()
            raise self.timed_out() from None

    def pause(self) -> float:
        """Seconds until the next look."""
        wait = None if self._pace is None else own_interval(self._pace)
        if wait is None:
            wait = TIMING.next_poll(self.job.model, self._age(None), self.hook.vendor_class.poll_seconds)
        left = (self.state.deadline - utcnow()).total_seconds()
        return max(0.0, min(max(wait, self._asked_pause or 0.0), left))

    def airflows_limit(self) -> timedelta:
        """What to set as Airflow's own limit on a deferred task."""
        return self.state.deadline - self.state.started + AIRFLOWS_MARGIN

    def timed_out(self) -> JobTimeoutError | JobUnknownError:
        """The error for a wait whose time is over."""
        return decision.timed_out(self.state)

    def trigger_arguments(self) -> dict[str, Any]:
        """What the trigger needs: plain values, no secret, no output address."""
        return {
            "job": json.dumps(without_texts(self.job.replace(outputs=())).to_dict()),
            "poll_interval": self._pace,
            "started_at": self.state.started.timestamp(),
            "end_time": self.state.deadline.timestamp(),
        }

    def _poll_once(self) -> decision.Verdict:
        seen: VideoJob | VideoProviderError
        try:
            seen = self.hook.status(self.job)
        except VideoProviderError as error:
            seen = error
        metrics.polled(self.job.model)
        if isinstance(seen, RateLimitedError):
            metrics.throttled(self.job.model)
        before = self.job.status
        self.state, verdict = decision.after(self.state, seen, utcnow())
        self._asked_pause = verdict.pause
        if verdict.warning is not None:
            self._log.warning("%s", verdict.warning)
        if verdict.reconnect:
            self.hook.reconnect()
        if self.job.status is not before and not self._reported_before:
            waited = (utcnow() - self.state.started).total_seconds()
            self._log.info(
                "Job %s: %s (%s) after %.1f s.", self.job.request_id, self.job.status, self.job.vendor_status, waited
            )
        return verdict

    def _age(self, at: datetime | None) -> float:
        return ((at or utcnow()) - (self.job.submitted_at or self.state.started)).total_seconds()


def job_to_wait_for(
    job: object = None, model: str | None = None, request_id: str | None = None, conn_id: str | None = None
) -> VideoJob:
    """The job an author names: a task's output, or a model and a request_id. Its status route is not known yet then.

    :raises InvalidRequestError: it is not a job, or the id is empty after rendering.
    """
    if job is not None:
        known = read_job(job)
        return known.replace(conn_id=conn_id) if conn_id else known
    if not model or not request_id:
        empty = "request_id" if model else "model"
        raise InvalidRequestError(
            f"The {empty} is empty after rendering.",
            money="This task buys nothing; a video that is bought already stays paid for.",
            remedy="Check the task that it comes from: it was skipped, it did not run, or somebody marked it as success. "
            "Clear that task too.",
            field=empty,
            value=request_id if model else model,
        )
    return VideoJob(model=model, request_id=request_id, conn_id=VideoHook.for_model(model, conn_id).conn_id)


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
    age = "" if job.submitted_at is None else f" {(utcnow() - job.submitted_at).total_seconds():.1f} s after its submit"
    if job.expires_at is not None:
        age += f" (the vendor forgets it at {job.expires_at:%H:%M} UTC)"
    cost = "not known" if job.estimated_cost_usd is None else f"${job.estimated_cost_usd}"
    log.info(
        "Job %s of %s is finished%s: %d output(s), charged: %s, estimated cost: %s.",
        job.request_id, job.model, age, len(job.outputs), job.charged, cost,
    )  # fmt: skip
