"""Waits for all jobs of one connection: one client, one look-up, one timer, one request budget.

Knows nothing of Airflow. The looking happens in the caller's own coroutine, so that its log lines, its errors
and its cancellation are its own; the poller decides when.
"""

from __future__ import annotations

import asyncio
import math
import random
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol
from weakref import WeakKeyDictionary

from airflow_video_providers.core.errors import RateLimitedError, VendorUnavailableError, VideoProviderError
from airflow_video_providers.core.jobs import VideoJob
from airflow_video_providers.core.polling.connection_cache import Line
from airflow_video_providers.core.polling.decision import after, timed_out
from airflow_video_providers.core.polling.rate_limiter import Budget
from airflow_video_providers.core.polling.scheduler import PLACES, Turns
from airflow_video_providers.core.polling.timing import TIMING, Timing, own_interval
from airflow_video_providers.core.vendors.base import utcnow

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from datetime import datetime

    from airflow_video_providers.core.polling.connection_cache import Connect, Opened
    from airflow_video_providers.core.polling.decision import Verdict, Watch
    from airflow_video_providers.core.vendors.base import Vendor

    OnNews = Callable[[VideoJob | VideoProviderError], None]

#: A look that takes longer has failed, however slowly the answer drips in.
LONGEST_LOOK = 60.0
#: How long after its deadline a job may still wait for its last look, at least and at most: thousands with one
#: deadline must not all end in the same moment.
LAST_CALL = 45.0, 90.0
#: After so many seconds at most the next look follows one that brought no answer.
LONGEST_SILENCE = 60.0
#: Until the connection is read, nobody knows its budget: one look at a time.
FIRST_PLACES = 1
#: How many may be under way whatever the budget: one slow answer must not hold up the next poll.
FEWEST_PLACES = 2
#: An event loop sends no more a second, whatever the budget: a poll takes it one to two milliseconds.
MOST_PER_SECOND = 250.0


@dataclass(slots=True)
class _Waiting:
    """One job, as the poller sees it. Times are the event loop's.

    :param born: When it was submitted.
    :param ends: When the wait ends.
    :param interval: The author's own seconds between two looks.
    :param asked: When it was last looked at.
    :param unfinished: When it was last known to be unfinished; None where nobody knows.
    :param silent: How many looks in a row brought no answer.
    """

    watch: Watch
    born: float
    ends: float
    interval: float | None
    asked: float
    unfinished: float | None = None
    silent: int = 0
    news: str = ""

    @property
    def model(self) -> str:
        return self.watch.job.model


class Listener(Protocol):
    """Who counts polls."""

    def polled(self, model: str, /) -> object:
        """A poll was sent for a job of this model."""

    def throttled(self, model: str, /) -> object:
        """A poll was answered with a rate limit."""


class _Silence:
    def polled(self, model: str, /) -> None: ...
    def throttled(self, model: str, /) -> None: ...


SILENCE = _Silence()


