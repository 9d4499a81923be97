"""The handle of a bought video: plain JSON outside, frozen pydantic inside."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError

from airflow_video_providers.core.error_base import Charged, InvalidRequestError
from airflow_video_providers.core.redact import public_text


class JobStatus(StrEnum):
    """Where a job stands. The vendor's own word is kept beside it."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    ERROR = "error"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    UNKNOWN = "unknown"

    @property
    def terminal(self) -> bool:
        """Nothing more will happen to a job in this state. ``unknown`` is not terminal."""
        return self not in (JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.UNKNOWN)


class OutputRole(StrEnum):
    """What one file of a job is to its video."""

    VIDEO = "video"
    LAST_FRAME = "last_frame"
    POSTER = "poster"
    AUDIO = "audio"
    OTHER = "other"


def _role(value: object) -> object:
    return value if not isinstance(value, str) or value in tuple(OutputRole) else OutputRole.OTHER


class VideoOutput(BaseModel):
    """One file that a job produced.

    :param url: Where the vendor keeps it. Comes from outside: never followed with credentials.
    :param media_type: What the vendor says it is: a hint, not the truth.
    :param role: What it is to the video: ``"video"``, ``"last_frame"``, ``"poster"``, ``"audio"`` or ``"other"``. Jobs of an
        older version know videos only.
    :param needs_key: It is fetched with the vendor's key: ``url`` is built of the job's id, on a host of the vendor's own, and
        whoever fetches it builds it anew.
    """

    model_config = ConfigDict(frozen=True, defer_build=True)

    url: str
    media_type: str | None = None
    role: Annotated[OutputRole, BeforeValidator(_role)] = OutputRole.VIDEO
    needs_key: bool | None = None

    def __repr__(self) -> str:  # an address without its signature
        return public_text(super().__repr__())

    __str__ = __repr__


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:  # year 1 in a zone east of Greenwich
        raise ValueError("no such time in UTC") from None


#: A time in UTC; one without a zone, from a hand-written record, counts as that.
_Moment = Annotated[datetime, AfterValidator(_in_utc)]


class VideoJob(BaseModel):
    """A video that was bought, as it was last seen.

    It travels through XCom and triggers as a plain dict (:meth:`to_dict`, :meth:`from_dict`): pydantic
    objects do not deserialize in a default Airflow. Fields from a newer version of the package are ignored.

    :param v: Version of this record's layout.
    :param model: The model's id in the catalogue, ``"<vendor>:<model>"``.
    :param request_id: The vendor's id. Opaque.
    :param conn_id: The Airflow connection that bought it.
    :param status: Where it stands, and ``vendor_status`` the vendor's own word for that.
    :param submitted_at: When it was bought (UTC); for a job attached by id the vendor's own time, or None.
    :param completed_at: When the vendor finished it (UTC), where it says so.
    :param expires_at: When the vendor forgets it (UTC), where its documents say so.
    :param status_route: ``"default"``, or ``"legacy"`` for Pixazo's older status call, which knows Mochi only.
    :param request_sha256: Digest of the request as it was sent; the prompt itself is not kept.
    :param parameters: The request's parameters, texts and addresses as their sha256 unless ``keep_prompt`` is set.
    :param vendor_defaults: Names of those ``parameters`` that the request left to the vendor: what its documents say.
    :param expected: What the request asked for and a file can be held against: ``duration_s``, ``resolution``,
        ``aspect_ratio``, ``audio``.
    :param estimated_cost_usd: Estimated price in US dollars, None where no price is known; never 0 for that.
    :param cost_basis: Where the estimate comes from.
    :param cost_usd: What it has cost in US dollars, where the vendor says so; the estimate stays beside it.
    :param progress: How much of it is done, 0 to 1, while it runs and where the vendor says so.
    :param remaining_credits: What the account has left, in the vendor's unit, where the vendor reports it.
    :param charged: ``"yes"``, ``"no"`` or ``"unknown"``.
    :param error: The vendor's reason for a failure.
    :param outputs: The files it produced, the videos first.
    :param instead_of_outputs: Of a job that is finished and names no output: the names that its answer holds instead.
    :param reused_from: Of a job that was not bought for this task: where its video landed (``manifest_uri``) and for which
        task (``dag_id``, ``run_id``, ``task_id``, ``map_index``).
    :param callback_until: Until when the vendor may call our receiver about it; None where it was not asked to.
    :param receipt_due: Where the ledger of purchases would keep it, and could not when it was bought: every task that
        knows the job writes it there.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    v: int = 1
    model: str
    request_id: str
    conn_id: str | None = None
    status: JobStatus = JobStatus.QUEUED
    vendor_status: str | None = None
    submitted_at: _Moment | None = None
    completed_at: _Moment | None = None
    expires_at: _Moment | None = None
    status_route: str = "default"
    request_sha256: str | None = None
    parameters: dict[str, bool | int | float | str] | None = None
    vendor_defaults: tuple[str, ...] | None = None
    expected: dict[str, bool | float | str] | None = None
    estimated_cost_usd: Decimal | None = None
    cost_basis: str | None = None
    cost_usd: Decimal | None = None
    progress: float | None = None
    remaining_credits: str | None = None
    charged: Charged = "unknown"
    error: str | None = None
    outputs: tuple[VideoOutput, ...] = ()
    instead_of_outputs: str | None = None
    reused_from: dict[str, str] | None = None
    callback_until: _Moment | None = None
    receipt_due: tuple[str, ...] | None = None

    def __repr__(self) -> str:  # addresses without their signatures
        return public_text(super().__repr__())

    __str__ = __repr__

    @property
    def vendor(self) -> str:
        """The company's id, the first half of the model id."""
        return self.model.partition(":")[0]

    def retention_used(self, now: datetime) -> float | None:
        """Which share of the time is over for which the vendor's documents say that it keeps the job; None: they do not."""
        if self.submitted_at is None or self.expires_at is None or self.expires_at <= self.submitted_at:
            return None
        return (now - self.submitted_at) / (self.expires_at - self.submitted_at)

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields replaced."""
        return self.model_copy(update=changes)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types only, without the fields that hold nothing."""
        return self.model_dump(mode="json", exclude_none=True)

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Self:
        """The job that :meth:`to_dict` described, by this or an older version of the package.

        :raises pydantic.ValidationError: if ``value`` is not such a record.
        """
        return cls.model_validate(value)


def read_job(value: object) -> VideoJob:
    """The job in what a task was given: the dict that another task pushed, or its JSON.

    :raises InvalidRequestError: it is something else; the message says what and what to write instead.
    """
    if isinstance(value, VideoJob):
        return value
    try:
        if isinstance(value, str):
            return VideoJob.model_validate_json(value)
        if isinstance(value, Mapping):
            return VideoJob.from_dict(dict(value))
    except ValidationError:
        pass
    hints: dict[type, str] = {
        type(
            None
        ): "The task that it comes from pushed nothing: it was skipped, it did not run, or somebody marked it as "
        "success. Clear that task too: a wait finds its job again and buys nothing.",
        list: "That is a list of jobs: map the task over it with .expand(job=...).",
        str: "Write job=<task>.output: a template turns the job into text that is not JSON.",
    }
    raise InvalidRequestError(
        f"The job is {public_text(repr(value)):.80}, which is not a job that SubmitVideoOperator or VideoJobSensor pushed.",
        money="This task buys nothing; a video that is bought already stays paid for.",
        remedy=next((hint for kind, hint in hints.items() if isinstance(value, kind)), "Write job=<task>.output."),
        field="job",
        allowed="the output of SubmitVideoOperator or VideoJobSensor",
    )
