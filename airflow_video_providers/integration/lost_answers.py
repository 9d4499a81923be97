"""Submits without an answer, for whoever buys: what callbacks have named is read first, and waited for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.callbacks.identify import Identification
from airflow_video_providers.core.clock import utcnow
from airflow_video_providers.core.errors import LedgerError, SubmissionOutcomeUnknownError
from airflow_video_providers.core.polling.mailbox import EVERY
from airflow_video_providers.core.purchase.records import AttemptState
from airflow_video_providers.core.purchase.wording import outcome_unknown
from airflow_video_providers.integration import metrics
from airflow_video_providers.integration.callbacks import open_mailbox

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from airflow_video_providers.core.jobs import VideoJob
    from airflow_video_providers.core.purchase.decision import Try
    from airflow_video_providers.core.purchase.ledger import Ledger
    from airflow_video_providers.core.purchase.records import Attempt
    from airflow_video_providers.core.vendors.base import Identified


class AwaitsCallback(Exception):
    """An attempt has no answer, and a call may still name its job.

    :param attempt: The attempt.
    :param known: Ids that were named and are not believed.
    """

    def __init__(self, attempt: Attempt, known: Sequence[str] = ()) -> None:
        super().__init__(f"{attempt.identity} waits for a call about attempt {attempt.number}")
        self.attempt = attempt
        self.known = list(known)


def answer_from_mail(
    ledger: Ledger | None,
    this: Try,
    ask: Callable[[Attempt], Callable[[VideoJob], Identified]],
    *,
    log: logging.Logger,
    sleep: Callable[[float], None],
    event: Mapping[str, Any] | None = None,
) -> None:
    """Answer what is open, and what was forgotten, by what callbacks have named. First of all that a try does.

    What a deleted run of the same id has left is answered, too, and stays that run's.

    :param ask: Gives what asks an attempt's vendor which job an id belongs to.
    :param event: What was waited for, where this is the resume: the ids in it count beside those in the mailbox.
    :raises AwaitsCallback: an attempt is open, and its time is not over.
    :raises SubmissionOutcomeUnknownError: two ids were named for one attempt.
    :raises VendorUnavailableError: the vendor cannot say which job an id belongs to. A retry asks again and buys nothing.
    :raises LedgerError: the ledger, or the mailbox beside it, could not be read or written.
    """
    if ledger is None or not ledger.store.shared:
        return
    known: list[str] = []
    for attempt in ledger.attempts(this.identity):
        asked = attempt.callback_until is not None and attempt.conn_id
        if not asked or not (attempt.open or attempt.state is AttemptState.FORGOTTEN):
            continue
        mailbox = open_mailbox(str(attempt.conn_id))
        ids = [] if mailbox is None else mailbox.ids_for(attempt.key)
        if event and event.get("attempt") == list(attempt.key):
            ids = sorted({*ids, *map(str, event.get("request_ids") or [])})
        if not ids:
            continue
        earlier = attempt.of_earlier_run(this.run, this.try_number)
        identification = Identification(
            ledger,
            ask(attempt),
            log=log,
            sleep=sleep,
            max_tries=attempt.max_tries if earlier else this.max_tries,
            run=None if earlier else this.run,
        )
        try:
            answered = identification.answer(attempt, ids)
        except SubmissionOutcomeUnknownError as two:
            if attempt.state is not AttemptState.FORGOTTEN:
                raise
            log.warning("%s Its attempt is forgotten: a person has judged.", two.what)
            continue
        if answered is not None:
            metrics.resolved(attempt.model)
        else:
            known += ids
    if (waits := _waits(ledger, this)) is not None:
        mine_now = waits.state is AttemptState.INTENT and waits.try_number == this.try_number and event is None
        if not mine_now:  # else another process of this very try is sending it at this moment
            raise AwaitsCallback(waits, known)


def await_instead(error: SubmissionOutcomeUnknownError, ledger: Ledger | None, this: Try) -> Exception:
    """What to raise for a submit that has just ended without an answer: where a call may name its job, a wait."""
    waits = _waits(ledger, this)
    return error if waits is None else AwaitsCallback(waits)


def _waits(ledger: Ledger | None, this: Try) -> Attempt | None:
    if ledger is None or not ledger.store.shared:
        return None
    attempts = ledger.attempts(this.identity)
    if not attempts or attempts[-1].of_earlier_run(this.run, this.try_number):
        return None
    ours = [attempt for attempt in attempts if attempt.purchase == attempts[-1].purchase]
    if any(attempt.state is AttemptState.SUBMITTED for attempt in ours):
        return None
    waiting = [
        attempt for attempt in ours if attempt.open and attempt.resolve_until and attempt.resolve_until > utcnow()
    ]
    return waiting[-1] if waiting else None


def named_already(waiting: AwaitsCallback, *, log: logging.Logger) -> dict[str, Any]:
    """What a call has named that the task has not tried yet, for :func:`answer_from_mail`; nothing where none has."""
    attempt = waiting.attempt
    try:
        mailbox = open_mailbox(str(attempt.conn_id))
        ids = [] if mailbox is None else mailbox.ids_for(attempt.key)
    except LedgerError as failure:
        log.warning("%s The wait for a call goes on.", failure.what)
        return {}
    return {"attempt": list(attempt.key), "request_ids": ids} if set(ids) - set(waiting.known) else {}


def wait_here(
    waiting: AwaitsCallback, until: datetime, *, log: logging.Logger, sleep: Callable[[float], None]
) -> dict[str, Any]:
    """Hold the worker until a call has come, or the time is over; what :func:`answer_from_mail` is given then."""
    while (left := (until - utcnow()).total_seconds()) > 0:
        sleep(min(EVERY, left))
        if given := named_already(waiting, log=log):
            return given
    return {}


def warn_of_wait(attempt: Attempt, until: datetime, log: logging.Logger) -> None:
    """Say what is waited for, and until when."""
    log.warning(
        "The submit of %s UTC has no known outcome, and it may have been charged. Waiting for the vendor to call about it "
        "until %s UTC; nothing is sent meanwhile.",
        f"{attempt.created_at:%Y-%m-%d %H:%M:%S}", f"{until:%Y-%m-%d %H:%M:%S}",
    )  # fmt: skip


def unanswered(attempt: Attempt) -> SubmissionOutcomeUnknownError:
    """The error of a submit about which no call has come."""
    return outcome_unknown(attempt, "No call about this submit has come before the wait for it was over.", [attempt])
