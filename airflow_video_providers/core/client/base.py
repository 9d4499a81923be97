"""What both clients share: one vendor, its key, and the one place where the key is put on a request.

The API key is added to requests for the hosts that the vendor's class declares and to nothing else; a key that a vendor echoes is
taken out of the answer, its headers and the texts of exceptions before anybody reads them.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx

from airflow_video_providers import __version__
from airflow_video_providers.core.border import body_text, printable
from airflow_video_providers.core.client import timeouts
from airflow_video_providers.core.client.transport import call_of
from airflow_video_providers.core.errors import (
    InvalidRequestError,
    SubmissionOutcomeUnknownError,
    VendorUnavailableError,
    VideoProviderError,
)
from airflow_video_providers.core.redact import Redactor
from airflow_video_providers.core.vendors.refusals import unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_video_providers.core.jobs import VideoJob
    from airflow_video_providers.core.vendors.base import Vendor
    from airflow_video_providers.core.vendors.models import VideoModel

_USER_AGENT = f"airflow-video-providers/{__version__}"
Origin = tuple[str, str, int | None]

#: How long a call may take in all, whatever trickles: so many times what it may be silent.
_IN_ALL = 2.0
#: No longer true of a body that was taken in.
_OF_THE_WIRE = frozenset({"content-encoding", "content-length", "transfer-encoding"})
#: What a call for JSON says that a download says itself, or not.
_NOT_FOR_FILES = frozenset({"host", "accept", "accept-encoding", "cache-control", "user-agent", "content-length"})


class ForeignHostError(ValueError):
    """A vendor's file makes a call to a host that it does not declare: the key never goes there, and nothing was sent."""


