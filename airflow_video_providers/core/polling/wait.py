"""Wait for one job in a worker or a notebook: the loop around :func:`~airflow_video_providers.core.polling.decision.after`.

Knows nothing of Airflow. The sensor's worker modes, the hooks and the client wait with it; in an event loop the poller
does, which has many jobs to wait for. Both ask the same decision and the same timing.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from airflow_video_providers.core.clock import utcnow
from airflow_video_providers.core.errors import RateLimitedError, VideoProviderError
from airflow_video_providers.core.jobs import VideoJob
from airflow_video_providers.core.polling.decision import after, timed_out
from airflow_video_providers.core.polling.listener import NO_LISTENER
from airflow_video_providers.core.polling.progress import Progress
from airflow_video_providers.core.polling.timing import TIMING, took
from airflow_video_providers.core.polling.wait_arguments import begun, check_on_progress, checked_interval

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, timedelta
    from logging import Logger

    from airflow_video_providers.core.polling.decision import PollState, Verdict
    from airflow_video_providers.core.polling.listener import Listener
    from airflow_video_providers.core.polling.poller import Poller
    from airflow_video_providers.core.polling.progress import OnProgress
    from airflow_video_providers.core.polling.timing import Timing
    from airflow_video_providers.core.vendors.base import Vendor

_log = logging.getLogger(__name__)


class Wait:
    """One job, and how it is waited for.

    :param state: The job, and from when to when to wait.
    :param vendor: Whose bounds hold between two polls.
    :param poll: Asks how the job stands, once.
    :param sleep: How to pause, in seconds.
    :param reconnect: Reads the connection again: its key may have been changed.
    :param interval: The author's own seconds between two polls; None leaves it to what was learned of the model.
    :param on_progress: Called with the job in each new state. What it raises ends the wait.
    :param now: The wall clock.
    :param timing: What is known of the models' durations.
    :param listener: Counts the polls.
    :param log: Where a warning is logged: the vendor forgets the job soon.
    """

    def __init__(
        self,
        state: PollState,
        vendor: type[Vendor],
        *,
        poll: Callable[[VideoJob], VideoJob],
        sleep: Callable[[float], object],
        reconnect: Callable[[], object] = lambda: None,
        interval: float | None = None,
        on_progress: OnProgress | None = None,
        now: Callable[[], datetime] = utcnow,
        timing: Timing = TIMING,
        listener: Listener = NO_LISTENER,
        log: Logger = _log,
    ) -> None:
        self.state = state
        self._vendor = vendor
        self._ask = poll
        self._sleep = sleep
        self._reconnect = reconnect
        self._interval = interval
        self._progress = Progress(state.job, on_progress, log)
        self._now = now
        self._timing = timing
        self._listener = listener
        self._asked: float | None = None
        self._silent = 0
        self._unfinished: float | None = None
        self._left = (state.deadline - now()).total_seconds()  # of pauses: the wall clock may be set back

    @property
    def job(self) -> VideoJob:
        """The job as it was last seen."""
        return self.state.job

    def until_done(self) -> VideoJob:
        """Poll until the wait is over, and return the job finished.

        :raises VideoProviderError: what ended the wait otherwise.
        """
        if (first := self._first_pause()) > 0.0:
            self._pause_for(first)
        while (job := self.poll()) is None:
            self._pause_for(self.pause())
        return job

    def poll(self) -> VideoJob | None:
        """The finished job, or None: it goes on. An odd answer is settled here and now.

        :raises VideoProviderError: the wait is over.
        """
        while True:
            verdict = self._poll_once()
            if verdict.error is not None:
                raise verdict.error
            if verdict.done is not None:
                return verdict.done
            if self._left <= 0.0:
                raise timed_out(self.state)
            if self.state.trouble is None:
                return None
            # Lost answers between odd ones name no pause of their own, and must not make a storm.
            self._pause_for(self.pause())

    def pause(self) -> float:
        """Seconds until the next poll."""
        wait = self._timing.pause(
            self.job.model,
            self._age(),
            self._vendor.poll_seconds,
            interval=self._interval,
            asked=self._asked,
            silent=self._silent,
        )
        return self._within(wait)

    def _poll_once(self) -> Verdict:
        seen: VideoJob | VideoProviderError
        try:
            seen = self._ask(self.job)
        except VideoProviderError as error:
            seen = error
        self._listener.polled(self.job.model)
        if isinstance(seen, RateLimitedError):
            self._listener.throttled(self.job.model)
        self.state, verdict = after(self.state, seen, self._now())
        self._asked = verdict.pause
        self._silent = self._silent + 1 if isinstance(seen, VideoProviderError) else 0
        if verdict.reconnect:
            self._reconnect()
        self._progress(seen)
        if verdict.warning is not None:
            self._progress(verdict.warning)
        if verdict.done is not None:
            self._learn(verdict.done)
        elif isinstance(seen, VideoJob):
            self._unfinished = self._age()
        return verdict

    def _first_pause(self) -> float:
        """A job that was just submitted is not done yet; one of which nobody knows the age may be."""
        if self._interval is not None or self.job.submitted_at is None or self.job.status.terminal:
            return 0.0
        pause = self._timing.first_poll(self.job.model, self._age())
        if pause > 0.0:
            self._unfinished = 0.0
        return self._within(pause)

    def _within(self, seconds: float) -> float:
        left = min((self.state.deadline - self._now()).total_seconds(), self._left)
        return max(0.0, min(seconds, left))

    def _pause_for(self, seconds: float) -> None:
        self._left -= seconds
        self._sleep(seconds)

    def _learn(self, done: VideoJob) -> None:
        seconds = took(done, self._unfinished, self._age())
        if seconds is not None:
            self._timing.record(done.model, seconds)

    def _age(self) -> float:
        return max(0.0, (self._now() - (self.job.submitted_at or self.state.started)).total_seconds())


def wait_for(
    job: VideoJob,
    vendor: type[Vendor],
    timeout: float | timedelta,
    poll_interval: float | timedelta | None,
    on_progress: OnProgress | None,
    *,
    poll: Callable[[VideoJob], VideoJob],
    sleep: Callable[[float], object],
    now: Callable[[], datetime] = utcnow,
    reconnect: Callable[[], object] = lambda: None,
    listener: Listener = NO_LISTENER,
    log: Logger = _log,
) -> VideoJob:
    """Wait as a caller says, and return the job finished.

    :raises InvalidRequestError: an argument is wrong. Nothing was sent.
    :raises VideoProviderError: what ended the wait otherwise.
    """
    check_on_progress(on_progress)
    interval = checked_interval(poll_interval, vendor, log)
    wait = Wait(
        begun(job, timeout, now()), vendor, poll=poll, sleep=sleep, reconnect=reconnect, interval=interval,
        on_progress=on_progress, now=now, listener=listener, log=log,
    )  # fmt: skip
    return wait.until_done()


async def wait_async(
    job: VideoJob,
    vendor: type[Vendor],
    poller: Callable[[], Poller],
    timeout: float | timedelta,  # noqa: ASYNC109 # the sensor's word: the job's last state is reported
    poll_interval: float | timedelta | None,
    on_progress: OnProgress | None,
    *,
    now: Callable[[], datetime] = utcnow,
    log: Logger = _log,
) -> VideoJob:
    """:func:`wait_for` in an event loop, among all that the poller waits for.

    :param poller: Gives the poller, once the arguments are known to be right.
    """
    check_on_progress(on_progress, asynchronous=True)
    interval = checked_interval(poll_interval, vendor, log)
    state = begun(job, timeout, now())
    return await poller().wait(state, interval=interval, on_news=Progress(job, on_progress, log))
