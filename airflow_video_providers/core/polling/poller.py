"""Waits for all jobs of one connection: one client, one look-up, one timer, one request budget.

Knows nothing of Airflow. The polling happens in the caller's own coroutine, so that its log lines, its errors
and its cancellation are its own; the poller decides when.
"""

from __future__ import annotations

import asyncio
import math
import random
from functools import partial
from typing import TYPE_CHECKING

from airflow_video_providers.core.clock import utcnow
from airflow_video_providers.core.errors import RateLimitedError, VendorUnavailableError, VideoProviderError
from airflow_video_providers.core.jobs import VideoJob
from airflow_video_providers.core.polling.calls import Calls
from airflow_video_providers.core.polling.connection_cache import ConnectionCache
from airflow_video_providers.core.polling.decision import after, timed_out
from airflow_video_providers.core.polling.listener import NO_LISTENER
from airflow_video_providers.core.polling.rate_limiter import RateLimiter
from airflow_video_providers.core.polling.scheduled import ScheduledJob
from airflow_video_providers.core.polling.scheduler import PLACES, Scheduler
from airflow_video_providers.core.polling.timing import TIMING, Timing, took
from airflow_video_providers.core.polling.trust import Trust

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from airflow_video_providers.core.polling.connection_cache import Connect, SharedClient
    from airflow_video_providers.core.polling.decision import PollState, Verdict
    from airflow_video_providers.core.polling.listener import Listener
    from airflow_video_providers.core.polling.mailbox import MailReader
    from airflow_video_providers.core.vendors.base import Vendor

    OnNews = Callable[[VideoJob | VideoProviderError | str], Awaitable[object] | None]

#: A poll that takes longer has failed, however slowly the answer drips in.
LONGEST_POLL = 60.0
#: How long after its deadline a job may still wait for its last poll, at least and at most: thousands with one
#: deadline must not all end in the same moment.
LAST_CALL = 45.0, 90.0
#: Until the connection is read, nobody knows its budget: one poll at a time.
FIRST_PLACES = 1
#: How many may be under way whatever the budget: one slow answer must not hold up the next poll.
FEWEST_PLACES = 2
#: An event loop sends no more a second, whatever the budget: a poll takes it one to two milliseconds.
MOST_PER_SECOND = 250.0


