"""The two small drivers that run a vendor's flow over HTTP: one synchronous, one asynchronous.

They work without Airflow, in a notebook for example::

    client = VideoClient(Segmind(), api_key)
    job = client.submit(Mochi1(prompt="a fox in the snow"))
    job = client.status(job)

Redirects are not followed. What both share, the API key above all, is in :mod:`airflow_video_providers.session`.
"""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import httpx

from airflow_video_providers.exceptions import InvalidRequestError, SubmissionOutcomeUnknownError
from airflow_video_providers.session import Session
from airflow_video_providers.transport import loop_transport

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from airflow_video_providers.jobs import VideoJob
    from airflow_video_providers.models import VideoModel
    from airflow_video_providers.vendors.base import Flow, Vendor

T = TypeVar("T")

_READ_TIMEOUT = httpx.Timeout(30.0, connect=10.0)
#: Longer for the paid call: giving up on its answer leaves its outcome unknown.
_SUBMIT_TIMEOUT = httpx.Timeout(90.0, connect=10.0)
#: The synchronous route answers when the video is ready.
_GENERATE_TIMEOUT = httpx.Timeout(900.0, connect=10.0)
#: httpx walks its whole pool on each request: few connections are faster than many.
_LIMITS = httpx.Limits(max_connections=16, max_keepalive_connections=16)
#: A kept connection may be closed by the other side just as a request is sent, and then nobody knows
#: whether it arrived. A paid call therefore always opens its own.
_FRESH = httpx.Limits(max_keepalive_connections=0)


