"""How long one request of a download may take, whatever trickles in.

A time-out per read does not bound anything: a server that sends one byte in time, or one interim answer after the
other, holds a worker for ever. Here every wait on a socket is cut to what is left of the whole: until the headers
are there, then until the next piece of a size that means progress, and never past the landing's deadline.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import httpcore

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

#: So many bytes must come in each ``quiet`` seconds of a body, or the connection counts as broken.
PROGRESS = 64 * 1024


class Pace(threading.local):
    """What is left for the request of this thread.

    :param deadline: On ``clock``; nothing goes on after it.
    :param clock: Seconds.
    :param head: Seconds from the beginning of a request to the last of its answer's headers.
    :param quiet: Seconds of waiting in which a body must carry :data:`PROGRESS` bytes, or end. What the worker itself
        takes to write them is not counted.
    """

    def __init__(self, deadline: float, clock: Callable[[], float], head: float, quiet: float) -> None:
        self._deadline = deadline
        self.clock = clock
        self._head = head
        self._quiet = quiet
        self.begin()

    def begin(self) -> None:
        """A request begins: connecting, shaking hands, sending and the headers share one limit."""
        self._in_body = False
        self._came, self._waited = 0, 0.0
        self._until = min(self._deadline, self.clock() + self._head)

    def body(self) -> None:
        """The headers are there."""
        self._in_body = True
        self._came, self._waited = 0, 0.0

    def came(self, size: int, waited: float) -> None:
        """So many bytes more, after so many seconds of waiting."""
        self._came += size
        self._waited += waited
        if self._came >= PROGRESS:
            self._came, self._waited = 0, 0.0

    def left(self, wish: float | None, late: type[Exception]) -> float:
        """Seconds that the next step may take.

        :param wish: The step's own time-out.
        :param late: Raised where nothing is left.
        """
        now = self.clock()
        left = min(self._deadline - now, self._quiet - self._waited) if self._in_body else self._until - now
        if left <= 0:
            raise late("too little came for too long" if self._in_body else "the answer did not begin in time")
        return left if wish is None else min(wish, left)


class PacedStream(httpcore.NetworkStream):
    """A connection whose every step is cut to what is left."""

    def __init__(self, stream: httpcore.NetworkStream, pace: Pace) -> None:
        self._stream = stream
        self._pace = pace

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """The next bytes."""
        left = self._pace.left(timeout, httpcore.ReadTimeout)
        began = self._pace.clock()
        data = self._stream.read(max_bytes, left)
        self._pace.came(len(data), self._pace.clock() - began)
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send."""
        self._stream.write(buffer, self._pace.left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        """Let go."""
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """Shake hands; Python's own time-out holds for the whole of it."""
        left = self._pace.left(timeout, httpcore.ConnectTimeout)
        return PacedStream(self._stream.start_tls(ssl_context, server_hostname, left), self._pace)

    def get_extra_info(self, info: str) -> Any:
        """What the connection knows of itself."""
        return self._stream.get_extra_info(info)
