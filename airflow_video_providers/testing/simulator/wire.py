"""HTTP as the gateways see it: a call that was read, an answer, and the ways an answer can go wrong on its way."""

from __future__ import annotations

import asyncio
import gzip
import json
import math
import socket
import struct
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import Receive, Scope, Send

    from .faults import Fault

Delivery = Literal["whole", "reset", "close", "hang", "half", "short", "slow", "part"]

MAX_BODY = 16 * 1024 * 1024
HTML_PAGE = "<!DOCTYPE html><html><head><title>{0}</title></head><body><h1>{0}</h1><hr>nginx</body></html>"


@dataclass
class Call:
    """One request.

    :param path: Without the vendor's prefix.
    :param base: The address that the client used for the vendor, without a slash at the end.
    :param root: The same without the vendor's prefix.
    :param armed: Faults that the job of this submit will carry.
    """

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes = b""
    base: str = ""
    root: str = ""
    armed: list[Fault] = field(default_factory=list)

    @cached_property
    def json(self) -> Any:
        """The body as JSON, or None."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    @property
    def parameters(self) -> dict[str, str]:
        """The query; of a repeated name the last."""
        return {name: values[-1] for name, values in parse_qs(self.query).items()}

    @property
    def is_json(self) -> bool:
        """Does the client say that it sends JSON?"""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"

    @property
    def other_host(self) -> str:
        """This simulator under another host name."""
        scheme, _, host = self.root.partition("://")
        name, colon, port = host.rpartition(":")
        if not colon:
            name, port = host, "80"
        return f"{scheme}://{'127.0.0.1' if name == 'localhost' else 'localhost'}:{port}"

    @property
    def foreign(self) -> str:
        """An address under another host name that is nobody's: a key that arrives there has leaked."""
        return f"{self.other_host}/_foreign"


@dataclass
class Answer:
    """What goes back.

    :param content: A JSON value, or text or bytes as they are.
    :param chunks: Instead of ``content``: pieces, with ``length`` bytes in all (None: chunked encoding).
    :param delivery: ``whole``, or how it goes wrong.
    :param amount: Belongs to ``delivery``: seconds for ``slow``, the fraction for ``part``.
    """

    status: int = 200
    content: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    chunks: AsyncIterator[bytes] | None = None
    length: int | None = None
    delivery: Delivery = "whole"
    amount: float = 0.0

    def replace(self, **changes: Any) -> Answer:
        """A copy with some fields replaced."""
        return replace(self, **changes)

    def with_headers(self, **headers: str) -> Answer:
        """A copy with more headers; underscores stand for hyphens."""
        return replace(self, headers=self.headers | {name.replace("_", "-"): value for name, value in headers.items()})

    def encoded(self) -> tuple[bytes, dict[str, str]]:
        """The body as bytes, and all headers but Content-Length."""
        if isinstance(self.content, bytes):
            return self.content, self.headers
        if isinstance(self.content, str):
            return self.content.encode(), {"content-type": "text/html; charset=utf-8"} | self.headers
        body = json.dumps(self.content, separators=(",", ":")).encode()
        return body, {"content-type": "application/json; charset=utf-8"} | self.headers

    def gzipped(self) -> Answer:
        """The same, gzip-encoded."""
        body, headers = self.encoded()
        return replace(self, content=gzip.compress(body, 1), headers=headers | {"content-encoding": "gzip"})


def html(status: int, title: str) -> Answer:
    """An error page as a proxy in front of a vendor sends it."""
    return Answer(status, HTML_PAGE.format(f"{status} {title}" if status != 200 else title))


async def read_body(receive: Receive) -> bytes | None:
    """The request's body; None if the client went away or the body is too large."""
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        return bytes(message.get("body", b""))
    parts, size = [], 0
    while message["type"] == "http.request":
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MAX_BODY:
            return None
        if not message.get("more_body"):
            return b"".join(parts)
        message = await receive()
    return None


def _transport(send: Send) -> asyncio.Transport:
    """The TCP connection below uvicorn's ``send``."""
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if not isinstance(transport, asyncio.Transport):
        raise RuntimeError("Faults of the connection need uvicorn, with nothing wrapped around the simulator.")  # noqa: TRY004  the caller passed no value
    return transport


async def _gone(receive: Receive) -> None:
    """Return when the connection is closed."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def drop(receive: Receive, send: Send, *, reset: bool) -> None:
    """End the connection without a word: with a reset, or an orderly end."""
    transport = _transport(send)
    if reset:
        # without this the kernel ends the connection in an orderly way, because the request was read
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    else:
        transport.close()
    await _gone(receive)


def _head(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


async def _send_pieces(send: Send, pieces: list[bytes], pause: float) -> None:
    for number, piece in enumerate(pieces):
        if number:
            await asyncio.sleep(pause)
        await send({"type": "http.response.body", "body": piece, "more_body": True})


async def deliver(answer: Answer, scope: Scope, receive: Receive, send: Send) -> None:
    """Send an answer the way its ``delivery`` says."""
    if answer.delivery in ("reset", "close"):
        await drop(receive, send, reset=answer.delivery == "reset")
        return
    if answer.delivery == "hang":
        await _gone(receive)
        return
    if answer.chunks is not None:
        headers = answer.headers | ({} if answer.length is None else {"content-length": str(answer.length)})
        await send({"type": "http.response.start", "status": answer.status, "headers": _head(headers)})
        left = answer.amount * (answer.length or 0) if answer.delivery == "part" else math.inf
        if scope["method"] != "HEAD":
            async for piece in answer.chunks:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                left -= len(piece)
                if left <= 0:
                    await drop(receive, send, reset=False)
                    return
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        return
    body, headers = answer.encoded()
    claimed = len(body) if answer.length is None else answer.length
    headers = headers | ({} if claimed < 0 else {"content-length": str(claimed)})
    await send({"type": "http.response.start", "status": answer.status, "headers": _head(headers)})
    if scope["method"] == "HEAD" or answer.delivery == "whole":
        await send({"type": "http.response.body", "body": body})
        return
    if answer.delivery == "slow":
        step = max(1, -(-len(body) // 10))
        pieces = [body[start : start + step] for start in range(0, len(body), step)]
        await _send_pieces(send, pieces, answer.amount / max(1, len(pieces) - 1))
        await send({"type": "http.response.body", "body": b""})
        return
    sent = {"half": len(body) // 2, "part": int(len(body) * answer.amount), "short": len(body)}[answer.delivery]
    await send({"type": "http.response.body", "body": body[:sent], "more_body": True})
    await drop(receive, send, reset=False)
