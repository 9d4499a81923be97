"""The receiver's own process: callers who hold connections, whom the app itself never sees."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

import pytest

from airflow_video_providers.core.callbacks.token import Claim, issue
from airflow_video_providers.core.polling.mailbox import Mailbox
from airflow_video_providers.core.purchase.records import Identity
from airflow_video_providers.core.purchase.stores.local_directory import LocalDirectory
from airflow_video_providers.plugin import command, impatient
from airflow_video_providers.plugin.receiver import MOST_BYTES, ReceiverApp

pytestmark = pytest.mark.slow
SECRET = "the-secret-of-this-test"


@asynccontextmanager
async def serving(root):
    """The process's server on a free port of loopback."""
    app = ReceiverApp(lambda: [SECRET], lambda conn_id: Mailbox(LocalDirectory(root), conn_id))
    with socket.create_server(("127.0.0.1", 0)) as bound:
        server = command.server(app, "127.0.0.1", 0)
        running = asyncio.create_task(server.serve([bound]))
        while not server.started:  # noqa: ASYNC110 # it has no event
            await asyncio.sleep(0.01)
        try:
            yield bound.getsockname()[1]
        finally:
            server.should_exit = True
            await running


def call(number=1, *, body=None):
    """A whole call, as bytes."""
    claim = Claim("pixazo", "mine", Identity("dag", "run", "submit"), number, datetime.now(UTC) + timedelta(days=1))
    body = json.dumps({"request_id": f"mochi_{number}", "status": "COMPLETED"}).encode() if body is None else body
    head = (
        f"POST /video-callbacks?token={issue(claim, SECRET)} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def answer(port, sent):
    """What comes back for these bytes, until the other side closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(sent)
        return await asyncio.wait_for(reader.read(), 60)
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


def test_a_call_is_answered_and_its_connection_is_closed(tmp_path):
    async def main():
        async with serving(tmp_path) as port:
            return await answer(port, call())

    said = asyncio.run(main())
    assert said.startswith(b"HTTP/1.1 200 ")
    assert b"server:" not in said.lower()
    assert len(Mailbox(LocalDirectory(tmp_path), "mine").listed()) == 1


def test_callers_who_send_nothing_take_no_places(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "MOST_CONNECTIONS", 20)

    async def main(patience, number):
        monkeypatch.setattr(impatient, "PATIENCE", patience)
        async with serving(tmp_path) as port:
            held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(30)]
            for _, writer in held[::2]:
                writer.write(b"POST / HTTP/1.1\r\nHost: x\r\n")  # and no more
            if patience < 1:
                closed = await asyncio.wait_for(asyncio.gather(*(reader.read() for reader, _ in held)), 60)
                assert set(closed) == {b""}
            said = await answer(port, call(number))
            for _, writer in held:
                writer.close()
            return said

    assert asyncio.run(main(600.0, 1)).startswith(b"HTTP/1.1 503 "), "they are there"
    assert asyncio.run(main(0.3, 2)).startswith(b"HTTP/1.1 200 "), "they were closed"


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /?token=" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        call(body=b"x" * (MOST_BYTES + 1)),
    ],
    ids=["tls", "get", "a long address", "many headers", "websocket", "a large body"],
)  # fmt: skip
def test_what_is_no_call_is_refused_and_leaves_nothing(tmp_path, sent, caplog):
    async def main():
        async with serving(tmp_path) as port:
            try:
                return await answer(port, sent)
            except ConnectionError:
                return b""

    said = asyncio.run(main())
    assert said == b"" or said.split(b" ", 2)[1] in {b"400", b"403"}
    assert list(tmp_path.iterdir()) == []
    assert "token" not in caplog.text
