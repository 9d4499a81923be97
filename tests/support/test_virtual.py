"""The clock of the unit tests: it jumps where a loop would sleep, and nowhere else."""

from __future__ import annotations

import asyncio
import threading

from tests.support.virtual import run_virtually


def test_the_clock_stands_still_while_a_thread_of_the_loop_works():
    started = threading.Event()

    async def main() -> float:
        loop = asyncio.get_running_loop()
        before, timer = loop.time(), asyncio.create_task(asyncio.sleep(0.5))
        await asyncio.to_thread(started.wait, 0.05)
        after = loop.time()
        await timer
        return after - before

    assert run_virtually(main()) == 0


def test_it_jumps_to_the_next_timer_where_nothing_works():
    async def main() -> float:
        loop = asyncio.get_running_loop()
        before = loop.time()
        await asyncio.sleep(3600)
        return loop.time() - before

    assert run_virtually(main()) == 3600
