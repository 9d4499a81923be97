"""What has come so far of one file, over all attempts: written, hashed and walked while it passes by."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from airflow_video_providers.core.errors import DownloadError, OutputRejectedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_video_providers.core.landing.media_info import MediaInfo
    from airflow_video_providers.core.landing.response_metadata import Representation
    from airflow_video_providers.core.landing.spool import Spool
    from airflow_video_providers.core.landing.verify import Inspects


class Interrupted(Exception):
    """This attempt failed, another one may not."""

    def __init__(self, what: str, reason: str, pause: float = 0.0) -> None:
        super().__init__(what)
        self.error = DownloadError(what, reason=reason, retry_after=pause or None)
        self.pause = pause


class NotThere(Exception):
    """The address serves nothing now.

    :param what: What it answered, as the end of a sentence.
    """

    def __init__(self, what: str, pause: float = 0.0) -> None:
        super().__init__(what)
        self.what = what
        self.pause = pause


class PartialDownload:
    """The bytes so far.

    :param spool: Where they are written.
    :param inspector: Makes what reads the file, for each beginning.
    :param max_bytes: More than this many are refused, before or while they come.
    """

    def __init__(self, spool: Spool, inspector: Callable[[], Inspects], max_bytes: int) -> None:
        self._spool = spool
        self._new_inspector = inspector
        self._max_bytes = max_bytes
        self.restart()

    def restart(self) -> None:
        """Forget everything, the next answer begins with the first byte."""
        self._spool.restart()
        self.size = 0
        self.total: int | None = None
        self.etag: str | None = None
        self._hashes = {"sha256": hashlib.sha256()}
        self._digests: dict[str, bytes] = {}
        self._inspector = self._new_inspector()

    def expect(self, described: Representation | None) -> None:
        """Take an answer's headers: does it go on where the last one broke off, or begin anew?"""
        goes_on = described is not None and described.start == self.size > 0 and described.etag == self.etag
        if goes_on and described is not None and described.total not in (None, self.total):
            goes_on = False
        if not goes_on and self.size:
            self.restart()
        if described is None or described.start != self.size:
            raise Interrupted("The server sent another part than it was asked for.", "http")
        self.etag, self.total = described.etag, described.total if described.total is not None else self.total
        if self.total is not None:
            if self.total > self._max_bytes:
                raise _too_large(self.total, self._max_bytes)
            self._spool.require_room(self.total - self.size)
        self._digests |= described.digests
        for name in described.digests:
            if self.size == 0:
                self._hashes.setdefault(name, hashlib.new(name, usedforsecurity=False))

    def add(self, chunk: bytes) -> None:
        """Take the next bytes."""
        if self.size + len(chunk) > self._max_bytes:
            raise _too_large(self.size + len(chunk), self._max_bytes)
        self._inspector.feed(chunk)
        for running in self._hashes.values():
            running.update(chunk)
        self._spool.write(chunk)
        self.size += len(chunk)

    def sha256(self) -> str:
        """The digest of what came, in hexadecimal."""
        return self._hashes["sha256"].hexdigest()

    def finish(self) -> MediaInfo:
        """The answer is over: is everything here, and is it what the server said?"""
        if self.total is not None and self.size != self.total:
            problem = Interrupted(f"{self.size} of {self.total} bytes came.", "network")
            if self.size > self.total:
                self.restart()
            raise problem
        for name, expected in self._digests.items():
            if name in self._hashes and self._hashes[name].digest() != expected:
                raise OutputRejectedError(
                    f"The {name} of what came is {self._hashes[name].hexdigest()}, and the server says "
                    f"{expected.hex()}.",
                    reason="digest",
                )
        return self._inspector.close()


def _too_large(size: int, limit: int) -> OutputRejectedError:
    return OutputRejectedError(
        f"The file has {size} bytes or more, and max_bytes is {limit}.",
        reason="too_large",
        remedy="Raise max_bytes if that is a sound size for this video.",
    )
