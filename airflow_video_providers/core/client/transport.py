"""The way of bytes to a vendor and back: httpx's transports over httpcore's own pools.

What is added to the pools stands in the streams below them: see :mod:`airflow_video_providers.core.client.streams`. What fails
before a byte of the request has left is reported as a connection that was never made, whatever it was.

There are no cookies, no redirects and no log record per request: those belong to ``httpx.Client``, which is not used.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

import httpcore
import httpx

from airflow_video_providers.core.border import printable
from airflow_video_providers.core.client.environment import Route, route_to, trusted
from airflow_video_providers.core.client.streams import CALL, AsyncBackend, AsyncStream, Call, SyncBackend

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

#: At most so many polls of one connection are under way at once; the rest waits outside of the pool, because httpcore
#: walks all that it holds on each request.
MOST_CONNECTIONS = 16
#: They are kept for half of what gateways usually allow.
_KEPT_SECONDS = 30.0
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, httpx.UnsupportedProtocol)


class SyncTransport(httpx.BaseTransport):
    """One connection per call: a kept one may be closed by the other side just as a paid request is sent.

    :param home: The vendor's address.
    :raises VendorUnavailableError: the environment names a proxy or authorities that cannot be used.
    """

    def __init__(self, home: httpx.URL) -> None:
        self._route = route_to(home)
        kinds = httpcore.ConnectionPool, httpcore.HTTPProxy, httpcore.SOCKSProxy
        self._pool: httpcore.ConnectionPool = _pool(kinds, self._route, SyncBackend(), 0)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        with _reported(request, self._route):
            answer = self._pool.handle_request(_core(request))
        return httpx.Response(
            answer.status,
            headers=answer.headers,
            stream=_Body(answer, request, self._route),
        )

    def close(self) -> None:
        self._pool.close()


class AsyncTransport(httpx.AsyncBaseTransport):
    """Connections that are kept, each as long as nothing but answers to its requests has come on it.

    :param home: The vendor's address.
    :param kept: How many; none for a paid call, as in a worker.
    :raises VendorUnavailableError: the environment names a proxy or authorities that cannot be used.
    """

    def __init__(self, home: httpx.URL, kept: int = MOST_CONNECTIONS) -> None:
        self._route = route_to(home)
        kinds = httpcore.AsyncConnectionPool, httpcore.AsyncHTTPProxy, httpcore.AsyncSOCKSProxy
        self._pool: httpcore.AsyncConnectionPool = _pool(kinds, self._route, AsyncBackend(), kept)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        with _reported(request, self._route):
            answer = await self._pool.handle_async_request(_core(request))
        return httpx.Response(
            answer.status,
            headers=answer.headers,
            stream=_AsyncBody(answer, request, self._route),
        )

    async def aclose(self) -> None:
        await self._pool.aclose()


@cache
def prepare() -> None:
    """Load what a first poll needs, from a thread: imports and authorities would hold up an event loop.

    :raises VendorUnavailableError: the environment names authorities that cannot be used.
    """
    trusted()
    asyncio.run(httpcore.AnyIOBackend().sleep(0))  # imports what works in an event loop


def call_of(request: httpx.Request, seconds: float) -> None:
    """Give a request its seconds in all; they begin now."""
    request.extensions["call"] = Call(time.monotonic() + seconds, f"{request.method} ".encode())


def _pool(kinds: Any, route: Route, backend: Any, kept: int) -> Any:
    direct, through_http, through_socks = kinds
    options: dict[str, Any] = {
        "ssl_context": route.trusted,
        "max_connections": MOST_CONNECTIONS,
        "max_keepalive_connections": kept,
        "keepalive_expiry": _KEPT_SECONDS,
        "network_backend": backend,
    }
    proxy = route.proxy
    if proxy is None:
        return direct(**options)
    url = _core_url(proxy.url)
    if proxy.url.scheme.startswith("socks"):
        return through_socks(proxy_url=url, proxy_auth=proxy.raw_auth, **options)
    return through_http(proxy_url=url, proxy_auth=proxy.raw_auth, proxy_ssl_context=proxy.ssl_context, **options)


def _core(request: httpx.Request) -> httpcore.Request:
    return httpcore.Request(
        method=request.method,
        url=_core_url(request.url),
        headers=request.headers.raw,
        content=request.stream,
        extensions=request.extensions,
    )


def _core_url(url: httpx.URL) -> httpcore.URL:
    return httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)


@contextmanager
def _reported(request: httpx.Request, route: Route) -> Iterator[None]:
    """One call's steps. What breaks it is one of httpx's errors, and one of a connection that was never made where
    no byte of the request has left."""
    call: Call = request.extensions["call"]
    token = CALL.set(call)
    try:
        yield
    except Exception as error:  # noqa: BLE001 # h11, ssl, idna and the resolver have their own
        kind: type[httpx.HTTPError] = getattr(httpx, type(error).__name__, httpx.ReadError)
        known = type(error).__module__.startswith("httpcore") and issubclass(kind, httpx.TransportError)
        text = printable(error if known else f"{type(error).__name__}: {error}", 400)
        if not known:
            kind = httpx.ReadError
        if not call.sent:
            kind = kind if issubclass(kind, _NEVER_SENT) else httpx.ConnectError
            text += f" (through the proxy that {route.variable} names)" if route.variable else ""
        raise kind(text) from None  # its cause says the same, and might say the key
    finally:
        CALL.reset(token)


# Bodies.


class _Body(httpx.SyncByteStream):
    def __init__(self, answer: httpcore.Response, request: httpx.Request, route: Route) -> None:
        self._answer = answer
        self._request = request
        self._route = route

    def __iter__(self) -> Iterator[bytes]:
        pieces = self._answer.iter_stream()
        while True:
            with _reported(self._request, self._route):
                piece = next(pieces, None)
            if piece is None:
                return
            yield piece

    def close(self) -> None:
        self._answer.close()


class _AsyncBody(httpx.AsyncByteStream):
    def __init__(self, answer: httpcore.Response, request: httpx.Request, route: Route) -> None:
        self._answer = answer
        self._request = request
        self._route = route

    async def __aiter__(self) -> AsyncIterator[bytes]:
        pieces = self._answer.aiter_stream()
        while True:
            with _reported(self._request, self._route):
                piece = await anext(pieces, None)
            if piece is None:
                break
            yield piece
        wire = self._answer.extensions.get("network_stream")
        if isinstance(wire, AsyncStream):
            await wire.close_unless_whole()

    async def aclose(self) -> None:
        await self._answer.aclose()
