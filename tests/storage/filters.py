"""A filter before an emulator, that answers as a store with fewer rights does: the emulators themselves allow everything."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import httpx


@dataclass(frozen=True)
class Asked:
    """A request, and with what the emulator has answered it; ``status`` is 0 before it is asked."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    status: int = 0

    @property
    def key(self) -> str:
        """Below the bucket; empty for the bucket itself."""
        return self.path.strip("/").partition("/")[2]


@dataclass(frozen=True)
class Answer:
    """What the filter says instead."""

    status: int
    body: bytes = b""
    content_type: str = "application/xml"
    error_code: str = ""


Rule = Callable[[Asked], Answer | None]


def s3_error(status: int, code: str, message: str = "no") -> Answer:
    """An error as S3 writes it."""
    return Answer(
        status, f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
    )


@contextmanager
def filtered(upstream: str, rule: Rule) -> Iterator[str]:
    """The address of a filter before ``upstream``; the rule is asked before and after each request."""
    base = urlsplit(upstream)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None: ...

        def respond(self) -> None:
            path, _, query = self.path.partition("?")
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
            lower = {name.lower(): value for name, value in headers.items()}
            asked = Asked(self.command, path, query, lower)
            answer, given = rule(asked), {}
            if answer is None:
                with httpx.Client(trust_env=False, timeout=30) as client:
                    real = client.request(
                        self.command, f"{base.scheme}://{base.netloc}{self.path}", headers=headers, content=body
                    )
                answer = rule(Asked(self.command, path, query, lower, real.status_code))
                if answer is None:
                    answer, given = Answer(real.status_code, real.content), dict(real.headers)
            self.send_response(answer.status)
            skipped = ("content-length", "transfer-encoding", "connection", "content-encoding", "date", "server")
            for name, value in (given or {"content-type": answer.content_type}).items():
                if name not in skipped:
                    self.send_header(name, value)
            if answer.error_code:
                self.send_header("x-ms-error-code", answer.error_code)
            length = given.get("content-length") if self.command == "HEAD" else None
            self.send_header("Content-Length", length or str(len(answer.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = respond

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    running = threading.Thread(target=server.serve_forever, daemon=True)
    running.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        running.join()
