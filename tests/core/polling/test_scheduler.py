"""Whose turn it is, with thousands waiting."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, cast

from airflow_video_providers.core.polling.rate_limiter import RateLimiter
from airflow_video_providers.core.polling.scheduler import BATCH, Scheduler
from tests.support.virtual import VirtualLoop, run_virtually

if TYPE_CHECKING:
    from collections.abc import Callable

MANY = 5000


def waiting(turns: Scheduler, chances: list[Callable[[], float]]) -> list[asyncio.Task[None]]:
    """All of them due now."""
    return [asyncio.create_task(turns.take(asyncio.get_running_loop().time(), chance)) for chance in chances]


def test_putting_thousands_in_order_lets_the_event_loop_come_round() -> None:
    async def main() -> Counter[int]:
        loop = cast("VirtualLoop", asyncio.get_running_loop())
        asked: Counter[int] = Counter()

        def chance() -> float:
            asked[loop.round] += 1
            return 0.5

        turns = Scheduler(RateLimiter(60))
        tasks = waiting(turns, [chance] * MANY)
        await asyncio.sleep(20)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        turns.close()
        return asked

    asked = run_virtually(main())
    assert sum(asked.values()) > 3 * MANY, "the order was not computed anew"
    assert max(asked.values()) <= 2 * BATCH


def test_one_of_thousands_whose_chance_has_risen_is_next() -> None:
    async def main() -> tuple[bool, bool]:
        loop = asyncio.get_running_loop()
        began = loop.time()
        turns = Scheduler(RateLimiter(60))
        tasks = waiting(turns, [lambda: 0.1] * MANY)
        (one,) = waiting(turns, [lambda: 0.9 if loop.time() > began + 10 else 0.0])
        await asyncio.sleep(10)
        before = one.done()
        await asyncio.sleep(10)
        after = one.done()
        for task in [*tasks, one]:
            task.cancel()
        await asyncio.gather(*tasks, one, return_exceptions=True)
        turns.close()
        return before, after

    assert run_virtually(main()) == (False, True)


def test_while_all_places_are_taken_the_order_is_kept_up() -> None:
    """The place that comes free goes to the one whose chance has risen meanwhile."""

    async def main() -> str:
        loop = asyncio.get_running_loop()
        began = loop.time()
        turns = Scheduler(RateLimiter(6000), places=1)
        await turns.take(began, lambda: 0.0)
        early, late = waiting(turns, [lambda: 0.5, lambda: 0.9 if loop.time() > began + 5 else 0.1])
        await asyncio.sleep(10)
        turns.give_back()
        done, others = await asyncio.wait([early, late], return_when=asyncio.FIRST_COMPLETED)
        for task in others:
            task.cancel()
        turns.close()
        return "late" if late in done else "early"

    assert run_virtually(main()) == "late"
