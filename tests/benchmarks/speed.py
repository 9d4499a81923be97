"""CPU time on a machine that others share: measured together with how fast the machine is at that moment."""

from __future__ import annotations

import asyncio
import random
import time
from statistics import median

#: A walk through integers. It makes nothing that the garbage collector counts.
_TABLE = list(range(1000, 11_000))
_WALK = random.Random(1).sample(range(len(_TABLE)), len(_TABLE))  # noqa: S311 # keeps no secret
#: Seconds of CPU that the yardstick took when the process began: what it takes later is told in shares of it.
_first: list[float] = []


class Meter:
    """The CPU seconds of this process between its making and :meth:`read`, at the speed that the process began with.

    Four times a second it times the same short work. Where that takes twice as long, because another tenant of the
    machine has the other half of the core or the clock is lower, everything does: the time is halved. Without that, two
    windows a minute apart were seen to differ by half with nothing changed.
    """

    def __init__(self) -> None:
        if not _first:
            _first.append(median(_yardstick() for _ in range(50)))
        self._sticks = [_yardstick()]
        self._own = 0.0
        self._task = asyncio.create_task(self._sample())
        self._began = time.process_time()

    async def _sample(self) -> None:
        while True:
            await asyncio.sleep(0.25)
            began = time.thread_time()
            self._sticks.append(_yardstick())
            self._own += time.thread_time() - began

    def read(self) -> float:
        """Stop, and tell."""
        spent = time.process_time() - self._began - self._own
        self._task.cancel()
        return spent * _first[0] / median(self._sticks)


def _yardstick() -> float:
    """CPU seconds of the same work, the caches filled: how much this process has put out of them is its own cost."""
    _walk()
    began = time.thread_time()
    _walk()
    return time.thread_time() - began


def _walk() -> None:
    total = 0
    for place in _WALK:
        total += _TABLE[place]
