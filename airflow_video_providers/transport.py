"""How an event loop reaches a vendor: httpx's transport interface over the cheapest thing that is installed.

The interface is used without ``httpx.AsyncClient`` around it: its cookies, redirects and log line per request
are not wanted here and cost as much as the request itself.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.request import getproxies, proxy_bypass

import httpx

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

#: Enough for all looks of one connection that are under way at once. They are kept for half of what gateways
#: usually allow.
LIMITS = httpx.Limits(max_connections=16, max_keepalive_connections=16, keepalive_expiry=30.0)
_ONE = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=30.0)


def loop_transport(home: httpx.URL) -> httpx.AsyncBaseTransport:
    """A transport for one vendor's address, through the environment's proxy where it names one.

    httpx over aiohttp where the ``aiohttp`` extra is installed (it needs about half the CPU time), plain httpx
    otherwise. Nothing is imported before the first look.
    """
    found = getproxies()
    named = None if proxy_bypass(home.host) else found.get(home.scheme) or found.get("all")
    options: dict[str, Any] = {"verify": _trusted(), "proxy": httpx.Proxy(named) if named else None}
    kind = _aiohttp_kind()
    if kind is None:
        return Lanes(lambda: httpx.AsyncHTTPTransport(limits=_ONE, **options))
    return kind(limits=LIMITS, **options)


def prepare() -> None:
    """Load what a first look needs, from a thread: imports and authorities would hold up the event loop."""
    _aiohttp_kind()
    _trusted()


class Lanes(httpx.AsyncBaseTransport):
    """Plain httpx as single connections, the last used first. It returns responses that are read to their end.

    In one pool of sixteen, httpx asks each connection several times on each request whether it is idle and
    alive: that is half of the CPU time of a look.

    :param make: Makes a transport with one connection.
    """

    def __init__(self, make: Callable[[], httpx.AsyncBaseTransport]) -> None:
        self._make = make
        self._all: list[httpx.AsyncBaseTransport] = []
        self._idle: list[httpx.AsyncBaseTransport] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send it on an idle connection, or on a new one."""
        if not self._idle:
            self._all.append(self._make())
            self._idle.append(self._all[-1])
        lane = self._idle.pop()
        try:
            response = await lane.handle_async_request(request)
            try:
                await response.aread()
            finally:
                await response.aclose()
        finally:
            self._idle.append(lane)
        return response

    async def aclose(self) -> None:
        """Close all connections."""
        for lane in self._all:
            await lane.aclose()


@cache
def _trusted() -> ssl.SSLContext:
    """Whom to trust. Reading the authorities takes 20 ms, in which no other trigger runs: once per process."""
    return httpx.create_ssl_context()


def _aiohttp_kind() -> Callable[..., httpx.AsyncBaseTransport] | None:
    try:
        from httpx_aiohttp import AiohttpTransport
    except ImportError:
        return None
    return AiohttpTransport
