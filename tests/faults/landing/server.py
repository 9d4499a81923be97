"""A server of files that breaks them on purpose, byte by byte, over real sockets on loopback."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self


@dataclass
class Exchange:
    """One request, and the means to answer it badly."""

    number: int
    path: str
    headers: dict[str, str]
    connection: socket.socket

    @property
    def start(self) -> int:
        """The byte that the request asks to begin with."""
        asked = self.headers.get("range", "")
        return int(asked.removeprefix("bytes=").partition("-")[0]) if asked else 0

    def head(self, status: int, **headers: object) -> None:
        lines = [f"HTTP/1.1 {status} Whatever", "Connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n")

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def whole(self, data: bytes, **headers: object) -> None:
        """A sound answer."""
        self.head(200, **{"Content_Type": "video/mp4", "Content_Length": len(data), **headers})
        self.send(data)

    def part(self, data: bytes, start: int, **headers: object) -> None:
        """A sound answer to a request for the rest."""
        told = {"Content_Range": f"bytes {start}-{len(data) - 1}/{len(data)}", "Content_Length": len(data) - start}
        self.head(206, **told, **headers)
        self.send(data[start:])

    def chunk(self, data: bytes) -> None:
        self.send(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def reset(self) -> None:
        """Break the connection, so that what is on its way may be lost too."""
        time.sleep(0.01)  # what was sent before arrives: tests count on some progress
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()


Answer = Callable[[Exchange], None]


@dataclass
class FaultServer:
    """Answers by the first part of the path; counts what it was asked."""

    answers: dict[str, Answer] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self._counting = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def serve(self, name: str, answer: Answer) -> str:
        """Answer below ``/name/``; the address of a file there."""
        self.answers[name] = answer
        return f"{self.base}/{name}/clip.mp4?X-Signature=secret-signature"

    def asked(self, name: str) -> list[dict[str, str]]:
        """The headers of each request for a name, in order."""
        return [headers for path, headers in self.requests if path.split("/")[1] == name]

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            received = b""
            while b"\r\n\r\n" not in received:
                more = connection.recv(65536)
                if not more:
                    return
                received += more
            lines = received.split(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
            path = lines[0].split(" ")[1]
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
            name = path.split("/")[1]
            with self._counting:
                number = len(self.asked(name))
                self.requests.append((path, headers))
            answer = self.answers.get(name, lambda exchange: exchange.head(404, Content_Length=0))
            try:
                answer(Exchange(number, path, headers, connection))
            except OSError:
                return  # the client had enough
