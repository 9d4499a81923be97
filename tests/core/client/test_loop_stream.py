"""A connection of an event loop, as httpcore's pool sees it."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpcore
import pytest

from airflow_video_providers.core.client.loop_stream import LoopBackend, LoopStream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.slow


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[LoopStream, asyncio.StreamWriter]]:
    """Both ends of one connection."""
    other: asyncio.Future[asyncio.StreamWriter] = asyncio.get_running_loop().create_future()

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        other.set_result(writer)

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        stream = await LoopBackend().connect_tcp(*server.sockets[0].getsockname()[:2])
        try:
            yield stream, await other
        finally:
            await stream.aclose()
            (await other).transport.abort()


async def until(stream: LoopStream, readable: bool) -> None:
    async with asyncio.timeout(60):
        while stream.get_extra_info("is_readable") is not readable:  # noqa: ASYNC110 # there is no event for it
            await asyncio.sleep(0.001)


def test_what_nobody_asked_for_shows_before_it_is_read():
    async def main() -> None:
        async with connected() as (stream, other):
            assert not stream.unread
            assert not stream.get_extra_info("is_readable")
            other.write(b"stray")
            await until(stream, readable=True)
            await asyncio.sleep(0.01)  # in which the loop takes it in
            assert stream.unread
            assert await stream.read(3) == b"str"
            assert stream.unread
            assert await stream.read(100) == b"ay"
            assert not stream.unread
            assert not stream.get_extra_info("is_readable")

    asyncio.run(main())


def test_what_came_while_the_loop_was_held_up_shows_before_the_next_request():
    async def main() -> None:
        async with connected() as (stream, other):
            os.write(other.get_extra_info("socket").fileno(), b"stray")  # and the loop has had no turn since
            assert not stream.unread
            assert stream.get_extra_info("is_readable")

    asyncio.run(main())


def test_the_other_sides_end_shows_and_reads_as_nothing():
    async def main() -> None:
        async with connected() as (stream, other):
            other.close()
            await until(stream, readable=True)
            assert not stream.unread
            assert await stream.read(100) == b""

    asyncio.run(main())


def test_a_closed_connection_takes_nothing_more():
    async def main() -> None:
        async with connected() as (stream, _):
            await stream.aclose()
            with pytest.raises(httpcore.WriteError):
                await stream.write(b"GET / HTTP/1.1\r\n\r\n")

    asyncio.run(main())


def test_silence_is_a_time_out_of_httpcores_kind():
    async def main() -> None:
        async with connected() as (stream, _):
            with pytest.raises(httpcore.ReadTimeout):
                await stream.read(1, timeout=0.01)

    asyncio.run(main())


def test_a_reader_that_is_slow_makes_the_other_side_wait_and_still_gets_all():
    async def main() -> None:
        async with connected() as (stream, other):
            data = bytes(range(256)) * 8192
            sending = asyncio.create_task(_send(other, data))
            await asyncio.sleep(0.05)
            got = bytearray()
            while len(got) < len(data):
                got += await stream.read(5000, timeout=60)
            assert got == data
            await sending

    async def _send(writer: asyncio.StreamWriter, data: bytes) -> None:
        writer.write(data)
        await writer.drain()

    asyncio.run(main())


def test_nobody_there_is_a_connection_that_was_never_made():
    async def main() -> None:
        async with await asyncio.start_server(lambda *_: None, "127.0.0.1", 0) as server:
            host, port = server.sockets[0].getsockname()[:2]
        with pytest.raises(httpcore.ConnectError):
            await LoopBackend().connect_tcp(host, port)

    asyncio.run(main())
