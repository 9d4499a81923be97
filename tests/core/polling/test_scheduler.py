"""Whose turn it is, with thousands waiting."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, cast

from airflow_video_providers.core.polling.rate_limiter import RateLimiter
from airflow_video_providers.core.polling.scheduler import BATCH, SLACK, Scheduler
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


def test_the_more_wait_the_more_come_together() -> None:
    """Polls come in bunches, and nobody waits for others longer than is said."""

    async def main(jobs: int) -> tuple[int, float]:
        loop = asyncio.get_running_loop()
        began, taken = loop.time(), list[tuple[float, float]]()
        scheduler = Scheduler(RateLimiter(1_000_000), places=jobs)

        async def one(due: float) -> None:
            await scheduler.take(due, lambda: 0.5)
            taken.append((loop.time(), due))

        await asyncio.gather(*(one(began + 10 * number / jobs) for number in range(jobs)))
        scheduler.close()
        return len({at for at, _ in taken}), max(at - due for at, due in taken)

    bunches, longest = run_virtually(main(2000))
    assert bunches <= 40
    assert SLACK / 2 < longest <= SLACK
    bunches, longest = run_virtually(main(10))
    assert bunches == 10
    assert longest <= 0.01


def test_who_is_hurried_waits_for_no_others() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        scheduler = Scheduler(RateLimiter(1_000_000), places=10)
        slots = [scheduler.enter(began + 600, lambda: 0.5) for _ in range(2000)]
        scheduler.hurry(slots[7])
        await scheduler.wait_for(slots[7])
        scheduler.close()
        return loop.time() - began

    assert run_virtually(main()) == 0
