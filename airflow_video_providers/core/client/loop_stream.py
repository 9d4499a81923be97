"""httpcore's view of asyncio's own streams.

httpcore ships a view of anyio's, which yields to the loop at each step of a call and unwraps TLS in Python: a poll took a
fifth more CPU on it. What an idle connection receives is counted here as it comes.
"""

from __future__ import annotations

import asyncio
import select
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpcore

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Iterator

#: So many bytes wait to be read before the other side is made to wait.
_MOST_UNREAD = 64 * 1024


class _Reader(asyncio.StreamReader):
    """Counts what has come."""

    received = 0

    def feed_data(self, data: Any) -> None:
        self.received += len(data)
        super().feed_data(data)


class LoopStream(httpcore.AsyncNetworkStream):
    """A connection of an event loop."""

    def __init__(self, reader: _Reader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._taken = 0

    @property
    def unread(self) -> bool:
        """Has anything come that nobody has read?"""
        return self._reader.received > self._taken

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 # httpcore's
        with _reported(httpcore.ReadTimeout, httpcore.ReadError):
            async with asyncio.timeout(timeout):
                data = await self._reader.read(max_bytes)
        self._taken += len(data)
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 # httpcore's
        if not buffer:
            return
        with _reported(httpcore.WriteTimeout, httpcore.WriteError):
            if self._writer.is_closing():
                raise ConnectionResetError("the connection is closed")
            self._writer.write(buffer)
            async with asyncio.timeout(timeout):
                await self._writer.drain()

    async def aclose(self) -> None:
        """Close at once: nobody waits for the other side's farewell."""
        self._writer.transport.abort()
        await asyncio.sleep(0)  # in which the socket is closed

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 # httpcore's
    ) -> LoopStream:
        try:
            with _reported(httpcore.ConnectTimeout, httpcore.ConnectError):
                async with asyncio.timeout(timeout):
                    await self._writer.start_tls(ssl_context, server_hostname=server_hostname)
        except BaseException:
            self._writer.transport.abort()
            raise
        return self

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":
            return self.unread or self._reader.at_eof() or self._writer.is_closing() or self._holds_more()
        return self._writer.get_extra_info({"client_addr": "sockname", "server_addr": "peername"}.get(info, info))

    def _holds_more(self) -> bool:
        """Is there more at the socket, which a loop that was held up has not taken in?"""
        asked = select.poll()
        asked.register(self._writer.get_extra_info("socket"), select.POLLIN)
        return bool(asked.poll(0))


class LoopBackend(httpcore.AsyncNetworkBackend):
    """Opens connections of an event loop; a host's addresses are tried one after the other, as in a worker."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 # httpcore's
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> LoopStream:
        loop = asyncio.get_running_loop()
        reader = _Reader(_MOST_UNREAD // 2, loop)
        protocol = asyncio.StreamReaderProtocol(reader)
        with _reported(httpcore.ConnectTimeout, httpcore.ConnectError):
            async with asyncio.timeout(timeout):
                local = None if local_address is None else (local_address, 0)
                transport, _ = await loop.create_connection(lambda: protocol, host, port, local_addr=local)
        for option in socket_options or ():
            transport.get_extra_info("socket").setsockopt(*option)
        return LoopStream(reader, asyncio.StreamWriter(transport, protocol, reader, loop))


@contextmanager
def _reported(late: type[Exception], broken: type[Exception]) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise late(str(error)) from error
    except OSError as error:  # TLS's errors too
        raise broken(str(error)) from error
