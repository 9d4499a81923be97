"""The two small drivers that run a vendor's flow over HTTP: one synchronous, one asynchronous.

They work without Airflow, in a notebook for example::

    client = VideoClient(Segmind(), api_key)
    job = client.submit(Mochi1(prompt="a fox in the snow"))
    job = client.status(job)

Redirects are not followed. What both share, the API key above all, is in :mod:`airflow_video_providers.core.client.base`.
"""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
import time
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

import httpx

from airflow_video_providers.core.border import Intake, printable
from airflow_video_providers.core.client.base import Body, Origin, Session, origin_of
from airflow_video_providers.core.client.transport import MOST_CONNECTIONS, AsyncTransport, SyncTransport
from airflow_video_providers.core.errors import InvalidRequestError, SubmissionOutcomeUnknownError, VideoProviderError
from airflow_video_providers.core.vendors.parameters import kept_of
from airflow_video_providers.core.vendors.wire import compose

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from airflow_video_providers.core.callbacks.webhook import Callback
    from airflow_video_providers.core.jobs import VideoJob
    from airflow_video_providers.core.vendors.base import Flow, Vendor
    from airflow_video_providers.core.vendors.models import VideoModel
    from airflow_video_providers.core.vendors.wire import Wire

T = TypeVar("T")

_READ_TIMEOUT = httpx.Timeout(30.0, connect=10.0)
#: Longer for the paid call: giving up on its answer leaves its outcome unknown.
_SUBMIT_TIMEOUT = httpx.Timeout(90.0, connect=10.0)
#: The synchronous route answers when the video is ready.
_GENERATE_TIMEOUT = httpx.Timeout(900.0, connect=10.0)
#: No file of that route is larger, unless the caller says so.
MOST_VIDEO = 4 * 1024**3
#: In an event loop the others have their turn after so many pieces of an answer, and a larger one is read in a thread.
_PIECES_IN_A_GO = 100
_READ_AT_ONCE = 256 * 1024


