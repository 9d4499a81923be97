"""A submit without an answer: the vendor's history is asked before anything else follows from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from airflow_video_providers.core.clock import utcnow
from airflow_video_providers.core.errors import SubmissionOutcomeUnknownError, VendorError
from airflow_video_providers.core.purchase.find import find_job, may_be_found

if TYPE_CHECKING:
    from logging import Logger

    from airflow_video_providers.core.client.client import VideoClient
    from airflow_video_providers.core.purchase.decision import Try
    from airflow_video_providers.core.purchase.ledger import Ledger
    from airflow_video_providers.core.purchase.records import Attempt
    from airflow_video_providers.core.vendors.base import Vendor


class _Hook(Protocol):
    @property
    def vendor_class(self) -> type[Vendor]: ...

    def get_conn(self) -> VideoClient: ...

    def close(self) -> None: ...


#: The hook of a model and a connection: ``VideoHook.for_model``.
HookOf = Callable[[str, str | None], _Hook]
_LATER = (
    "A retry asks the vendor's history again and buys nothing until it is answered. If that goes on, look for the job in the "
    "vendor's console and attach it."
)


def answer_lost(from_mail: Callable[[], None], ledger: Ledger | None, this: Try, log: Logger, hook_of: HookOf) -> None:
    """Answer what is open before anything follows from it: by what callbacks have named, then by the vendor's history.

    :param from_mail: Answers by what callbacks have named.
    :raises SubmissionOutcomeUnknownError: callbacks have named two ids for one attempt, and the history does not say which.
    """
    try:
        from_mail()
    except SubmissionOutcomeUnknownError:
        # anybody who has read the address can name a second id, and nobody what the history shows
        if not answer_from_history(ledger, this, log, hook_of):
            raise
    else:
        answer_from_history(ledger, this, log, hook_of)


def answer_from_history(ledger: Ledger | None, this: Try, log: Logger, hook_of: HookOf) -> bool:
    """Answer this task's open attempts by what the vendor shows; True where one is answered.

    :param hook_of: Whose client asks: each attempt is asked about with its own connection.
    :raises LedgerError: the ledger could not be read or written.
    """
    if ledger is None:
        return False
    answered = [_answered(attempt, ledger, this, log, hook_of) for attempt in _open(ledger, this)]
    return any(answered)


def may_answer_later(
    unknown: SubmissionOutcomeUnknownError, ledger: Ledger | None, this: Try, hook_of: HookOf
) -> SubmissionOutcomeUnknownError:
    """The error, worth a retry as long as the vendor's history may still name the job."""
    if not any(_findable(attempt, hook_of) for attempt in _open(ledger, this)):
        return unknown
    return unknown.replace(retryable=True, remedy=f"{_LATER} {unknown.remedy}")


def _open(ledger: Ledger | None, this: Try) -> list[Attempt]:
    if ledger is None:
        return []
    attempts = [one for one in ledger.attempts(this.identity) if may_be_found(one, ledger)]
    return [one for one in attempts if not one.of_earlier_run(this.run, this.try_number)]


def _findable(attempt: Attempt, hook_of: HookOf) -> bool:
    kept = hook_of(attempt.model, attempt.conn_id).vendor_class.history_kept
    return kept is not None and utcnow() - attempt.created_at < kept


def _answered(attempt: Attempt, ledger: Ledger, this: Try, log: Logger, hook_of: HookOf) -> bool:
    if not _findable(attempt, hook_of):
        return False
    hook = hook_of(attempt.model, attempt.conn_id)
    try:
        found = find_job(attempt, ledger, hook.get_conn().history, max_tries=this.max_tries, run=this.run)
    except VendorError as error:
        log.warning("The vendor's history was asked for the job of a submit without an answer: %s", error.what)
        return False
    finally:
        hook.close()
    if found is None:
        log.info("The vendor's history does not name the one job of the submit of %s.", attempt.created_at)
        return False
    log.info(
        "The submit of %s, whose answer was lost, has bought job %s: the vendor's history shows it. Nothing is bought again.",
        attempt.created_at,
        found.request_id,
    )
    return True
