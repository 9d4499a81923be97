"""The connection cache: one connection looked up, one client opened, shared by all who poll."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from airflow_video_providers.core.errors import InvalidRequestError, VendorUnavailableError, VideoProviderError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from airflow_video_providers.core.jobs import VideoJob

#: Pauses between two tries to look up a connection: the first, and the longest.
PATIENCE = 5.0, 60.0
#: Airflow calls a connection missing also while its API server or secrets backend does not answer, and a worker has
#: seen the connection before anybody waits: it must be missing so often in a row, which takes more than two minutes.
BELIEVED_MISSING = 6

log = logging.getLogger(__name__)


class Client(Protocol):
    """What is needed of an :class:`~airflow_video_providers.core.client.async_client.AsyncVideoClient`."""

    async def status(self, job: VideoJob, *, on_request: Callable[[], None] | None = None) -> VideoJob:
        """How a job stands now."""

    async def aclose(self) -> None:
        """Close the kept connections."""


@dataclass(eq=False)
class SharedClient:
    """A connection that was looked up.

    :param client: A client with its key, closed by whoever polls last.
    :param requests_per_minute: What the connection or its vendor allows.
    """

    client: Client
    requests_per_minute: float
    users: int = 0


if TYPE_CHECKING:
    Connect = Callable[[], Awaitable[SharedClient]]


class ConnectionCache:
    """One client for all, opened when it is first needed.

    :param connect: Looks the connection up and opens a client.
    """

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._current: SharedClient | None = None
        self._one_at_a_time = asyncio.Lock()
        self._failure: VideoProviderError | None = None
        self._failures = 0
        self._missing = 0
        self._again_at = 0.0

    @asynccontextmanager
    async def use(self) -> AsyncIterator[SharedClient]:
        """The client; it stays open until the last who uses it is done.

        :raises InvalidRequestError: the connection is wrong, or missing for good.
        :raises VendorUnavailableError: it could not be looked up; ``retry_after`` says when to try again.
        """
        shared = self._current or await self._look_up()
        shared.users += 1
        try:
            yield shared
        finally:
            shared.users -= 1
            if shared is not self._current:
                await self._close(shared)

    async def renew(self, shared: SharedClient) -> None:
        """Look the connection up again before the next use, once for all who used this one."""
        if shared is self._current:
            self._current = None
            await self._close(shared)

    async def close(self) -> None:
        """Nobody needs it any more."""
        if self._current is not None:
            await self.renew(self._current)

    @staticmethod
    async def _close(shared: SharedClient) -> None:
        if shared.users == 0:
            await shared.client.aclose()

    async def _look_up(self) -> SharedClient:
        clock = asyncio.get_running_loop().time
        async with self._one_at_a_time:
            if self._current is not None:
                return self._current
            if self._failure is not None and clock() < self._again_at:  # everybody hears of it, one tries again
                wait = None if self._failure.retry_after is None else self._again_at - clock()
                raise self._failure.replace(retry_after=wait)
            try:
                self._current = await self._connect()
            except InvalidRequestError as error:
                missing = error.field == "conn_id"
                self._missing = self._missing + 1 if missing else 0
                if self._missing < BELIEVED_MISSING and (missing or error.retryable):
                    raise self._failed(_unreadable(error.what), clock()) from error
                raise self._failed(_believed(error), clock()) from error.__cause__
            except VendorUnavailableError as error:
                self._missing = 0
                raise self._failed(error, clock()) from error.__cause__
            except Exception as error:  # a client can fail to be made
                self._missing = 0
                raise self._failed(_unreadable(type(error).__name__), clock()) from error
            self._failure, self._failures, self._missing = None, 0, 0
            return self._current

    def _failed(self, error: VideoProviderError, now: float) -> VideoProviderError:
        first, longest = PATIENCE
        pause = min(first * 2 ** min(self._failures, 10), longest)
        if not isinstance(error, InvalidRequestError):
            error = error.replace(retry_after=pause)
            log.warning("%s Trying again in %.0f s.", error.what, pause, exc_info=True)  # noqa: LOG014 # it is handled now
        self._failure, self._failures, self._again_at = error, self._failures + 1, now + pause
        return error


def _believed(error: InvalidRequestError) -> InvalidRequestError:
    """The error, asked about for long enough: the wait ends, and its worker makes an error of it that is retried."""
    return InvalidRequestError(
        error.what, remedy=error.remedy, vendor=error.vendor, field=error.field, value=error.value
    )


def _unreadable(why: str) -> VendorUnavailableError:
    return VendorUnavailableError(
        f"The connection could not be looked up ({why}).",
        money="The job is not affected.",
        remedy="Check Airflow's API server and secrets backend; nothing needs to be bought again.",
    )
