"""The wire between a task and the vendor: it counts the paid POSTs that pass, and it is where tasks are killed."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
from typing import TYPE_CHECKING

from airflow_video_providers.core.vendors import catalogue

if TYPE_CHECKING:
    from collections.abc import Callable

_SUBMITS = {f"/{model.partition(':')[0]}{catalogue.find(model).path}" for model in catalogue.models()}
_RESET = struct.pack("ii", 1, 0)  # linger for no time: close with a reset


class Wire:
    """A relay in front of the simulator. It adds ``Connection: close``: one request a connection.

    :param upstream: The simulator's port.
    :param strike: Told where a request is; kills the task and returns True where it is to die there.
        ``"connect"``: connected, nothing read. ``"answered"``: the vendor has answered a paid POST, the task has
        read nothing of it. ``"media"``: the task has half of a file.
    :ivar posts: Paid POSTs that were read as a whole.
    """

    def __init__(self, upstream: int, strike: Callable[[str], bool]) -> None:
        self.posts = 0
        #: Given whether a request is a paid one, and the answer to it.
        self.rewrite: Callable[[bool, bytes], bytes] = lambda _, answer: answer
        self._upstream = upstream
        self._strike = strike
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        # Bound and not listening: the system refuses whoever connects, and nobody else gets the port.
        self._dead = socket.socket()
        self._dead.bind(("127.0.0.1", 0))
        self.dead_port: int = self._dead.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Stop."""
        self._listener.close()
        self._dead.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                threading.Thread(target=self._serve, args=(self._listener.accept()[0],), daemon=True).start()

    def _serve(self, task: socket.socket) -> None:
        with task, contextlib.suppress(ConnectionError):
            if self._strike("connect"):
                return
            request = read_request(task)
            if request is None:
                return
            method, path = request.split(b" ", 2)[:2]
            paid = method == b"POST" and path.decode() in _SUBMITS
            self.posts += paid
            with socket.create_connection(("127.0.0.1", self._upstream)) as vendor:
                vendor.sendall(request.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
                if paid:
                    self._relay(vendor, task, "answered", keep=lambda _: 0, paid=True)
                elif path.startswith(b"/media/"):
                    self._relay(vendor, task, "media", keep=lambda size: size // 2)
                else:
                    self._relay(vendor, task)

    def _relay(
        self,
        vendor: socket.socket,
        task: socket.socket,
        where: str = "",
        keep: Callable[[int], int] = lambda _: 0,
        *,
        paid: bool = False,
    ) -> None:
        """Bring the vendor's answer, or its reset, or its silence."""
        answer = b""
        while True:
            if task in select.select([vendor, task], [], [])[0]:
                return  # the task has given up
            try:
                piece = vendor.recv(65536)
            except ConnectionResetError:
                task.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                return
            if not piece:
                break
            answer += piece
        if where != "media":
            answer = self.rewrite(paid, answer)
        # Half of a file is on its way before the task dies; of an answer to a submit nothing is.
        half = keep(len(answer))
        task.sendall(answer[:half])
        if where and self._strike(where):
            return
        task.sendall(answer[half:])


def read_request(task: socket.socket) -> bytes | None:
    """One request as it came; None where the other side went away."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = task.recv(65536)
        if not piece:
            return None
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    fields = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:])
    missing = int(fields.get(b"content-length", b"0")) - len(body)
    while missing > 0:
        piece = task.recv(65536)
        if not piece:
            return None
        data, missing = data + piece, missing - len(piece)
    return data
