"""Every error this package raises.

::

    VideoProviderError(AirflowException)      .vendor .model .request_id .charged .retryable .retry_after
    ├── InvalidRequestError(ValueError)       refused before anything was sent
    ├── LedgerError                           the ledger of purchases did not answer: nothing was sent
    ├── VendorError                           the vendor answered no, or did not answer
    │   ├── AuthenticationError               401, 403
    │   ├── InsufficientCreditsError          402, and 406 where it means credits
    │   ├── RequestRejectedError              400, 404 (model), 405, 410, 422 on submit
    │   ├── RateLimitedError                  429
    │   ├── VendorUnavailableError            5xx or the network, on a read: safe to repeat
    │   └── SubmissionOutcomeUnknownError     the paid call may have been accepted: never repeated silently
    ├── JobError                              .job
    │   ├── JobFailedError                    the vendor says the job failed
    │   ├── JobErroredError                   the vendor's own system error
    │   ├── JobCancelledError                 somebody cancelled it at the vendor
    │   ├── JobExpiredError                   the vendor no longer knows the job
    │   ├── JobUnknownError                   an unknown status word at the end of a wait
    │   ├── JobTimeoutError(AirflowSensorTimeout)   we stopped waiting; the job goes on
    │   └── OutputMissingError                finished without an output
    └── DownloadError
        ├── OutputExpiredError                the address no longer answers
        ├── OutputRejectedError               not a video, truncated, too large, forbidden address
        └── LandingError                      the storage refused, or holds something else

A message has three parts, and the base class puts them together so that none is forgotten: what
happened, what it means for the bill, what to do next. The identifiers follow in brackets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.airflow_errors import AirflowSensorTimeout
from airflow_video_providers.core.error_base import Charged as Charged  # noqa: PLC0414 # part of this module
from airflow_video_providers.core.error_base import InvalidRequestError as InvalidRequestError  # noqa: PLC0414 # part of this module
from airflow_video_providers.core.error_base import VideoProviderError as VideoProviderError  # noqa: PLC0414 # part of this module

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from airflow_video_providers.core.jobs import VideoJob


class LedgerError(VideoProviderError):
    """The ledger of purchases could not be read or written. Without it nothing is sent."""

    default_charged = "no"
    default_remedy = "Restore access to the ledger (its connection, its path), then run the task again."
    retryable = True


class VendorError(VideoProviderError):
    """The vendor answered no, or did not answer."""


class AuthenticationError(VendorError):
    """401 or 403: the API key is missing, wrong, or not allowed to do this."""

    default_charged = "no"
    default_remedy = "Check the API key (the connection's password) and what it is subscribed to."


class InsufficientCreditsError(VendorError):
    """The account cannot pay for the request.

    With a ledger that all tasks share the account is on hold then: ``held_until`` says when to come back, and the error
    is retryable.
    """

    #: Until when nothing is sent with this connection; None where coming back does not help.
    held_until: datetime | None = None
    default_charged = "no"
    default_remedy = "Top up the account at the vendor, then clear the task."


class RequestRejectedError(VendorError):
    """The vendor refused the request as it stands: repeating it would be refused again."""

    default_charged = "no"
    default_remedy = "Correct the request; the vendor's own words are above."


class RateLimitedError(VendorError):
    """429: too many requests. ``retry_after`` holds the seconds to wait where the vendor names them."""

    default_charged = "no"
    default_remedy = "Wait, or lower requests_per_minute in the connection's extra."
    retryable = True


class VendorUnavailableError(VendorError):
    """The vendor was not reached, or a read got a 5xx or a broken answer: safe to repeat."""

    default_remedy = "It is safe to run the task again: nothing was bought by this call."
    retryable = True


class SubmissionOutcomeUnknownError(VendorError):
    """The paid call may have been accepted, and nobody knows from here. Never repeated silently."""

    default_remedy = (
        "Look for the job in the vendor's console. If it is there, run the task with request_id=<its id>; "
        "if it is not, clear the task with on_unknown_outcome='resubmit'."
    )


class JobError(VideoProviderError):
    """Something is wrong with a job that exists at the vendor.

    :param job: The job as it was last seen.
    """

    def __init__(self, what: str, *, job: VideoJob | None = None, **details: Any) -> None:
        if job is not None:
            details.setdefault("model", job.model)
            details.setdefault("request_id", job.request_id)
            details.setdefault("charged", job.charged)
        super().__init__(what, **details)
        self.job = job


class JobFailedError(JobError):
    """The vendor says that the job failed."""

    default_remedy = "Read the vendor's reason; a new attempt with the same request is likely to fail again."


class JobErroredError(JobError):
    """The vendor had a system error of its own."""

    default_remedy = "Clear the submit task to buy it again."


class JobCancelledError(JobError):
    """The job was cancelled at the vendor."""

    default_remedy = "Clear the submit task to buy it again."


class JobExpiredError(JobError):
    """The vendor no longer knows the job."""

    default_remedy = (
        "If the job finished, its output may still be in the vendor's console; otherwise clear the submit task."
    )


class JobUnknownError(JobError):
    """The vendor still reports a status word that nobody knows when the wait ends."""

    default_remedy = "Check the job in the vendor's console; run the sensor again to go on waiting."


class JobTimeoutError(JobError, AirflowSensorTimeout):
    """We stopped waiting. The job is still running at the vendor and may still be charged."""

    default_remedy = "Run the sensor again to go on waiting for the same job, with a longer timeout if needed."


class OutputMissingError(JobError):
    """The job is finished and the vendor names no output."""

    default_remedy = "Run the sensor again later, or ask the vendor about this request_id."


class DownloadError(VideoProviderError):
    """A finished video could not be landed. Nothing was put under its final name.

    :param reason: A short, stable word for what was found, such as ``"truncated"``.
    """

    default_charged = "yes"
    default_remedy = "Run the download again: the job is paid for and is not bought again."
    retryable = True

    def __init__(self, what: str, *, reason: str | None = None, **details: Any) -> None:
        super().__init__(what, **details)
        self.reason = reason


class OutputExpiredError(DownloadError):
    """The output is lost: the vendor itself says so, or twice its documented retention is over."""

    default_remedy = "The output may still be in the vendor's console. Landing sooner after completion avoids this."
    retryable = False


class OutputRejectedError(DownloadError):
    """What came is not the whole video, or its address is not one that may be fetched.

    :param keep: True where the bytes came to their end and only our reading of them says no: a container that
        makes no sense to us, a decoder that fails, is missing or hit its limits. Such a file was paid for and may
        be sound, so it is worth keeping. False for what is no video at all (an HTML page, a forbidden address, too
        large): there is nothing to keep.
    """

    default_remedy = (
        "A retry would end the same. Once the cause is gone, run the download again: the job is paid for and is not "
        "bought again."
    )
    retryable = False

    def __init__(self, what: str, *, keep: bool = False, **details: Any) -> None:
        super().__init__(what, **details)
        self.keep = keep


class LandingError(DownloadError):
    """The object storage refused, or holds something else under the final name."""


_CARRIED = (
    "what",
    "money",
    "remedy",
    "charged",
    "vendor",
    "model",
    "request_id",
    "http_status",
    "retry_after",
    "retryable",
)


def describe(error: VideoProviderError) -> dict[str, Any]:
    """The error as plain JSON, for a trigger's event."""
    carried = {name: value for name in _CARRIED if (value := getattr(error, name)) is not None}
    return {"type": type(error).__name__, **carried}


def rebuild(description: Mapping[str, Any], job: VideoJob | None = None) -> VideoProviderError:
    """The error that :func:`describe` described, by this or another version of the package."""
    kind = globals().get(str(description.get("type")))
    details: dict[str, Any] = {name: description[name] for name in _CARRIED if name != "what" and name in description}
    if not (isinstance(kind, type) and issubclass(kind, VideoProviderError)):
        kind = VideoProviderError
    if issubclass(kind, JobError):
        details["job"] = job
    return kind(str(description.get("what") or "The wait ended without a reason."), **details)
