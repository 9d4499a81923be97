"""The hook all vendors share: from an Airflow connection to a client. The first file that needs Airflow."""

from __future__ import annotations

import types
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, cast

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

from airflow_video_providers.core.errors import InvalidRequestError, VideoProviderError
from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.core.vendors.models import VideoModel
from airflow_video_providers.hooks import connection_form

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping
    from logging import Logger

    from airflow_video_providers.core.callbacks.webhook import Callback
    from airflow_video_providers.core.client.async_client import AsyncVideoClient
    from airflow_video_providers.core.client.client import VideoClient
    from airflow_video_providers.core.jobs import VideoJob
    from airflow_video_providers.core.purchase.order import Order
    from airflow_video_providers.core.settings import ConnectionLike, Settings
    from airflow_video_providers.core.vendors.base import Vendor
    from airflow_video_providers.core.vendors.description import WebhookMode


class VideoHook(BaseHook):
    """Base of the vendors' hooks. A subclass names its vendor: ``class PixazoHook(VideoHook, vendor=Pixazo)``.

    :param conn_id: The Airflow connection: password = API key, host = base URL with scheme (empty: the
        vendor's own). Default: ``<vendor>_default``.
    """

    conn_name_attr = "conn_id"
    conn_type: ClassVar[str]
    hook_name: ClassVar[str]
    default_conn_name: ClassVar[str]
    vendor_class: ClassVar[type[Vendor]]
    _by_vendor: ClassVar[dict[str, type[VideoHook]]] = {}

    def __init_subclass__(cls, vendor: type[Vendor], **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.vendor_class = vendor
        cls.conn_type = vendor.id
        cls.hook_name = vendor.title
        cls.default_conn_name = f"{vendor.id}_default"
        for name, method in connection_form.hook_methods(vendor.base_url, vendor.status_routes).items():
            setattr(cls, name, method)  # Airflow 3.1 looks for them in the class itself, not in its bases
        VideoHook._by_vendor[vendor.id] = cls

    def __init__(self, conn_id: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.conn_id = conn_id or self.default_conn_name

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

    # The connection.

    @cached_property
    def settings(self) -> Settings:
        """What the connection says.

        :raises InvalidRequestError: Airflow does not give it, which a retry may help, or it is another vendor's, or it has
            no key. Nothing was sent.
        """
        try:
            return self.read(self.get_connection(self.conn_id))
        except InvalidRequestError:
            raise
        except Exception as error:
            raise self.unavailable(error) from error

    def read(self, connection: ConnectionLike) -> Settings:
        """The settings in a connection that was looked up elsewhere."""
        from airflow_video_providers.core.settings import read_settings

        return read_settings(connection, self.vendor_class.id)

    def unavailable(self, error: Exception) -> InvalidRequestError:
        """The error for a connection that Airflow does not give.

        :param error: What the look-up raised. Airflow's "not defined" also means that it could not ask.
        """
        missing = isinstance(error, AirflowNotFoundException)
        away = "Airflow's database, API server or secrets backend did not answer"
        return InvalidRequestError(
            f"There is no connection {self.conn_id!r}: either it is not defined, or {away}."
            if missing
            else f"The connection {self.conn_id!r} could not be read ({type(error).__name__}): either {away}, or what is "
            "stored is no connection.",
            remedy=f"If it is missing, add one of type {self.conn_type!r} with the API key as its password, for example in "
            f"AIRFLOW_CONN_{self.conn_id.upper()}; if Airflow was away, running the task again is enough.",
            vendor=self.vendor_class.id,
            field="conn_id" if missing else None,
            value=self.conn_id,
            retryable=True,
        )

    def vendor(self, settings: Settings) -> Vendor:
        """The vendor at the address and with the options that the connection names."""
        return self.vendor_class(settings.base_url, status_route=settings.status_route, paths=settings.paths)

    @cached_property
    def _client(self) -> VideoClient:
        from airflow_video_providers.core.client.client import VideoClient  # parsing a DAG needs no client

        return VideoClient(self.vendor(self.settings), self.settings.api_key)

    def get_conn(self) -> VideoClient:
        """The synchronous client."""
        return self._client

    def get_async_client(self, settings: Settings) -> AsyncVideoClient:
        """A client for an event loop, for settings that were looked up there. The caller closes it."""
        from airflow_video_providers.core.client.async_client import AsyncVideoClient

        return AsyncVideoClient(self.vendor(settings), settings.api_key)

    def reconnect(self) -> None:
        """Forget the connection, so that the next call reads it anew: its key may have been changed."""
        self.close()
        self.__dict__.pop("settings", None)

    def close(self) -> None:
        """Close the client's connections."""
        client = self.__dict__.pop("_client", None)
        if client is not None:
            client.close()

    # The vendor's API.

    def refuse_if_off(self) -> None:
        """Nothing is bought with a connection that says so.

        :raises InvalidRequestError: ``submits_enabled`` of its extra is false, or neither true nor false.
        """
        if not self.settings.submits_enabled:
            raise InvalidRequestError(
                f"Nothing is bought with the connection {self.conn_id!r}: submits_enabled in its extra is false.",
                remedy="Set submits_enabled to true in the connection's extra, then run the task again.",
                vendor=self.vendor_class.id,
                field="submits_enabled",
                value=False,
            )

    def order(
        self, request: VideoModel, extra_fields: Mapping[str, Any] | None = None, callback: Callback | None = None
    ) -> Order:
        """What a hook buys, within the limits in the connection's extra: they are its owner's, and hold here too.

        :raises InvalidRequestError: the connection does not buy this request. Nothing was sent.
        """
        from airflow_video_providers.core.purchase.order import make_order

        self.refuse_if_off()
        fields = {} if extra_fields is None else extra_fields
        order = make_order(self.get_conn().vendor, request, fields, self.settings, callback=callback)
        order.limits.check(order.cost, model=request.id)
        order.limits.refuse_sums(
            "without a ledger a hook cannot count that",
            "Buy with SubmitVideoOperator or GenerateVideoOperator, pass a ledger, or take the limit out of the "
            "connection's extra.",
            model=request.id,
        )
        return order

    def submit(
        self,
        model: str | VideoModel,
        request: Mapping[str, Any] | None = None,
        *,
        extra_fields: Mapping[str, Any] | None = None,
        webhook_url: str | None = None,
        webhook_mode: WebhookMode = "terminal",
    ) -> VideoJob:
        """Buy one video, and return its job. Repeats nothing that may have arrived.

        This is the bare call: each one is a purchase, and the record that keeps a retry from buying twice belongs to
        the operators. What the connection's extra says about spending holds here too.

        :param model: A model's id, with ``request`` as a dict, or a typed request.
        :param request: The model's fields, where ``model`` is an id.
        :param extra_fields: Fields of the vendor that the catalogue does not know; sent as they are.
        :param webhook_url: Your own receiver, an https address that the vendor calls when the job has ended.
        :param webhook_mode: ``"terminal"``, or ``"sync"`` for a call at each status that the vendor sees too.
        :raises InvalidRequestError: the request, the webhook, the connection or a limit does not allow it; nothing was sent.
        :raises VendorError: the vendor refused; nothing was charged.
        :raises SubmissionOutcomeUnknownError: it may have been accepted and charged.
        """
        typed = (
            model if isinstance(model, VideoModel) else catalogue.find(model).parse({} if request is None else request)
        )
        order = self.order(typed, extra_fields, self.callback(webhook_url, webhook_mode))
        return order.noted_in(self.send(self._lent(order)))

    def callback(self, webhook_url: str | None, webhook_mode: object = "terminal") -> Callback | None:
        """An author's own receiver, checked; None where none is named.

        :raises InvalidRequestError: this vendor has no webhooks, or cannot call that address. Nothing was sent.
        """
        if not webhook_url:
            return None
        from airflow_video_providers.core.callbacks.webhook import checked

        return checked(self.vendor_class, webhook_url, webhook_mode, allowed_hosts=self.settings.allow_private_hosts)

    def send(
        self, order: Order, *, into: str | os.PathLike[str] | None = None, max_bytes: int | None = None
    ) -> VideoJob:
        """The paid call alone, where everything was checked before, and for an operator its intent is stored.

        :param into: Buy on the route that answers with the video itself, and stream it to this file.
        :param max_bytes: That file may not be larger.
        """
        if order.staged is not None and order.staged.images:
            raise AssertionError("an image in storage is lent before the paid call")
        client = self.get_conn()
        if into is None:
            return client.buy(order.request, order.wire, order.callback)
        return client.buy_to_file(order.request, order.wire, into, max_bytes=max_bytes)

    def status(self, job: VideoJob) -> VideoJob:
        """How a job stands now; a finished job holds its outputs.

        :raises VendorError: no answer about the job; the job is not affected.
        :raises InvalidRequestError: the connection is missing or wrong; the job is not affected.
        """
        return self.get_conn().status(job)

    async def aget_settings(self) -> Settings:
        """:attr:`settings` for an event loop."""
        from airflow.providers.common.compat.connection import get_async_connection
        from asgiref.sync import sync_to_async

        try:
            try:
                connection = await get_async_connection(self.conn_id)
            except AirflowNotFoundException:
                # In dag.test() the asynchronous look-up does not see the metadata database.
                connection = await sync_to_async(self.get_connection)(self.conn_id)
            return self.read(connection)
        except InvalidRequestError:
            raise
        except Exception as error:
            raise self.unavailable(error) from error

    def generate_to_file(
        self, request: VideoModel, path: str | os.PathLike[str], *, extra_fields: Mapping[str, Any] | None = None
    ) -> VideoJob:
        """Buy one video on a route that answers with the video itself (Segmind's v1), and stream it to ``path``.

        As :meth:`submit`, this is the bare call: without a record of purchases, and within the connection's limits.

        :param request: The typed request.
        :param path: A file in a folder that exists; it appears when the whole answer has arrived.
        :param extra_fields: As in :meth:`submit`.
        :raises SubmissionOutcomeUnknownError: interrupted after sending; there is no id to come back to.
        :raises InvalidRequestError: the vendor has no such route, ``path`` cannot be written, or the connection or a limit
            of it does not allow it. Nothing was sent.
        :raises VendorError: the vendor refused; nothing was charged.
        """
        order = self.order(request, extra_fields)
        return order.noted_in(self.send(self._lent(order), into=path))

    def _lent(self, order: Order) -> Order:
        """The order with addresses of its stored images that the vendor can fetch."""
        from airflow_video_providers.core.inputs.lend import loan_for

        return order.lent(self.get_conn(), self.settings, loan=loan_for(None), log=cast("Logger", self.log))

    def _other_paths(self) -> str:
        """What the connection says of where models are bought.

        :raises InvalidRequestError: of a model that this vendor does not have.
        """
        text = ""
        for model, path in self.settings.paths.items():
            if catalogue.vendor_of(model).id != self.vendor_class.id:
                raise InvalidRequestError(
                    f"paths in the connection's extra names {model!r}, which another vendor serves.",
                    vendor=self.vendor_class.id,
                    field="paths",
                    value=model,
                )
            text += f" {model} is bought at {path}."
        return text

    def _own_prices(self) -> str:
        """What the connection says of prices, all of it read.

        :raises InvalidRequestError: a part of it is malformed, or names a model that this connection never buys.
        """
        from airflow_video_providers.core.purchase.price_list import check_prices

        counted = check_prices(self.settings.extra.get("prices"), self.vendor_class.id)
        rows = (f"{model} ({rows} row{'s' if rows > 1 else ''})" for model, rows in counted.items())
        return f" It has its own prices of {', '.join(rows)}." if counted else ""

    def _check_limits(self) -> None:
        """Read what the connection says of spending, all of it.

        :raises InvalidRequestError: a part of it is malformed: every submit would be refused.
        """
        from airflow_video_providers.core.purchase.limits import Limits
        from airflow_video_providers.core.purchase.owner_fields import check_fields

        Limits.of(self.settings.extra)
        check_fields(self.settings.extra.get("fields"), self.vendor_class.id)

    def test_connection(self) -> tuple[bool, str]:
        """Try the connection without spending anything: is it complete, does the vendor answer, is the key taken?"""
        try:
            other = self._other_paths() + self._own_prices()
            self._check_limits()
            return True, f"{self.get_conn().check()}{other}"
        except VideoProviderError as error:
            return False, f"{error.what} Nothing was spent by this test. {error.remedy}".strip()
        finally:
            self.close()
