"""Bring one file from an address that somebody else named into a spool, whole, or say why not.

The connection is guarded (see ``address``) and carries no credentials; redirects are followed by hand, each
checked. A broken connection is resumed where the server vouches with a strong validator that the file is the
same, and begun anew otherwise. Digests and the container are checked while the bytes pass by.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpcore

from airflow_video_providers.exceptions import DownloadError, OutputExpiredError, OutputRejectedError
from airflow_video_providers.landing.address import checked_url, guarded_pool
from airflow_video_providers.landing.received import Interrupted, Received
from airflow_video_providers.landing.representation import Gunzip, by_name, read_headers, retry_after
from airflow_video_providers.redact import public_url

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from airflow_video_providers.landing.container import MediaInfo
    from airflow_video_providers.landing.sources import Source
    from airflow_video_providers.landing.spool import Spool

_GONE = (401, 403, 404, 410)
_TRANSIENT = (408, 421, 425, 429, 500, 502, 503, 504)
_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 5
_MOST_ATTEMPTS = 30
_FRUITLESS_ATTEMPTS = 6
_LONGEST_PAUSE = 30.0
_PROGRESS_EVERY = 10.0
_WORTH_ANOTHER_LOOK = ("truncated", "digest")


@dataclass(frozen=True)
class Fetched:
    """What came."""

    size: int
    sha256: str
    media: MediaInfo


@dataclass
class Fetcher:
    """Downloads, with one pool of guarded connections.

    :param allowed: Hosts that may be private and speak plain http.
    :param media_types: The accepted types.
    :param max_bytes: No file may be larger.
    :param deadline: On ``clock``; after it nothing is tried any more.
    :param read_timeout: Seconds without a byte before a connection counts as broken.
    """

    allowed: frozenset[str]
    media_types: Collection[str]
    max_bytes: int
    deadline: float
    connections: int
    read_timeout: float = 60.0
    log: logging.Logger = field(default_factory=lambda: logging.getLogger(__name__))
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] | None = None

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._pool = guarded_pool(self.allowed, self.connections)

    def stop(self) -> None:
        """Let every download under way end soon: another one failed, or the task was told to stop."""
        self._stop.set()

    def close(self) -> None:
        """Let go of the connections."""
        self._pool.close()

    def fetch(self, source: Source, spool: Spool) -> Fetched:
        """Download one file.

        :raises OutputExpiredError: if the address no longer answers and there is no fresh one.
        :raises OutputRejectedError: if what came is not a whole video of an accepted type.
        :raises DownloadError: if the network, the disk or the time does not allow it.
        """
        received = Received(spool, self.media_types, self.max_bytes)
        fruitless, furthest, looked_again = 0, 0, False
        for _ in range(_MOST_ATTEMPTS):
            pause = 0.0
            try:
                with self._answer(source.url, received) as response:
                    self._take(response, received)
                media = received.finish()
            except _AddressGone as gone:
                source.renew(gone.status)
                failure: DownloadError = gone.error
            except Interrupted as interrupted:
                failure, pause = interrupted.error, interrupted.pause
            except OutputRejectedError as rejected:
                if rejected.reason not in _WORTH_ANOTHER_LOOK or looked_again:
                    raise
                failure, looked_again = rejected, True
                received.restart()
            else:
                return Fetched(received.size, received.sha256(), media)
            fruitless = 0 if received.size > furthest else fruitless + 1
            furthest = max(furthest, received.size)
            if fruitless >= _FRUITLESS_ATTEMPTS:
                break
            self._pause(pause or min(_LONGEST_PAUSE, 0.5 * 2**fruitless), failure)
        raise failure

    def copy(self, pieces: Iterable[bytes], spool: Spool) -> Fetched:
        """Take a file that is landed already through the same checks, without asking the vendor.

        :raises OutputRejectedError: if it is not a whole video of an accepted type.
        """
        received = Received(spool, self.media_types, self.max_bytes)
        for piece in pieces:
            received.add(piece)
            self._check_stop()
        media = received.finish()
        return Fetched(received.size, received.sha256(), media)

    def _pause(self, seconds: float, failure: DownloadError) -> None:
        seconds *= random.uniform(0.75, 1.25)  # noqa: S311 - spreads retries, hides nothing
        if self.clock() + seconds > self.deadline:
            raise DownloadError(f"The time for the download is over. Last: {failure.what}", reason="timeout")
        self.log.warning("%s Going on in %.1f s.", failure.what, seconds)
        (self.sleep or self._stop.wait)(seconds)
        self._check_stop()

    def _check_stop(self) -> None:
        if self._stop.is_set():
            raise DownloadError("The download was stopped.", reason="stopped")

    @contextmanager
    def _answer(self, url: str, received: Received) -> Iterator[httpcore.Response]:
        """Open the stream behind an address and its redirects."""
        headers: list[tuple[str, str | bytes]] = [
            ("Accept", "*/*"),
            ("Accept-Encoding", "identity"),
            ("User-Agent", "airflow-video-providers"),
        ]
        if received.size and received.etag:
            headers += [("Range", f"bytes={received.size}-"), ("If-Range", received.etag)]
        timeout = {"connect": 15.0, "pool": None, "read": self.read_timeout, "write": 15.0}
        for _ in range(_MOST_REDIRECTS + 1):
            target = checked_url(url, self.allowed)
            try:
                sent: list[tuple[str | bytes, str | bytes]] = [("Host", _host_header(target)), *headers]
                with self._pool.stream("GET", target, headers=sent, extensions={"timeout": timeout}) as response:
                    if response.status not in _REDIRECTS:
                        yield response
                        return
                    location = by_name(response.headers).get("location")
            except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as broken:
                raise Interrupted(
                    f"The connection to {public_url(url)} broke after {received.size} bytes "
                    f"({type(broken).__name__}: {broken}).",
                    "network",
                ) from broken
            if location is None:
                raise OutputRejectedError(f"{public_url(url)} redirects to nowhere.", reason="redirects")
            # checked as a whole by the next turn, and here against its base: a relative one has no scheme
            url = _absolute(checked_url(location, self.allowed, base=url))
        raise OutputRejectedError(f"More than {_MOST_REDIRECTS} redirects.", reason="redirects")

    def _take(self, response: httpcore.Response, received: Received) -> None:
        headers, status = by_name(response.headers), response.status
        if status in _GONE:
            raise _AddressGone(status)
        if status == 416:
            received.restart()
            raise Interrupted("The server has fewer bytes than it had.", "http")
        if status not in (200, 206):
            pause = min(retry_after(headers), 2 * _LONGEST_PAUSE)
            error = Interrupted(f"The server answered {status}.", "http", pause)
            raise error if status in _TRANSIENT else error.error
        encoding = headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("identity", "gzip", "x-gzip"):
            raise OutputRejectedError(
                f"The file came encoded as {encoding!r}, though it was asked for as it is.", reason="content_encoding"
            )
        gunzip = None if encoding == "identity" else Gunzip()
        received.expect(read_headers(status, headers) if gunzip is None else gunzip.described(status))
        last_word = self.clock()
        for chunk in response.iter_stream():
            for piece in (chunk,) if gunzip is None else gunzip.pieces(chunk):
                received.add(piece)
            now = self.clock()
            if now > self.deadline:
                raise DownloadError(f"The time for the download is over after {received.size} bytes.", reason="timeout")
            self._check_stop()
            if now - last_word >= _PROGRESS_EVERY:
                last_word = now
                of = (
                    f" of {received.total / 1e6:.1f} MB ({received.size / received.total:.0%})"
                    if received.total
                    else " MB"
                )
                self.log.info("Downloaded %.1f%s.", received.size / 1e6, of)
        if gunzip is not None and not gunzip.whole:
            raise Interrupted(f"The compressed file is cut after {received.size} bytes.", "network")


class _AddressGone(Exception):
    """The address answers as one that ran out."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status
        self.error = OutputExpiredError(f"The output's address answered {status}.", reason="expired")


def _host_header(url: httpcore.URL) -> bytes:
    host = b"[" + url.host + b"]" if b":" in url.host else url.host
    return host if url.port is None else host + b":" + str(url.port).encode()


def _absolute(url: httpcore.URL) -> str:
    return f"{url.scheme.decode()}://{_host_header(url).decode()}{url.target.decode()}"
