"""Which error an answer is. The one place that decides what a refusal means for the money."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_video_providers.exceptions import (
    AuthenticationError,
    InsufficientCreditsError,
    RateLimitedError,
    RequestRejectedError,
    SubmissionOutcomeUnknownError,
    VendorError,
    VendorUnavailableError,
)

if TYPE_CHECKING:
    from airflow_video_providers.jobs import VideoJob
    from airflow_video_providers.models import VideoModel
    from airflow_video_providers.vendors.answers import Answer
    from airflow_video_providers.vendors.base import Vendor

_JOB_UNTOUCHED = "The job is not affected."


def submit_refused(vendor: Vendor, request: VideoModel, answer: Answer) -> VendorError:
    """What an answer to a submit means that holds no request id."""
    code, reason, wait = answer.status, answer.reason(), answer.retry_after(vendor.now())
    said = f"{vendor.title} refused the request (HTTP {code}: {reason})."
    if code in (401, 403):
        return key_refused(vendor, answer, model=request.id)
    if code in vendor.no_credits and "content type" not in reason.casefold().replace("-", " "):
        return InsufficientCreditsError(said, model=request.id, http_status=code)
    if code == 429:
        return RateLimitedError(said, model=request.id, http_status=code, retry_after=wait)
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
    return outcome_unknown(vendor, request, f"the answer holds no request id (HTTP {code}: {reason})", code)


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
    vendor: Vendor, request: VideoModel, why: str, http_status: int | None = None
) -> SubmissionOutcomeUnknownError:
    """The request was sent, and nothing tells whether it was accepted."""
    return SubmissionOutcomeUnknownError(
        f"{vendor.title} may or may not have accepted the request: {why}.", model=request.id, http_status=http_status
    )


def status_refused(vendor: Vendor, job: VideoJob | None, answer: Answer) -> VendorError:
    """What an answer to a read means that says nothing about the job."""
    code, reason = answer.status, answer.reason()
    if code in (401, 403):
        return key_refused(vendor, answer, job=job)
    if code == 429:
        return RateLimitedError(
            f"{vendor.title} limits the rate of requests (HTTP 429: {reason}).",
            money=_JOB_UNTOUCHED if job else None,
            vendor=vendor.id,
            model=job.model if job else None,
            request_id=job.request_id if job else None,
            charged=job.charged if job else "no",
            http_status=code,
            retry_after=answer.retry_after(vendor.now()),
        )
    if 400 <= code < 500 and code not in (404, 408, 425):
        return RequestRejectedError(
            f"{vendor.title} refused to answer (HTTP {code}: {reason}).",
            money=_JOB_UNTOUCHED if job else None,
            remedy="Check the request_id and the model.",
            vendor=vendor.id,
            model=job.model if job else None,
            request_id=job.request_id if job else None,
            charged=job.charged if job else "no",
            http_status=code,
        )
    return unavailable(vendor, job, f"{vendor.title} gave no usable answer (HTTP {code}: {reason}).", code)


def key_refused(
    vendor: Vendor, answer: Answer, *, model: str | None = None, job: VideoJob | None = None
) -> AuthenticationError:
    """401 or 403."""
    return AuthenticationError(
        f"{vendor.title} refused the API key (HTTP {answer.status}: {answer.reason()}).",
        money=_JOB_UNTOUCHED if job else None,
        vendor=vendor.id,
        model=job.model if job else model,
        request_id=job.request_id if job else None,
        charged=job.charged if job else "no",
        http_status=answer.status,
    )


def unavailable(
    vendor: Vendor, job: VideoJob | None, what: str, http_status: int | None = None
) -> VendorUnavailableError:
    """A read that brought nothing; it may be repeated."""
    return VendorUnavailableError(
        what,
        money=_JOB_UNTOUCHED if job else "Nothing was charged.",
        vendor=vendor.id,
        model=job.model if job else None,
        request_id=job.request_id if job else None,
        charged=job.charged if job else "no",
        http_status=http_status,
    )
