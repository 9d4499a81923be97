"""The client of an event loop.

What it shares with the one of a worker, the API key above all, is in :mod:`airflow_video_providers.core.client.base`.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Self

import httpx

from airflow_video_providers.core.client import timeouts
from airflow_video_providers.core.client.base import Body, Session, Wires
from airflow_video_providers.core.client.driver import arun, with_jitter
from airflow_video_providers.core.client.transport import MOST_CONNECTIONS, AsyncTransport, prepare
from airflow_video_providers.core.polling.connection_cache import SharedClient
from airflow_video_providers.core.polling.poller import Poller
from airflow_video_providers.core.polling.wait import Progress
from airflow_video_providers.core.polling.wait_arguments import (
    DEFAULT_TIMEOUT,
    begun,
    check_on_progress,
    interval_of,
)
from airflow_video_providers.core.uncancelled import uncancelled
from airflow_video_providers.core.vendors.parameters import kept_of
from airflow_video_providers.core.vendors.wire import compose
from airflow_video_providers.core.wording import in_a_call

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from datetime import timedelta

    from airflow_video_providers.core.callbacks.webhook import Callback
    from airflow_video_providers.core.jobs import VideoJob
    from airflow_video_providers.core.polling.wait import OnProgress
    from airflow_video_providers.core.vendors.base import Flow, Vendor
    from airflow_video_providers.core.vendors.models import VideoModel

    _Send = Callable[[httpx.Request], Awaitable[httpx.Response]]

#: In an event loop the others run after so many pieces of an answer, and a larger one is read in a thread.
_PIECES_IN_A_GO = 100
_READ_AT_ONCE = 256 * 1024

log = logging.getLogger(__name__)


class AsyncVideoClient(Session):
    """One vendor's API in an event loop, without Airflow: what :class:`VideoClient` does, awaited.

    ::

        async with AsyncVideoClient(Segmind(), api_key) as client:
            job = await client.submit(Mochi1(prompt="a fox in the snow"))
            job = await client.wait(job)
            manifest = await client.land(job, "videos")

    Use it in the event loop in which it was first used. All waits of one client share one request budget.

    :param vendor: The vendor, with the address to use.
    :param api_key: Its API key.
    :param transport: An asynchronous httpx transport to send requests with, instead of one to the network: for tests.
    :param sleep: How to pause between two tries of a submit that certainly did not arrive.
    """

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
        self._poller: Poller | None = None

    async def submit(
        self,
        request: VideoModel,
        extra_fields: Mapping[str, Any] | None = None,
        callback: Callback | None = None,
    ) -> VideoJob:
        """Buy one video: what :meth:`VideoClient.submit` does, with the same errors.

        A paid call is not broken off: a cancellation is raised after its answer, and what it has bought is in the log
        then, as a warning that names the ``request_id``.

        :param extra_fields: Fields that the catalogue does not know; sent beside the request's own, as they are.
        :param callback: Where the vendor is to call (:func:`~airflow_video_providers.core.callbacks.webhook.checked`).
        :raises InvalidRequestError: another vendor serves the model. Nothing was sent.
        :raises SubmissionOutcomeUnknownError: it may have been accepted and charged; it must not be repeated.
        :raises VendorError: the vendor refused, or was not reached; nothing was charged.
        """
        self._serves(request.id)
        wire, kept = compose(self.vendor, request, extra_fields), kept_of(request, extra_fields)
        flow = self.vendor.submit(request, wire, *([] if callback is None else [callback]))
        return (await uncancelled(self._send_paid(request, flow), late=bought_late)).replace(**kept)

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

    async def status(self, job: VideoJob, *, on_request: Callable[[], None] | None = None) -> VideoJob:
        """How a job stands now. What it returns and raises is what :meth:`VideoClient.status` does.

        :param on_request: Called before each request: some polls need two.
        :raises InvalidRequestError: another vendor serves the job's model. Nothing was sent.
        :raises VendorError: no answer about the job; the job is not affected.
        """
        self._serves(job.model)
        with self._unreadable(job):
            return await arun(self.vendor.status(job), await self._reader(on_request), self._pause)

    async def check(self) -> str:
        """Is the connection good? Spends nothing; returns a sentence that says so.

        :raises VendorError: as :meth:`VideoClient.check`.
        """
        with self._unreadable(None):
            return await arun(self.vendor.check(), await self._reader(None), self._pause)

    async def _reader(self, sending: Callable[[], None] | None) -> _Send:
        if not self._wires and self._transport is None:
            await asyncio.to_thread(prepare)
        self._wires.to(self._home)
        return self._sender(timeouts.READ, self._wires, sending)

    async def wait(
        self,
        job: VideoJob,
        timeout: float | timedelta = DEFAULT_TIMEOUT,  # noqa: ASYNC109 # the sensor's word: the job's last state is reported
        poll_interval: float | timedelta | None = None,
        on_progress: OnProgress | None = None,
    ) -> VideoJob:
        """Wait until the job is finished: what :meth:`VideoClient.wait` does, with the same outcomes.

        :param on_progress: As there; it may be asynchronous, and is awaited then.
        """
        self._serves(job.model)
        check_on_progress(on_progress, asynchronous=True)
        state, interval = begun(job, timeout, self.vendor.now()), interval_of(poll_interval)
        progress = Progress(job, on_progress, log)
        with in_a_call():
            return await self._shared_poller().wait(state, interval=interval, on_news=progress)

    async def land(self, job: VideoJob, output_path: str, **options: Any) -> dict[str, Any]:
        """Land a finished job's outputs: what :meth:`VideoClient.land` does, in a thread.

        A cancellation stops the download and is raised when the thread has ended: nothing half is left behind.
        """
        from airflow_video_providers.core.landing.land import Landing
        from airflow_video_providers.core.landing.land_async import land_in_thread

        loop = asyncio.get_running_loop()

        def refresh(stale: VideoJob) -> VideoJob:
            return asyncio.run_coroutine_threadsafe(self.status(stale), loop).result()

        with in_a_call():
            return await land_in_thread(Landing(output_path=output_path, **{"refresh": refresh, **options}), job)

    def _shared_poller(self) -> Poller:
        """One request budget for all that this client waits for, while it waits for anything."""
        if self._poller is None:

            async def connect() -> SharedClient:
                return SharedClient(_Borrowed(self), self.vendor.requests_per_minute)

            def forget() -> None:
                self._poller = None

            self._poller = Poller(connect, type(self.vendor), now=self.vendor.now, on_idle=forget)
        return self._poller

    def _sender(
        self, timeout: httpx.Timeout, wires: Wires, sending: Callable[[], None] | None, *, paid: bool = False
    ) -> _Send:
        """Sends a request and returns the answer.

        :param wires: What to send it with.
        :param sending: Called before each request.
        :param paid: An answer that breaks off still gives the id that it has named.
        """

        async def send(call: httpx.Request) -> httpx.Response:
            if sending is not None:
                sending()
            async with self._room:
                return await self._send(self._sign(call, timeout), wires, paid=paid)

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


class _Borrowed:
    """A client as the poller sees it, which must not close it."""

    def __init__(self, client: AsyncVideoClient) -> None:
        self.status = client.status

    async def aclose(self) -> None:
        """It is its owner's to close."""


def bought_late(job: VideoJob) -> None:
    """A caller that was cancelled in the middle of a purchase never sees the job: the log does."""
    log.warning(
        "Cancelled while it was buying. The job %s of %s is bought and will be charged; wait for it with this id.",
        job.request_id,
        job.model,
    )
