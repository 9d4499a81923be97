"""The client of an event loop.

What it shares with the one of a worker, the API key above all, is in :mod:`airflow_video_providers.core.client.base`.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.client.driver import arun
from airflow_video_providers.core.client.loop_session import LoopSession
from airflow_video_providers.core.inputs.checked import refuse_unlent
from airflow_video_providers.core.polling.connection_cache import SharedClient
from airflow_video_providers.core.polling.poller import Poller
from airflow_video_providers.core.polling.wait import wait_async
from airflow_video_providers.core.polling.wait_arguments import DEFAULT_TIMEOUT
from airflow_video_providers.core.uncancelled import uncancelled
from airflow_video_providers.core.vendors.parameters import kept_of
from airflow_video_providers.core.vendors.wire import compose
from airflow_video_providers.core.wording import in_a_call

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import timedelta

    from airflow_video_providers.core.callbacks.webhook import Callback
    from airflow_video_providers.core.jobs import VideoJob
    from airflow_video_providers.core.polling.progress import OnProgress
    from airflow_video_providers.core.vendors.models import VideoModel

log = logging.getLogger(__name__)


class AsyncVideoClient(LoopSession):
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

    _poller: Poller | None = None

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
        :param callback: Where the vendor is to call (``checked`` of ``core.callbacks.webhook``).
        :raises InvalidRequestError: another vendor serves the model. Nothing was sent.
        :raises SubmissionOutcomeUnknownError: it may have been accepted and charged; it must not be repeated.
        :raises VendorError: the vendor refused, or was not reached; nothing was charged.
        """
        self._serves(request.id)
        refuse_unlent(request, extra_fields, self.vendor.url)
        wire, kept = compose(self.vendor, request, extra_fields), kept_of(request, extra_fields)
        flow = self.vendor.submit(request, wire, *([] if callback is None else [callback]))
        return (await uncancelled(self._send_paid(request, flow), late=bought_late)).replace(**kept)

    async def status(self, job: VideoJob, *, on_request: Callable[[], None] | None = None) -> VideoJob:
        """How a job stands now. What it returns and raises is what :meth:`VideoClient.status` does.

        :param on_request: Called before each request: some polls need two.
        :raises InvalidRequestError: another vendor serves the job's model. Nothing was sent.
        :raises VendorError: no answer about the job; the job is not affected.
        """
        self._serves(job.model)
        with self._unreadable(job):
            return await arun(self.vendor.status(job), await self._reader(on_request), self._pause)

    async def cancel(self, job: VideoJob) -> VideoJob:
        """Cancel a job that has not ended: what :meth:`VideoClient.cancel` does, with the same errors."""
        self._serves(job.model)
        with self._unreadable(job):
            return await arun(self.vendor.cancel(job), await self._reader(None), self._pause)

    async def check(self) -> str:
        """Is the connection good? Spends nothing; returns a sentence that says so.

        :raises VendorError: as :meth:`VideoClient.check`.
        """
        with self._unreadable(None):
            return await arun(self.vendor.check(), await self._reader(None), self._pause)

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
        with in_a_call():
            return await wait_async(
                job, type(self.vendor), self._shared_poller, timeout, poll_interval, on_progress, now=self.vendor.now
            )

    async def land(self, job: VideoJob, output_path: str, **options: Any) -> dict[str, Any]:
        """Land a finished job's outputs: what :meth:`VideoClient.land` does, in a thread.

        A cancellation stops the download and is raised when the thread has ended: nothing half is left behind.
        """
        from airflow_video_providers.core.landing.land import Landing
        from airflow_video_providers.core.landing.threads import Stop

        loop = asyncio.get_running_loop()

        def refresh(stale: VideoJob) -> VideoJob:
            return asyncio.run_coroutine_threadsafe(self.status(stale), loop).result()

        stop = Stop()
        with in_a_call():
            ways = {"refresh": refresh, "keyed": self.keyed_output, "stop": stop}
            landing = Landing(output_path=output_path, **{**ways, **options})
            return await uncancelled(asyncio.to_thread(landing.run, job), on_cancel=stop.now)

    def _shared_poller(self) -> Poller:
        """One request budget for all that this client waits for, while it waits for anything."""
        if self._poller is None:

            async def connect() -> SharedClient:
                return SharedClient(_Borrowed(self), self.vendor.requests_per_minute)

            def forget() -> None:
                self._poller = None

            self._poller = Poller(connect, type(self.vendor), now=self.vendor.now, on_idle=forget)
        return self._poller


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
