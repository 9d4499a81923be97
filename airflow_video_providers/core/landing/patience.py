"""When a download that did not work is tried again, and when not any more.

Three kinds of failure, each with its own end: a connection that breaks is left after a few tries without a byte
more; an address that serves nothing *yet*, while the vendor says that the job is finished, is asked for minutes;
a file that came whole and is none is fetched again while it may still be growing.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

#: Seconds for which an address may serve nothing before the task fails, to be retried: file hosts lag behind the
#: vendor's word by seconds, and were seen to lag by minutes.
PATIENCE = 300.0
_MOST_ATTEMPTS = 30
_FRUITLESS_ATTEMPTS = 6
_MOST_PAGES = 6
_SAME_TWICE = 3


@dataclass
class Patience:
    """The memory of one download.

    :param seconds: For how long an address may serve nothing, or a file go on changing.
    :param clock: Seconds.
    """

    seconds: float
    clock: Callable[[], float]
    _attempts: int = 0
    _fruitless: int = 0
    _furthest: int = 0
    _missing_since: float | None = None
    missing_times: int = 0
    _pages: int = 0
    _tries: list[str] = field(default_factory=list)

    def broken(self, size: int) -> float | None:
        """A connection broke, or a server was busy, with ``size`` bytes here. Seconds to wait; None: give up."""
        self._attempts += 1
        self._fruitless = 0 if size > self._furthest else self._fruitless + 1
        self._furthest = max(self._furthest, size)
        if self._fruitless >= _FRUITLESS_ATTEMPTS or self._attempts >= _MOST_ATTEMPTS:
            return None
        return 0.5 * float(2**self._fruitless)

    def missing(self) -> float | None:
        """The address serves nothing. Seconds to wait; None: give up."""
        now = self.clock()
        if self._missing_since is None:
            self._missing_since = now
        self.missing_times += 1
        if now - self._missing_since >= self.seconds or self.missing_times > _MOST_ATTEMPTS:
            return None
        return float(2 ** min(self.missing_times - 1, 10))

    def page(self) -> float | None:
        """A text came in the place of the video. Seconds to wait; None: give up."""
        self._pages += 1
        return None if self._pages >= _MOST_PAGES else float(2 ** (self._pages - 1))

    def doubtful(self, sha256: str) -> float | None:
        """A file came that is not whole in itself. Seconds to wait; None: it is what it is."""
        self._tries.append(sha256)
        if self._tries[-_SAME_TWICE:].count(sha256) >= _SAME_TWICE:
            return None
        return self.missing() if self.changing else 1.0 if len(self._tries) == 1 else 5.0

    @property
    def missing_for(self) -> float:
        """Seconds since the address served nothing for the first time."""
        return 0.0 if self._missing_since is None else self.clock() - self._missing_since

    @property
    def changing(self) -> bool:
        """Was the doubtful file another one before?"""
        return len(set(self._tries[-_SAME_TWICE:])) > 1


def spread(seconds: float) -> float:
    """A pause, a little off, so that many tasks do not come back at the same moment."""
    return seconds * random.uniform(0.75, 1.25)  # noqa: S311 - spreads retries, hides nothing
