"""How an event loop reaches a vendor: httpx's transport interface over the cheapest thing that is installed.

The interface is used without ``httpx.AsyncClient`` around it: its cookies, redirects and log line per request
are not wanted here and cost as much as the request itself.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING
from urllib.request import getproxies, proxy_bypass

import httpx

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

#: A pool is walked on each request, and each idle connection in it is asked whether it still lives: few
#: connections are faster than many. They are kept for half of what gateways usually allow.
LIMITS = httpx.Limits(max_connections=16, max_keepalive_connections=16, keepalive_expiry=30.0)


def loop_transport(home: httpx.URL) -> httpx.AsyncBaseTransport:
    """A transport for one vendor's address, through the environment's proxy where it names one.

    httpx over aiohttp where the ``aiohttp`` extra is installed (it needs less than half the CPU time), plain
    httpx otherwise. Nothing is imported before the first look.
    """
    found = getproxies()
    proxy = None if proxy_bypass(home.host) else found.get(home.scheme) or found.get("all")
    return _kind()(verify=_trusted(), limits=LIMITS, proxy=httpx.Proxy(proxy) if proxy else None)


@cache
def _trusted() -> ssl.SSLContext:
    """Whom to trust. Reading the authorities takes 20 ms, in which no other trigger runs: once per process."""
    return httpx.create_ssl_context()


def _kind() -> Callable[..., httpx.AsyncBaseTransport]:
    try:
        from httpx_aiohttp import AiohttpTransport
    except ImportError:
        return httpx.AsyncHTTPTransport
    return AiohttpTransport
