"""Await what must not be broken off in the middle."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")


async def uncancelled(
    work: Coroutine[object, object, T],
    *,
    on_cancel: Callable[[], object] = lambda: None,
    late: Callable[[T], object] = lambda _: None,
) -> T:
    """What ``work`` returns. A cancellation is raised when ``work`` has ended, and not before.

    :param on_cancel: Called when the cancellation comes, to make ``work`` end soon.
    :param late: Called with what ``work`` returned after the cancellation, which nobody else will see.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError as cancelled:
        on_cancel()
        while not task.done():
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError:  # asked again; the answer is the same
                continue
        if not task.cancelled():
            if (error := task.exception()) is not None:
                raise cancelled from error
            late(task.result())
        raise
