"""Which error an answer is. The one place that decides what a refusal means for the money."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

from airflow_video_providers.core.errors import (
    AuthenticationError,
    InsufficientCreditsError,
    RateLimitedError,
    RequestRejectedError,
    SubmissionOutcomeUnknownError,
    VendorError,
    VendorUnavailableError,
)
from airflow_video_providers.core.vendors.answers import cut
from airflow_video_providers.core.vendors.output_shapes import find_ids

if TYPE_CHECKING:
    from airflow_video_providers.core.jobs import VideoJob
    from airflow_video_providers.core.vendors.answers import Answer
    from airflow_video_providers.core.vendors.description import Description
    from airflow_video_providers.core.vendors.models import VideoModel

_JOB_UNTOUCHED = "The job is not affected."
#: Of a 403: that the account cannot pay, and that it has asked too often. API Management says "call volume quota".
_BALANCE = re.compile(
    r"\b(?:balance|credits?|top.?up|billing|wallet|overdue|payment|insufficient[ _]?(?:funds|quota))\b", re.IGNORECASE
)
_QUOTA = re.compile(r"quota|rate.?limit|too many|throttl|call volume", re.IGNORECASE)
#: Of a 406: that it speaks of a header, not of the account.
_ABOUT_A_HEADER = re.compile(r"content[ _-]?type|media[ _-]?type|accept\b|acceptable", re.IGNORECASE)
_LOCKED_REMEDY = (
    "Top up the account at the vendor, then run the task again: it asks for the same job, and nothing is bought twice."
)
_REFUSED_REMEDY = "Check the request_id and the model. To ask once more run the task again; that buys nothing."
_FIREWALL_REMEDY = (
    "A retry may pass. If it goes on, ask why the vendor's firewall refuses this worker's address or this request, and "
    "check the connection's host."
)


def _forbidden(answer: Answer) -> Literal["a page", "quota", "balance", "key"]:
    """What a 403 is about: gateways answer it for much besides the key."""
    said = answer.reason()
    if answer.is_page and "retry-after" not in answer.headers:
        return "a page"
    if "retry-after" in answer.headers or "call volume" in said.casefold():
        return "quota"
    if _BALANCE.search(said):
        return "balance"
    return "quota" if _QUOTA.search(said) else "key"


def submit_refused(vendor: Description, request: VideoModel, answer: Answer) -> VendorError:
    """What an answer to a submit means that holds no request id."""
    code, reason, wait = answer.status, answer.reason(), answer.retry_after(vendor.now())
    said = f"{vendor.title} refused the request (HTTP {code}: {reason})."
    forbidden = _forbidden(answer) if code == 403 else None
    if forbidden == "a page":
        return _firewall(
            request, f"{vendor.title} was not reached: a page of a firewall or proxy came (HTTP 403: {reason})."
        )
    no_credits = code in vendor.no_credits and not (code == 406 and (answer.is_page or _ABOUT_A_HEADER.search(reason)))
    if forbidden == "balance" or no_credits:
        return InsufficientCreditsError(said, model=request.id, http_status=code)
    if forbidden == "quota" or code == 429:
        return RateLimitedError(said, model=request.id, http_status=code, retry_after=wait)
    if code in (401, 403):
        return key_refused(vendor, answer, model=request.id)
    if code == 503 and "retry-after" in answer.headers:
        return not_accepted(request, f"{vendor.title} is overloaded (HTTP 503: {reason}).", wait)
    if 400 <= code < 500 and code != 408:  # a 408 may come from a gateway that has passed the request on
        return RequestRejectedError(said, model=request.id, http_status=code)
    if 300 <= code < 400 and code != 303:  # a 303 says that the request was processed
        return RequestRejectedError(
            f"{vendor.title} answered with a redirect (HTTP {code}), which a paid request does not follow.",
            remedy="Check the connection's host.",
            model=request.id,
            http_status=code,
        )
    ids = find_ids(answer.body, vendor.id_paths) if answer.ok else {}
    if len(ids) > 1:
        named = " and ".join(f"{cut(value)} as {place}" for value, place in list(ids.items())[:4])
        return outcome_unknown(vendor, request, f"the answer names more than one id (HTTP {code}: {named})", code)
    return outcome_unknown(vendor, request, f"the answer holds no request id (HTTP {code}: {reason})", code)


def _firewall(request: VideoModel, what: str) -> VendorUnavailableError:
    """A 403 page on a submit. What stands before the vendor's API answers so *instead of* passing a request on.

    So nothing was bought, and a later try may buy. It is not repeated within this one (:func:`refused_by_page`): a
    firewall that has refused once holds it against who comes back at once.
    """
    return VendorUnavailableError(what, remedy=_FIREWALL_REMEDY, model=request.id, charged="no", http_status=403)


def refused_by_page(refusal: VendorError) -> bool:
    """Did a firewall refuse a submit? That is not repeated within a try."""
    return isinstance(refusal, VendorUnavailableError) and refusal.http_status == 403


def not_accepted(request: VideoModel, what: str, wait: float | None = None) -> VendorUnavailableError:
    """The vendor has certainly not accepted the request, and may do so later."""
    return VendorUnavailableError(
        what,
        remedy="Run the task again; check the network and the connection's host if it goes on.",
        model=request.id,
        charged="no",
        retry_after=wait,
    )


def outcome_unknown(
    vendor: Description, request: VideoModel, why: str, http_status: int | None = None
) -> SubmissionOutcomeUnknownError:
    """The request was sent, and nothing shows whether it was accepted."""
    return SubmissionOutcomeUnknownError(
        f"{vendor.title} may or may not have accepted the request: {why}.", model=request.id, http_status=http_status
    )


def status_refused(vendor: Description, job: VideoJob | None, answer: Answer) -> VendorError:
    """What an answer to a read means that says nothing about the job."""
    code, reason = answer.status, answer.reason()
    about = _about(vendor, job, code)
    forbidden = _forbidden(answer) if code == 403 else None
    if forbidden == "a page":
        return unavailable(
            vendor, job, f"A firewall or proxy answered instead of {vendor.title} (HTTP 403: {reason}).", code
        )
    if forbidden == "balance":
        what = f"{vendor.title} answers no questions while the account's balance is used up (HTTP 403: {reason})."
        return InsufficientCreditsError(what, remedy=_LOCKED_REMEDY, **about)
    if forbidden == "quota" or code == 429:
        what = f"{vendor.title} limits the rate of requests (HTTP {code}: {reason})."
        return RateLimitedError(what, retry_after=answer.retry_after(vendor.now()), **about)
    if code in (401, 403):
        return key_refused(vendor, answer, job=job)
    if 400 <= code < 500 and code not in (404, 408, 421, 425):
        what = f"{vendor.title} refused to answer (HTTP {code}: {reason})."
        return RequestRejectedError(what, remedy=_REFUSED_REMEDY, **about)
    return unavailable(vendor, job, f"{vendor.title} gave no usable answer (HTTP {code}: {reason}).", code)


def _about(vendor: Description, job: VideoJob | None, code: int | None) -> dict[str, Any]:
    """What an error on a read says of the job that was asked about: no read costs anything or changes a job."""
    return {
        "money": _JOB_UNTOUCHED if job else "Nothing was charged.",
        "vendor": vendor.id,
        "model": job.model if job else None,
        "request_id": job.request_id if job else None,
        "charged": job.charged if job else "no",
        "http_status": code,
    }


def key_refused(
    vendor: Description, answer: Answer, *, model: str | None = None, job: VideoJob | None = None
) -> AuthenticationError:
    """401 or 403."""
    what = f"{vendor.title} refused the API key (HTTP {answer.status}: {answer.reason()})."
    return AuthenticationError(what, **{**_about(vendor, job, answer.status), "model": job.model if job else model})


def unavailable(
    vendor: Description, job: VideoJob | None, what: str, http_status: int | None = None
) -> VendorUnavailableError:
    """A read without an answer; it may be repeated."""
    return VendorUnavailableError(what, **_about(vendor, job, http_status))
