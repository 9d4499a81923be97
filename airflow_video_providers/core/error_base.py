"""What every error says: what happened, what it means for the bill, what to do next. The tree is in ``core/errors.py``."""

from __future__ import annotations

import copy
from typing import Any, ClassVar, Literal, Protocol, Self

from airflow_video_providers.core.airflow_errors import AirflowException

Charged = Literal["yes", "no", "unknown"]

_MONEY: dict[Charged, str] = {
    "yes": "The vendor has charged for this.",
    "no": "Nothing was charged.",
    "unknown": "Whether it was charged is not known.",
}


class BoughtJob(Protocol):
    """What an error takes from a job: :class:`~airflow_video_providers.core.jobs.VideoJob` has it."""

    @property
    def vendor(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def request_id(self) -> str: ...
    @property
    def charged(self) -> Charged: ...


class VideoProviderError(AirflowException):
    """Base of everything this package raises.

    :param what: What happened, as a full sentence.
    :param money: What it means for the bill; by default the sentence that belongs to ``charged``.
    :param remedy: What to do next; by default the class's own advice.
    :param charged: ``"yes"``, ``"no"`` or ``"unknown"``; by default what is true of the class.
    :param retry_after: Seconds the vendor asked to wait, where it did.
    :param retryable: Can running the task again help? By default what is true of the class.
    """

    default_charged: ClassVar[Charged] = "unknown"
    default_remedy: ClassVar[str] = ""
    #: Can running the task again help? Decides about Airflow's retries.
    retryable: bool = False
    #: Where a refused file of the job is kept for a person to check; None where none is.
    kept_at: str | None = None

    def __init__(
        self,
        what: str,
        *,
        money: str | None = None,
        remedy: str | None = None,
        vendor: str | None = None,
        model: str | None = None,
        request_id: str | None = None,
        charged: Charged | None = None,
        http_status: int | None = None,
        retry_after: float | None = None,
        retryable: bool | None = None,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.charged: Charged = charged or self.default_charged
        self.money = money or _MONEY[self.charged]
        self.remedy = remedy or self.default_remedy
        self.vendor = vendor or (model.partition(":")[0] if model else None)
        self.model = model
        self.request_id = request_id
        self.http_status = http_status
        self.retry_after = retry_after
        if retryable is not None:
            self.retryable = retryable

    def replace(self, **changes: Any) -> Self:
        """A copy with some attributes replaced and the same cause. An error that was raised once is never changed."""
        changed = copy.copy(self)
        vars(changed).update(changes)
        changed.__cause__ = self.__cause__ or (None if self.__suppress_context__ else self.__context__)
        return changed

    def with_job(self, job: BoughtJob) -> Self:
        """A copy, now that it is known which bought job it concerns: nothing is charged *for it*, but for the job."""
        return self.replace(
            vendor=job.vendor,
            model=job.model,
            request_id=job.request_id,
            charged=job.charged,
            money="The job is not affected.",
        )

    def __str__(self) -> str:
        who = {"vendor": self.vendor, "model": self.model, "request_id": self.request_id}
        known = ", ".join(f"{name}={value}" for name, value in who.items() if value)
        parts = [*map(_sentence, (self.what, self.money, self.remedy)), f"[{known}]" if known else ""]
        return " ".join(part for part in parts if part)


def _sentence(text: str) -> str:
    """The text with a full stop, where it has no end of its own."""
    text = text.strip()
    return text if not text or text.endswith((".", "!", "?", "\u2026")) else f"{text}."


class InvalidRequestError(VideoProviderError, ValueError):
    """The request, the model or the connection is wrong; nothing was sent.

    A connection that Airflow does not give is retried, and so is every trouble with it while a job is paid for: Airflow
    calls a connection undefined also while its own database, API server or secrets backend is away.

    :param field: Name of the field that is wrong, where it is one field.
    :param value: The value that was given.
    :param allowed: What would be right.
    """

    default_charged = "no"
    default_remedy = "Correct it and run the task again."

    def __init__(
        self, what: str, *, field: str | None = None, value: Any = None, allowed: str | None = None, **details: Any
    ) -> None:
        super().__init__(what, **details)
        self.field = field
        self.value = value
        self.allowed = allowed

    def while_paid(self, job: BoughtJob) -> Self:
        """The error for a connection that is wrong or away while ``job`` is paid for: a retry goes on with that job."""
        return self.with_job(job).replace(retryable=True)
