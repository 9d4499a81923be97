"""What all vendors share. A verb is a generator that yields requests and receives responses.

A flow yields an ``httpx.Request`` and receives its ``httpx.Response``, or has the transport's exception
thrown into it; it yields a number to pause that many seconds; what it returns is the verb's answer. One
definition therefore serves the synchronous and the asynchronous client, and tests need neither.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

import httpx

from airflow_video_providers.core.errors import (
    InvalidRequestError,
    RateLimitedError,
    VendorError,
    VendorUnavailableError,
)
from airflow_video_providers.core.vendors.answers import Answer, cut
from airflow_video_providers.core.vendors.flow import Flow
from airflow_video_providers.core.vendors.optional_verbs import OptionalVerbs
from airflow_video_providers.core.vendors.refusals import (
    not_accepted,
    outcome_unknown,
    refused_by_page,
    submit_refused,
    unavailable,
)
from airflow_video_providers.core.vendors.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from airflow_video_providers.core.callbacks.webhook import Callback
    from airflow_video_providers.core.jobs import VideoJob
    from airflow_video_providers.core.vendors.models import VideoModel


#: Vendors' files take ``Flow`` and ``Identified`` from here too.
__all__ = ["SUBMIT_PATIENCE", "Flow", "Identified", "Vendor"]

#: The connection was never made, so the vendor cannot have seen the request.
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, httpx.UnsupportedProtocol)
#: How long a submit pauses in all while the vendor has certainly not accepted it. The tries take their own time.
SUBMIT_PATIENCE = timedelta(seconds=120)
_HEADERS = httpx.Headers({"Accept": "application/json", "Cache-Control": "no-cache"})


class Identified(NamedTuple):
    """Which job an id belongs to.

    :param job: The job as the vendor describes it; ``expired`` where it knows no such job.
    :param same_model: Does the vendor say that it is of the model that was asked for?
    :param created_at: When the vendor made it (UTC), where it says so.
    """

    job: VideoJob
    same_model: bool
    created_at: datetime | None


class Vendor(OptionalVerbs):
    """Base of the vendors: subclass it in a file of its own and add a line to the catalogue.

    What it says about itself is described in ``core.vendors.description``.
    """

    # What a vendor's file says.

    def status_call(self, job: VideoJob) -> httpx.Request:
        """The request that asks how a job stands."""
        raise NotImplementedError

    def wire(self, request: VideoModel, extra_fields: Mapping[str, Any]) -> Wire:
        """The submit's body and headers: the one place where a request takes the vendor's form. Sends nothing.

        :param extra_fields: Fields that the catalogue does not know; they belong beside the request's own.
        """
        return Wire({**request.body(), **extra_fields})

    def check(self) -> Flow[str]:
        """Is the connection good? Spends nothing; returns a sentence, raises a VendorError."""
        raise NotImplementedError

    def balance(self) -> Flow[str | None]:
        """What the account has left, by a free call, where :attr:`says_balance`; None where it does not say."""
        return None
        yield  # a flow, like its siblings

    def webhook_headers(self, callback: Callback) -> Mapping[str, str]:
        """How a submit says where to call back, where that is said in headers."""
        raise NotImplementedError

    # The verbs.

    def submit(self, request: VideoModel, wire: Wire, callback: Callback | None = None) -> Flow[VideoJob]:
        """Buy one video: the paid call. Only what certainly did not reach the vendor is repeated.

        :param wire: What is sent, made by ``wire`` before: its digest may be recorded already.
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

    def status(self, job: VideoJob) -> Flow[VideoJob]:
        """How a job stands now. A job the vendor does not know comes back as ``expired``: the caller decides.

        :raises AuthenticationError: the key was refused.
        :raises RateLimitedError: asked too often.
        :raises InsufficientCreditsError: it answers no questions while the account's balance is used up.
        :raises RequestRejectedError: it refuses the question itself; where it does so again, it means it.
        :raises VendorUnavailableError: no usable answer; the job is not affected.
        """
        return self.read_job(job, (yield from self.send_read(self.status_call(job), job)))

    def identify(self, job: VideoJob) -> Flow[Identified]:
        """Which job an id belongs to, where somebody else named the id. Raises as :meth:`status` does."""
        answer = yield from self.send_read(self.status_call(job.replace(status_route=self.status_routes[0])), job)
        seen, body = self.read_job(job, answer), answer.body or {}
        return Identified(seen, self.is_of_model(job.model, body), seen.submitted_at)

    def is_of_model(self, model: str, body: Mapping[str, Any]) -> bool:  # noqa: ARG002 # most vendors do not say
        """Does a status say that its job is one of this model? False where it does not say."""
        return False

    @classmethod
    def verify_callback(
        cls,
        headers: Mapping[str, str],  # noqa: ARG003 # most do not sign
        body: bytes,  # noqa: ARG003
        keys: Sequence[str],  # noqa: ARG003
        now: datetime,  # noqa: ARG003
    ) -> bool:
        """Has the vendor made this call itself, now? True where it does not sign: then the token in the address says enough.

        :param headers: The call's, with names in lower case.
        :param keys: What signs the calls: ``[video_providers] callback_signing_secret_<vendor>``, or what stands at
            ``callback_keys_url``. Each is tried; where there is none, no call is the vendor's.
        :param now: The time (UTC). A call that says another is a replay.
        """
        return True

    @classmethod
    def signs_callbacks(cls) -> bool:
        """Does it sign its calls?"""
        return cls.verify_callback.__func__ is not Vendor.verify_callback.__func__  # type: ignore[attr-defined]

    # Building blocks for the vendors' files.

    def call(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        at: str | None = None,
        content: bytes | None = None,
        file: tuple[str, bytes, str] | None = None,
    ) -> httpx.Request:
        """A request below the base URL. The client adds the key; no address from an answer gets here.

        :param at: The name of one of :attr:`other_urls`, to call that one instead; or of :attr:`keyless_urls`, to which no
            key is added.
        :param content: A body that is no JSON.
        :param file: A form's field ``content`` with a file in it: name, bytes, media type.
        """
        root = self.url if at is None else self.urls.get(at) or self.keyless[at]
        form = None if file is None else {"content": file}
        request = httpx.Request(method, f"{root}{path}", headers=_HEADERS, json=json, content=content, files=form)
        request.headers.update(headers or {})
        request.extensions["keyless"] = at in self.keyless
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


def _answer(response: httpx.Response) -> Answer:
    return Answer(response.status_code, response.headers, response.content)


def _name(error: httpx.HTTPError) -> str:
    return cut(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)  # it may name a proxy
