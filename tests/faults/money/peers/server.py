"""A vendor that answers every submit with the same fault, in clear or in TLS, and counts what it accepted."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import json
import socket
import ssl
import struct
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.faults.money.wire import read_request

if TYPE_CHECKING:
    from pathlib import Path

_PAGE = "<!DOCTYPE html><html><head><title>{0}</title></head><body><h1>{0}</h1><hr>nginx</body></html>"
_TLS_HELLO = b"\x16"


@dataclass(frozen=True)
class Fault:
    """What every submit gets.

    :param accepted: Is the job made, and charged, before?
    :param silence: ``"reset"``, ``"close"`` or ``"hang"`` instead of an answer.
    :param html: Answer with an HTML page, not JSON.
    :param no_id: Answer without anything that names the job.
    """

    name: str
    accepted: bool = True
    silence: str | None = None
    status: int = 200
    html: bool = False
    no_id: bool = False
    retry_after: str | None = None


FAULTS = (
    Fault("none"),
    Fault("connection reset, nothing accepted", accepted=False, silence="reset"),
    Fault("429", accepted=False, status=429),
    Fault("429 with Retry-After: 1", accepted=False, status=429, retry_after="1"),
    Fault("503 with Retry-After: 1", accepted=False, status=503, html=True, retry_after="1"),
    Fault("connection dropped after accepting", silence="close"),
    Fault("no answer after accepting", silence="hang"),
    Fault("500 after accepting", status=500, html=True),
    Fault("503 after accepting", status=503, html=True),
    Fault("200 with HTML after accepting", html=True),
    Fault("2xx without an id after accepting", no_id=True),
)


class FaultyVendor:
    """Listens while the context lasts.

    :param certificate: What :func:`make_certificate` wrote.
    :ivar posts: Submits that arrived.
    :ivar paid: Those that were accepted.
    """

    def __init__(self, fault: Fault, certificate: Path) -> None:
        self.posts = self.paid = 0
        self._fault = fault
        self._lock = threading.Lock()
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(certificate)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                threading.Thread(target=self._serve, args=(self._listener.accept()[0],), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            if client.recv(1, socket.MSG_PEEK) == _TLS_HELLO:
                client = self._tls.wrap_socket(client, server_side=True)
            request = read_request(client)
            if request is None or not request.startswith(b"POST "):
                return
            with self._lock:
                self.posts += 1
                self.paid += self._fault.accepted
            if self._fault.silence == "reset":
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            elif self._fault.silence == "hang":
                client.recv(1)  # until it gives up
            elif self._fault.silence is None:
                client.sendall(self._answer())
            client.close()

    def _answer(self) -> bytes:
        fault = self._fault
        body = _PAGE.format(fault.status).encode() if fault.html else json.dumps(self._job()).encode()
        head = [f"HTTP/1.1 {fault.status} Status", f"Content-Type: {'text/html' if fault.html else 'application/json'}"]
        if fault.retry_after:
            head.append(f"Retry-After: {fault.retry_after}")
        return "\r\n".join([*head, f"Content-Length: {len(body)}", "Connection: close", "", ""]).encode() + body

    def _job(self) -> dict[str, Any]:
        if self._fault.no_id or self._fault.status != 200:
            return {"message": "see the status"}
        here = f"http://{self.address}/jobs/1"
        names = {"id": "1", "request_id": "1", "status": "starting", "status_url": here, "response_url": here,
                 "cancel_url": here, "object": "video", "created_at": 0, "model": "genmoai/mochi-1", "progress": 0,
                 "seconds": "4", "size": "720x1280"}  # fmt: skip
        return names | {"version": "1", "input": {}, "output": None, "logs": "", "error": None, "urls": {"get": here}}


def make_certificate(path: Path) -> None:
    """A certificate for 127.0.0.1, with its key, that is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "faulty vendor")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