class Poller:
    """Shared by all jobs that wait on one connection in one event loop.

    :param connect: Looks the connection up and opens a client.
    :param vendor: Its documented polling bounds and request budget hold until the connection says otherwise.
    :param budget: What is left from an earlier poller of this connection.
    :param timing: What is known of the models' durations.
    :param now: The wall clock.
    :param on_idle: Called when the last job has left.
    :param listener: Counts the polls.
    :param trust: Whether this connection's callbacks are relied on.
    """

    def __init__(
        self,
        connect: Connect,
        vendor: type[Vendor],
        *,
        budget: RateLimiter | None = None,
        trust: Trust | None = None,
        timing: Timing = TIMING,
        now: Callable[[], datetime] = utcnow,
        on_idle: Callable[[], object] = lambda: None,
        listener: Listener = NO_LISTENER,
    ) -> None:
        self._listener = listener
        self._bounds = vendor.poll_seconds
        self._timing = timing
        self._now = now
        self._on_idle = on_idle
        self._loop = asyncio.get_running_loop()
        self._limiter = budget or RateLimiter(vendor.requests_per_minute)
        self._scheduler = Scheduler(self._limiter, FIRST_PLACES)
        self._connection = ConnectionCache(connect)
        self._calls = Calls(vendor, trust or Trust(vendor.id), self._scheduler, timing, now, listener)
        self._seconds = 0.0  # that an answer takes
        self.jobs = 0

    async def wait(
        self,
        state: PollState,
        *,
        interval: float | None = None,
        on_news: OnNews | None = None,
        mail: MailReader | None = None,
    ) -> VideoJob:
        """Wait until the job is done, and return it finished.

        :param state: The job, and when to stop.
        :param interval: The author's own seconds between two polls; None leaves it to what was learned.
        :param on_news: Called with what a poll returned, where that differs from the poll before it, and with each warning
            as text; may be asynchronous. What it raises ends the wait.
        :param mail: Where the vendor's calls arrive; None where none is expected.
        :raises VideoProviderError: what ended the wait otherwise.
        """
        self.jobs += 1
        try:
            scheduled = self._arrived(state, interval)
            try:
                last_call = random.uniform(*LAST_CALL)  # noqa: S311 # spreads load, keeps no secret
                async with asyncio.timeout_at(scheduled.ends + last_call):
                    with self._calls.about(scheduled, mail):
                        return await self._wait(scheduled, on_news)
            except TimeoutError:  # the last poll did not come about in time
                raise timed_out(scheduled.state) from None
        finally:
            self.jobs -= 1
            if not self.jobs:
                self._on_idle()
                self._scheduler.close()
                await self._connection.close()

    async def _wait(self, scheduled: ScheduledJob, on_news: OnNews | None) -> VideoJob:
        pause: float | None = self._first_pause(scheduled)
        chance = partial(self._chance, scheduled)
        while pause is not None:
            scheduled.slot = self._scheduler.enter(min(self._loop.time() + pause, scheduled.ends), chance)
            await self._scheduler.wait_for(scheduled.slot)
            scheduled.slot = None
            if scheduled.call == "due":
                scheduled.call = "read"
                self._listener.woken(scheduled.model)
            pause = await self._poll(scheduled, on_news)
        return scheduled.state.job

    async def _poll(self, scheduled: ScheduledJob, on_news: OnNews | None) -> float | None:
        """Seconds until the next poll; None where the job is done. What it saw is forgotten while thousands wait."""
        try:
            seen, shared = await self._read(scheduled.state.job)
            scheduled.state, verdict = after(scheduled.state, seen, self._now())
            if verdict.reconnect and shared is not None:
                await self._connection.renew(shared)
        finally:
            self._scheduler.give_back()
        self._note(scheduled, seen, verdict)
        self._calls.judge(scheduled, verdict)
        if on_news is not None and (news := _gist(seen)) != scheduled.news:
            scheduled.news = news
            if (reported := on_news(seen)) is not None:
                await reported
        if on_news is not None and verdict.warning is not None:
            on_news(verdict.warning)
        if verdict.error is not None:
            raise verdict.error
        if verdict.done is not None:
            return None
        if self._loop.time() >= scheduled.ends:  # the wall clock may have been set back
            raise timed_out(scheduled.state)
        return self._pause(scheduled, verdict)

    def _chance(self, scheduled: ScheduledJob) -> float:
        now, born = self._loop.time(), scheduled.born
        if scheduled.call == "due":
            return 1.5  # the vendor has said so
        if now >= scheduled.ends:
            return 2.0  # its last poll comes before all others
        return self._timing.chance(scheduled.model, scheduled.asked - born, now - born)

    async def _read(self, job: VideoJob) -> tuple[VideoJob | VideoProviderError, SharedClient | None]:
        requests = 0

        def count() -> None:
            nonlocal requests
            requests += 1

        shared = None
        seen: VideoJob | VideoProviderError
        try:
            async with asyncio.timeout(LONGEST_POLL), self._connection.use() as shared:
                self._limiter.per_minute = shared.requests_per_minute
                self._scheduler.widen(self._places())
                begun = self._loop.time()
                seen = await shared.client.status(job, on_request=count)
                self._seconds += (self._loop.time() - begun - self._seconds) / 8
        except VideoProviderError as error:
            seen = error
        except TimeoutError:
            seen = VendorUnavailableError(f"No whole answer came within {LONGEST_POLL:.0f} s.")
        now = self._loop.time()
        if requests != 1:  # the slot paid for one
            self._limiter.spend(now, requests - 1)
        if requests:
            self._listener.polled(job.model)
        if isinstance(seen, RateLimitedError):
            self._listener.throttled(job.model)
            self._limiter.refused(now, seen.retry_after)
        return seen, shared

    def _places(self) -> int:
        """How many polls may be under way at once, each on a connection of its own: what the budget sends while one
        answer comes, and as many again, because answers do not come evenly."""
        rate = min(self._limiter.per_minute / 60, MOST_PER_SECOND)
        return max(FEWEST_PLACES, min(math.ceil(2 * rate * self._seconds), PLACES))

    def _arrived(self, state: PollState, interval: float | None) -> ScheduledJob:
        now, wall = self._loop.time(), self._now()
        born = now - max(0.0, (wall - (state.job.submitted_at or state.started)).total_seconds())
        ends = now + max(0.0, (state.deadline - wall).total_seconds())
        return ScheduledJob(state, born, ends, interval, asked=born)

    def _first_pause(self, scheduled: ScheduledJob) -> float:
        if scheduled.call == "due":
            return 0.0
        if self._calls.relied_on(scheduled) and scheduled.state.job.submitted_at is not None:
            return self._timing.net(scheduled.model, self._loop.time() - scheduled.born)
        if scheduled.interval is not None or scheduled.state.job.submitted_at is None:
            return 0.0
        pause = self._timing.first_poll(scheduled.model, self._loop.time() - scheduled.born)
        if pause > 0.0:
            scheduled.unfinished = scheduled.born
        return pause

    def _pause(self, scheduled: ScheduledJob, verdict: Verdict) -> float:
        if scheduled.call == "due":
            return 0.0
        if verdict.pause is None and not scheduled.silent and self._calls.relied_on(scheduled):
            return self._timing.net(scheduled.model, self._loop.time() - scheduled.born)
        return self._timing.pause(
            scheduled.model,
            scheduled.asked - scheduled.born,
            self._bounds,
            interval=scheduled.interval,
            asked=verdict.pause,
            silent=scheduled.silent,
        )

    def _note(self, scheduled: ScheduledJob, seen: VideoJob | VideoProviderError, verdict: Verdict) -> None:
        now = scheduled.asked = self._loop.time()
        scheduled.silent = scheduled.silent + 1 if isinstance(seen, VideoProviderError) else 0
        if verdict.done is not None:
            self._learn(scheduled, verdict.done)
        elif isinstance(seen, VideoJob):
            scheduled.unfinished = now

    def _learn(self, scheduled: ScheduledJob, done: VideoJob) -> None:
        """Record how long it took."""
        unfinished = None if scheduled.unfinished is None else scheduled.unfinished - scheduled.born
        seconds = took(done, unfinished, scheduled.asked - scheduled.born)
        if seconds is not None:
            self._timing.record(scheduled.model, seconds)


def _gist(seen: VideoJob | VideoProviderError) -> str:
    return f"{seen.status} {seen.vendor_status}" if isinstance(seen, VideoJob) else type(seen).__name__
