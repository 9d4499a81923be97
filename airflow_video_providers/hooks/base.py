"""The hook all vendors share: found by its vendor or model, with the verbs of an event loop."""

from __future__ import annotations

import asyncio
import types
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_video_providers.core.errors import InvalidRequestError, VideoProviderError
from airflow_video_providers.core.jobs import read_job
from airflow_video_providers.core.polling.wait_arguments import DEFAULT_TIMEOUT
from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.hooks import connection_form
from airflow_video_providers.hooks.calls import CallingHook

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta
    from typing import Self

    from airflow_video_providers.core.jobs import VideoJob
    from airflow_video_providers.core.polling.poller import Poller
    from airflow_video_providers.core.polling.progress import OnProgress
    from airflow_video_providers.core.settings import Settings
    from airflow_video_providers.core.vendors.base import Vendor
    from airflow_video_providers.core.vendors.description import WebhookMode
    from airflow_video_providers.core.vendors.models import VideoModel
    from airflow_video_providers.hooks.task_ledger import TaskLedger


class VideoHook(CallingHook):
    """Base of the vendors' hooks. A subclass names its vendor: ``class PixazoHook(VideoHook, vendor=Pixazo)``.

    ::

        hook = PixazoHook()
        job = hook.wait(hook.submit("pixazo:mochi-v1", {"prompt": "A paper boat in a rainy street"}))
        manifest = hook.land(job, "s3://aws_default@bucket/videos")

    Each of these verbs has a counterpart for an event loop, with ``_async`` behind its name.

    :param conn_id: The Airflow connection: password = API key, host = base URL with scheme (empty: the
        vendor's own). Default: ``<vendor>_default``.
    :param ledger: The record of purchases (:func:`~airflow_video_providers.hooks.task_ledger.task_ledger`), so that a
        retry of the task never buys twice. Default: none, and each ``submit`` is a purchase.
    """

    _by_vendor: ClassVar[dict[str, type[VideoHook]]] = {}

    def __init_subclass__(
        cls, vendor: type[Vendor], own_fields: connection_form.Fields | None = None, **kwargs: Any
    ) -> None:
        super().__init_subclass__(**kwargs)
        cls.vendor_class = vendor
        cls.conn_type = vendor.id
        cls.hook_name = vendor.title
        cls.default_conn_name = f"{vendor.id}_default"
        own_fields = own_fields or connection_form.OF_VENDORS.get(vendor.id)
        for name, method in connection_form.hook_methods(vendor.base_url, vendor.status_routes, own_fields).items():
            setattr(cls, name, method)  # Airflow 3.1 looks for them in the class itself, not in its bases
        VideoHook._by_vendor[vendor.id] = cls

    def __init__(self, conn_id: str | None = None, *, ledger: TaskLedger | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.conn_id = conn_id or self.default_conn_name
        self.ledger = ledger

    @classmethod
    def for_model(cls, model: str, conn_id: str | None = None) -> VideoHook:
        """The hook of the vendor that serves this model.

        :raises InvalidRequestError: there is no such model.
        """
        vendor = catalogue.vendor_of(model)
        known = cls._by_vendor.get(vendor.id)
        if known is None:  # a private vendor needs no hook file of its own
            known = types.new_class(f"{vendor.__name__}Hook", (VideoHook,), {"vendor": vendor})
        return known(conn_id)

    @classmethod
    def of_task(cls, task: Any, model: str, conn_id: str | None = None) -> VideoHook:
        """:meth:`for_model`, once per task and process: all that a task does stands on one look-up of its connection.

        :raises InvalidRequestError: there is no such model.
        """
        wanted = cls.for_model(model, conn_id)
        known: VideoHook | None = getattr(task, "video_hook", None)
        if known is not None and (type(known), known.conn_id) == (type(wanted), wanted.conn_id):
            return known
        task.video_hook = wanted
        return wanted

    # In an event loop.

    async def submit_async(
        self,
        model: str | VideoModel,
        request: Mapping[str, Any] | None = None,
        *,
        extra_fields: Mapping[str, Any] | None = None,
        webhook_url: str | None = None,
        webhook_mode: WebhookMode = "terminal",
        make_unique: bool = False,
    ) -> VideoJob:
        """:meth:`submit` for an event loop: the paid call, and the ledger where there is one, in a thread.

        A paid call is not broken off: a cancellation is raised after its answer, and what it has bought is in the log
        then, as a warning that names the ``request_id``, and in the ledger.
        """
        from airflow_video_providers.core.client.async_client import bought_late
        from airflow_video_providers.core.uncancelled import uncancelled

        worker = self._in_thread(await self.aget_settings())

        def buy() -> VideoJob:
            try:
                return worker.submit(
                    model, request, extra_fields=extra_fields, webhook_url=webhook_url, webhook_mode=webhook_mode,
                    make_unique=make_unique,
                )  # fmt: skip
            finally:
                worker.close()

        return await uncancelled(asyncio.to_thread(buy), late=bought_late)

    async def status_async(self, job: VideoJob) -> VideoJob:
        """:meth:`status` for an event loop."""
        async with self.get_async_client(await self.aget_settings()) as client:
            return await client.status(job)

    async def cancel_async(self, job: VideoJob | Mapping[str, Any]) -> VideoJob:
        """:meth:`cancel` for an event loop."""
        job = read_job(job).replace(conn_id=self.conn_id)
        async with self.get_async_client(await self.aget_settings()) as client:
            return await client.cancel(job)

    async def wait_async(
        self,
        job: VideoJob | Mapping[str, Any],
        timeout: float | timedelta = DEFAULT_TIMEOUT,  # noqa: ASYNC109 # the sensor's word: the job's last state is reported
        poll_interval: float | timedelta | None = None,
        on_progress: OnProgress | None = None,
    ) -> VideoJob:
        """:meth:`wait` for an event loop, with the same outcomes.

        All that waits on one connection in one event loop shares a client, a look-up of the connection and its request
        budget: ``asyncio.gather`` of a hundred waits asks the vendor no faster than the connection allows.

        :param on_progress: As there; it may be asynchronous, and is awaited then.
        """
        from airflow_video_providers.core.polling.shared import shared_poller
        from airflow_video_providers.core.polling.wait import wait_async
        from airflow_video_providers.core.wording import in_a_call
        from airflow_video_providers.integration import metrics

        job = read_job(job).replace(conn_id=self.conn_id)

        def poller() -> Poller:
            return shared_poller((job.vendor, self.conn_id), self.connect, self.vendor_class, listener=metrics)

        with in_a_call():
            try:
                done = await wait_async(
                    job, self.vendor_class, poller, timeout, poll_interval, on_progress, log=self.plain_log()
                )
            except VideoProviderError as error:
                metrics.cost_of_failed(error)
                if self.ledger is not None:
                    await asyncio.to_thread(self.ledger.note_ending, error, job, self.plain_log())
                raise
        metrics.cost(done)
        if self.ledger is not None:
            await asyncio.to_thread(self.ledger.note_finished, done, self.plain_log())
        return done

    async def land_async(self, job: VideoJob | Mapping[str, Any], output_path: str, **options: Any) -> dict[str, Any]:
        """:meth:`land` for an event loop, in a thread.

        A cancellation stops the download and is raised when the thread has ended: nothing half is left behind.
        """
        from airflow_video_providers.core.landing.threads import Stop
        from airflow_video_providers.core.uncancelled import uncancelled

        try:
            worker = self._in_thread(await self.aget_settings())
        except InvalidRequestError:  # what is landed already, or lies at a public address, needs none
            worker = self._in_thread()
        stop = Stop()
        work = asyncio.to_thread(worker.land, job, output_path, **{"stop": stop, **options})
        return await uncancelled(work, on_cancel=stop.now)

    def apart(self) -> Self:
        """The same hook with a client of its own, for another thread. What was read of the connection goes along."""
        return self._in_thread(self.__dict__.get("settings"))

    def _in_thread(self, settings: Settings | None = None) -> Self:
        """The same hook for a thread, with what an event loop has read of its connection."""
        worker = type(self)(self.conn_id, ledger=self.ledger)
        if settings is not None:
            worker.__dict__["settings"] = settings
        return worker
