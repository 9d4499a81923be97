"""A server that sends bytes as they are written here, on loopback: for what no honest server sends."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import ssl

Say = bytes | Callable[[socket.socket], object]


def http(body: bytes = b"{}", status: str = "200 OK", *headers: str) -> bytes:
    """An answer with a length."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def trickle(head: bytes, piece: bytes, every: float = 0.02) -> Callable[[socket.socket], None]:
    """Send a piece again and again, until the other side has had enough."""

    def say(peer: socket.socket) -> None:
        peer.sendall(head)
        while True:
            peer.sendall(piece)
            time.sleep(every)

    return say


class RawServer:
    """Says the next of ``answers`` to each request, the last one for ever; a dict says by the request's path.

    :param tls: For https.
    :ivar heads: The heads of the requests, in order, whatever connection they came on.
    :ivar connections: How many connections were made.
    """

    def __init__(self, answers: Sequence[Say] | dict[str, Say], tls: ssl.SSLContext | None = None) -> None:
        self._answers = answers
        self._tls = tls
        self._lock = threading.Lock()
        self.heads: list[str] = []
        self.connections = 0

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}"

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                peer = self._listener.accept()[0]
                self.connections += 1
                threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError), peer:
            wire = self._tls.wrap_socket(peer, server_side=True) if self._tls else peer
            with wire:
                self._talk(wire)

    def _talk(self, wire: socket.socket) -> None:
        came = b""
        while True:
            while b"\r\n\r\n" not in came:
                piece = wire.recv(65536)
                if not piece:
                    return
                came += piece
            head, _, came = came.partition(b"\r\n\r\n")
            fields = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:])
            missing = int(fields.get(b"content-length", b"0"))
            while len(came) < missing:
                came += wire.recv(65536)
            came = came[missing:]
            say = self._next(head.decode("latin-1"))
            if not isinstance(say, bytes):
                say(wire)
                return
            wire.sendall(say)

    def _next(self, head: str) -> Say:
        with self._lock:
            self.heads.append(head)
            if isinstance(self._answers, dict):
                return self._answers[head.split(" ", 2)[1]]
            return self._answers[min(len(self.heads), len(self._answers)) - 1]
