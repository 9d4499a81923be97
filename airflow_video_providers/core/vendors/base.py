"""What all vendors share. A verb is a generator that yields requests and receives responses.

A flow yields an ``httpx.Request`` and receives its ``httpx.Response``, or has the transport's exception
thrown into it; it yields a number to pause that many seconds; what it returns is the verb's answer. One
definition therefore serves the synchronous and the asynchronous client, and tests need neither.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar
from urllib.parse import quote

import httpx

from airflow_video_providers.core.border import MOST_OUTPUTS
from airflow_video_providers.core.errors import (
    Charged,
    InvalidRequestError,
    RateLimitedError,
    VendorError,
    VendorUnavailableError,
)
from airflow_video_providers.core.jobs import JobStatus, VideoJob, VideoOutput
from airflow_video_providers.core.vendors.answers import Answer, cut, fraction, timestamp
from airflow_video_providers.core.vendors.fields import bounded
from airflow_video_providers.core.vendors.output_shapes import (
    REASON_PATHS,
    STATUS_PATHS,
    find_ids,
    find_status,
    find_urls,
    first_at,
    hints,
    id_at,
    names_in,
    reason_at,
    search_urls,
)
from airflow_video_providers.core.vendors.refusals import (
    not_accepted,
    outcome_unknown,
    refused_by_page,
    status_refused,
    submit_refused,
    unavailable,
)
from airflow_video_providers.core.vendors.wire import Wire

if TYPE_CHECKING:
    from decimal import Decimal

    from airflow_video_providers.core.callbacks.webhook import Callback, WebhookMode
    from airflow_video_providers.core.vendors.models import VideoModel

T = TypeVar("T")
Flow = Generator[httpx.Request | float, httpx.Response, T]

#: The connection was never made, so the vendor cannot have seen the request.
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, httpx.UnsupportedProtocol)
#: How long a submit pauses in all while the vendor has certainly not accepted it. The tries take their own time.
SUBMIT_PATIENCE = timedelta(seconds=120)
_HEADERS = httpx.Headers({"Accept": "application/json", "Cache-Control": "no-cache"})


def utcnow() -> datetime:
    """The current time, aware."""
    return datetime.now(UTC)


class Vendor:
    """Base of the vendors: subclass it in a file of its own and add a line to the catalogue.

    :cvar id: Connection type and first half of the model ids.
    :cvar base_url: The vendor's own address; a connection's host replaces it.
    :cvar other_urls: Further addresses of the vendor's own, by a name for :meth:`call`. The key goes to these and to
        ``base_url``, and nowhere else. A connection's host replaces them all: a key meant for it goes to it alone.
    :cvar key_header: The header that carries the API key, and ``key_prefix`` what stands before it there.
    :cvar id_paths: Where in a body the job's own id stands, in the answer to a submit and in a status; the first that
        holds one counts. Empty: a submit takes what can be nothing else, and a status may be about any job.
    :cvar words: What its own status words mean, where the words of the field do not hold them or mean something else.
    :cvar output_paths: Where in a body the output addresses stand; the first that holds any counts.
    :cvar status_paths: Where the status word stands, ``reason_paths`` why a job failed, ``submitted_paths`` and
        ``completed_paths`` the times (ISO 8601, or seconds since 1970), ``progress_paths`` how much is done (0 to 1), and
        ``cost_paths`` what the job has cost, in US dollars. Dotted; the first that holds something counts.
    :cvar charged: What a final state means for the bill; a state that is not named is ``"unknown"``.
    :cvar no_credits: HTTP codes that mean an empty account.
    :cvar failure_codes: HTTP codes other than 2xx whose body describes a job.
    :cvar retention: How long the vendor keeps a job after the submit, where its documents say so.
    :cvar poll_seconds: Shortest and longest useful time between two polls of one job.
    :cvar documented_poll_seconds: Shortest time between two polls of one job that the vendor's documents ask for.
    :cvar requests_per_minute: Default request budget of a connection.
    :cvar open_ids: Of a vendor that serves any model by its id: what such an id looks like. Empty: it serves what the
        catalogue lists.
    :cvar status_routes: The status calls the documents describe; the first is the default.
    :cvar webhook_modes: When the vendor calls back an address that came with a submit: ``"terminal"``, ``"sync"``.
        Empty: it has no webhooks.

    :param base_url: The address to use instead of the vendor's own.
    :param status_route: ``"legacy"`` for an older status call, where the vendor has one.
    :param paths: Other paths of submit calls than the models' own, by model id.
    :param now: The clock.
    """

    id: ClassVar[str]
    title: ClassVar[str]
    base_url: ClassVar[str]
    other_urls: ClassVar[Mapping[str, str]] = {}
    documentation: ClassVar[str] = ""
    key_header: ClassVar[str]
    key_prefix: ClassVar[str] = ""
    id_paths: ClassVar[tuple[str, ...]] = ()
    words: ClassVar[Mapping[str, JobStatus]] = {}
    output_paths: ClassVar[tuple[str, ...]] = ()
    status_paths: ClassVar[tuple[str, ...]] = STATUS_PATHS
    reason_paths: ClassVar[tuple[str, ...]] = REASON_PATHS
    submitted_paths: ClassVar[tuple[str, ...]] = ("created_at",)
    completed_paths: ClassVar[tuple[str, ...]] = ("completed_at",)
    progress_paths: ClassVar[tuple[str, ...]] = ()
    cost_paths: ClassVar[tuple[str, ...]] = ()
    charged: ClassVar[Mapping[JobStatus, Charged]] = {}
    no_credits: ClassVar[frozenset[int]] = frozenset({402})
    failure_codes: ClassVar[frozenset[int]] = frozenset()
    retention: ClassVar[timedelta | None] = None
    poll_seconds: ClassVar[tuple[float, float]] = (5.0, 30.0)
    documented_poll_seconds: ClassVar[float | None] = None
    requests_per_minute: ClassVar[float] = 60.0
    status_routes: ClassVar[tuple[str, ...]] = ("default",)
    open_ids: ClassVar[str] = ""
    _open_id: ClassVar[re.Pattern[str]] = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*)+")
    webhook_modes: ClassVar[tuple[WebhookMode, ...]] = ()

    def __init__(
        self,
        base_url: str | None = None,
        *,
        status_route: str = "default",
        paths: Mapping[str, str] | None = None,
        now: Callable[[], datetime] = utcnow,
    ) -> None:
        if status_route not in self.status_routes:
            allowed = ", ".join(self.status_routes)
            raise InvalidRequestError(
                f"{self.title} has no status route {status_route!r}; it has {allowed}.",
                vendor=self.id,
                field="status_route",
                value=status_route,
                allowed=allowed,
            )
        self.url = (base_url or self.base_url).rstrip("/")
        own = not base_url or self.url == self.base_url.rstrip("/")
        self.urls = {name: url.rstrip("/") if own else self.url for name, url in self.other_urls.items()}
        self.status_route = status_route
        self.paths = paths or {}
        self.now = now

    # What a vendor's file says.

    def status_call(self, job: VideoJob) -> httpx.Request:
        """The request that asks how a job stands."""
        raise NotImplementedError

    def wire(self, request: VideoModel, extra_fields: Mapping[str, Any]) -> Wire:
        """The submit's body and headers: the one place where a request takes the vendor's form. Sends nothing.

        :param extra_fields: Fields that the catalogue does not know; they belong beside the request's own.
        """
        return Wire({**request.body(), **extra_fields})

    @classmethod
    def open_problem(cls, name: str) -> str | None:
        """What keeps this from being the name of a model that is not listed; "" where the vendor has no such models."""
        if not cls.open_ids:
            return ""
        fits = len(name) <= 200 and cls._open_id.fullmatch(name) and ".." not in name
        return None if fits else f"an id of {cls.title} is {cls.open_ids}"

    @classmethod
    def open_path(cls, name: str) -> str:
        """Where a model that is not listed is bought."""
        return f"/{name}"

    @classmethod
    def documentation_of(cls, name: str) -> str:  # noqa: ARG003 # for the vendors that have a page for each
        """The page about a model that is not listed."""
        return cls.documentation

    def check(self) -> Flow[str]:
        """Is the connection good? Spends nothing; returns a sentence, raises a VendorError."""
        raise NotImplementedError

    def credits_left(self, answer: Answer) -> str | None:  # noqa: ARG002 # most vendors do not say
        """What the account has left, where an answer says."""
        return None

    def webhook_headers(self, callback: Callback) -> Mapping[str, str]:
        """How a submit says where to call back, where that is said in headers."""
        raise NotImplementedError

    # The verbs.

    def submit(self, request: VideoModel, wire: Wire, callback: Callback | None = None) -> Flow[VideoJob]:
        """Buy one video: the paid call. Only what certainly did not reach the vendor is repeated.

        :param wire: What is sent, made by :meth:`wire` before: its digest may be recorded already.
        :param callback: Where the vendor is to call when something is new.
        :raises SubmissionOutcomeUnknownError: the call may have been accepted; it must not be repeated.
        :raises VendorError: the vendor refused, or was not reached in several tries with two minutes of pauses
            between them; nothing was charged.
        """
        return (yield from self.send_paid(request, self.submit_call(request, wire, callback), self._bought))

    def submit_call(self, request: VideoModel, wire: Wire, callback: Callback | None = None) -> httpx.Request:
        """The paid request: the vendor's own form of body and headers, and where a callback shall go."""
        call = self.call("POST", self.path_of(request), json=wire.body, headers=wire.headers)
        if callback is not None:
            call.headers.update(self.webhook_headers(callback))
        return call

    def generate(
        self,
        request: VideoModel,
        wire: Wire,  # noqa: ARG002 # for the vendors that have such a route
    ) -> Flow[VideoJob]:
        """Buy one video on a route that answers with the video itself, where the vendor has one.

        :param wire: As in :meth:`submit`.
        :raises InvalidRequestError: it has none. Nothing was sent.
        :raises SubmissionOutcomeUnknownError: the call was interrupted after it was sent; it may be charged, and
            there is no ``request_id`` to come back to. It must not be repeated.
        :raises VendorError: as in :meth:`submit`; nothing was charged.
        """
        raise InvalidRequestError(
            f"{self.title} has no route that answers with the video itself.",
            remedy="Submit the request and wait for it.",
            model=request.id,
        )
        yield  # a flow, like its siblings

    def upload(self, name: str, media_type: str, data: bytes) -> Flow[str]:  # noqa: ARG002 # for the vendors that have it
        """Give an input image to the vendor, free of charge, where it takes such; returns the address for the request.

        :param name: What to call it there: made of its digest, never an author's path.
        :raises VendorError: it was not taken. Nothing was bought.
        """
        raise InvalidRequestError(f"{self.title} has no upload.", vendor=self.id)
        yield  # a flow, like its siblings

    @property
    def uploads(self) -> bool:
        """Has it an upload?"""
        return type(self).upload is not Vendor.upload

    def status(self, job: VideoJob) -> Flow[VideoJob]:
        """How a job stands now. A job the vendor does not know comes back as ``expired``: the caller decides.

        :raises AuthenticationError: the key was refused.
        :raises RateLimitedError: asked too often.
        :raises InsufficientCreditsError: it answers no questions while the account's balance is used up.
        :raises RequestRejectedError: it refuses the question itself; where it does so again, it means it.
        :raises VendorUnavailableError: no usable answer; the job is not affected.
        """
        return self.read_job(job, (yield from self.send_read(self.status_call(job), job)))

    # Building blocks for the vendors' files.

    def call(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        at: str | None = None,
    ) -> httpx.Request:
        """A request below the base URL. The client adds the key; no address from an answer gets here.

        :param at: The name of one of :attr:`other_urls`, to call that one instead.
        """
        root = self.url if at is None else self.urls[at]
        request = httpx.Request(method, f"{root}{path}", headers=_HEADERS, json=json)
        request.headers.update(headers or {})
        return request

    def path_of(self, request: VideoModel) -> str:
        """Where a model is bought: the connection's own path for it, or what its documents say."""
        return self.paths.get(request.id, request.path)

    @staticmethod
    def in_path(request_id: str) -> str:
        """An id as one segment of a path, whatever characters it holds."""
        quoted = quote(request_id, safe="")
        return quoted if quoted.strip(".") else quoted.replace(".", "%2E")  # "." and ".." would climb

    def send_paid(
        self,
        request: VideoModel,
        call: httpx.Request,
        bought: Callable[[VideoModel, datetime, Answer], VideoJob | None],
    ) -> Flow[VideoJob]:
        """Send a paid call until it may have arrived, once, and read the job from a 2xx.

        It is sent again only while the vendor has certainly not accepted it, after pauses of
        :data:`SUBMIT_PATIENCE` in all: what the tries themselves take is not counted.
        """
        left = SUBMIT_PATIENCE.total_seconds()
        pause = 1.0
        while True:
            sent_at = self.now()
            try:
                answer = _answer((yield call))
            except _NEVER_SENT as error:
                why = f"{self.title} could not be reached ({_name(error)}); the request was not sent."
                refusal: VendorError = not_accepted(request, why)
            except httpx.HTTPError as error:
                why = f"the connection broke after sending ({_name(error)})"
                raise outcome_unknown(self, request, why) from error
            else:
                if answer.ok and (job := bought(request, sent_at, answer)):
                    return job
                refusal = submit_refused(self, request, answer)
                if not isinstance(refusal, RateLimitedError | VendorUnavailableError) or refused_by_page(refusal):
                    raise refusal
            # Never sooner than the vendor asks, and never at its pace: "retry after 1" for ever was 121 POSTs a try.
            wait = max(pause, refusal.retry_after or 0.0)
            if wait > left:
                raise refusal
            yield wait
            left -= wait
            pause = min(2 * pause, 30.0)

    def send_read(self, call: httpx.Request, job: VideoJob | None = None) -> Flow[Answer]:
        """Send a read; a broken connection becomes an error that is safe to repeat."""
        try:
            return _answer((yield call))
        except httpx.HTTPError as error:
            raise unavailable(self, job, f"{self.title} did not answer ({_name(error)}).") from error

    def read_job(self, job: VideoJob, answer: Answer) -> VideoJob:
        """The job as the answer describes it."""
        # A gateway's own 5xx may hold {"status": "error"}: that is no news of the job.
        answered = answer.ok or answer.status in self.failure_codes
        if answered or answer.status == 404:
            self._refuse_another(job, answer)
        named = find_status(answer.body, self.words, self.status_paths) if answered else None
        status, word = named or self.unlabelled(answer, job)
        body = answer.body or {}
        done = status is JobStatus.SUCCEEDED
        outputs, instead = self.outputs_in(body) if done else ((), None)
        submitted_at = job.submitted_at or timestamp(first_at(body, self.submitted_paths))
        return job.replace(
            status=status,
            vendor_status=word,
            submitted_at=submitted_at,
            expires_at=job.expires_at or self._forgotten_at(submitted_at),
            completed_at=timestamp(first_at(body, self.completed_paths)) or job.completed_at,
            progress=fraction(first_at(body, self.progress_paths)) if not status.terminal else None,
            cost_usd=job.cost_usd if (cost := self.cost_in(body)) is None else cost,
            charged=self.charged.get(status, "unknown") if status.terminal else job.charged,
            error=reason_at(body, self.reason_paths) if status.terminal and not done else None,
            outputs=outputs,
            instead_of_outputs=instead,
            remaining_credits=self.credits_left(answer) or job.remaining_credits,
        )

    def outputs_in(self, body: Mapping[str, Any]) -> tuple[tuple[VideoOutput, ...], str | None]:
        """The outputs that a finished job's answer names, and what it names instead, where it names none."""
        urls = find_urls(body, self.output_paths) or search_urls(body)
        if len(urls) > MOST_OUTPUTS:
            return (), f"{len(urls)} addresses, of which {MOST_OUTPUTS} would be read"
        output = body.get("output")
        media_types = hints(output.get("media_type") if isinstance(output, dict) else None, len(urls))
        outputs = tuple(VideoOutput(url=url, media_type=kind) for url, kind in zip(urls, media_types, strict=True))
        return outputs, None if outputs else names_in(body)

    def cost_in(self, body: Mapping[str, Any]) -> Decimal | None:
        """What the job has cost in US dollars, where an answer says so; 0 is a cost, too."""
        return bounded(first_at(body, self.cost_paths))

    def _refuse_another(self, job: VideoJob, answer: Answer) -> None:
        named = id_at(answer.body, self.id_paths)
        if named is not None and named.casefold() != job.request_id.strip().casefold():
            raise unavailable(self, job, f"{self.title} answered about another job ({cut(named)}).", answer.status)

    def _forgotten_at(self, submitted_at: datetime | None) -> datetime | None:
        try:
            return submitted_at + self.retention if submitted_at and self.retention else None
        except OverflowError:  # a vendor's own time, in the year 9999
            return None

    def unlabelled(self, answer: Answer, job: VideoJob) -> tuple[JobStatus, str]:
        """What an answer without a status word means for the job.

        :raises VendorError: it says nothing about the job.
        """
        if answer.status == 404:
            return JobStatus.EXPIRED, "HTTP 404"
        if answer.ok and answer.body is not None:
            found = find_urls(answer.body, self.output_paths)
            return (JobStatus.SUCCEEDED if found else JobStatus.UNKNOWN), "no status"
        raise status_refused(self, job, answer)

    @staticmethod
    def impossible_job(model: str) -> VideoJob:
        """A job that cannot exist: asked for it, a vendor answers about the job to a good key, not to a bad one."""
        return VideoJob(model=model, request_id="connection-test-00000000-0000-0000-0000-000000000000")

    def read_check(self, answer: Answer) -> str:
        """The sentence for a connection test.

        :raises VendorError: the key was refused, or the vendor gave no usable answer.
        """
        if answer.status in (401, 403, 429) or answer.status >= 500:
            raise status_refused(self, None, answer)
        return f"{self.title} answered and did not refuse the key. Nothing was spent."

    def _bought(self, request: VideoModel, sent_at: datetime, answer: Answer) -> VideoJob | None:
        ids = find_ids(answer.body, self.id_paths)
        if len(ids) != 1:
            return None
        (request_id,) = ids
        status, word = find_status(answer.body, self.words, self.status_paths) or (JobStatus.QUEUED, None)
        return VideoJob(
            model=request.id,
            request_id=request_id,
            status=status,
            vendor_status=word,
            submitted_at=sent_at,
            expires_at=self._forgotten_at(sent_at),
            status_route=self.status_route,
            remaining_credits=self.credits_left(answer),
        )


def _answer(response: httpx.Response) -> Answer:
    return Answer(response.status_code, response.headers, response.content)


def _name(error: httpx.HTTPError) -> str:
    return cut(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)  # it may name a proxy
