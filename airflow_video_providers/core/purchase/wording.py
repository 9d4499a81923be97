"""What a person reads when nobody knows whether money was spent: what to check, and every way out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_video_providers.core.errors import SubmissionOutcomeUnknownError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_video_providers.core.purchase.intent import Intent
    from airflow_video_providers.core.purchase.records import Attempt, Identity

COMMAND = "python -m airflow_video_providers.ledger"


def outcome_unknown(
    attempt: Attempt | None, what: str, attempts: Sequence[Attempt] = (), http_status: int | None = None
) -> SubmissionOutcomeUnknownError:
    """The error for an attempt without an answer.

    :param attempts: All attempts of the buyer: with two open ones ``on_unknown_outcome`` is spent.
    """
    if attempt is None:  # the record went away between two reads
        return SubmissionOutcomeUnknownError(what)
    vendor = attempt.model.partition(":")[0]
    when = f"{attempt.created_at:%Y-%m-%d %H:%M:%S} UTC"
    who = attempt.identity.as_arguments()
    spent = sum(other.open and other.purchase == attempt.purchase for other in attempts) > 1
    once_more = "" if spent else "clear it with on_unknown_outcome='resubmit', which buys once more; or "
    return SubmissionOutcomeUnknownError(
        f"{what} The submit of {when} has no known outcome" + (f" ({attempt.reason})." if attempt.reason else "."),
        money="It may have been charged, and it is not repeated.",
        remedy=(
            f"Search {vendor}'s console for a job of {when}, and in this task's log for a request_id. "
            f"If it is there, run the task with request_id='<its id>', or attach it with "
            f"`{COMMAND} attach {who} <its id>` and clear the task. "
            f"If it is not, buy again on purpose: {once_more}`{COMMAND} forget {who}` and clear the task."
        ),
        model=attempt.model,
        http_status=http_status,
    )


def no_ledger(identity: Identity, intent: Intent, try_number: int) -> SubmissionOutcomeUnknownError:
    """The error for a second try where nothing could remember the first."""
    return SubmissionOutcomeUnknownError(
        f"This is try {try_number} of {identity}, and there is no ledger that says whether an earlier one bought.",
        money="An earlier try may have been charged; this one sent nothing.",
        remedy=(
            f"Search {intent.model.partition(':')[0]}'s console and in the log of the earlier try. If the job is "
            "there, run the task with request_id='<its id>'; if it is not, buy it in a new DAG run. For the future "
            "set ledger_path in the section [video_providers] (AIRFLOW__VIDEO_PROVIDERS__LEDGER_PATH) to a "
            "directory that every worker reaches, or run Airflow 3.3 or newer, whose state store serves."
        ),
        model=intent.model,
    )
