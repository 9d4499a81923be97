"""The connection goes to a number, and the certificate is checked against the name."""

from __future__ import annotations

import datetime
import socket
import ssl
import threading
from typing import TYPE_CHECKING

import httpcore
import pytest

from airflow_video_providers.core.landing.address import guarded_pool, tls

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """For ``cdn.test`` only, signed by itself."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "cdn.test")])
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - day, now + day)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("cdn.test")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "cdn.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem.write_bytes(secret + signed.public_bytes(serialization.Encoding.PEM))
    return pem


@pytest.fixture
def port(certificate: Path) -> Iterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            with plain:
                try:
                    with context.wrap_socket(plain, server_side=True) as connection:
                        connection.recv(65536)
                        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
                except OSError:
                    continue  # the client did not like the certificate

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1]
    listener.close()


@pytest.mark.slow
def test_a_certificate_for_the_name_passes_one_for_another_name_or_from_nobody_does_not(
    certificate: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "airflow_video_providers.core.landing.address.resolve", lambda host, port: ["127.0.0.1"]
    )  # both names lead to the same, allowed place
    allowed = frozenset({"cdn.test", "other.test"})
    with guarded_pool(allowed, 1) as pool, pytest.raises(httpcore.ConnectError, match="self-signed"):
        pool.request("GET", f"https://cdn.test:{port}/")
    tls.cache_clear()
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))  # how a company names its own authority
    with guarded_pool(allowed, 1) as pool:
        assert pool.request("GET", f"https://cdn.test:{port}/").content == b"ok"
        with pytest.raises(httpcore.ConnectError, match="Hostname mismatch"):
            pool.request("GET", f"https://other.test:{port}/")
    tls.cache_clear()
