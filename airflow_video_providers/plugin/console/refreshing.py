"""Keeping the index up to date, a slice at a time, so that no page waits for all of a ledger."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from airflow_video_providers.core.errors import LedgerError
from airflow_video_providers.core.purchase.stores.base import readable
from airflow_video_providers.plugin.console.feeds import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_video_providers.plugin.console.feeds import Feed
    from airflow_video_providers.plugin.console.index import Index

#: Seconds between two slices that no page waits for, in which the server does other things.
_PAUSE = 0.25


def in_background(step: Callable[[], bool]) -> None:
    """Go on in a thread until nothing is left: a ledger that was never read takes many slices."""

    def go_on() -> None:
        with suppress(LedgerError):  # the next page finds it, and says so
            while True:
                time.sleep(_PAUSE)
                if not step():
                    return

    threading.Thread(target=go_on, name="video-ledger-index", daemon=True).start()


class Refreshing:
    """Pages ask for it, and wait for one slice at most.

    :param go_on: What runs the rest, a step at a time, until a step says that none is left.
    """

    def __init__(
        self, feed: Feed, index: Index, clock: Callable[[], float], go_on: Callable[[Callable[[], bool]], None]
    ) -> None:
        self._feed = feed
        self._index = index
        self._clock = clock
        self._go_on = go_on
        self._refreshed = 0.0
        self._lock = threading.Lock()
        self._walk: Iterator[Progress] | None = None
        self._progress: Progress | None = None
        self._going_on = False

    def refresh(self, *, now: bool = False) -> None:
        """Update the index, unless it has just been; one slice of it, and the rest goes on without the caller.

        :param now: Even then.
        :raises LedgerError: the ledger cannot be read.
        """
        with self._lock:
            if self._going_on or not (now or self._clock() - self._refreshed >= self._feed.fresh_for):
                return
            self._going_on = self._step()
            if self._going_on:
                self._go_on(self._later)

    def _later(self) -> bool:
        with self._lock:
            self._going_on = False  # also where the step fails: then the next page begins anew
            self._going_on = self._step()
            return self._going_on

    def _step(self) -> bool:
        """One slice; True where more is left."""
        walk = self._walk or self._feed.slices(self._index)
        self._walk = None
        try:
            with readable("read"):
                progress = next(walk, None)
        except BaseException:
            self._progress = None
            raise
        self._progress = progress  # in one step: pages read it meanwhile
        if progress is None:
            self._refreshed = self._clock()
            return False
        self._walk = walk
        return True

    @property
    def unread(self) -> str | None:
        """What of the ledger is not in the answers yet, for people; None where they hold all of it."""
        match self._progress:
            case None | Progress(0, None):
                return None
            case Progress(found, None):
                return f"Reading the ledger: {found:,} new records are found so far, and none of them is shown yet."
            case Progress(done, total):
                return f"Reading the ledger, {done:,} of {total:,} new records: the others are not shown yet."
