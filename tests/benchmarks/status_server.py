"""A small, fast HTTPS server that knows every job; it counts requests and connections.

A job ends at the moment that its id names (:func:`finishing_id`); one with any other id never does.
"""

from __future__ import annotations

import asyncio
import atexit
import datetime as dt
import json
import multiprocessing
import os
import re
import ssl
import tempfile
import time
from contextlib import contextmanager
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What each client wants to hear while a job runs. The first matching piece of the path counts.
_ANSWERS = {
    "/v2/requests/status/": (200, {"status": "PROCESSING"}),  # Pixazo refuses the answer about another job
    "/v2/requests/": (200, {"status": "PROCESSING", "request_id": "r", "metrics": {}}),
    "/api/v2/accounts/": (200, {"data": {"id": 1, "status": 3}}),
    "/api/2.2/jobs/": (200, {"run_page_url": "https://x", "state": {"life_cycle_state": "RUNNING"}}),
    "/api/2.1/jobs/": (200, {"run_page_url": "https://x", "state": {"life_cycle_state": "RUNNING"}}),
    "/sensor/": (404, {"status": "PROCESSING", "request_id": "r"}),
}


_ENDED = {"life_cycle_state": "TERMINATED", "result_state": "SUCCESS", "state_message": ""}


def _answer(status: int, body: dict[str, Any]) -> bytes:
    content = json.dumps(body).encode()
    reason = {200: "OK", 404: "Not Found"}[status]
    head = f"HTTP/1.1 {status} {reason}\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    return head.encode() + content


#: And when it is done.
_DONE = {
    "/v2/requests/status/": (200, {"status": "COMPLETED", "output": {"media_url": ["https://cdn.invalid/v.mp4"]}}),
    "/api/v2/accounts/": (200, {"data": {"id": 1, "status": 10}}),
    "/api/2.2/jobs/": (200, {"run_page_url": "https://x", "state": _ENDED}),
    "/api/2.1/jobs/": (200, {"run_page_url": "https://x", "state": _ENDED}),
    "/sensor/": (200, {"status": "COMPLETED"}),
}
_ID = re.compile(rb"[/=: ](\d{13})\d{4}\b")
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")


def finishing_id(moment: float, number: int) -> str:
    """The id of a job that is done from this moment on, in seconds since 1970."""
    return f"{int(moment * 1000):013d}{number:04d}"


_RAW_DONE = {path.encode(): _answer(*answer) for path, answer in _DONE.items()}
_RAW = {path.encode(): _answer(*answer) for path, answer in _ANSWERS.items()}
_UNKNOWN = _answer(404, {"error": "unknown path"})


class Counts:
    """What the server saw, readable from another process."""

    def __init__(self) -> None:
        self._shared = multiprocessing.Array("q", 5, lock=False)

    requests = property(lambda self: self._shared[0])
    connections = property(lambda self: self._shared[1])
    open = property(lambda self: self._shared[2])
    most_open = property(lambda self: self._shared[3])
    unknown = property(lambda self: self._shared[4])

    def forget_most_open(self) -> None:
        self._shared[3] = self._shared[2]


class _Connection(asyncio.Protocol):
    def __init__(self, shared: Any) -> None:
        self._shared = shared
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._shared[1] += 1
        self._shared[2] += 1
        self._shared[3] = max(self._shared[3], self._shared[2])

    def connection_lost(self, exc: Exception | None) -> None:
        self._shared[2] -= 1

    def data_received(self, data: bytes) -> None:
        self._received += data
        while b"\r\n\r\n" in self._received:
            head, _, rest = self._received.partition(b"\r\n\r\n")
            length = int(found[1]) if (found := _LENGTH.search(head)) else 0
            if len(rest) < length:
                return
            self._received = rest[length:]
            self._shared[0] += 1
            named = _ID.search(head) or _ID.search(rest[:length])
            done = named is not None and time.time() * 1000 >= int(named[1])
            for piece, answer in (_RAW_DONE if done else _RAW).items():
                if piece in head:
                    self._transport.write(answer)
                    break
            else:
                self._shared[4] += 1
                self._transport.write(_UNKNOWN)


@cache
def certificate() -> tuple[Path, Path]:
    """The process's own certificate and key, and the environment set to trust it.

    To be called before aiohttp is imported: it reads then whom to trust.
    """
    holder = tempfile.TemporaryDirectory()
    atexit.register(holder.cleanup)
    folder = Path(holder.name)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))])
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=2))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = folder / "cert.pem", folder / "key.pem"
    cert_file.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    os.environ["SSL_CERT_FILE"] = str(cert_file)
    return cert_file, key_file


def _serve(cert_file: Path, key_file: Path, shared: Any, port: Any, ready: Any) -> None:
    import uvloop

    async def main() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert_file, key_file)
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Connection(shared), "127.0.0.1", 0, ssl=context, backlog=2048)
        port.value = server.sockets[0].getsockname()[1]
        ready.set()
        await server.serve_forever()

    uvloop.run(main())


@contextmanager
def status_server() -> Iterator[tuple[int, Counts]]:
    """The server in a process of its own: its port, and what it counts."""
    cert_file, key_file = certificate()
    counts = Counts()
    port = multiprocessing.Value("i", 0)
    ready = multiprocessing.Event()
    process = multiprocessing.Process(
        target=_serve, args=(cert_file, key_file, counts._shared, port, ready), daemon=True
    )
    process.start()
    try:
        if not ready.wait(20):
            raise RuntimeError("the status server did not start")
        yield port.value, counts
    finally:
        process.terminate()
        process.join()
