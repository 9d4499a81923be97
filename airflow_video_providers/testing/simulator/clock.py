"""The simulator's own time: it runs with the wall clock, can be pushed forward, or stands still."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime


class Clock:
    """Seconds since the epoch, as the simulated vendors see them.

    :param frozen: Time moves by :meth:`advance` only.
    """

    def __init__(self, *, frozen: bool = False) -> None:
        self.frozen = frozen
        self._offset = 0.0
        self._started = time.time()
        self._monotonic = time.monotonic()
        self._moved = asyncio.Event()

    def now(self) -> float:
        """The simulated time; never runs backwards, whatever happens to the machine's clock."""
        elapsed = 0.0 if self.frozen else time.monotonic() - self._monotonic
        return self._started + elapsed + self._offset

    def freeze(self, frozen: bool) -> None:
        """Stop the clock, or let it run on from where it stands."""
        now = self.now()
        self.frozen, self._started, self._offset, self._monotonic = frozen, now, 0.0, time.monotonic()
        self._wake()

    def resume(self, now: float, ahead: float) -> None:
        """Go on from a clock that was stopped: a frozen one stands where it stood, any other has run meanwhile.

        :param now: What it said.
        :param ahead: How far that was ahead of the wall clock.
        """
        self._started = now if self.frozen else max(now, time.time() + ahead)
        self._offset, self._monotonic = 0.0, time.monotonic()
        self._wake()

    def advance(self, seconds: float) -> None:
        """Push time forward.

        :raises ValueError: if ``seconds`` is negative.
        """
        if seconds < 0:
            raise ValueError("Time only moves forward.")
        self._offset += seconds
        self._wake()

    def _wake(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()

    async def sleep_until(self, moment: float) -> None:
        """Return when the simulated time has come; at once when the clock is frozen."""
        while not self.frozen and (left := moment - self.now()) > 0:
            try:
                await asyncio.wait_for(self._moved.wait(), left)
            except TimeoutError:
                continue


def iso_millis(moment: float) -> str:
    """``2026-05-22T13:17:32.110Z``"""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