class Session:
    """What both clients share: the vendor, the key, and the one place where the key is put on a request."""

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
        #: Called with each request of a worker's client, and with what came of it: the answer without the key, or the error.
        self.heard: Callable[[httpx.Request, httpx.Response | httpx.HTTPError], None] | None = None
        self._redactor = Redactor(key)
        self._home = _address(vendor, vendor.url)
        self._keyless = {origin_of(_address(vendor, url)) for url in vendor.keyless.values()}
        self._hosts = {origin_of(url) for url in (self._home, *(_address(vendor, url) for url in vendor.urls.values()))}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.vendor.id!r}, {self.vendor.url!r})"

    def _sign(self, call: httpx.Request, timeout: httpx.Timeout) -> httpx.Request:
        """Add the key: the one place where it is put on a request."""
        keyless = call.extensions.get("keyless", False)
        if origin_of(call.url) not in (self._keyless if keyless else self._hosts):
            raise ForeignHostError(
                f"it goes to {call.url.host}, another host than the vendor's file declares, and was not sent"
            )
        if not keyless:
            call.headers[self.vendor.key_header] = self.vendor.key_prefix + self._key
        call.headers["User-Agent"] = _USER_AGENT
        call.headers["Accept-Encoding"] = "identity"
        call.extensions["timeout"] = timeout.as_dict()
        call_of(call, _IN_ALL * (timeout.read or 30.0))
        return call

    def keyed_output(self, job: VideoJob, index: int) -> tuple[str, dict[str, str]] | None:
        """Where an output is fetched that needs the key, and with which headers; None where its address is enough.

        Built of the job's id, and signed as every call is: for a host of the vendor's own, and for no other.

        :raises InvalidRequestError: the vendor's file names another host. The job is paid for.
        """
        self._serves(job.model)
        call = self.vendor.output_call(job, index)
        if call is None:
            return None
        try:
            sent = self._sign(call, timeouts.READ).headers
        except ForeignHostError as error:
            raise InvalidRequestError(
                f"The call for output {index} is not made: {error}.",
                money="The job is paid for.",
                remedy="Correct output_call of the vendor's file, then clear this task.",
                model=job.model, request_id=job.request_id, charged=job.charged, field="output_call",
            ) from error  # fmt: skip
        return str(call.url), {name: value for name, value in sent.items() if name not in _NOT_FOR_FILES}

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

    def _broken(self, error: httpx.HTTPError, known: str = "") -> httpx.HTTPError:
        """A transport's exception as it may be seen: an answer's own bytes may stand in its text."""
        return type(error)(self._redactor.text(f"{error}{known}"))

    def _clean(self, response: httpx.Response, body: bytes) -> httpx.Response:
        """An answer whose body was taken in, without the key."""
        headers = [
            (name, self._redactor.text(value))
            for name, value in response.headers.multi_items()
            if name not in _OF_THE_WIRE
        ]
        text = body_text(body, response.headers.get("content-type"))
        clean = self._redactor.text(text)
        if clean != text:
            body = clean.encode("utf-8", "replace")
            headers = [(name, value) for name, value in headers if name != "content-type"]
            headers.append(("content-type", "application/json; charset=utf-8"))
        return httpx.Response(response.status_code, headers=headers, content=body)

    @contextmanager
    def _paid(self, request: VideoModel) -> Iterator[Callable[[], None]]:
        """Around a paid flow: what is no error of ours is no outcome either. Nothing was sent, or nobody knows.

        Gives what is to be called before each request is sent.
        """
        sent = 0

        def sending() -> None:
            nonlocal sent
            sent += 1

        try:
            yield sending
        except (VideoProviderError, OSError):
            raise
        except Exception as error:  # a vendor's file, a private one too, got what it did not expect
            why = self._redactor.text(printable(f"{type(error).__name__}: {error}"))
            if not sent:
                raise InvalidRequestError(
                    f"The request cannot be sent as it is ({why}).", model=request.id, field="request"
                ) from error
            raise SubmissionOutcomeUnknownError(
                f"{self.vendor.title} may or may not have accepted the request: its answer could not be read ({why}).",
                model=request.id,
            ) from error

    @contextmanager
    def _unreadable(self, job: VideoJob | None) -> Iterator[None]:
        """A read: what is no error of ours is an answer that could not be read."""
        try:
            yield
        except VendorUnavailableError as error:
            raise error if job is None or error.request_id else error.with_job(job) from error.__cause__
        except VideoProviderError:
            raise
        except Exception as error:  # a vendor's file, a private one too, got what it did not expect
            why = self._redactor.text(printable(f"{type(error).__name__}: {error}"))
            raise unavailable(self.vendor, job, f"{self.vendor.title} gave no usable answer ({why}).") from error


class Wires:
    """The transports of a client, one for each host that it sends to.

    :param make: Makes one.
    """

    def __init__(self, make: Callable[[httpx.URL], Any]) -> None:
        self._make = make
        self._kept: dict[Origin, Any] = {}

    def __bool__(self) -> bool:
        return bool(self._kept)

    def to(self, url: httpx.URL) -> Any:
        """The one to this address's host."""
        if (host := origin_of(url)) not in self._kept:
            self._kept[host] = self._make(url)
        return self._kept[host]

    def let_go(self) -> list[Any]:
        """All of them, to be closed."""
        kept, self._kept = self._kept, {}
        return list(kept.values())


def origin_of(url: httpx.URL) -> Origin:
    """Scheme, host and port: whom a request goes to."""
    return url.scheme, url.host, url.port


def _address(vendor: Vendor, text: str) -> httpx.URL:
    try:
        url = httpx.URL(text)
        host = url.host
    except (httpx.InvalidURL, ValueError):  # the second: a name that IDNA refuses
        url, host = httpx.URL(), ""
    if url.scheme not in ("http", "https") or not host:
        raise InvalidRequestError(
            f"The address {text!r} for {vendor.title} is not one that can be called.",
            remedy="Write it as https://host, or leave it empty for the vendor's own.",
            vendor=vendor.id,
            field="host",
        )
    return url
