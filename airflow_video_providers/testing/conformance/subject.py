"""What a check is given, and how it says that something is wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from airflow_video_providers.core.client.async_client import AsyncVideoClient
from airflow_video_providers.core.client.client import VideoClient
from airflow_video_providers.core.errors import VideoProviderError
from airflow_video_providers.core.jobs import JobStatus, VideoJob

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    from airflow_video_providers.core.callbacks.webhook import Callback
    from airflow_video_providers.core.vendors.base import Identified, Vendor
    from airflow_video_providers.core.vendors.history import Shown
    from airflow_video_providers.core.vendors.models import VideoModel

#: What a call came to: its result, or the package's own error.
Outcome = VideoJob | VideoProviderError


class ConformanceError(AssertionError):
    """The vendor does not do what every vendor must."""


def expect(condition: object, message: str) -> None:
    """Go on only if ``condition`` holds."""
    if not condition:
        raise ConformanceError(message)


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A vendor, and a running stand-in for its gateway.

    :param vendor: The vendor's class.
    :param request: A request that the stand-in accepts.
    :param url: Where the stand-in runs, as a connection's host would name it. It must be on loopback.
    :param words: Every status word that the vendor documents, and what it means.
    :param finish: Called with no arguments; afterwards every job that the stand-in accepted has succeeded.
    :param key: An API key that the stand-in accepts.
    :param bad_key: One that it refuses.
    :param failing: A request that the stand-in accepts, and whose job has failed after ``finish``: the simulator's
        gateways take ``[[fault:job_failed]]`` before a prompt.
    :param headers: What every submit carries beside the key, as the documents and this vendor's file promise it.
    :param history_page: How many jobs the stand-in shows in one page of its history; a few, for the check buys more. None: not
        checked.
    :param callback_keys: Gives the keys with which the stand-in signs its calls, for a vendor that signs; the stand-in has to
        call plain http on loopback then. None: that is not checked.
    :param outputs: How many files the stand-in makes of ``request``.
    :param files: Role and media type of each of them, the videos first, as the stand-in's answers say them; None: not checked.
    :param run: Called with no arguments; afterwards every job that the stand-in accepted runs and is not finished.
    :param says: What else its answers say of a job: ``"progress"`` while it runs, ``"submitted_at"``, ``"completed_at"``.
    :param cost: What ``request`` has cost in US dollars, as they say.
    """

    vendor: type[Vendor]
    request: VideoModel
    failing: VideoModel
    url: str
    words: Mapping[str, JobStatus]
    finish: Callable[[], None]
    key: str = "conformance-0123456789abcdef"
    bad_key: str = "bad-0123456789abcdef"
    outputs: int = 1
    files: tuple[tuple[str, str | None], ...] | None = None
    run: Callable[[], None] | None = None
    says: Collection[str] = ()
    cost: Decimal | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    history_page: int | None = None
    callback_keys: Callable[[], Sequence[str]] | None = None

    def submit(
        self,
        url: str,
        key: str | None = None,
        *,
        request: VideoModel | None = None,
        extra_fields: Mapping[str, object] | None = None,
        callback: Callback | None = None,
    ) -> Outcome:
        """Buy ``request`` at ``url``, without the pauses between two tries."""
        with closing(VideoClient(self.vendor(url), key or self.key, sleep=_no_pause)) as client:
            return _outcome(lambda: client.submit(request or self.request, extra_fields, callback))

    def bought(self, url: str, request: VideoModel | None = None) -> VideoJob:
        """A job that was bought at ``url``."""
        job = self.submit(url, request=request)
        if isinstance(job, VideoProviderError):
            raise ConformanceError(f"The stand-in's gateway did not accept the subject's request: {job}") from job
        return job

    def poll(self, url: str, job: VideoJob) -> Outcome:
        """Ask ``url`` for a job's status."""
        with closing(VideoClient(self.vendor(url), self.key)) as client:
            return _outcome(lambda: client.status(job))

    def identify(self, url: str, job: VideoJob) -> Identified | VideoProviderError:
        """Ask ``url`` which job an id belongs to."""
        with closing(VideoClient(self.vendor(url), self.key)) as client:
            return _outcome(lambda: client.identify(job))

    def land(self, url: str, job: VideoJob, place: str) -> dict[str, Any] | VideoProviderError:
        """Land a finished job in a directory, asking ``url`` where the vendor has to be asked."""
        hosts = ["127.0.0.1", urlsplit(self.url).hostname or ""]
        with closing(VideoClient(self.vendor(url), self.key)) as client:
            return _outcome(lambda: client.land(job, place, allow_private_hosts=hosts, patience=0.0))

    def cancel(self, url: str, job: VideoJob) -> Outcome:
        """Cancel a job at ``url``."""
        with closing(VideoClient(self.vendor(url), self.key)) as client:
            return _outcome(lambda: client.cancel(job))

    def upload(self, url: str, data: bytes) -> str | VideoProviderError:
        """Give a picture to ``url``."""
        with closing(VideoClient(self.vendor(url), self.key)) as client:
            return _outcome(lambda: client.upload("picture.png", "image/png", data))

    def history(self, url: str, around: datetime) -> list[Shown] | VideoProviderError:
        """What ``url`` shows of the request's model, an hour around a moment."""
        hour = timedelta(hours=1)
        return self.history_between(url, self.request.id, around - hour, around + hour)

    def history_between(
        self, url: str, model: str, since: datetime, until: datetime
    ) -> list[Shown] | VideoProviderError:
        """What ``url`` shows of a model in a window."""
        with closing(VideoClient(self.vendor(url), self.key)) as client:
            return _outcome(lambda: client.history(model, since, until))

    def poll_in_a_loop(self, url: str, job: VideoJob) -> Outcome:
        """The same through the asynchronous client."""

        async def send_read() -> VideoJob:
            async with AsyncVideoClient(self.vendor(url), self.key) as client:
                return await client.status(job)

        return _outcome(lambda: asyncio.run(send_read()))


Check = Callable[[Subject], None]
T = TypeVar("T")


def _outcome(call: Callable[[], T]) -> T | VideoProviderError:
    try:
        return call()
    except VideoProviderError as error:
        return error
    except Exception as error:
        raise ConformanceError(f"{error!r} got out; callers know this package's errors only.") from error


def _no_pause(_seconds: float) -> None:
    """The checks do not wait."""


def kind(outcome: Outcome) -> str:
    """What came out, for a message."""
    return f"the status {outcome.status}" if isinstance(outcome, VideoJob) else f"{type(outcome).__name__} ({outcome})"