class Poller:
    """Shared by all jobs that wait on one connection in one event loop.

    :param connect: Looks the connection up and opens a client.
    :param vendor: Its documented polling bounds and request budget hold until the connection says otherwise.
    :param budget: What is left from an earlier poller of this connection.
    :param timing: What is known of the models' durations.
    :param now: The wall clock.
    :param on_idle: Called when the last job has left.
    :param listener: Counts the polls.
    """

    def __init__(
        self,
        connect: Connect,
        vendor: type[Vendor],
        *,
        budget: Budget | None = None,
        timing: Timing = TIMING,
        now: Callable[[], datetime] = utcnow,
        on_idle: Callable[[], object] = lambda: None,
        listener: Listener = SILENCE,
    ) -> None:
        self._listener = listener
        self._bounds = vendor.poll_seconds
        self._timing = timing
        self._now = now
        self._on_idle = on_idle
        self._loop = asyncio.get_running_loop()
        self._budget = budget or Budget(vendor.requests_per_minute)
        self._turns = Turns(self._budget, FIRST_PLACES)
        self._line = Line(connect)
        self._seconds = 0.0  # that an answer takes
        self.jobs = 0

    async def wait(self, watch: Watch, *, interval: float | None = None, on_news: OnNews | None = None) -> VideoJob:
        """Wait until the job is done, and return it finished.

        :param watch: The job, and when to stop.
        :param interval: The author's own seconds between two looks; None leaves it to what was learned.
        :param on_news: Told what a look brought, where that differs from the look before it.
        :raises VideoProviderError: what ended the wait otherwise.
        """
        self.jobs += 1
        try:
            waiting = self._arrived(watch, interval)
            try:
                last_call = random.uniform(*LAST_CALL)  # noqa: S311 # spreads load, keeps no secret
                async with asyncio.timeout_at(waiting.ends + last_call):
                    return await self._wait(waiting, on_news)
            except TimeoutError:  # the last look did not come about in time
                raise timed_out(waiting.watch) from None
        finally:
            self.jobs -= 1
            if not self.jobs:
                self._on_idle()
                self._turns.close()
                await self._line.close()

    async def _wait(self, waiting: _Waiting, on_news: OnNews | None) -> VideoJob:
        pause: float | None = self._first_pause(waiting)
        chance = partial(self._chance, waiting)
        while pause is not None:
            await self._turns.take(min(self._loop.time() + pause, waiting.ends), chance)
            pause = await self._look(waiting, on_news)
        return waiting.watch.job

    async def _look(self, waiting: _Waiting, on_news: OnNews | None) -> float | None:
        """Seconds until the next look; None where the job is done. What it saw is forgotten while thousands wait."""
        try:
            seen, opened = await self._ask(waiting.watch.job)
            waiting.watch, verdict = after(waiting.watch, seen, self._now())
            if verdict.reconnect and opened is not None:
                await self._line.renew(opened)
        finally:
            self._turns.give_back()
        self._note(waiting, seen, verdict)
        if on_news is not None and (news := _gist(seen)) != waiting.news:
            waiting.news = news
            on_news(seen)
        if verdict.error is not None:
            raise verdict.error
        if verdict.done is not None:
            return None
        if self._loop.time() >= waiting.ends:  # the wall clock may have been set back
            raise timed_out(waiting.watch)
        return self._pause(waiting, verdict)

    def _chance(self, waiting: _Waiting) -> float:
        now, born = self._loop.time(), waiting.born
        if now >= waiting.ends:
            return 2.0  # its last look comes before all others
        return self._timing.chance(waiting.model, waiting.asked - born, now - born)

    async def _ask(self, job: VideoJob) -> tuple[VideoJob | VideoProviderError, Opened | None]:
        requests = 0

        def count() -> None:
            nonlocal requests
            requests += 1

        opened = None
        seen: VideoJob | VideoProviderError
        try:
            async with asyncio.timeout(LONGEST_LOOK), self._line.use() as opened:
                self._budget.per_minute = opened.requests_per_minute
                self._turns.widen(self._places())
                begun = self._loop.time()
                seen = await opened.client.status(job, on_request=count)
                self._seconds += (self._loop.time() - begun - self._seconds) / 8
        except VideoProviderError as error:
            seen = error
        except TimeoutError:
            seen = VendorUnavailableError(f"No whole answer came within {LONGEST_LOOK:.0f} s.")
        now = self._loop.time()
        if requests != 1:  # the turn paid for one
            self._budget.spend(now, requests - 1)
        if requests:
            self._listener.polled(job.model)
        if isinstance(seen, RateLimitedError):
            self._listener.throttled(job.model)
            self._budget.refused(now, seen.retry_after)
        return seen, opened

    def _places(self) -> int:
        """How many polls may be under way at once, each on a connection of its own: what the budget sends while one
        answer comes, and as many again, because answers do not come evenly."""
        rate = min(self._budget.per_minute / 60, MOST_PER_SECOND)
        return max(FEWEST_PLACES, min(math.ceil(2 * rate * self._seconds), PLACES))

    def _arrived(self, watch: Watch, interval: float | None) -> _Waiting:
        now, wall = self._loop.time(), self._now()
        born = now - max(0.0, (wall - (watch.job.submitted_at or watch.started)).total_seconds())
        ends = now + max(0.0, (watch.deadline - wall).total_seconds())
        return _Waiting(watch, born, ends, interval, asked=born)

    def _first_pause(self, waiting: _Waiting) -> float:
        if waiting.interval is not None or waiting.watch.job.submitted_at is None:
            return 0.0
        pause = self._timing.first_look(waiting.model, self._loop.time() - waiting.born)
        if pause > 0.0:
            waiting.unfinished = waiting.born
        return pause

    def _pause(self, waiting: _Waiting, verdict: Verdict) -> float:
        shortest, _ = self._bounds
        if verdict.pause is not None:
            return self._timing.spread(max(verdict.pause, shortest))
        if waiting.interval is not None:
            return self._timing.spread(own_interval(waiting.interval))
        if waiting.silent:
            return self._timing.spread(min(shortest * 2 ** min(waiting.silent, 10), LONGEST_SILENCE))
        return self._timing.next_look(waiting.model, waiting.asked - waiting.born, self._bounds)

    def _note(self, waiting: _Waiting, seen: VideoJob | VideoProviderError, verdict: Verdict) -> None:
        now = waiting.asked = self._loop.time()
        waiting.silent = waiting.silent + 1 if isinstance(seen, VideoProviderError) else 0
        if verdict.done is not None:
            self._learn(waiting, verdict.done)
        elif isinstance(seen, VideoJob):
            waiting.unfinished = now

    def _learn(self, waiting: _Waiting, done: VideoJob) -> None:
        """Record how long it took: what the vendor says, as far as it fits what was seen."""
        latest = waiting.asked - waiting.born
        earliest = 0.0 if waiting.unfinished is None else waiting.unfinished - waiting.born
        if done.completed_at is not None and done.submitted_at is not None:
            took = (done.completed_at - done.submitted_at).total_seconds()
            self._timing.record(waiting.model, min(max(took, earliest), latest))
        elif waiting.unfinished is not None:
            self._timing.record(waiting.model, (earliest + latest) / 2)


def _gist(seen: VideoJob | VideoProviderError) -> str:
    return f"{seen.status} {seen.vendor_status}" if isinstance(seen, VideoJob) else type(seen).__name__


_pollers: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Hashable, Poller]] = WeakKeyDictionary()
#: Outlive the pollers: a vendor that has asked for a pause means the next job, too.
_budgets: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Hashable, Budget]] = WeakKeyDictionary()


def shared_poller(key: Hashable, connect: Connect, vendor: type[Vendor], *, listener: Listener = SILENCE) -> Poller:
    """The running event loop's poller for this key. Begin to wait on it before anything else happens.

    :param key: What tells one account from another: the connection's id and the vendor's.
    :param listener: Counts the polls of a new poller.
    """
    loop = asyncio.get_running_loop()
    known = _pollers.setdefault(loop, {})
    if key not in known:

        def forget() -> None:
            known.pop(key, None)
            if not known:
                _pollers.pop(loop, None)

        budget = _budgets.setdefault(loop, {}).setdefault(key, Budget(vendor.requests_per_minute))
        known[key] = Poller(connect, vendor, budget=budget, on_idle=forget, listener=listener)
    return known[key]
