"""How a worker's client sends what a flow yields."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING, Any, Self, TypeVar

import httpx

from airflow_video_providers.core.client import driver, timeouts
from airflow_video_providers.core.client.base import Session, Wires
from airflow_video_providers.core.client.body import Body
from airflow_video_providers.core.client.transport import SyncTransport

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_video_providers.core.jobs import VideoJob
    from airflow_video_providers.core.vendors.base import Flow, Vendor
    from airflow_video_providers.core.vendors.models import VideoModel

    _Elsewhere = Callable[[httpx.Response], bool]

T = TypeVar("T")
_Came = TypeVar("_Came", httpx.Response, httpx.HTTPError)


def _nowhere(_response: httpx.Response) -> bool:
    return False


def _quietly() -> None: ...


class WorkerSession(Session):
    """A session that blocks: what :class:`~airflow_video_providers.core.client.client.VideoClient` stands on."""

    def __init__(
        self, vendor: Vendor, api_key: str, *, transport: Any = None, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        super().__init__(vendor, api_key, transport)
        self._sleep = sleep
        self._wires = Wires(lambda url: transport or SyncTransport(url))

    def open(self) -> None:
        """Make ready to send: whatever in the environment is in the way of a call shows here. Sends nothing.

        :raises VendorUnavailableError: a proxy or the authorities that the environment names cannot be used; nothing was
            sent and nothing was charged, and a retry in a corrected environment may buy.
        """
        self._wires.to(self._home)

    def close(self) -> None:
        """Let go of what was opened."""
        for wire in self._wires.let_go():
            wire.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _send_paid(
        self, request: VideoModel, flow: Flow[T], timeout: httpx.Timeout, elsewhere: _Elsewhere = _nowhere
    ) -> T:
        with self._paid(request) as sending:
            self.open()
            return driver.run(flow, self._sender(timeout, sending, elsewhere, paid=True), self._pause)

    def _send_read(self, flow: Flow[T], job: VideoJob | None, timeout: httpx.Timeout | None = None) -> T:
        with self._unreadable(job):
            self.open()
            return driver.run(flow, self._sender(timeout or timeouts.READ), self._pause)

    def _sender(
        self,
        timeout: httpx.Timeout,
        sending: Callable[[], None] = _quietly,
        elsewhere: _Elsewhere = _nowhere,
        *,
        paid: bool = False,
    ) -> Callable[[httpx.Request], httpx.Response]:
        """Sends a request and returns the answer.

        :param sending: Called before each request.
        :param elsewhere: Says of an answer that it has taken the body itself.
        :param paid: An answer that breaks off still gives the id that it has named.
        """

        def send(call: httpx.Request) -> httpx.Response:
            signed = self._sign(call, timeout)
            sending()
            body: Body | None = None
            try:
                response: httpx.Response = self._wires.to(call.url).handle_request(signed)
                with closing(response):
                    if elsewhere(response):
                        return self._noted(call, self._clean(response, b""))
                    body = Body(response)
                    for piece in response.stream:  # type: ignore[union-attr] # a synchronous transport's
                        if not body.take(piece):
                            break
                    else:
                        body.finish()
                    return self._noted(call, self._clean(response, body.so_far()))
            except httpx.HTTPError as error:
                broken = self._noted(call, self._broken(error, body.known() if paid and body else ""))
            raise broken

        return send

    def _noted(self, call: httpx.Request, came: _Came) -> _Came:
        """What came of a call, for whoever listens."""
        if self.heard is not None:
            self.heard(call, came)
        return came

    def _pause(self, seconds: float) -> None:
        self._sleep(driver.with_jitter(seconds))
