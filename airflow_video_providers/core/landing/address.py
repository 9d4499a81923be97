"""Which addresses may be fetched, and a connection that dials only what was checked.

An output's URL is somebody else's text. It is read strictly, its name is resolved once, every answer must
be a public unicast address, and the connection goes to that very answer: a name that resolves differently
a moment later gains nothing.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import threading
from collections.abc import Callable, Iterable
from functools import cache
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urljoin, urlsplit

import httpcore

from airflow_video_providers.core.border import printable
from airflow_video_providers.core.errors import OutputRejectedError
from airflow_video_providers.core.hosts import IPAddress, is_public
from airflow_video_providers.core.landing.pacing import Pace, PacedStream
from airflow_video_providers.core.redact import public_url

if TYPE_CHECKING:
    import ssl

Resolver = Callable[[str, int], list[str]]

_LONGEST_URL = 16_384
_AROUND = "".join(map(chr, range(33)))
_BREAKS = re.compile(r"[\t\r\n]")
_HOST = re.compile(r"[A-Za-z0-9._~-]+|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")


def forbidden(what: str) -> OutputRejectedError:
    """The error for an address that may not be fetched."""
    return OutputRejectedError(
        what,
        reason="forbidden_address",
        remedy="The file may still be in the vendor's console. For a vendor inside your own network name its "
        "host in the connection's allow_private_hosts.",
    )


def host_names(hosts: Iterable[str]) -> frozenset[str]:
    """Host names as they are compared: lower case, no brackets, no final dot."""
    return frozenset(host.strip().strip("[]").rstrip(".").lower() for host in hosts)


def checked_url(url: str, allowed: frozenset[str], base: str | None = None) -> httpcore.URL:
    """Read a URL strictly.

    :param url: The text that came from outside; relative only with ``base``.
    :param allowed: Hosts that may be reached by plain http.
    :param base: The address whose answer named ``url`` as its redirect.
    :raises OutputRejectedError: if it is not https, carries userinfo, or is no address at all.
    """
    if len(url) > _LONGEST_URL:
        raise forbidden("The output's address is far too long.")
    text = _as_browsers_read(url)
    try:
        whole = urljoin(base, text) if base else text
        parts = urlsplit(whole)
        host, port = unquote(parts.hostname or "", errors="strict").rstrip("."), parts.port
        ascii_host = host if host.isascii() else host.encode("idna").decode("ascii")
        target = quote(parts.path or "/", safe="/%:@!$&'()*+,;=-._~")
        if parts.query:
            target += "?" + quote(parts.query, safe="/%:@!$&'()*+,;=-._~?[]{}|^`")
    except ValueError as broken:  # UnicodeError is one too
        raise forbidden(f"The output's address cannot be read: {str(broken)[:80]!r}.") from None
    text = shown(whole)
    if parts.scheme not in ("https", "http") or not ascii_host:
        raise forbidden(f"The output's address {text!r} is not an https address.")
    if "@" in parts.netloc:
        raise forbidden(f"The output's address {text!r} carries a user name.")
    if not _HOST.fullmatch(ascii_host):
        raise forbidden(f"The output's address {text!r} names a host that cannot be.")
    if parts.scheme == "http" and ascii_host not in allowed:
        raise forbidden(f"The output's address {text!r} is plain http, where anybody on the way can change the file.")
    return httpcore.URL(scheme=parts.scheme, host=ascii_host, port=port, target=target)


def shown(url: str) -> str:
    """An address as a text may hold it: short, printable, without what may be a signature or a password."""
    return printable(public_url(url))


def _as_browsers_read(url: str) -> str:
    """Without the space around it and the line breaks in it, with slashes for backslashes.

    What else has no place in an address is escaped. What is dialled is read from this text and from no other.
    """
    text = _BREAKS.sub("", url.strip(_AROUND))
    behind = min((at for at in (text.find("?"), text.find("#")) if at >= 0), default=len(text))
    return text[:behind].replace("\\", "/") + text[behind:]


def _is_local_service(text: str) -> bool:
    """Link-local, multicast and "any" addresses: metadata services, never a vendor, not even an allowed one."""
    address: IPAddress = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.is_link_local or address.is_multicast or address.is_unspecified


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host, as the system's resolver gives them."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def vetted(host: str, port: int, allowed: frozenset[str], resolver: Resolver | None = None) -> list[str]:
    """Resolve a host once and let it pass only if every answer may be dialled.

    :raises OutputRejectedError: if one answer is not public, and the host is not among ``allowed``.
    :raises httpcore.ConnectError: if there is no answer; that may pass.
    """
    try:
        answers = (resolver or resolve)(host, port)
    except (OSError, UnicodeError) as failed:
        raise httpcore.ConnectError(f"{host} cannot be resolved: {failed}") from failed
    passes = (lambda text: not _is_local_service(text)) if host.lower() in allowed else is_public
    for answer in answers:
        if not passes(answer):
            raise forbidden(f"The output's host {printable(host)!r} leads to {answer}, which is not a public address.")
    return answers


class GuardedBackend(httpcore.NetworkBackend):
    """Opens connections for ``httpcore``, only to addresses that were vetted.

    :param pace: What is left for the request of the thread that connects; None: as long as each step may take.
    """

    def __init__(self, allowed: frozenset[str], resolver: Resolver | None = None, pace: Pace | None = None) -> None:
        self._allowed = allowed
        self._resolver = resolver
        self._pace = pace
        self._dial = httpcore.SyncBackend().connect_tcp

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Dial the vetted addresses one after the other; TLS still checks the certificate against the name."""
        failure: Exception = httpcore.ConnectError(f"{host} has no address")
        for answer in vetted(host, port, self._allowed, self._in_time(timeout)):
            try:
                stream = self._dial(answer, port, self._left(timeout), local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as refused:
                failure = refused
            else:
                return stream if self._pace is None else PacedStream(stream, self._pace)
        raise failure

    def _left(self, wish: float | None) -> float | None:
        return wish if self._pace is None else self._pace.left(wish, httpcore.ConnectTimeout)

    def _in_time(self, timeout: float | None) -> Resolver:
        """The system's resolver takes no time-out, so it is waited for; a thread that it holds for longer ends alone."""
        asked = self._resolver or resolve

        def answers(host: str, port: int) -> list[str]:
            answers: SimpleQueue[list[str] | Exception] = SimpleQueue()

            def ask() -> None:
                try:
                    answers.put(asked(host, port))
                except Exception as failed:  # noqa: BLE001 - raised again where it is waited for
                    answers.put(failed)

            threading.Thread(target=ask, name="resolve", daemon=True).start()
            try:
                found = answers.get(timeout=self._left(timeout))
            except Empty:
                raise httpcore.ConnectTimeout(f"{host} cannot be resolved in time") from None
            if isinstance(found, Exception):
                raise found
            return found

        return answers


@cache
def tls() -> ssl.SSLContext:
    """Trusts certifi's list and the system's, where a company's own authority is; reading them takes 50 ms."""
    return httpcore.default_ssl_context()


def guarded_pool(allowed: frozenset[str], connections: int, pace: Pace | None = None) -> httpcore.ConnectionPool:
    """Connections without credentials, cookies, environment or proxies: nothing to give away.

    Each serves one request: bytes that a server leaves behind an answer are nobody's next answer.
    """
    return httpcore.ConnectionPool(
        ssl_context=tls(),
        max_connections=connections,
        max_keepalive_connections=0,
        retries=0,
        network_backend=GuardedBackend(allowed, pace=pace),
    )
