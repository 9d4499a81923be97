"""The two small drivers that run a vendor's flow over HTTP: one synchronous, one asynchronous.

They work without Airflow, in a notebook for example::

    client = VideoClient(Segmind(), api_key)
    job = client.submit(Mochi1(prompt="a fox in the snow"))
    job = client.status(job)

The API key is added here, to requests for the vendor's own base URL and to nothing else; redirects are not
followed; a key that a vendor echoes is taken out of the answer before anybody reads it.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import quote

import httpx

from airflow_video_providers import __version__
from airflow_video_providers.exceptions import InvalidRequestError, SubmissionOutcomeUnknownError
from airflow_video_providers.transport import loop_transport

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from airflow_video_providers.jobs import VideoJob
    from airflow_video_providers.models import VideoModel
    from airflow_video_providers.vendors.base import Flow, Vendor

T = TypeVar("T")

_USER_AGENT = f"airflow-video-providers/{__version__}"
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
#: A shorter key is no secret, and could be part of an ordinary word in an answer.
_SHORTEST_SECRET = 8


class _Session:
    """What both clients share: the vendor, the key, and the one place where the two meet."""

    def __init__(self, vendor: Vendor, api_key: str, transport: Any = None) -> None:
        key = (api_key or "").strip()
        if not key or not key.isascii() or not key.isprintable():
            raise InvalidRequestError(
                f"The API key for {vendor.title} is {'empty' if not key else 'not plain printable text'}.",
                remedy="Set the connection's password to the API key.",
                vendor=vendor.id,
                field="password",
            )
        self.vendor = vendor
        self._key = key
        self._transport = transport
        in_json = json.dumps(key)[1:-1]
        self._spellings = {text.encode() for text in (key, in_json, in_json.replace("/", r"\/"), quote(key, safe=""))}
        self._home = _address(vendor)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.vendor.id!r}, {self.vendor.url!r})"

    def _options(self, timeout: httpx.Timeout, limits: httpx.Limits) -> dict[str, Any]:
        return {
            "timeout": timeout,
            "limits": limits,
            "transport": self._transport,
            "headers": {"User-Agent": _USER_AGENT},
            "follow_redirects": False,
        }

    def _signed(self, http: httpx.Client, call: httpx.Request) -> httpx.Request:
        self._refuse_foreign(call)
        headers = {**http.headers, **call.headers, self.vendor.key_header: self.vendor.key_prefix + self._key}
        signed = httpx.Request(call.method, call.url, headers=headers, content=call.content)
        signed.extensions["timeout"] = http.timeout.as_dict()
        return signed

    def _refuse_foreign(self, call: httpx.Request) -> None:
        if (call.url.scheme, call.url.host, call.url.port) != (self._home.scheme, self._home.host, self._home.port):
            raise AssertionError("a request for another host than the connection's must never be signed")

    def _serves(self, model: str) -> None:
        if model.partition(":")[0] != self.vendor.id:
            raise InvalidRequestError(
                f"{self.vendor.title} does not serve {model}.",
                remedy="Use the client, or the connection, of the vendor that does.",
                model=model,
                field="model",
                value=model,
                allowed=f"{self.vendor.id}:...",
            )

    def _without_key(self, response: httpx.Response) -> httpx.Response:
        echoed = [text for text in self._spellings if text in response.content]
        if not echoed or len(self._key) < _SHORTEST_SECRET:
            return response
        clean = response.content
        for text in echoed:
            clean = clean.replace(text, b"***")
        lengths = ("content-encoding", "content-length", "transfer-encoding")  # no longer true
        headers = [(name, value) for name, value in response.headers.multi_items() if name not in lengths]
        return httpx.Response(response.status_code, headers=headers, content=clean)


class VideoClient(_Session):
    """One vendor's API, synchronously.

    :param vendor: The vendor, with the address to use.
    :param api_key: Its API key.
    :param sleep: How to pause between two tries of a submit that certainly did not arrive.
    """

    def __init__(
        self, vendor: Vendor, api_key: str, *, transport: Any = None, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        super().__init__(vendor, api_key, transport)
        self._sleep = sleep
        self._http: httpx.Client | None = None

    def submit(self, request: VideoModel, extra_fields: Mapping[str, Any] | None = None) -> VideoJob:
        """Buy one video. See :meth:`Vendor.submit` for what is repeated and what is raised."""
        self._serves(request.id)
        with httpx.Client(**self._options(_SUBMIT_TIMEOUT, _FRESH)) as http:
            return self._drive(self.vendor.submit(request, extra_fields), http)

    def status(self, job: VideoJob) -> VideoJob:
        """How a job stands now."""
        self._serves(job.model)
        return self._drive(self.vendor.status(job), self._kept())

    def check(self) -> str:
        """Is the connection good? Spends nothing."""
        return self._drive(self.vendor.check(), self._kept())

    def generate_to_file(self, request: VideoModel, path: str | os.PathLike[str]) -> VideoJob:
        """Buy one video on the route that answers with the video itself, and stream it into ``path``.

        ``path`` appears only when the whole answer has arrived. Where the vendor answers with JSON instead,
        no file is written and the job names the outputs.

        :raises SubmissionOutcomeUnknownError: the call was interrupted after it was sent. There is no
            ``request_id`` to come back to: prefer :meth:`submit`.
        :raises InvalidRequestError: the vendor has no such route, or ``path`` cannot be written. Nothing was sent.
        """
        self._serves(request.id)
        target = Path(path)
        with _part_of(target) as part, httpx.Client(**self._options(_GENERATE_TIMEOUT, _FRESH)) as http:

            def send(call: httpx.Request) -> httpx.Response:
                response = http.send(self._signed(http, call), stream=True)
                if not response.is_success or "json" in response.headers.get("content-type", ""):
                    response.read()
                    return self._without_key(response)
                with part.open("wb") as file:
                    for chunk in response.iter_bytes():
                        file.write(chunk)
                response.close()
                return httpx.Response(response.status_code, headers=response.headers)

            try:
                job = _run(self.vendor.generate(request), send, self._pause)
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
            self._http = httpx.Client(**self._options(_READ_TIMEOUT, _LIMITS))
        return self._http

    def _pause(self, seconds: float) -> None:
        self._sleep(_with_jitter(seconds))

    def _drive(self, flow: Flow[T], http: httpx.Client) -> T:
        def send(call: httpx.Request) -> httpx.Response:
            return self._without_key(http.send(self._signed(http, call)))

        return _run(flow, send, self._pause)


class AsyncVideoClient(_Session):
    """One vendor's API in an event loop: reads only, for the triggerer. A submit belongs in a worker.

    :param vendor: The vendor, with the address to use.
    :param api_key: Its API key.
    """

    async def status(self, job: VideoJob, *, on_request: Callable[[], None] | None = None) -> VideoJob:
        """How a job stands now.

        :param on_request: Called before each request: some looks need two.
        """
        self._serves(job.model)
        if self._transport is None:
            self._transport = loop_transport(self._home)

        async def send(call: httpx.Request) -> httpx.Response:
            if on_request is not None:
                on_request()
            self._refuse_foreign(call)
            call.headers[self.vendor.key_header] = self.vendor.key_prefix + self._key
            call.headers["User-Agent"] = _USER_AGENT
            call.extensions["timeout"] = _READ_TIMEOUT.as_dict()
            response = await self._transport.handle_async_request(call)
            try:
                await response.aread()
            finally:
                await response.aclose()
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


def _address(vendor: Vendor) -> httpx.URL:
    try:
        url = httpx.URL(vendor.url)
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise InvalidRequestError(
            f"The address {vendor.url!r} for {vendor.title} is not one that can be called.",
            remedy="Write it as https://host, or leave it empty for the vendor's own.",
            vendor=vendor.id,
            field="host",
        )
    return url


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
