"""What a person sees of the ledger: one row per attempt, in words that say what is to be done about it."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.purchase.records import AttemptState, Identity
from airflow_video_providers.core.purchase.settlements import Ending, Settlement, by_job, cost_of, ending_of
from airflow_video_providers.integration.airflow_view import AirflowView, view_of_airflow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime, timedelta
    from decimal import Decimal

    from airflow_video_providers.core.purchase.ledger import Flaw, Overview
    from airflow_video_providers.core.purchase.records import Attempt

IN_FLIGHT, UNKNOWN, BOUGHT, LANDED = "in flight", "unknown", "bought", "landed"
REJECTED, FREE, FAILED, LOST = "rejected", "failed without charge", "failed", "lost"
NOT_BOUGHT, FORGOTTEN = "not bought", "forgotten"
#: States that nobody has to do anything about.
_DONE = frozenset({LANDED, NOT_BOUGHT, FORGOTTEN})


@dataclass(frozen=True)
class Row:
    """One attempt and what became of it.

    :param state: In words; :data:`IN_FLIGHT` and its kin.
    :param task_state: Airflow's word for the task instance; None where it cannot be asked, or does not know it.
    """

    attempt: Attempt
    state: str
    age: timedelta
    task_state: str | None = None
    ending: Settlement | None = None

    @property
    def cost(self) -> Decimal | None:
        """What it really cost in US dollars; None where the vendor has not said."""
        return cost_of(self.attempt, self.ending)

    @property
    def waits_until(self) -> datetime | None:
        """Until when a call may answer it by itself; None where nobody waits for one any more."""
        until = self.attempt.resolve_until if self.attempt.open else None
        return until if until is not None and self.attempt.created_at + self.age < until else None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON: the attempt's own fields, and what is shown beside them."""
        listed = self.attempt.to_dict()
        ending = self.ending
        return {
            **listed,
            "state": self.state,
            "attempt_state": listed["state"],
            "age_s": round(self.age.total_seconds()),
            "task_state": self.task_state,
            "request_digest": (self.attempt.request_sha256 or "")[:12] or None,
            "manifest_uri": ending.manifest_uri if ending else None,
            "kept_at": ending.kept_at if ending else None,
            "cost_usd": None if self.cost is None else str(self.cost),
            "waits_until": None if self.waits_until is None else self.waits_until.isoformat(),
        }

    def __str__(self) -> str:
        attempt, ending = self.attempt, self.ending
        price = "price unknown" if attempt.estimated_cost_usd is None else f"about ${attempt.estimated_cost_usd}"
        if self.cost is not None:
            price = f"cost ${self.cost} ({price})"
        what = f"request_id={attempt.request_id}" if attempt.request_id else (attempt.reason or "no answer")
        if self.waits_until is not None:
            what += f"  waits for the vendor's call until {self.waits_until:%Y-%m-%d %H:%M:%S} UTC"
        if ending is not None and ending.kept_at:
            what += f"  kept at {ending.kept_at} ({ending.reason})"
        columns = [
            self.state.ljust(9),
            f"{attempt.created_at:%Y-%m-%d %H:%M:%S}",
            f"{spoken(self.age)} ago".ljust(12),
            f"task {self.task_state or 'not known'}",
            attempt.model,
            price,
            f"request {(attempt.request_sha256 or 'not known')[:12]}",
            attempt.identity.as_arguments(),
            what,
        ]
        return printable("  ".join(columns))


def rows(
    found: Overview,
    now: datetime,
    *,
    everything: bool = False,
    ask: Callable[[Iterable[Identity]], AirflowView] = view_of_airflow,
) -> tuple[list[Row], AirflowView]:
    """What is not finished, oldest first, and what Airflow says of it.

    :param everything: What is finished, too.
    :param ask: How Airflow is asked.
    """
    settled, ids = by_job(found.settled), defaultdict(set)
    for attempt in found.attempts:
        if attempt.request_id:
            ids[attempt.identity].add(attempt.request_id)

    def unfinished(attempt: Attempt) -> bool:
        ending = ending_of(settled, attempt.model, attempt.request_id)
        return attempt.open or (
            attempt.state is AttemptState.SUBMITTED and (ending is None or ending.ending is not Ending.LANDED)
        )

    shown = [attempt for attempt in found.attempts if everything or unfinished(attempt)]
    view = ask(attempt.identity for attempt in shown)
    listed = []
    for stored in shown:
        attempt = view.receipted(stored, ids[stored.identity])
        ending = ending_of(settled, attempt.model, attempt.request_id)
        state = _state(attempt, ending, view, now)
        task = view.tasks.get(attempt.identity)
        if everything or state not in _DONE:
            listed.append(Row(attempt, state, now - attempt.created_at, task.state if task else None, ending))
    return listed, view


def _state(attempt: Attempt, ending: Settlement | None, view: AirflowView, now: datetime) -> str:
    match attempt.state:
        case AttemptState.INTENT | AttemptState.UNKNOWN:
            return IN_FLIGHT if view.in_flight(attempt, now) else UNKNOWN
        case AttemptState.REJECTED:
            return NOT_BOUGHT
        case AttemptState.VOID:
            return FREE
        case AttemptState.FORGOTTEN:
            return FORGOTTEN
    if ending is None or ending.ending is Ending.FINISHED:
        return LANDED if (attempt.model, attempt.request_id) in view.landed else BOUGHT
    if ending.ending is Ending.FAILED:
        return FREE if ending.charged == "no" else FAILED
    return {Ending.LANDED: LANDED, Ending.LOST: LOST, Ending.REJECTED: REJECTED}[ending.ending]


def summary(listed: Iterable[Row], flaws: Iterable[Flaw]) -> str:
    """One line that counts."""
    count = Counter(row.state for row in listed)
    count["damaged"] = len(list(flaws))
    opened = count[IN_FLIGHT] + count[UNKNOWN]
    which = f" ({count[IN_FLIGHT]} in flight, {count[UNKNOWN]} unknown)" if opened else ""
    others = [f"{count[state]} {state}" for state in (REJECTED, FREE, FAILED, LOST, LANDED, "damaged") if count[state]]
    return ", ".join([f"{opened} open{which}", f"{count[BOUGHT]} bought and not landed", *others]) + "."


def describe(flaw: Flaw) -> str:
    """A damaged record, and the way out."""
    identity = Identity.of_key(flaw.key or ())
    say = (
        f"`attach {identity.as_arguments()} <its id> --model <its model>` or `forget {identity.as_arguments()}`"
        if identity
        else "remove it"
    )
    return printable(f"damaged    {flaw.name} {flaw.why}. Restore it from a backup or an older version, or {say}.")


def spoken(age: timedelta) -> str:
    """A length of time for people."""
    minutes = max(0, round(age.total_seconds() / 60))
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def printable(text: str) -> str:
    """A line that does nothing to a terminal: a record may hold what somebody else wrote."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
