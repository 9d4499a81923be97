"""The scheduler: jobs come due, and the next request goes to the one that is most likely done.

One timer serves all jobs. Nothing here is a task: a slot is taken and given back by the coroutine that polls.
"""

from __future__ import annotations

import asyncio
from heapq import heapify, heappop, heappush
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_video_providers.core.polling.rate_limiter import RateLimiter

#: Polls at the same time. Who waits stays out here, because an HTTP pool walks its queue on each request.
PLACES = 16
#: How many jobs are handled before the event loop gets to do something else.
BATCH = 500
#: While requests are short, the order is computed anew after a second; with many jobs less often.
RANKED_FOR = 1.0
RANKED_FOR_EACH = 0.001
#: Who has come due waits for others, so that polls come in bunches: seconds at most, and for each other job that waits. A loop that
#: wakes for one poll finds its code in no cache of the processor, and takes a quarter more CPU for it.
SLACK = 1.0
SLACK_FOR_EACH = 0.001


class Scheduler:
    """Hands out slots to poll, as the budget allows.

    :param budget: What the connection may send.
    :param places: How many polls may be under way at the same time.
    """

    def __init__(self, budget: RateLimiter, places: int = PLACES) -> None:
        self._limiter = budget
        self._places = self._free = places
        self._loop = asyncio.get_running_loop()
        self._numbers = count()
        self._later: list[tuple[float, int, Slot]] = []
        self._due: list[tuple[float, int, Slot]] = []
        self._unranked: list[tuple[float, int, Slot]] = []
        self._ranked_at = 0.0
        self._gone = 0
        self._timer: asyncio.TimerHandle | None = None

    async def take(self, due: float, chance: Callable[[], float]) -> None:
        """Wait for a slot; give it back with :meth:`give_back`.

        :param due: Not before this time of the event loop's clock.
        :param chance: How likely it is that the job is done; asked while requests are short.
        """
        await self.wait_for(self.enter(due, chance))

    def enter(self, due: float, chance: Callable[[], float]) -> Slot:
        """Ask for a slot, to be waited for with :meth:`wait_for`."""
        slot = Slot(self._loop.create_future(), chance)
        self._enter(slot, due)
        return slot

    def hurry(self, slot: Slot, due: float = 0.0) -> None:
        """It is due at this time already, by default at once; nothing where it has been granted."""
        if not slot.granted.done():
            slot.entries += 1
            self._enter(slot, due)

    async def wait_for(self, slot: Slot) -> None:
        """Wait until the slot is granted; give it back with :meth:`give_back`."""
        try:
            await slot.granted
        except asyncio.CancelledError:
            if slot.granted.cancelled():
                self._gone += slot.entries
                self._sweep()
            else:
                self.give_back()
            raise

    def _enter(self, slot: Slot, due: float) -> None:
        heappush(self._later, (due, next(self._numbers), slot))
        wake = due + self._slack()
        if self._timer is None or wake < self._timer.when():
            self._wake_at(wake)

    def _slack(self) -> float:
        return min(SLACK, SLACK_FOR_EACH * (len(self._later) - 1))

    def give_back(self) -> None:
        """The poll is over: somebody else may poll."""
        self._free += 1
        if self._due:
            self._hand_out(self._loop.time())

    def widen(self, places: int) -> None:
        """From now on so many polls may be under way at the same time."""
        more, self._places = places - self._places, places
        self._free += more
        if more > 0 and self._due:
            self._hand_out(self._loop.time())

    def close(self) -> None:
        """Nobody waits any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wake_at(self, when: float) -> None:
        self.close()
        self._timer = self._loop.call_at(when, self._wake)

    def _wake(self) -> None:
        """Put in order who has come due, and hand out slots. Nothing else puts in order: once in a round of the loop."""
        self._timer = None
        now = self._loop.time()
        self._collect(now)
        self._rank(now)
        self._hand_out(now)

    def _hand_out(self, now: float) -> None:
        while self._due and self._free > 0 and not self._unranked and self._limiter.next_at() <= now:
            slot = heappop(self._due)[2]
            if slot.granted.done():
                self._gone -= 1
                continue
            self._grant(slot, now)
        wakes = [self._later[0][0] + self._slack()] if self._later else []
        if self._unranked:
            wakes.append(now)
        elif self._due:
            wakes.append(self._next_ranking())
            if self._free > 0:  # without a free place, giving one back wakes the next
                wakes.append(self._limiter.next_at())
        if wakes and (self._timer is None or min(wakes) < self._timer.when()):
            self._wake_at(min(wakes))

    def _grant(self, slot: Slot, now: float) -> None:
        self._limiter.spend(now)
        self._free -= 1
        self._gone += slot.entries - 1
        slot.granted.set_result(None)

    def _collect(self, now: float) -> None:
        """Move those that have come due: a batch, the rest after the event loop had its slot."""
        for _ in range(BATCH):
            if not self._later or self._later[0][0] > now:
                return
            _, number, slot = heappop(self._later)
            if slot.granted.done():
                self._gone -= 1
            elif self._free > 0 and not self._due and not self._unranked and self._limiter.next_at() <= now:
                self._grant(slot, now)
            else:
                heappush(self._due, (-slot.chance(), number, slot))

    def _rank(self, now: float) -> None:
        """Ask all that are due for their chance anew, from time to time: a batch, then the event loop has its slot."""
        if not self._unranked and now >= self._next_ranking():
            self._ranked_at = now
            self._unranked, self._due = self._due, []
        for _ in range(min(BATCH, len(self._unranked))):
            _, number, slot = self._unranked.pop()
            if slot.granted.done():
                self._gone -= 1
            else:
                heappush(self._due, (-slot.chance(), number, slot))

    def _next_ranking(self) -> float:
        return self._ranked_at + RANKED_FOR + RANKED_FOR_EACH * len(self._due)

    def _sweep(self) -> None:
        if self._gone < 64 or 2 * self._gone < len(self._later) + len(self._due) + len(self._unranked):
            return
        for entries in (self._later, self._due, self._unranked):
            entries[:] = [entry for entry in entries if not entry[2].granted.done()]
            heapify(entries)
        self._gone = 0


class Slot:
    """A place among those that wait.

    :ivar entries: How often it stands there: once more each time that it is hurried.
    """

    __slots__ = ("chance", "entries", "granted")

    def __init__(self, granted: asyncio.Future[None], chance: Callable[[], float]) -> None:
        self.granted = granted
        self.chance = chance
        self.entries = 1
