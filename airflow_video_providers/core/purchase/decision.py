"""What a try may do, from what is stored and nothing else: the table of :mod:`~airflow_video_providers.core.purchase.submit_once`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from airflow_video_providers.core.purchase.records import Attempt, AttemptState, Identity, Run

if TYPE_CHECKING:
    from collections.abc import Sequence

OnClear = Literal["resubmit", "reattach"]
OnUnknownOutcome = Literal["fail", "resubmit"]


@dataclass(frozen=True)
class Try:
    """The try that wants to buy, as Airflow counts.

    :param max_tries: ``ti.max_tries``; None means that a Clear cannot be distinguished from a retry.
    :param try_number: ``ti.try_number``.
    :param run: The DAG run, so that one that was deleted and made anew is not taken for the old one.
    """

    identity: Identity
    max_tries: int | None = None
    try_number: int = 1
    run: Run | None = None


@dataclass(frozen=True)
class Choices:
    """What the author chose.

    :param on_clear: What a user's Clear does with a finished job: ``"resubmit"`` buys again, ``"reattach"``
        returns it. A job that still runs is kept in both cases.
    :param on_unknown_outcome: ``"fail"``, or ``"resubmit"``: buy at most once more per purchase, which may
        pay twice.
    :param queue_timeout: How long to come back to an empty account, where it is put on hold.
    """

    on_clear: OnClear = "resubmit"
    on_unknown_outcome: OnUnknownOutcome = "fail"
    queue_timeout: timedelta = timedelta(hours=24)


@dataclass(frozen=True)
class Decision:
    """What a try may do: ``buy``, ``keep`` a job, ``poll`` one that a Clear found, or ``refuse``."""

    action: Literal["buy", "keep", "poll", "refuse"]
    purchase: int
    attempt: Attempt | None = None


def decide(attempts: Sequence[Attempt], this: Try, on_unknown_outcome: OnUnknownOutcome = "fail") -> Decision:
    """What may be done, from what is stored and nothing else."""
    if not attempts:
        return Decision("buy", 1)
    purchase = attempts[-1].purchase
    if attempts[-1].of_earlier_run(this.run, this.try_number):
        return Decision("buy", purchase + 1)
    ours = [attempt for attempt in attempts if attempt.purchase == purchase]
    bought = [attempt for attempt in ours if attempt.state is AttemptState.SUBMITTED]
    if bought:
        kept = bought[-1]
        cleared = None not in (this.max_tries, kept.max_tries) and this.max_tries != kept.max_tries
        # attached from outside a task, and not seen by one since: the Clear that follows is how the task gets there
        by_hand = kept.max_tries is None and this.max_tries is not None
        return Decision("poll" if cleared or (kept.begun_again(this.run) and not by_hand) else "keep", purchase, kept)
    unanswered = [attempt for attempt in ours if attempt.open]
    if unanswered and (on_unknown_outcome != "resubmit" or len(unanswered) > 1):
        return Decision("refuse", purchase, unanswered[-1])
    return Decision("buy", purchase + 1 if ours[-1].state is AttemptState.FORGOTTEN else purchase)
