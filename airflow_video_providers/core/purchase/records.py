"""What the ledger keeps: who buys, what is bought, and how far each attempt came. Plain JSON outside."""

from __future__ import annotations

import hashlib
import json
import shlex
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

from pydantic import AliasChoices, AwareDatetime, BaseModel, ConfigDict, Field

from airflow_video_providers.core.vendors.parameters import without_texts

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_video_providers.core.jobs import VideoJob

#: A record's name as a path of parts; each store turns it into what it calls a key.
Key = tuple[str, ...]


#: How long after an attempt a vendor's call about it is taken.
CALLBACK_LIFETIME = timedelta(days=7)
#: The kind of record that an attempt is.
SUBMITS = "submits"
#: US dollars; a price in a record that is higher is no price.
MOST_USD = 10**9
_MOST = 10**9


def digest(value: Any) -> str:
    """The sha256 of a JSON-like value, independent of the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Identity:
    """The task instance that buys. Never the try number: a retry is the same buyer.

    :param map_index: -1 for a task that is not mapped, as in Airflow.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1

    def key(self, number: int) -> Key:
        """Where attempt ``number`` of this buyer is kept."""
        return (SUBMITS, self.dag_id, self.run_id, self.task_id, str(self.map_index), str(number))

    @classmethod
    def of_key(cls, key: Key) -> Self | None:
        """The buyer of an attempt that is kept under ``key``; None for any other key."""
        match key:
            case ("submits", dag_id, run_id, task_id, map_index, _) if map_index.removeprefix("-").isdecimal():
                return cls(dag_id, run_id, task_id, int(map_index))
        return None

    def as_arguments(self) -> str:
        """This task instance as arguments of the ledger's command, quoted for a shell."""
        mapped = f" --map-index {self.map_index}" if self.map_index >= 0 else ""
        return shlex.join([self.dag_id, self.run_id, self.task_id]) + mapped

    def __str__(self) -> str:
        mapped = f"[{self.map_index}]" if self.map_index >= 0 else ""
        return f"{self.dag_id}.{self.task_id}{mapped} in {self.run_id}"


@dataclass(frozen=True)
class Run:
    """The DAG run that buys, distinguished from an earlier one of the same id that was deleted.

    :param run_after: When it was due.
    :param started_at: When it began, or began again after a Clear.
    :param clears: How often something in it was cleared.
    """

    run_after: datetime | None = None
    started_at: datetime | None = None
    clears: int | None = None


class AttemptState(StrEnum):
    """How far an attempt to buy came."""

    #: Stored before the paid call. Found by a later try, it means: nobody knows.
    INTENT = "intent"
    #: The vendor's answer was lost or made no sense. Like an intent, with a reason.
    UNKNOWN = "unknown"
    #: Bought: the request_id is known.
    SUBMITTED = "submitted"
    #: It certainly was not bought: refused, or never reached the vendor.
    REJECTED = "rejected"
    #: Bought, and the vendor took it back: its own system error, not charged.
    VOID = "void"
    #: A person decided that nothing was bought.
    FORGOTTEN = "forgotten"


