"""How an event loop's client sends what a flow yields."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self

import httpx

from airflow_video_providers.core.client import timeouts
from airflow_video_providers.core.client.base import Session, Wires
from airflow_video_providers.core.client.body import Body
from airflow_video_providers.core.client.driver import arun, with_jitter
from airflow_video_providers.core.client.transport import MOST_CONNECTIONS, AsyncTransport, prepare

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from airflow_video_providers.core.jobs import VideoJob
    from airflow_video_providers.core.vendors.base import Flow, Vendor
    from airflow_video_providers.core.vendors.models import VideoModel

    _Send = Callable[[httpx.Request], Awaitable[httpx.Response]]

#: In an event loop the others run after so many pieces of an answer, and a larger one is read in a thread.
_PIECES_IN_A_GO = 100
_READ_AT_ONCE = 256 * 1024


class LoopSession(Session):
    """A session that is awaited: what :class:`~airflow_video_providers.core.client.async_client.AsyncVideoClient` stands on."""

    def __init__(
        self,
        vendor: Vendor,
        api_key: str,
        *,
        transport: Any = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        super().__init__(vendor, api_key, transport)
        self._sleep = sleep
        self._wires = Wires(lambda url: transport or AsyncTransport(url))
        self._room = asyncio.Semaphore(MOST_CONNECTIONS)

    async def _send_paid(self, request: VideoModel, flow: Flow[VideoJob]) -> VideoJob:
        with self._paid(request) as sending:
            await asyncio.to_thread(prepare)
            # a connection of its own: a kept one may be closed by the other side just as a paid request is sent
            own = Wires(lambda url: self._transport or AsyncTransport(url, kept=0))
            try:
                return await arun(flow, self._sender(timeouts.SUBMIT, own, sending, paid=True), self._pause)
            finally:
                for wire in own.let_go():
                    await wire.aclose()

    async def _reader(self, sending: Callable[[], None] | None) -> _Send:
        if not self._wires and self._transport is None:
            await asyncio.to_thread(prepare)
        self._wires.to(self._home)
        return self._sender(timeouts.READ, self._wires, sending)

    def _sender(
        self, timeout: httpx.Timeout, wires: Wires, sending: Callable[[], None] | None, *, paid: bool = False
    ) -> _Send:
        """Sends a request and returns the answer.

        :param wires: What to send it with.
        :param sending: Called before each request.
        :param paid: An answer that breaks off still gives the id that it has named.
        """

        async def send(call: httpx.Request) -> httpx.Response:
            async with self._room:
                signed = self._sign(call, timeout)  # its seconds in all begin here, and what is refused is not sent
                if sending is not None:
                    sending()
                return await self._send(signed, wires, paid=paid)

        return send

    async def _send(self, call: httpx.Request, wires: Wires, *, paid: bool) -> httpx.Response:
        body: Body | None = None
        try:
            response: httpx.Response = await wires.to(call.url).handle_async_request(call)
            try:
                body, pieces = Body(response), 0
                async for piece in response.stream:  # type: ignore[union-attr] # an asynchronous transport's
                    if not body.take(piece):
                        break
                    pieces += 1
                    if pieces % _PIECES_IN_A_GO == 0:
                        await asyncio.sleep(0)
                else:
                    body.finish()
            finally:
                await response.aclose()
        except httpx.HTTPError as error:
            broken = self._broken(error, body.known() if paid and body else "")
        else:
            content = body.so_far()
            if len(content) > _READ_AT_ONCE:
                return await asyncio.to_thread(self._clean, response, content)
            return self._clean(response, content)
        raise broken

    async def _pause(self, seconds: float) -> None:
        await self._sleep(with_jitter(seconds))

    async def aclose(self) -> None:
        """Close the kept connections."""
        for wire in self._wires.let_go():
            await wire.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
