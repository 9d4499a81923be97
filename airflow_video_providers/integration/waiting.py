"""Waiting for one job in a worker of Airflow's: what a task adds to :mod:`~airflow_video_providers.core.polling.wait`."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow.providers.common.compat.sdk import AirflowTaskTimeout

from airflow_video_providers.core.clock import utcnow
from airflow_video_providers.core.errors import InvalidRequestError, VideoProviderError
from airflow_video_providers.core.jobs import VideoJob, read_job
from airflow_video_providers.core.polling import decision
from airflow_video_providers.core.polling.decision import PollState
from airflow_video_providers.core.polling.wait import Wait
from airflow_video_providers.core.polling.wait_arguments import too_short
from airflow_video_providers.core.vendors.parameters import without_texts
from airflow_video_providers.hooks.base import VideoHook
from airflow_video_providers.integration import metrics
from airflow_video_providers.integration.heard import HEARD_AFTER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_video_providers.core.errors import JobTimeoutError, JobUnknownError
    from airflow_video_providers.core.settings import Settings

#: Airflow's own limit on a deferred task ends it without a word: it comes so much later than ours.
AIRFLOWS_MARGIN = timedelta(minutes=2)
#: Pauses of a worker between two look-ups of a connection that a paid job needs: about a minute in all, seconds.
LOOK_UP_PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0, 15.0, 15.0)
_LOOK_UP_PATIENCE = sum(LOOK_UP_PAUSES)
#: So much of ``execution_timeout``, and at most so long, a wait ends before Airflow's alarm for it, which would otherwise
#: ring while the wait's own error is on its way out, and take its place.
_BEFORE_THE_ALARM = 0.05, timedelta(seconds=1)


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
    """How long to wait: ``timeout``, or until shortly before Airflow's ``execution_timeout`` where that is over sooner.

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
    share, most = _BEFORE_THE_ALARM
    end = start + execution_timeout - min(share * execution_timeout, most)
    return min(span, Span(start, end), key=lambda one: one.end)


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
    :param rescheduled: An earlier process of the task has logged the job's state.
    :param warned: How often they have warned that the vendor forgets it.
    :param pace: Seconds between two polls; None leaves it to what was learned of the model.
    :param log: Where a change of state is logged.
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
        warned: int = 0,
        pace: float | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.hook = hook
        job = job.replace(conn_id=hook.conn_id)
        settings_for(hook, job, log, sleep)  # a wrong connection must show before the task is deferred
        self._pace = pace
        self._log = log
        self._wait = Wait(
            PollState(job, started=span.began, deadline=span.end, warned=warned),
            hook.vendor_class,
            poll=hook.status,
            sleep=sleep,
            reconnect=hook.reconnect,
            interval=pace,
            on_progress=None if rescheduled else self._report,
            listener=metrics,
            log=log,
        )
        if not rescheduled and (warning := too_short(pace, hook.vendor_class)):
            log.warning(warning)

    @property
    def state(self) -> PollState:
        """The job as it was last seen, and when the wait began and ends."""
        return self._wait.state

    @property
    def job(self) -> VideoJob:
        """The job as it was last seen."""
        return self._wait.job

    def poll(self) -> VideoJob | None:
        """The finished job, or None: poll again. An odd answer is settled here and now.

        :raises VideoProviderError: the wait is over.
        """
        try:
            done = self._wait.poll()
        except VideoProviderError:
            self.hook.close()
            raise
        if done is not None:
            self.hook.close()
        return done

    def done_before(self) -> VideoJob | None:
        """The finished job, if it is one that may have been finished long ago; None: defer the task.

        A trigger would end at once, and Airflow fails a task whose trigger ends before the scheduler has heard that
        the task was deferred (3.3.2, on a busy machine).
        """
        long_ago = self.job.status.terminal or self.job.submitted_at is None
        try:
            return self.poll() if long_ago else None
        finally:
            self.hook.close()

    def until_done(self) -> VideoJob:
        """Poll until the wait is over, holding the worker."""
        with self.airflows_alarm_means_time_out():
            try:
                return self._wait.until_done()
            finally:
                self.hook.close()

    @contextmanager
    def airflows_alarm_means_time_out(self) -> Iterator[None]:
        """Airflow's own alarm for ``execution_timeout`` may ring in a worker before the last poll has its answer.

        :raises JobTimeoutError: it has rung.
        """
        try:
            yield
        except AirflowTaskTimeout:
            self.hook.close()
            raise self.timed_out() from None

    def pause(self, *, put_off: bool = False) -> float:
        """Seconds until the next poll.

        :param put_off: This process ends until then. An author's own pace is followed all the same, however fast.
        """
        due = self._wait.pause()
        return max(due, HEARD_AFTER) if put_off and self._pace is None else due

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

    def _report(self, job: VideoJob) -> None:
        waited = (utcnow() - self.state.started).total_seconds()
        self._log.info("Job %s: %s (%s) after %.1f s.", job.request_id, job.status, job.vendor_status, waited)


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