class _Sender(Protocol):
    """Sends a request and brings the answer; ``elsewhere`` says that it has taken the body itself."""

    def __call__(self, call: httpx.Request, /, elsewhere: Callable[[httpx.Response], bool] = ...) -> httpx.Response: ...


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
        self._wires: dict[Origin, Any] = {}

    def open(self) -> None:
        """Make ready to send: whatever in the environment is in the way of a call shows here. Sends nothing.

        :raises VendorUnavailableError: a proxy or the authorities that the environment names cannot be used; nothing was
            sent and nothing was charged, and a retry in a corrected environment may buy.
        """
        self._wire_to(self._home)

    def _wire_to(self, url: httpx.URL) -> Any:
        if (host := origin_of(url)) not in self._wires:
            self._wires[host] = self._transport or SyncTransport(url)
        return self._wires[host]

    def submit(
        self,
        request: VideoModel,
        extra_fields: Mapping[str, Any] | None = None,
        callback: Callback | None = None,
    ) -> VideoJob:
        """Buy one video. Only what certainly did not reach the vendor is sent again.

        :param extra_fields: Fields that the catalogue does not know; sent beside the request's own, as they are.
        :param callback: Where the vendor is to call (:func:`~airflow_video_providers.core.callbacks.webhook.checked`).
        :raises InvalidRequestError: another vendor serves the model. Nothing was sent.
        :raises SubmissionOutcomeUnknownError: it may have been accepted and charged; it must not be repeated.
        :raises VendorError: the vendor refused, or was not reached (:meth:`Vendor.submit`); nothing was charged.
        """
        job = self.buy(request, compose(self.vendor, request, extra_fields), callback)
        return job.replace(**kept_of(request, extra_fields))

    def buy(self, request: VideoModel, wire: Wire, callback: Callback | None = None) -> VideoJob:
        """:meth:`submit`, with what :func:`~airflow_video_providers.core.vendors.wire.compose` made of the request before."""
        self._serves(request.id)
        return self._send_paid(
            request,
            self.vendor.submit(request, wire, *([] if callback is None else [callback])),
            self._sender(_SUBMIT_TIMEOUT, paid=True),
        )

    def status(self, job: VideoJob) -> VideoJob:
        """How a job stands now; a finished job holds its outputs. A job that the vendor does not know is ``expired``.

        None of these affects the job:

        :raises InvalidRequestError: another vendor serves the job's model. Nothing was sent.
        :raises AuthenticationError: the key was refused.
        :raises RateLimitedError: asked too often; ``retry_after`` holds the wait where the vendor names one.
        :raises InsufficientCreditsError: it answers no questions while the account's balance is used up.
        :raises RequestRejectedError: it refuses the question itself; where it does so again, it means it.
        :raises VendorUnavailableError: no usable answer; safe to ask again.
        """
        self._serves(job.model)
        return self._send_read(self.vendor.status(job), job)

    def check(self) -> str:
        """Is the connection good? Spends nothing; returns a sentence that says so.

        :raises AuthenticationError: the key was refused.
        :raises RateLimitedError: asked too often.
        :raises VendorUnavailableError: the vendor was not reached, or gave no usable answer.
        """
        return self._send_read(self.vendor.check(), None)

    def generate_to_file(
        self,
        request: VideoModel,
        path: str | os.PathLike[str],
        *,
        extra_fields: Mapping[str, Any] | None = None,
        max_bytes: int | None = None,
    ) -> VideoJob:
        """Buy one video on the route that answers with the video itself, and stream it into ``path``.

        ``path`` appears only when the whole answer has arrived. Where the vendor answers with JSON instead,
        no file is written and the job names the outputs.

        :param extra_fields: As in :meth:`submit`.
        :param max_bytes: No file may be larger; 4 GiB by default.
        :raises SubmissionOutcomeUnknownError: the call was interrupted after it was sent. There is no
            ``request_id`` to come back to: prefer :meth:`submit`.
        :raises InvalidRequestError: the vendor has no such route, or ``path`` cannot be written. Nothing was sent.
        :raises VendorError: the vendor refused, or was not reached; nothing was charged.
        """
        job = self.buy_to_file(request, compose(self.vendor, request, extra_fields), path, max_bytes=max_bytes)
        return job.replace(**kept_of(request, extra_fields))

    def buy_to_file(
        self,
        request: VideoModel,
        wire: Wire,
        path: str | os.PathLike[str],
        *,
        max_bytes: int | None = None,
    ) -> VideoJob:
        """:meth:`generate_to_file`, with what was composed before."""
        self._serves(request.id)
        target = Path(path)
        with _part_of(target) as part:
            read = self._sender(_GENERATE_TIMEOUT, paid=True)

            def send(call: httpx.Request) -> httpx.Response:
                return read(call, lambda response: _streamed(response, part, max_bytes or MOST_VIDEO))

            try:
                job = self._send_paid(request, self.vendor.generate(request, wire), send)
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
        """Let go of what was opened."""
        for wire in self._wires.values():
            wire.close()
        self._wires.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _send_paid(self, request: VideoModel, flow: Flow[T], send: Callable[[httpx.Request], httpx.Response]) -> T:
        """Run a paid flow. What is no error of ours is no outcome either: nothing was sent, or nobody knows."""
        self.open()
        calls: list[httpx.Request] = []

        def noted(call: httpx.Request) -> httpx.Response:
            calls.append(call)
            return send(call)

        try:
            return _run(flow, noted, self._pause)
        except (VideoProviderError, OSError, AssertionError):
            raise
        except Exception as error:  # a vendor's file, a private one too, met what it did not expect
            why = self._redactor.text(printable(f"{type(error).__name__}: {error}"))
            if not calls:
                raise InvalidRequestError(
                    f"The request cannot be sent as it is ({why}).", model=request.id, field="request"
                ) from error
            raise SubmissionOutcomeUnknownError(
                f"{self.vendor.title} may or may not have accepted the request: its answer could not be read ({why}).",
                model=request.id,
            ) from error

    def _send_read(self, flow: Flow[T], job: VideoJob | None) -> T:
        with self._unreadable(job):
            self.open()
            return _run(flow, self._sender(_READ_TIMEOUT), self._pause)

    def _sender(self, timeout: httpx.Timeout, *, paid: bool = False) -> _Sender:
        def send(call: httpx.Request, elsewhere: Callable[[httpx.Response], bool] = lambda _: False) -> httpx.Response:
            body: Body | None = None
            try:
                signed = self._sign(call, timeout)
                response: httpx.Response = self._wire_to(call.url).handle_request(signed)
                with closing(response):
                    if elsewhere(response):
                        return self._clean(response, b"")
                    body = Body(response)
                    for piece in response.stream:  # type: ignore[union-attr] # a synchronous transport's
                        if not body.take(piece):
                            break
                    else:
                        body.finish()
                    return self._clean(response, body.so_far())
            except httpx.HTTPError as error:
                broken = self._broken(error, body.known() if paid and body else "")
            raise broken

        return send

    def _pause(self, seconds: float) -> None:
        self._sleep(_with_jitter(seconds))


