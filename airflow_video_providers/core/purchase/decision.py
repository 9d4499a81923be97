"""What a try may do, from what is stored and nothing else: the table of :mod:`~airflow_video_providers.core.purchase.submit_once`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from airflow_video_providers.core.purchase.records import Attempt, AttemptState, Run

if TYPE_CHECKING:
    from collections.abc import Sequence

OnClear = Literal["resubmit", "reattach"]
OnUnknownOutcome = Literal["fail", "resubmit"]


@dataclass(frozen=True)
class Decision:
    """What a try may do: ``buy``, ``keep`` a job, ``look`` at one that a Clear met, or ``refuse``."""

    action: Literal["buy", "keep", "look", "refuse"]
    purchase: int
    attempt: Attempt | None = None


def decide(
    attempts: Sequence[Attempt],
    *,
    max_tries: int | None,
    on_unknown_outcome: OnUnknownOutcome,
    run: Run | None = None,
    try_number: int = 1,
) -> Decision:
    """What may be done, from what is stored and nothing else."""
    if not attempts:
        return Decision("buy", 1)
    purchase = attempts[-1].purchase
    if attempts[-1].of_earlier_run(run, try_number):
        return Decision("buy", purchase + 1)
    ours = [attempt for attempt in attempts if attempt.purchase == purchase]
    bought = [attempt for attempt in ours if attempt.state is AttemptState.SUBMITTED]
    if bought:
        kept = bought[-1]
        cleared = None not in (max_tries, kept.max_tries) and max_tries != kept.max_tries
        # attached from outside a task, and not met by one since: the Clear that follows is how the task gets there
        by_hand = kept.max_tries is None and max_tries is not None
        return Decision("look" if cleared or (kept.begun_again(run) and not by_hand) else "keep", purchase, kept)
    unanswered = [attempt for attempt in ours if attempt.open]
    if unanswered and (on_unknown_outcome != "resubmit" or len(unanswered) > 1):
        return Decision("refuse", purchase, unanswered[-1])
    return Decision("buy", purchase + 1 if ours[-1].state is AttemptState.FORGOTTEN else purchase)
