"""Several outputs of one job at the same time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")


class Stop:
    """Ends what runs in another thread, as soon as it may end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._set = False
        self._calls: list[Callable[[], None]] = []

    def now(self) -> None:
        """Stop what runs, and what begins after this."""
        with self._lock:
            self._set = True
            calls = list(self._calls)
        for call in calls:
            call()

    def calls(self, stop: Callable[[], None]) -> None:
        """Have ``stop`` called: at once, where it is time already."""
        with self._lock:
            self._calls.append(stop)
            late = self._set
        if late:
            stop()


def in_threads(count: int, threads: int, work: Callable[[int], _T], stop: Callable[[], None]) -> list[_T]:
    """Do ``work`` for each index, and end all of it where one fails.

    :param stop: Called where one failed, so that the others end soon.
    """
    if count == 1:
        return [work(0)]
    pool = ThreadPoolExecutor(min(threads, count), thread_name_prefix="landing")
    try:
        futures = [pool.submit(work, index) for index in range(count)]
        for done in as_completed(futures):
            done.result()  # the first failure is the one to report
        return [future.result() for future in futures]
    except BaseException:
        stop()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
