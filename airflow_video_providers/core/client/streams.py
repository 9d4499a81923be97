"""What is added to httpcore's streams, where every byte of a call passes.

- One limit of seconds for a whole call, whatever trickles: each read and write gets what is left of it.
- A limit of bytes before an answer begins: headers, and any number of interim answers.
- Whether a byte of the request has left.
- Whether an answer was followed by more: such a connection is closed, because httpcore would take what is left over
  for the answer to the next request.
"""

from __future__ import annotations

import re
import time
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpcore

from airflow_video_providers.core.client.loop_stream import LoopBackend, LoopStream

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable

#: Headers and interim answers of one call, in bytes, and how many are read in one go until they are there: httpcore
#: reads all the answers in it without letting an event loop run.
_MOST_HEAD = 32 * 1024
_PIECE = 16 * 1024
#: After a longer answer a connection is not kept: a poll's has a few hundred bytes.
_LONGEST_KEPT = 32 * 1024


@dataclass
class Call:
    """One call on its way.

    :param ends: When it must be over, by ``time.monotonic``.
    :param verb: What the first line of its request begins with.
    :ivar sent: Has a byte of the request left, or may one have?
    """

    ends: float
    verb: bytes
    sent: bool = False

    def left(self, timeout: float | None) -> float:
        """The seconds for the next step."""
        left = self.ends - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("the call took too long")
        return left if timeout is None else min(left, timeout)


CALL: ContextVar[Call] = ContextVar("call")


class _Answered:
    """What has come on one connection since the last request began."""

    def __init__(self) -> None:
        self._reading = self._full = False
        self._held = bytearray()
        self.size = 0
        self.spoiled = False

    def wrote(self, data: bytes) -> None:
        """A piece of a request leaves."""
        call = CALL.get()
        if self._reading:
            self._reading = False
            self._held.clear()
            self.size = 0
        call.sent = call.sent or data.startswith(call.verb)  # a proxy's CONNECT comes before

    def read(self, data: bytes, wanted: int) -> bytes:
        """A piece of an answer has come."""
        self._reading, self._full = True, len(data) >= wanted
        self.size += len(data)
        if len(self._held) <= _LONGEST_KEPT:
            self._held += data
        return data

    def wanted(self, most: int) -> int:
        """How many bytes to read next. The head must have come whole in those that it may have."""
        if self.size < _MOST_HEAD:
            return min(most, _PIECE)
        if not _head_ends(self._held):
            raise httpcore.RemoteProtocolError(f"no answer began within {_MOST_HEAD:,} bytes")
        return most

    @property
    def whole(self) -> bool:
        """Exactly one answer has come, as far as can be known: after a full read more may lie in a buffer."""
        return not self._full and self.size == len(self._held) and _one_answer(self._held)


def _head_ends(data: bytes | bytearray) -> int:
    """Where the body of the first final answer begins; 0 where it has not begun."""
    at = 0
    while (end := data.find(b"\r\n\r\n", at)) >= 0:
        interim = data[at : at + 10].endswith(b" 1")
        at = end + 4
        if not interim:
            return at
    return 0


_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]+)[ \t]*\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked[ \t]*\r\n", re.IGNORECASE)


def _one_answer(data: bytes | bytearray) -> bool:
    """Does this hold one answer to its end, and nothing behind it? False where that is unknown."""
    begins = _head_ends(data)
    head = data[:begins]
    if not begins:
        return False
    if _CHUNKED.search(head):
        return _chunks_end(data, begins) == len(data)
    length = _LENGTH.search(head)
    return length is not None and begins + int(length[1]) == len(data)


def _chunks_end(data: bytes | bytearray, at: int) -> int:
    """Where a body in chunks ends; -1 where it does not, or has trailers."""
    while (line := data.find(b"\r\n", at)) >= 0:
        try:
            size = int(data[at:line].partition(b";")[0], 16)
        except ValueError:
            return -1
        at = line + 2 + size + 2
        if size == 0:
            return at if data[line:at] == b"\r\n\r\n" else -1
    return -1


class SyncStream(httpcore.NetworkStream):
    """A stream of one call; it is not kept."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream
        self._answered = _Answered()

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        wanted = self._answered.wanted(max_bytes)
        return self._answered.read(self._stream.read(wanted, CALL.get().left(timeout)), wanted)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._answered.wrote(buffer)
        self._stream.write(buffer, CALL.get().left(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return SyncStream(self._stream.start_tls(ssl_context, server_hostname, CALL.get().left(timeout)))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class SyncBackend(httpcore.NetworkBackend):
    """Opens streams within the seconds of their call."""

    def __init__(self) -> None:
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        left = CALL.get().left(timeout)
        return SyncStream(self._backend.connect_tcp(host, port, left, local_address, socket_options))


class AsyncStream(httpcore.AsyncNetworkStream):
    """A stream that is kept, as long as nothing but answers to its requests has come on it."""

    def __init__(self, stream: LoopStream) -> None:
        self._stream = stream
        self._answered = _Answered()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        wanted = self._answered.wanted(max_bytes)
        return self._answered.read(await self._stream.read(wanted, CALL.get().left(timeout)), wanted)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._answered.wrote(buffer)
        await self._stream.write(buffer, CALL.get().left(timeout))

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> AsyncStream:
        return AsyncStream(await self._stream.start_tls(ssl_context, server_hostname, CALL.get().left(timeout)))

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable" and self._answered.spoiled:  # so the pool lets go of it
            return True
        return self._stream.get_extra_info(info)

    async def close_unless_whole(self) -> None:
        """An answer was read to its end: close the connection if more has come, or that is unknown."""
        if not self._answered.whole or self._stream.unread:
            self._answered.spoiled = True
            await self._stream.aclose()


class AsyncBackend(httpcore.AsyncNetworkBackend):
    """:class:`SyncBackend` for an event loop."""

    def __init__(self) -> None:
        self._backend = LoopBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> AsyncStream:
        left = CALL.get().left(timeout)
        return AsyncStream(await self._backend.connect_tcp(host, port, left, local_address, socket_options))
