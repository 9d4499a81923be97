"""How much work something is, in CPU seconds of an ordinary machine, however slow this one is."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

#: CPU seconds for :func:`_known_work` on the machine on which the limits were written.
_ORDINARY = 0.08
_TRIES = 3


def bounded(seconds: float, work: Callable[[], T]) -> T:
    """What the work returns. Fails where it takes more than this, and does so again and again.

    Only where it does is this machine measured: a neighbour may have had the processor's caches, or half of its clock.

    :param seconds: CPU seconds of an ordinary machine.
    """
    for _ in range(_TRIES):
        began = time.process_time()
        done = work()
        spent = time.process_time() - began
        if spent <= seconds or spent <= seconds * _slowness():
            return done
    raise AssertionError(
        f"{spent:.2f} CPU seconds, where {seconds} are allowed, {_slowness():.1f} times on this machine"
    )


def _slowness() -> float:
    """How many times slower this machine is than an ordinary one, now."""
    began = time.process_time()
    _known_work()
    return max(1.0, (time.process_time() - began) / _ORDINARY)


def _known_work() -> int:
    found: dict[int, int] = {}
    for number in range(400_000):
        found[number & 1023] = found.get(number & 1023, 0) + number
    return sum(found.values())