class AsyncVideoClient(Session):
    """One vendor's API in an event loop: reads only, for the triggerer. A submit belongs in a worker.

    :param vendor: The vendor, with the address to use.
    :param api_key: Its API key.
    :param transport: An asynchronous httpx transport to send requests with, instead of one to the network: for tests.
    """

    def __init__(self, vendor: Vendor, api_key: str, *, transport: Any = None) -> None:
        super().__init__(vendor, api_key, transport)
        self._wires: dict[Origin, Any] = {}
        self._room = asyncio.Semaphore(MOST_CONNECTIONS)

    async def status(self, job: VideoJob, *, on_request: Callable[[], None] | None = None) -> VideoJob:
        """How a job stands now. What it returns and raises is what :meth:`VideoClient.status` does.

        :param on_request: Called before each request: some looks need two.
        :raises InvalidRequestError: another vendor serves the job's model. Nothing was sent.
        :raises VendorError: no answer about the job; the job is not affected.
        """
        self._serves(job.model)
        with self._unreadable(job):
            self._wire_to(self._home)

            async def send(call: httpx.Request) -> httpx.Response:
                if on_request is not None:
                    on_request()
                async with self._room:
                    return await self._send(self._sign(call, _READ_TIMEOUT))

            return await _arun(self.vendor.status(job), send)

    def _wire_to(self, url: httpx.URL) -> Any:
        if (host := origin_of(url)) not in self._wires:
            self._wires[host] = self._transport or AsyncTransport(url)
        return self._wires[host]

    async def _send(self, call: httpx.Request) -> httpx.Response:
        try:
            response: httpx.Response = await self._wire_to(call.url).handle_async_request(call)
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
            broken = self._broken(error)
        else:
            content = body.so_far()
            if len(content) > _READ_AT_ONCE:
                return await asyncio.to_thread(self._clean, response, content)
            return self._clean(response, content)
        raise broken

    async def aclose(self) -> None:
        """Close the kept connections."""
        wires, self._wires = self._wires, {}
        for wire in wires.values():
            await wire.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


def _streamed(response: httpx.Response, part: Path, max_bytes: int) -> bool:
    """Write a video into its place; False where the answer is no video, and is read as any other."""
    if not response.is_success or "json" in response.headers.get("content-type", "").lower():
        return False
    intake = Intake(response.headers, max_bytes, pieces=None)
    with part.open("wb") as file:
        for piece in response.stream:  # type: ignore[union-attr] # a synchronous transport's
            file.writelines(intake.take(piece))
    intake.finish()
    return True


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
