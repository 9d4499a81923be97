"""Fetch one file from an address that somebody else named into a spool, whole, or say why not.

The connection is guarded (see ``address``) and carries no credentials; redirects are followed by hand, each
checked. The one exception is an output that needs the key: its address is the vendor's own, and no redirect gets the key.
A broken connection is resumed where the server vouches with a strong validator that the file is the
same, and begun anew otherwise. Digests and the container are checked while the bytes pass by.
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import httpcore

from airflow_video_providers.core.border import printable
from airflow_video_providers.core.errors import DownloadError, OutputRejectedError
from airflow_video_providers.core.jobs import VideoOutput
from airflow_video_providers.core.landing.address import guarded_pool, shown
from airflow_video_providers.core.landing.follow import followed
from airflow_video_providers.core.landing.pacing import Pace
from airflow_video_providers.core.landing.partial_download import Interrupted, NotThere, PartialDownload
from airflow_video_providers.core.landing.patience import PATIENCE, Patience, spread
from airflow_video_providers.core.landing.response_metadata import Decoding, by_name, retry_after
from airflow_video_providers.core.landing.user_agent import USER_AGENT
from airflow_video_providers.core.landing.verify import inspector_for
from airflow_video_providers.core.redact import public_text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from airflow_video_providers.core.landing.media_info import MediaInfo
    from airflow_video_providers.core.landing.output_urls import OutputUrl
    from airflow_video_providers.core.landing.spool import Spool

#: Answers of a server that is busy or broken; all other errors say that the address serves nothing now.
_TRANSIENT = (408, 416, 421, 429)
_LONGEST_PAUSE = 30.0
_PROGRESS_EVERY = 10.0
_DOUBTFUL = ("truncated", "malformed", "digest")
#: Seconds from a request to the last of its answer's headers.
HEAD = 60.0
#: Seconds of waiting without a byte, or without progress.
QUIET = 60.0


#: What a file is that nothing else is known of.
A_VIDEO = VideoOutput(url="")


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
    :param deadline: On ``clock``; after it nothing is tried or waited for any more.
    :param read_timeout: Seconds without a byte, or without progress, before a connection counts as broken.
    :param head_timeout: Seconds from a request to the end of its answer's headers.
    :param patience: Seconds for which an address may serve nothing.
    :param user_agent: What the file host is sent as User-Agent.
    """

    allowed: frozenset[str]
    media_types: Collection[str]
    max_bytes: int
    deadline: float
    connections: int
    read_timeout: float = field(default_factory=lambda: QUIET)
    head_timeout: float = field(default_factory=lambda: HEAD)
    patience: float | None = None
    user_agent: str = USER_AGENT
    log: logging.Logger = field(default_factory=lambda: logging.getLogger(__name__))
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] | None = None
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._pace = Pace(self.deadline, self.clock, self.head_timeout, self.read_timeout)
        self._pool = guarded_pool(self.allowed, self.connections, self._pace)

    def stop(self) -> None:
        """Let every download under way end soon: another one failed, or the task was stopped."""
        self._stop.set()

    def close(self) -> None:
        """Let go of the connections."""
        self._pool.close()

    def fetch(self, source: OutputUrl, spool: Spool) -> Fetched:
        """Download one file.

        :raises OutputExpiredError: if the output is lost.
        :raises OutputRejectedError: if what came is not a whole video of an accepted type, or what else its role promises.
        :raises DownloadError: if the network, the file host, the disk or the time does not allow it now.
        """
        received = self._begin(source.output, spool)
        patience = Patience(PATIENCE if self.patience is None else self.patience, self.clock)
        while True:
            try:
                with self._answer(source, received) as response:
                    self._take(response, received)
                media = received.finish()
            except NotThere as missing:
                self._wait_for(source, missing, patience)
            except Interrupted as broken:
                self._pause(patience.broken(received.size), broken.error, broken.pause)
            except OutputRejectedError as rejected:
                self._check_again(rejected, received, patience)
            else:
                return Fetched(received.size, received.sha256(), media)

    def _wait_for(self, source: OutputUrl, missing: NotThere, patience: Patience) -> None:
        pause = patience.missing()
        first = patience.missing_times == 1
        if source.renew(missing.what) and first:
            self.log.info("The output's address %s; the vendor named a fresh one.", missing.what)
            return
        if pause is None:
            source.not_there(missing.what, patience.missing_for)
        failure = DownloadError(f"The output's address {missing.what}: not there yet.", reason="not_there")
        self._pause(pause, failure, missing.pause)

    def _check_again(self, rejected: OutputRejectedError, received: PartialDownload, patience: Patience) -> None:
        """A file that is cut may still be growing, and a page, or nothing, may have come in the place of the video."""
        if rejected.reason in ("not_a_video", "truncated") and not rejected.keep:
            # a file host's own error page; the file may be there later
            self._pause(patience.page(), rejected.replace(retryable=True))
        elif rejected.reason in _DOUBTFUL:
            pause = patience.doubtful(received.sha256())
            if pause is None and patience.changing:
                raise DownloadError(
                    f"The file is still changing at the vendor. Last: {rejected.what}", reason="changing"
                ) from rejected
            self._pause(pause, rejected)
        else:
            raise rejected
        received.restart()

    def _begin(self, output: VideoOutput, spool: Spool) -> PartialDownload:
        return PartialDownload(spool, lambda: inspector_for(output, self.media_types), self.max_bytes)

    def copy(self, pieces: Iterable[bytes], spool: Spool, output: VideoOutput = A_VIDEO) -> Fetched:
        """Take a file that is landed already through the same checks, without asking the vendor.

        :param output: What it has to be.
        :raises OutputRejectedError: if it is not a whole video of an accepted type, or what else its role promises.
        """
        received = self._begin(output, spool)
        for piece in pieces:
            received.add(piece)
            self._check_stop()
        media = received.finish()
        return Fetched(received.size, received.sha256(), media)

    def _pause(self, seconds: float | None, failure: DownloadError, asked: float = 0.0) -> None:
        """Wait, at least as long as the server asked for within reason.

        :param seconds: None: no more.
        """
        if seconds is None:
            raise failure
        seconds = min(asked, 2 * _LONGEST_PAUSE) if asked else min(seconds, _LONGEST_PAUSE)
        seconds = spread(seconds)
        if self.clock() + seconds > self.deadline:
            raise DownloadError(f"The time for the download is over. Last: {failure.what}", reason="timeout")
        self.log.warning("%s Going on in %.1f s.", failure.what, seconds)
        (self.sleep or self._stop.wait)(seconds)
        self._check_stop()

    def _check_stop(self) -> None:
        if self._stop.is_set():
            raise DownloadError("The download was stopped.", reason="stopped")

    @contextmanager
    def _answer(self, source: OutputUrl, received: PartialDownload) -> Iterator[httpcore.Response]:
        """Open the stream behind an address and its redirects."""
        headers = [("Accept", "*/*"), ("Accept-Encoding", "identity"), ("User-Agent", self.user_agent)]
        if received.size and received.etag:
            headers += [("Range", f"bytes={received.size}-"), ("If-Range", received.etag)]
        try:
            with followed(
                self._pool, source.url, headers, self.allowed, self._pace, self.read_timeout, source.key
            ) as response:
                yield response
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as broken:
            self._check_deadline(received)
            raise Interrupted(
                f"The connection to {shown(source.url)} broke after {received.size} bytes "
                f"({type(broken).__name__}: {printable(public_text(str(broken)))}).",
                "network",
            ) from broken

    def _take(self, response: httpcore.Response, received: PartialDownload) -> None:
        headers, status = by_name(response.headers), response.status
        pause = retry_after(headers, self.now())
        if status == 416:
            received.restart()
            raise Interrupted("The server has fewer bytes than it had.", "http", pause)
        if status in _TRANSIENT or status >= 500:
            raise Interrupted(f"The server answered {status}.", "http", pause)
        if status not in (200, 206):
            raise NotThere(f"answered {status}", pause)
        decoding = Decoding(headers.get("content-encoding", ""))
        received.expect(decoding.described(status, headers))
        last_word = self.clock()
        for chunk in response.iter_stream():
            for piece in decoding.pieces(chunk):
                received.add(piece)
            now = self.clock()
            self._check_deadline(received)
            self._check_stop()
            if now - last_word >= _PROGRESS_EVERY:
                last_word = now
                of = (
                    f" of {received.total / 1e6:.1f} MB ({received.size / received.total:.0%})"
                    if received.total
                    else " MB"
                )
                self.log.info("Downloaded %.1f%s.", received.size / 1e6, of)
        if not decoding.whole:
            raise Interrupted(f"The compressed file is cut after {received.size} bytes.", "network")

    def _check_deadline(self, received: PartialDownload) -> None:
        if self.clock() > self.deadline:
            raise DownloadError(f"The time for the download is over after {received.size} bytes.", reason="timeout")
