"""The ledger's attempts as an accountant reads them: charged, not charged, or nobody knows."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Literal

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.purchase.settlements import cost_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal

    from airflow_video_providers.core.purchase.records import Attempt
    from airflow_video_providers.core.purchase.settlements import Settlement

#: ``charged``: a job was bought. ``unknown``: nobody knows. ``not charged``: refused, taken back, or forgotten by a person.
Counts = Literal["charged", "unknown", "not charged"]


@dataclass(frozen=True)
class Entry:
    """One attempt to buy.

    :param state: What became of it, in the words of ``video-ledger list``.
    :param counts: Where its estimate belongs.
    :param reported: What the vendor said of the charge: ``yes``, ``no`` or ``unknown``.
    :param again: Its job is another attempt's, which counts: it was attached, not bought a second time.
    """

    attempt: Attempt
    state: str
    counts: Counts
    reported: str = "unknown"
    ending: Settlement | None = None
    again: bool = False

    @property
    def cost(self) -> Decimal | None:
        """What it really cost in US dollars; None where the vendor has not said."""
        return cost_of(self.attempt, self.ending)

    @property
    def usd(self) -> Decimal | None:
        """What it cost in US dollars, else the estimate; None where neither is known."""
        return self.attempt.estimated_cost_usd if self.cost is None else self.cost

    @property
    def who(self) -> str:
        """Task instance and attempt, for people."""
        return f"{self.attempt.identity} (attempt {self.attempt.number})"


@dataclass(frozen=True)
class Period:
    """From ``since``, to just before ``until``; None for no bound."""

    since: datetime | None = None
    until: datetime | None = None

    def __contains__(self, moment: datetime) -> bool:
        return (self.since is None or moment >= self.since) and (self.until is None or moment < self.until)


def period(since: str | None, until: str | None) -> Period:
    """A period as a person writes it: days or times, UTC where they say no zone. The last day is in it, whole.

    :raises InvalidRequestError: one is neither a day nor a time, or nothing lies between them.
    """
    found = Period(_moment(since, "--from"), _moment(until, "--to", end=True))
    if found.since is not None and found.until is not None and found.since >= found.until:
        raise _refusal(f"Nothing lies between --from {since} and --to {until}", "--to", "a day or time after --from")
    return found


def _moment(text: str | None, option: str, *, end: bool = False) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
        whole_day = len(text.strip()) <= len("2026-11-26") and moment.time() == time()
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC) + timedelta(days=1 if end and whole_day else 0)
    except (ValueError, OverflowError):
        raise _refusal(f"{option} is {text!r:.60}", option, "2026-11-26, or 2026-11-26T09:00:00+00:00") from None


def _refusal(what: str, option: str, allowed: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"{what}.", money="Nothing was read.", remedy=f"Give {allowed}.", field=option, allowed=allowed
    )


def each_job_once(entries: Iterable[Entry]) -> list[Entry]:
    """The entries, oldest first; of several that hold one job, one counts and the others are marked as ``again``.

    The one that counts is the oldest that knows a price, or else the oldest.
    """
    listed = sorted(entries, key=lambda entry: (entry.attempt.created_at, entry.who))
    holders: dict[tuple[str, str], list[int]] = defaultdict(list)
    for index, entry in enumerate(listed):
        if entry.attempt.request_id and entry.counts != "not charged":
            holders[entry.attempt.model, entry.attempt.request_id].append(index)
    again = set()
    for indexes in holders.values():
        first = next((index for index in indexes if listed[index].usd is not None), indexes[0])
        again |= set(indexes) - {first}
    return [_again(entry) if index in again else entry for index, entry in enumerate(listed)]


def _again(entry: Entry) -> Entry:
    return Entry(entry.attempt, entry.state, "not charged", entry.reported, entry.ending, again=True)
