"""The trigger over real HTTP on loopback."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import threading
import tracemalloc
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from airflow.providers.common.compat.sdk import AirflowNotFoundException

from airflow_video_providers.core.client import transport
from airflow_video_providers.core.jobs import VideoJob
from airflow_video_providers.core.polling import connection_cache
from airflow_video_providers.core.polling.shared import _pollers
from airflow_video_providers.core.vendors.segmind import Segmind
from airflow_video_providers.hooks.segmind import SegmindHook
from airflow_video_providers.integration import metrics
from airflow_video_providers.triggers.video import VideoJobTrigger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

pytestmark = pytest.mark.slow

KEY = "sk-live-0123456789"


@dataclass
class Server:
    """Answers each id from its own list of statuses and bodies; the last one for ever."""

    answers: dict[str, list[tuple[int, dict[str, Any]]]] = field(default_factory=dict)
    default: tuple[int, dict[str, Any]] = (200, {"status": "PROCESSING"})
    headers: list[str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    connections: int = 0
    open: int = 0

    @asynccontextmanager
    async def running(self) -> Any:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()  # and no wait_closed(): on Python 3.13.0 it was seen to wait for ever

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                self.headers.append(head)
                path = head.split(" ", 2)[1]
                self.seen.append(path)
                name = path.split("/")[3]
                queue = self.answers.get(name, [self.default])
                status, body = queue.pop(0) if len(queue) > 1 else queue[0]
                if status == 0:
                    writer.write(body["raw"].encode())
                    await writer.drain()
                    return
                content = json.dumps(body).encode()
                extra = "Retry-After: 1\r\n" if status == 429 else ""
                writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(content)}\r\n{extra}\r\n".encode() + content)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open -= 1
            writer.close()


DONE = (200, {"status": "COMPLETED", "video": {"url": "https://cdn.invalid/v.mp4?signature=x"}})
RUNNING = (200, {"status": "PROCESSING"})


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def tell(server: Server, key: str = KEY) -> None:
        extra = {"allow_private_hosts": ["127.0.0.1"], "requests_per_minute": 100_000}
        host = f"http://127.0.0.1:{server.port}"
        value = {"conn_type": "segmind", "host": host, "password": key, "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_SEGMIND_DEFAULT", json.dumps(value))

    return tell


def trigger(name: str, **arguments: Any) -> VideoJobTrigger:
    job = VideoJob(model="segmind:mochi-1", request_id=name, conn_id="segmind_default")
    return VideoJobTrigger(json.dumps(job.to_dict()), **{"poll_interval": 1.0, **arguments})


async def event(one: VideoJobTrigger) -> dict[str, Any]:
    (payload,) = [event.payload async for event in one.run()]
    return payload


def run(main: Callable[[Server], Awaitable[Any]], server: Server) -> Any:
    async def all_of_it() -> Any:
        async with server.running():
            return await main(server)

    return asyncio.run(all_of_it())


@pytest.mark.parametrize("raw", ["garbage\r\n\r\n", "HTTP/1.1 200 OK\r\nX: " + "y" * 200_000 + "\r\n\r\n", ""])
def test_an_answer_that_is_not_http_is_a_lost_answer(
    connect: Callable[..., None], raw: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Segmind, "poll_seconds", (0.05, 0.1))

    async def main(server: Server) -> dict[str, Any]:
        connect(server)
        return await event(trigger("a"))

    assert run(main, Server({"a": [(0, {"raw": raw}), DONE]}))["status"] == "success"


def test_a_job_is_waited_for_until_it_is_done(connect: Callable[..., None]) -> None:
    async def main(server: Server) -> dict[str, Any]:
        connect(server)
        return await event(trigger("a"))

    server = Server({"a": [RUNNING, DONE]})
    payload = run(main, server)
    assert payload["status"] == "success"
    assert "cdn.invalid" not in json.dumps(payload)
    assert f"x-api-key: {KEY}" in server.headers[0].lower()
    assert "airflow-video-providers/" in server.headers[0]
    assert server.seen == [
        "/v2/requests/a/status", "/v2/requests/a/status", "/v2/requests/a",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "status", "error"),
    [
        ((422, {"status": "FAILED", "error": "nsfw"}), "failed", "JobFailedError"),
        ((401, {"error": "bad key"}), "unknown", "AuthenticationError"),
        ((200, {"status": "CANCELLED"}), "failed", "JobCancelledError"),
    ],
)
def test_how_a_wait_ends_otherwise(answer: Any, status: str, error: str, connect: Callable[..., None]) -> None:
    async def main(server: Server) -> dict[str, Any]:
        connect(server)
        return await event(trigger("a"))

    payload = run(main, Server({"a": [answer]}))
    assert (payload["status"], payload["error"]["type"]) == (status, error)


def test_a_vendor_that_cannot_be_reached_is_carried_until_the_deadline(connect: Callable[..., None]) -> None:
    async def main(server: Server) -> dict[str, Any]:
        connect(server)
        server.port = 1
        connect(server)
        return await event(trigger("a", end_time=datetime.now(UTC).timestamp() + 0.3))

    payload = run(main, Server())
    assert payload["status"] == "timeout"
    assert "still running" in payload["message"]


@pytest.mark.slow  # waits in real time
def test_a_missing_connection_is_an_event_once_it_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    look_ups: list[str] = []

    async def missing(conn_id: str) -> Any:
        look_ups.append(conn_id)
        raise AirflowNotFoundException("no such connection, or no API server")

    def missing_too(conn_id: str) -> Any:
        raise AirflowNotFoundException("no such connection")

    monkeypatch.setattr("airflow.providers.common.compat.connection.get_async_connection", missing)
    monkeypatch.setattr(SegmindHook, "get_connection", staticmethod(missing_too))
    monkeypatch.setattr(connection_cache, "PATIENCE", (0.01, 0.01))
    monkeypatch.setattr(Segmind, "poll_seconds", (0.02, 0.02))
    payload = asyncio.run(event(trigger("a")))
    assert payload["status"] == "unknown"
    assert payload["error"]["type"] == "InvalidRequestError"
    assert "no connection" in payload["message"]
    assert len(look_ups) == connection_cache.BELIEVED_MISSING


def test_what_a_first_look_loads_is_loaded_in_a_thread(
    connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: dict[str, int] = {}

    def first_call_of(module: Any, name: str) -> None:
        called = getattr(module, name)

        def noted(*args: Any) -> Any:
            threads.setdefault(name, threading.get_ident())
            return called(*args)

        monkeypatch.setattr(module, name, noted)

    transport.prepare.cache_clear()
    for module, name in ((transport, "prepare"), (transport, "trusted"), (metrics, "_send")):
        first_call_of(module, name)

    async def main(server: Server) -> dict[str, Any]:
        connect(server)
        return await event(trigger("a"))

    assert run(main, Server(default=DONE))["status"] == "success"
    assert len(threads) == 3
    assert threading.get_ident() not in threads.values()


def test_a_hundred_jobs_use_a_few_connections(connect: Callable[..., None]) -> None:
    async def main(server: Server) -> list[dict[str, Any]]:
        connect(server)
        return await asyncio.gather(*(event(trigger(f"r{n}")) for n in range(100)))

    server = Server({f"r{n}": [RUNNING, DONE] for n in range(100)})
    assert all(payload["status"] == "success" for payload in run(main, server))
    assert server.connections <= 16


def test_a_key_changed_while_jobs_wait_is_read_anew(connect: Callable[..., None]) -> None:
    async def main(server: Server) -> list[dict[str, Any]]:
        connect(server, "an-old-key-0123")
        waits = [asyncio.create_task(event(trigger(f"r{n}"))) for n in range(10)]
        while not server.seen:  # noqa: ASYNC110 # the server is no place for an event
            await asyncio.sleep(0.01)
        connect(server)
        return await asyncio.gather(*waits)

    server = Server({f"r{n}": [RUNNING, (401, {}), DONE] for n in range(10)})
    assert all(payload["status"] == "success" for payload in run(main, server))
    assert f"x-api-key: {KEY}" in server.headers[-1].lower()


@pytest.mark.slow  # waits in real time
def test_looking_writes_no_line_per_request(connect: Callable[..., None], caplog: pytest.LogCaptureFixture) -> None:
    async def main(server: Server) -> None:
        connect(server)
        await event(trigger("a"))

    with caplog.at_level(logging.INFO):
        run(main, Server({"a": [RUNNING, RUNNING, DONE]}))
    assert not [record for record in caplog.records if record.name.startswith(("httpx", "httpcore"))]
    assert KEY not in caplog.text


def test_a_proxy_of_the_environment_is_used_and_no_proxy_is_obeyed(
    connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main(server: Server) -> list[str]:
        connect(server)
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.port}")
        await event(trigger("a"))
        through_proxy = list(server.seen)
        server.seen.clear()
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        await event(trigger("a"))
        return [through_proxy[0], server.seen[0]]

    server = Server(default=DONE)
    first, second = run(main, server)
    assert first.startswith("http://127.0.0.1")
    assert second == "/v2/requests/a/status"


@pytest.fixture
def _sockets() -> Iterator[None]:
    process = psutil.Process()
    before = process.num_fds()
    yield
    gc.collect()
    assert process.num_fds() <= before + 2


@pytest.mark.slow
@pytest.mark.usefixtures("_sockets")
def test_a_thousand_triggers_that_come_and_go_leave_no_task_socket_or_memory(connect: Callable[..., None]) -> None:
    async def cycle(number: int) -> None:
        task = asyncio.create_task(event(trigger(f"r{number}")))
        await asyncio.sleep(0.004 * (number % 3))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def main(server: Server) -> int:
        connect(server)
        for number in range(100):
            await cycle(number)
        gc.collect()
        tracemalloc.start()
        before = tracemalloc.take_snapshot()
        for number in range(1000):
            await cycle(number)
        gc.collect()
        after = tracemalloc.take_snapshot()
        tracemalloc.stop()
        async with asyncio.timeout(60):
            while server.open or _waits():  # noqa: ASYNC110 # neither has an event
                await asyncio.sleep(0.01)
        mine = (tracemalloc.Filter(True, str(Path(transport.__file__).parent / "*")),)
        was = sum(stat.size for stat in before.filter_traces(mine).statistics("filename"))
        now = sum(stat.size for stat in after.filter_traces(mine).statistics("filename"))
        return now - was

    assert run(main, Server()) < 64_000
    assert not any(_pollers.values())


def _waits() -> list[asyncio.Task[Any]]:
    """The tasks of the running loop that are not the test's."""
    return [task for task in asyncio.all_tasks() - {asyncio.current_task()} if "Server._serve" not in repr(task)]