class VideoClient(Session):
    """One vendor's API, synchronously.

    :param vendor: The vendor, with the address to use.
    :param api_key: Its API key.
    :param transport: An httpx transport to send requests with, instead of one to the network: for tests.
    :param sleep: How to pause between two tries of a submit that certainly did not arrive.
    """

    def __init__(
        self, vendor: Vendor, api_key: str, *, transport: Any = None, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        super().__init__(vendor, api_key, transport)
        self._sleep = sleep
        self._http: httpx.Client | None = None

    def submit(self, request: VideoModel, extra_fields: Mapping[str, Any] | None = None) -> VideoJob:
        """Buy one video. Only what certainly did not reach the vendor is sent again.

        :param extra_fields: Fields that the catalogue does not know; sent beside the request's own, as they are.
        :raises InvalidRequestError: another vendor serves the model. Nothing was sent.
        :raises SubmissionOutcomeUnknownError: it may have been accepted and charged; it must not be repeated.
        :raises VendorError: the vendor refused, or was not reached (:meth:`Vendor.submit`); nothing was charged.
        """
        self._serves(request.id)
        with self._open(_SUBMIT_TIMEOUT, _FRESH) as http:
            return self._drive(self.vendor.submit(request, extra_fields), http)

    def status(self, job: VideoJob) -> VideoJob:
        """How a job stands now; a finished job holds its outputs. A job that the vendor does not know is ``expired``.

        None of these affects the job:

        :raises InvalidRequestError: another vendor serves the job's model. Nothing was sent.
        :raises AuthenticationError: the key was refused.
        :raises RateLimitedError: asked too often; ``retry_after`` holds the wait where the vendor names one.
        :raises RequestRejectedError: the vendor refuses the question itself; asking again would not help.
        :raises VendorUnavailableError: no usable answer; safe to ask again.
        """
        self._serves(job.model)
        return self._drive(self.vendor.status(job), self._kept())

    def check(self) -> str:
        """Is the connection good? Spends nothing; returns a sentence that says so.

        :raises AuthenticationError: the key was refused.
        :raises RateLimitedError: asked too often.
        :raises VendorUnavailableError: the vendor was not reached, or gave no usable answer.
        """
        return self._drive(self.vendor.check(), self._kept())

    def generate_to_file(
        self, request: VideoModel, path: str | os.PathLike[str], *, extra_fields: Mapping[str, Any] | None = None
    ) -> VideoJob:
        """Buy one video on the route that answers with the video itself, and stream it into ``path``.

        ``path`` appears only when the whole answer has arrived. Where the vendor answers with JSON instead,
        no file is written and the job names the outputs.

        :param extra_fields: As in :meth:`submit`.
        :raises SubmissionOutcomeUnknownError: the call was interrupted after it was sent. There is no
            ``request_id`` to come back to: prefer :meth:`submit`.
        :raises InvalidRequestError: the vendor has no such route, or ``path`` cannot be written. Nothing was sent.
        :raises VendorError: the vendor refused, or was not reached; nothing was charged.
        """
        self._serves(request.id)
        target = Path(path)
        with _part_of(target) as part, self._open(_GENERATE_TIMEOUT, _FRESH) as http:

            def send(call: httpx.Request) -> httpx.Response:
                response = http.send(self._prepared(call, http), stream=True)
                if not response.is_success or "json" in response.headers.get("content-type", ""):
                    response.read()
                    return self._without_key(response)
                with part.open("wb") as file:
                    for chunk in response.iter_bytes():
                        file.write(chunk)
                response.close()
                return httpx.Response(response.status_code, headers=response.headers)

            try:
                job = _run(self.vendor.generate(request, extra_fields), send, self._pause)
                if part.exists():
                    os.replace(part, target)
            except OSError as error:
                raise SubmissionOutcomeUnknownError(
                    f"{self.vendor.title} has made the video, but it could not be written to {target} ({error}).",
                    remedy="Make room, and buy it again on purpose: this route keeps nothing to come back to.",
                    model=request.id,
                    charged="yes",
                ) from error
            return job

    def close(self) -> None:
        """Close the kept connections."""
        if self._http is not None:
            self._http.close()
            self._http = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _kept(self) -> httpx.Client:
        if self._http is None:
            self._http = self._open(_READ_TIMEOUT, _LIMITS)
        return self._http

    def _open(self, timeout: httpx.Timeout, limits: httpx.Limits) -> httpx.Client:
        return httpx.Client(timeout=timeout, limits=limits, transport=self._transport, follow_redirects=False)

    def _prepared(self, call: httpx.Request, http: httpx.Client) -> httpx.Request:
        for name, value in http.headers.items():  # what httpx adds to a request that it builds itself
            call.headers.setdefault(name, value)
        self._sign(call, http.timeout)
        return call

    def _pause(self, seconds: float) -> None:
        self._sleep(_with_jitter(seconds))

    def _drive(self, flow: Flow[T], http: httpx.Client) -> T:
        def send(call: httpx.Request) -> httpx.Response:
            return self._without_key(http.send(self._prepared(call, http)))

        return _run(flow, send, self._pause)


class AsyncVideoClient(Session):
    """One vendor's API in an event loop: reads only, for the triggerer. A submit belongs in a worker.

    :param vendor: The vendor, with the address to use.
    :param api_key: Its API key.
    :param transport: An asynchronous httpx transport to send requests with, instead of one to the network: for tests.
    """

    async def status(self, job: VideoJob, *, on_request: Callable[[], None] | None = None) -> VideoJob:
        """How a job stands now. What it returns and raises is what :meth:`VideoClient.status` does.

        :param on_request: Called before each request: some looks need two.
        :raises InvalidRequestError: another vendor serves the job's model. Nothing was sent.
        :raises VendorError: no answer about the job; the job is not affected.
        """
        self._serves(job.model)
        if self._transport is None:
            self._transport = loop_transport(self._home)

        async def send(call: httpx.Request) -> httpx.Response:
            if on_request is not None:
                on_request()
            self._sign(call, _READ_TIMEOUT)
            try:
                response = await self._transport.handle_async_request(call)
                try:
                    await response.aread()
                finally:
                    await response.aclose()
            except httpx.HTTPError:
                raise
            except Exception as error:  # httpx-aiohttp lets aiohttp's own through, for a malformed answer for example
                raise httpx.RemoteProtocolError(f"{type(error).__name__}: {error}") from error
            return self._without_key(response)

        return await _arun(self.vendor.status(job), send)

    async def aclose(self) -> None:
        """Close the kept connections."""
        transport, self._transport = self._transport, None
        if transport is not None:
            await transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


@contextmanager
def _part_of(target: Path) -> Iterator[Path]:
    """A place beside ``target`` to write to first; asked for before anything is bought."""
    try:
        if target.is_dir():
            raise IsADirectoryError(f"{target} is a directory")
        folder = tempfile.TemporaryDirectory(dir=target.parent, prefix=".video-")
    except OSError as error:
        raise InvalidRequestError(
            f"Nothing can be written to {target} ({error}).",
            remedy="Name a file in a folder that exists and may be written to.",
            field="path",
            value=str(target),
        ) from error
    with folder:
        yield Path(folder.name, "part")


def _with_jitter(seconds: float) -> float:
    return seconds * random.uniform(1.0, 1.2)  # noqa: S311 # spreads load, keeps no secret


def _run(flow: Flow[T], send: Callable[[httpx.Request], httpx.Response], pause: Callable[[float], None]) -> T:
    try:
        step = next(flow)
        while True:
            if not isinstance(step, httpx.Request):
                pause(step)
                step = next(flow)
                continue
            try:
                response = send(step)
            except httpx.HTTPError as error:
                step = flow.throw(error)
            else:
                step = flow.send(response)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]


async def _arun(flow: Flow[T], send: Callable[[httpx.Request], Awaitable[httpx.Response]]) -> T:
    try:
        step = next(flow)
        while True:
            if not isinstance(step, httpx.Request):
                await asyncio.sleep(_with_jitter(step))
                step = next(flow)
                continue
            try:
                response = await send(step)
            except httpx.HTTPError as error:
                step = flow.throw(error)
            else:
                step = flow.send(response)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
