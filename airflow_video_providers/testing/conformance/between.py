"""A gateway in front of the vendor's: it passes calls on, writes them down, and spoils answers as it is set to."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Call:
    """A request as it arrived; header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    """What goes back."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": "application/json"})


#: Decides what a call is answered with, ``forward`` being the vendor's own answer; None drops the connection.
Script = Callable[[Call, Callable[[], Reply]], Reply | None]


def passed_on(_call: Call, forward: Callable[[], Reply]) -> Reply:
    """The vendor's own answer."""
    return forward()


def instead(status: int, body: bytes | str = b"{}", **headers: str) -> Script:
    """An answer of our own; the vendor never sees the call."""
    return lambda _call, _forward: _reply(status, body, headers)


def after(status: int, body: bytes | str, **headers: str) -> Script:
    """The vendor carries the call out, and its answer is replaced."""

    def script(_call: Call, forward: Callable[[], Reply]) -> Reply:
        forward()
        return _reply(status, body, headers)

    return script


def lost(_call: Call, forward: Callable[[], Reply]) -> None:
    """The vendor carries the call out, and its answer is lost on the way."""
    forward()


def rewritten(change: Callable[[bytes], bytes]) -> Script:
    """The vendor's own answer, with its body changed."""

    def script(_call: Call, forward: Callable[[], Reply]) -> Reply:
        reply = forward()
        return Reply(reply.status, change(reply.body), reply.headers)

    return script


def _reply(status: int, body: bytes | str, headers: dict[str, str]) -> Reply:
    content = body.encode() if isinstance(body, str) else body
    kind = "text/html" if content.startswith(b"<") else "application/json"
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, content, {"content-type": kind, **named})


class Between:
    """Where the checks' clients call.

    :param target: The vendor's gateway.
    :ivar script: What happens to the next calls.
    :ivar calls: What has arrived.
    """

    def __init__(self, target: str) -> None:
        self.target = urlsplit(target)
        self.script: Script = passed_on
        self.calls: list[Call] = []
        self.url = ""

    def answer(self, call: Call) -> Reply | None:
        """The answer to a call."""
        self.calls.append(call)
        return self.script(call, lambda: self._forward(call))

    def _forward(self, call: Call) -> Reply:
        connection = HTTPConnection(self.target.hostname or "", self.target.port or 80, timeout=30)
        try:
            headers = {name: value for name, value in call.headers.items() if name not in ("host", "accept-encoding")}
            connection.request(call.method, f"{self.target.path}{call.path}", call.body or None, headers)
            answer = connection.getresponse()
            kept = {name.lower(): value for name, value in answer.getheaders() if name.lower() not in _OUR_OWN}
            return Reply(answer.status, answer.read(), kept)
        finally:
            connection.close()


_OUR_OWN = ("connection", "content-length", "date", "server", "transfer-encoding")


@contextmanager
def between(target: str) -> Iterator[Between]:
    """Such a gateway, on a free loopback port."""
    gate = Between(target)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = gate.answer(Call(self.command, self.path, headers, body))
            self.close_connection = True
            if reply is None:
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.send_response(reply.status)
            for name, value in {**reply.headers, "content-length": str(len(reply.body)), "connection": "close"}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body)

        do_GET = do_POST = do_PUT = do_DELETE = _serve

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), name="conformance", daemon=True)
    thread.start()
    gate.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield gate
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


@contextmanager
def elsewhere() -> Iterator[Between]:
    """Another host, which is nobody's: nothing may ever arrive there."""
    with between("http://127.0.0.1:1") as gate:
        gate.script = instead(200)
        yield gate
