"""Submits without an answer: what callbacks have named is read first, and waited for, before anybody else is asked."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from airflow_video_providers.core.callbacks.identify import Identification
from airflow_video_providers.core.clock import utcnow
from airflow_video_providers.core.errors import LedgerError, SubmissionOutcomeUnknownError
from airflow_video_providers.core.polling.mailbox import EVERY
from airflow_video_providers.core.purchase.records import AttemptState
from airflow_video_providers.core.purchase.wording import outcome_unknown
from airflow_video_providers.hooks.base import VideoHook
from airflow_video_providers.integration import metrics
from airflow_video_providers.integration.callbacks import open_mailbox
from airflow_video_providers.integration.ledger_config import open_ledger
from airflow_video_providers.integration.retries import failed
from airflow_video_providers.integration.this_try import identity_of, run_of
from airflow_video_providers.integration.waiting import AIRFLOWS_MARGIN, sleep_of

try:
    from airflow.sdk.exceptions import TaskDeferralTimeout
except ImportError:  # Airflow 3.1
    from airflow.exceptions import TaskDeferralTimeout  # type: ignore[no-redef] # the same class, older address

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from airflow.sdk import Context

    from airflow_video_providers.core.jobs import VideoJob
    from airflow_video_providers.core.purchase.decision import Try
    from airflow_video_providers.core.purchase.ledger import Ledger
    from airflow_video_providers.core.purchase.records import Attempt
    from airflow_video_providers.operators.base import BuysVideo


class AwaitsCallback(Exception):
    """An attempt has no answer, and a call may still name its job.

    :param attempt: The attempt.
    :param known: Ids that were named and are not believed.
    """

    def __init__(self, attempt: Attempt, known: Sequence[str] = ()) -> None:
        super().__init__(f"{attempt.identity} waits for a call about attempt {attempt.number}")
        self.attempt = attempt
        self.known = list(known)


def answer_from_mail(task: BuysVideo, ledger: Ledger | None, this: Try, event: Mapping[str, Any] | None = None) -> None:
    """Answer what is open, and what was forgotten, by what callbacks have named. First of all that a try does.

    :param event: The trigger's, where this is its resume: the ids in it count beside those in the mailbox.
    :raises AwaitsCallback: an attempt is open, and its time is not over.
    :raises SubmissionOutcomeUnknownError: two ids were named for one attempt.
    :raises VendorUnavailableError: the vendor cannot say which job an id belongs to. A retry asks again and buys nothing.
    :raises LedgerError: the ledger, or the mailbox beside it, could not be read or written.
    """
    if ledger is None or not ledger.store.shared:
        return
    attempts = ledger.attempts(this.identity)
    known: list[str] = []
    for attempt in attempts:
        asked = attempt.callback_until is not None and attempt.conn_id
        if not asked or not (attempt.open or attempt.state is AttemptState.FORGOTTEN):
            continue
        mailbox = open_mailbox(str(attempt.conn_id))
        ids = [] if mailbox is None else mailbox.ids_for(attempt.key)
        if event and event.get("attempt") == list(attempt.key):
            ids = sorted({*ids, *map(str, event.get("request_ids") or [])})
        if not ids:
            continue
        hook = VideoHook.of_task(task, attempt.model, attempt.conn_id)
        identification = Identification(
            ledger,
            hook.identify,
            log=cast("logging.Logger", task.log),
            sleep=sleep_of(task),
            max_tries=this.max_tries,
            run=this.run,
        )
        if identification.answer(attempt, ids) is not None:
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


def bought(
    task: BuysVideo, context: Context, buy: Callable[[Mapping[str, Any] | None], VideoJob], event: object = None
) -> VideoJob:
    """The job that a task buys; a submit without an answer waits for its call, in the triggerer or here.

    :param buy: One run of the purchase, given the trigger's event.
    :param event: The trigger's event, where the task resumes.
    """
    given = event if isinstance(event, dict) else ({} if event is not None else None)
    while True:
        try:
            return buy(given)
        except AwaitsCallback as wait:
            waiting = wait
        until = _until(task, context, waiting.attempt)
        task.log.warning(
            "The submit of %s UTC has no known outcome, and it may have been charged. Waiting for the vendor to call about it "
            "until %s UTC; nothing is sent meanwhile.",
            f"{waiting.attempt.created_at:%Y-%m-%d %H:%M:%S}", f"{until:%Y-%m-%d %H:%M:%S}",
        )  # fmt: skip
        if until <= utcnow():
            raise _unanswered(waiting.attempt)
        if task.deferrable:
            _defer(task, waiting, until)
        given = _wait_here(task, waiting, until)


def _until(task: BuysVideo, context: Context, attempt: Attempt) -> datetime:
    until, began = attempt.resolve_until or utcnow(), getattr(context["ti"], "start_date", None)
    return until if task.execution_timeout is None else min(until, (began or utcnow()) + task.execution_timeout)


def _defer(task: BuysVideo, waiting: AwaitsCallback, until: datetime) -> None:
    from airflow_video_providers.triggers.callback import CallbackTrigger

    task.defer(
        trigger=CallbackTrigger(
            str(waiting.attempt.conn_id),
            json.dumps(list(waiting.attempt.key)),
            end_time=until.timestamp(),
            known=json.dumps(waiting.known),
        ),
        method_name="execute_named",
        timeout=max(until - utcnow(), timedelta(0)) + AIRFLOWS_MARGIN,
    )


def _wait_here(task: BuysVideo, waiting: AwaitsCallback, until: datetime) -> dict[str, Any]:
    """Hold the worker until a call has come, or the time is over."""
    sleep, attempt = sleep_of(task), waiting.attempt
    while (left := (until - utcnow()).total_seconds()) > 0:
        sleep(min(EVERY, left))
        try:
            mailbox = open_mailbox(str(attempt.conn_id))
            ids = [] if mailbox is None else mailbox.ids_for(attempt.key)
        except LedgerError as failure:
            task.log.warning("%s The wait for a call goes on.", failure.what)
            continue
        if set(ids) - set(waiting.known):
            return {"attempt": list(attempt.key), "request_ids": ids}
    return {}


def resumed(task: BuysVideo, context: Context, resume: Callable[[], Any]) -> Any:
    """Resume a task that has waited for a call."""
    try:
        return resume()
    except TaskDeferralTimeout:
        if (unanswered := ended_by_airflow(context)) is None:
            raise
    raise failed(task, unanswered)


def ended_by_airflow(context: Context) -> SubmissionOutcomeUnknownError | None:
    """The error where Airflow's own limit has ended the wait for a call; None where the task waited for its job."""
    ledger = open_ledger(context)
    attempts = [] if ledger is None else ledger.attempts(identity_of(context))
    newest = attempts[-1] if attempts else None
    ours = newest is not None and newest.open and not newest.of_earlier_run(run_of(context), context["ti"].try_number)
    return _unanswered(newest) if ours and newest is not None else None


def _unanswered(attempt: Attempt) -> SubmissionOutcomeUnknownError:
    return outcome_unknown(attempt, "No call about this submit has come before the wait for it was over.", [attempt])
