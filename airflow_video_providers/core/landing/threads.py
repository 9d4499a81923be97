"""Several outputs of one job at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")


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
            done.result()  # the first failure is the one to tell
        return [future.result() for future in futures]
    except BaseException:
        stop()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
