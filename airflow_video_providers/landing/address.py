"""Which addresses may be fetched, and a connection that dials only what was checked.

An output's URL is somebody else's text. It is read strictly, its name is resolved once, every answer must
be a public unicast address, and the connection goes to that very answer: a name that resolves differently
a moment later gains nothing.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterable
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import quote, urljoin, urlsplit

import httpcore

from airflow_video_providers.exceptions import OutputRejectedError
from airflow_video_providers.redact import public_url

if TYPE_CHECKING:
    import ssl

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver = Callable[[str, int], list[str]]

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_GLOBAL_IPV6 = ipaddress.ip_network("2000::/3")
# What Python counts as global and is none the less not the public internet: older Pythons have gaps in the
# IANA registries, tunnels carry an IPv4 address of the sender's choice, and one cloud's metadata service
# lives on a public number.
_REFUSED = [
    ipaddress.ip_network(text)
    for text in (
        "168.63.129.16/32",  # Azure's host node
        "192.0.0.0/24",  # protocol assignments; Oracle's metadata service among them
        "192.88.99.0/24",  # 6to4 relays
        "2001::/23",  # Teredo, ORCHID, benchmarks
        "2002::/16",  # 6to4
        "2001:db8::/32",
        "3fff::/20",  # documentation
    )
]
_LONGEST_URL = 16_384


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
    if len(url) > _LONGEST_URL or any(ord(char) < 33 or char == "\\" or ord(char) == 127 for char in url):
        raise forbidden("The output's address holds characters that no address has, or is far too long.")
    try:
        whole = urljoin(base, url) if base else url
        parts = urlsplit(whole)
        host, port = (parts.hostname or "").rstrip("."), parts.port
        ascii_host = host if host.isascii() else host.encode("idna").decode("ascii")
    except ValueError as broken:  # UnicodeError is one too
        raise forbidden(f"The output's address cannot be read: {broken}.") from None
    shown = public_url(whole)
    if parts.scheme not in ("https", "http") or not ascii_host:
        raise forbidden(f"The output's address {shown!r} is not an https address.")
    if parts.scheme == "http" and ascii_host not in allowed:
        raise forbidden(f"The output's address {shown!r} is plain http, where anybody on the way can change the file.")
    if "@" in parts.netloc:
        raise forbidden(f"The output's address {shown!r} carries a user name.")
    target = quote(parts.path or "/", safe="/%:@!$&'()*+,;=-._~")
    if parts.query:
        target += "?" + quote(parts.query, safe="/%:@!$&'()*+,;=-._~?[]{}|^`\"<>")
    return httpcore.URL(scheme=parts.scheme, host=ascii_host, port=port, target=target)


def is_public(text: str) -> bool:
    """Is this a public unicast address, also after unwrapping the IPv4 address that an IPv6 one may carry?"""
    address: IPAddress = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        elif address in _NAT64:
            address = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        elif address not in _GLOBAL_IPV6:
            return False
    refused = any(address in network for network in _REFUSED if network.version == address.version)
    return address.is_global and not address.is_multicast and not refused


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
            raise forbidden(f"The output's host {host!r} leads to {answer}, which is not a public address.")
    return answers


class GuardedBackend(httpcore.NetworkBackend):
    """Opens connections for ``httpcore``, only to addresses that were vetted."""

    def __init__(self, allowed: frozenset[str], resolver: Resolver | None = None) -> None:
        self._allowed = allowed
        self._resolver = resolver
        self._dial = httpcore.SyncBackend().connect_tcp

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Dial the vetted addresses in turn; TLS still checks the certificate against the name."""
        failure: Exception = httpcore.ConnectError(f"{host} has no address")
        for answer in vetted(host, port, self._allowed, self._resolver):
            try:
                return self._dial(answer, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as refused:
                failure = refused
        raise failure


@cache
def tls() -> ssl.SSLContext:
    """Trusts certifi's list and the system's, where a company's own authority is; reading them takes 50 ms."""
    return httpcore.default_ssl_context()


def guarded_pool(allowed: frozenset[str], connections: int) -> httpcore.ConnectionPool:
    """Connections without credentials, cookies, environment or proxies: nothing to give away."""
    return httpcore.ConnectionPool(
        ssl_context=tls(),
        max_connections=connections,
        retries=0,
        network_backend=GuardedBackend(allowed),
    )