class Attempt(BaseModel):
    """One attempt to buy, as the ledger keeps it. Attempts are numbered from 1 and never removed.

    :param purchase: Which purchase of this buyer: a user's Clear that buys again starts the next one.
    :param max_tries: ``ti.max_tries`` when it was written, stored as ``generation``: it changes when a user clears the task and
        never on an automatic retry.
    :param run_after: With ``run_started_at`` and ``run_clears``: the :class:`Run`. Unset in records of an older version.
    :param claim: Made up by the process that wrote it, so that it can recognise its own write.
    :param resolve_within: Seconds after it was made for which a call of the vendor is waited for where its answer is lost;
        None where nobody was asked to call our receiver.
    :param job: The bought job, without its outputs.
    :param reason: Why the outcome is unknown or nothing was bought: an error's name, never a vendor's text.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    v: int = 1
    dag_id: str
    run_id: str
    task_id: str
    map_index: int = Field(default=-1, ge=-1, le=_MOST)
    number: int = Field(ge=1, le=_MOST)
    purchase: int = Field(ge=1, le=_MOST)
    max_tries: int | None = Field(
        default=None, validation_alias=AliasChoices("max_tries", "generation"), serialization_alias="generation"
    )
    try_number: int | None = None
    run_after: AwareDatetime | None = None
    run_started_at: AwareDatetime | None = None
    run_clears: int | None = None
    state: AttemptState
    claim: str = ""
    created_at: AwareDatetime
    model: str
    conn_id: str | None = None
    request_sha256: str | None = None
    sent_sha256: str | None = None
    own_seed: int | None = None
    field_digests: dict[str, str] = {}
    estimated_cost_usd: Decimal | None = Field(default=None, ge=0, le=MOST_USD)
    cost_basis: str | None = None
    resolve_within: float | None = Field(default=None, ge=0, le=_MOST)
    request_id: str | None = None
    job: dict[str, Any] | None = None
    reason: str | None = None

    @property
    def identity(self) -> Identity:
        """The buyer."""
        return Identity(self.dag_id, self.run_id, self.task_id, self.map_index)

    @property
    def key(self) -> Key:
        """Where it is kept."""
        return self.identity.key(self.number)

    @property
    def resolve_until(self) -> datetime | None:
        """Until when a lost answer is waited for: nobody else is to decide about it before."""
        return None if self.resolve_within is None else self.created_at + timedelta(seconds=self.resolve_within)

    @property
    def callback_until(self) -> datetime | None:
        """Until when a call about it is taken; None where nobody was asked to call."""
        return None if self.resolve_within is None else self.created_at + CALLBACK_LIFETIME

    @property
    def open(self) -> bool:
        """Nobody knows whether this was bought."""
        return self.state in (AttemptState.INTENT, AttemptState.UNKNOWN)

    @property
    def costless(self) -> bool:
        """It certainly cost nothing."""
        return self.state in (AttemptState.REJECTED, AttemptState.VOID, AttemptState.FORGOTTEN)

    def of_earlier_run(self, run: Run | None, try_number: int) -> bool:
        """Was this written in a run of the same id that has been deleted since?

        Within one run it is due at one time and its clears never become fewer; it begins again only with a Clear,
        or when a person puts it back into the queue, and neither lowers the number of a task's try.
        """
        if run is None:
            return False
        begun_again = self.begun_again(run) and self.try_number is not None and try_number <= self.try_number
        return (
            _differ(self.run_after, run.run_after)
            or (None not in (self.run_clears, run.clears) and (run.clears or 0) < (self.run_clears or 0))
            or begun_again
        )

    def of_deleted_run(self, later: Attempt) -> bool:
        """Was this surely written in a run that was deleted before ``later`` was, of whichever task? One run is due once."""
        return _differ(self.run_after, later.run_after)

    def begun_again(self, run: Run | None) -> bool:
        """Has the run begun again since, or another one of the same id? Then this is at least a Clear."""
        return run is not None and _differ(self.run_started_at, run.started_at)

    def within(self, run: Run | None) -> Self:
        """This attempt, as one of ``run``."""
        if run is None:
            return self
        return self.replace(run_after=run.run_after, run_started_at=run.started_at, run_clears=run.clears)

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields replaced."""
        return self.model_copy(update=changes)

    def bought(self, job: VideoJob) -> Self:
        """This attempt, with the job that it bought; without outputs, whose addresses are signed."""
        record = without_texts(job.replace(outputs=())).to_dict()
        return self.replace(state=AttemptState.SUBMITTED, request_id=job.request_id, job=record, reason=None)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types only, without the fields that hold nothing."""
        return self.model_dump(mode="json", exclude_none=True, by_alias=True)


def _differ(before: datetime | None, now: datetime | None) -> bool:
    return before is not None and now is not None and before != now
