"""From an Airflow connection to a client: the first file that needs Airflow."""

from __future__ import annotations

import time
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

from airflow_video_providers.core.errors import InvalidRequestError, VideoProviderError
from airflow_video_providers.core.vendors import catalogue

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_video_providers.core.client.async_client import AsyncVideoClient
    from airflow_video_providers.core.client.client import VideoClient
    from airflow_video_providers.core.jobs import VideoJob
    from airflow_video_providers.core.polling.connection_cache import SharedClient
    from airflow_video_providers.core.settings import ConnectionLike, Settings
    from airflow_video_providers.core.vendors.base import Identified, Vendor


class ConnectedHook(BaseHook):
    """A vendor's connection, and the clients behind it."""

    conn_name_attr = "conn_id"
    conn_type: ClassVar[str]
    hook_name: ClassVar[str]
    default_conn_name: ClassVar[str]
    vendor_class: ClassVar[type[Vendor]]
    conn_id: str
    #: How it pauses, in seconds.
    sleep: Callable[[float], None] = staticmethod(time.sleep)
    #: Who hears what a worker's client asks and is answered; None: nobody.
    heard: Callable[[Any, Any], None] | None = None

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
        return self.vendor_class(
            settings.base_url, status_route=settings.status_route, paths=settings.paths, settings=settings.extra
        )

    @cached_property
    def _client(self) -> VideoClient:
        from airflow_video_providers.core.client.client import VideoClient  # parsing a DAG needs no client

        client = VideoClient(self.vendor(self.settings), self.settings.api_key)
        client.heard = self.heard
        return client

    def get_conn(self) -> VideoClient:
        """The synchronous client."""
        return self._client

    def get_async_client(self, settings: Settings) -> AsyncVideoClient:
        """A client for an event loop, for settings that were looked up there. The caller closes it."""
        from airflow_video_providers.core.client.async_client import AsyncVideoClient

        return AsyncVideoClient(self.vendor(settings), settings.api_key)

    async def connect(self) -> SharedClient:
        """What a poller waits with: a client for its event loop, and the connection's request budget."""
        import asyncio

        from airflow_video_providers.core.client import transport
        from airflow_video_providers.core.polling.connection_cache import SharedClient
        from airflow_video_providers.integration import metrics

        settings = await self.aget_settings()
        for prepare in (transport.prepare, metrics.prepare):  # half a second of CPU, in which nothing else would run
            await asyncio.to_thread(prepare)
        allowed = settings.requests_per_minute or self.vendor_class.requests_per_minute
        return SharedClient(self.get_async_client(settings), allowed)

    def reconnect(self) -> None:
        """Forget the connection, so that the next call reads it anew: its key may have been changed."""
        self.close()
        self.__dict__.pop("settings", None)

    def close(self) -> None:
        """Close the client's connections."""
        client = self.__dict__.pop("_client", None)
        if client is not None:
            client.close()

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

    def _check_settings(self) -> str:
        """Read all the rest, and name what nothing reads: a limit whose name is misspelt would never hold.

        :raises InvalidRequestError: a setting says what it cannot.
        """
        from airflow_video_providers.core.landing.user_agent import check_user_agent
        from airflow_video_providers.hooks.connection_form import fields

        for name, kind in vars(type(self.settings)).items():
            if isinstance(kind, property):
                getattr(self.settings, name)  # each refuses what it cannot read
        check_user_agent(self.settings.download_user_agent)
        own = self.vendor_class.own_settings
        known = {*fields(self.vendor_class.status_routes), *own, "status_route"}
        unread = ", ".join(f"{name!r:.60}" for name in sorted(map(str, self.settings.extra.keys() - known))[:10])
        return f" Nothing reads {unread} in its extra." if unread else ""

    def status(self, job: VideoJob) -> VideoJob:
        """How a job stands now, asked once; a finished job holds its outputs.

        Just after the submit a vendor may say that it does not know the job, which comes back as ``expired`` and means
        nothing yet: :meth:`wait` has the patience for that.

        :raises VendorError: no answer about the job; the job is not affected.
        :raises InvalidRequestError: the connection is missing or wrong; the job is not affected.
        """
        return self.get_conn().status(job)

    def identify(self, job: VideoJob) -> Identified:
        """Which job an id belongs to, where somebody else named the id. Raises as :meth:`status` does."""
        return self.get_conn().identify(job)

    def test_connection(self) -> tuple[bool, str]:
        """Try the connection without spending anything: is it complete, does the vendor answer, is the key taken?"""
        try:
            other = self._other_paths() + self._own_prices()
            self._check_limits()
            other += self._check_settings()
            return True, f"{self.get_conn().check()}{other}"
        except VideoProviderError as error:
            return False, f"{error.what} Nothing was spent by this test. {error.remedy}".strip()
        finally:
            self.close()
