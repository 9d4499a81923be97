"""Submits without an answer, in an operator: what callbacks have named is read first, and waited for in the triggerer."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from airflow_video_providers.core.clock import utcnow
from airflow_video_providers.hooks.base import VideoHook
from airflow_video_providers.integration import lost_answers
from airflow_video_providers.integration.ledger_config import open_ledger
from airflow_video_providers.integration.lost_answers import (
    AwaitsCallback,
    named_already,
    unanswered,
    wait_here,
    warn_of_wait,
)
from airflow_video_providers.integration.retries import failed
from airflow_video_providers.integration.this_try import identity_of, run_of
from airflow_video_providers.integration.waiting import AIRFLOWS_MARGIN, sleep_of

try:
    from airflow.sdk.exceptions import TaskDeferralTimeout
except ImportError:  # Airflow 3.1
    from airflow.exceptions import TaskDeferralTimeout  # type: ignore[no-redef] # the same class, older address

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from airflow.sdk import Context

    from airflow_video_providers.core.errors import SubmissionOutcomeUnknownError
    from airflow_video_providers.core.jobs import VideoJob
    from airflow_video_providers.core.purchase.decision import Try
    from airflow_video_providers.core.purchase.ledger import Ledger
    from airflow_video_providers.core.purchase.records import Attempt
    from airflow_video_providers.operators.base import BuysVideo


def answer_from_mail(task: BuysVideo, ledger: Ledger | None, this: Try, event: Mapping[str, Any] | None = None) -> None:
    """:func:`airflow_video_providers.integration.lost_answers.answer_from_mail` for a task.

    :param event: The trigger's, where this is its resume.
    """
    lost_answers.answer_from_mail(
        ledger,
        this,
        lambda attempt: VideoHook.of_task(task, attempt.model, attempt.conn_id).identify,
        log=cast("logging.Logger", task.log),
        sleep=sleep_of(task),
        event=event,
    )


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
        log = cast("logging.Logger", task.log)
        if given := named_already(waiting, log=log):
            continue  # the call came before the answer was lost
        until = _until(task, context, waiting.attempt)
        warn_of_wait(waiting.attempt, until, log)
        if until <= utcnow():
            raise unanswered(waiting.attempt)
        if task.deferrable:
            _defer(task, waiting, until)
        given = wait_here(waiting, until, log=log, sleep=sleep_of(task))


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
    return unanswered(newest) if ours and newest is not None else None
