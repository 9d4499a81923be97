"""From a submit operator's arguments to a bought job. The paid call itself stands in ``core/purchase/submit_once.py``."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from airflow_video_providers.core.clock import utcnow
from airflow_video_providers.core.errors import (
    InvalidRequestError,
    LandingError,
    LedgerError,
    SubmissionOutcomeUnknownError,
)
from airflow_video_providers.core.inputs.lend import loan_for
from airflow_video_providers.core.jobs import JobStatus, VideoJob
from airflow_video_providers.core.polling.decision import believed
from airflow_video_providers.core.purchase.decision import Choices, Try
from airflow_video_providers.core.purchase.keeping import attach_named
from airflow_video_providers.core.purchase.order import NoOrder, Order, make_order
from airflow_video_providers.core.purchase.resolve import void_after_error
from airflow_video_providers.core.purchase.submit_once import Outside, submit_once
from airflow_video_providers.hooks.base import VideoHook
from airflow_video_providers.hooks.lost_answers import answer_from_history, answer_lost, may_answer_later
from airflow_video_providers.integration import (
    metrics,
    object_storage,  # noqa: F401 # images from buckets through Airflow's connections
)
from airflow_video_providers.integration.callbacks import receiver_for
from airflow_video_providers.integration.ledger_config import default_on_clear, open_ledger
from airflow_video_providers.integration.lost_answers import await_instead
from airflow_video_providers.integration.this_try import identity_of, this_try
from airflow_video_providers.integration.waiting import settings_for, sleep_of
from airflow_video_providers.operators.callbacks import answer_from_mail
from airflow_video_providers.operators.kept import kept_job
from airflow_video_providers.operators.landed_before import landed_before, warn_of_equal_takes
from airflow_video_providers.operators.open_models import model_of
from airflow_video_providers.operators.options import check_options
from airflow_video_providers.operators.rendered import is_nothing, plain_json, settle

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from airflow.sdk import Context

    from airflow_video_providers.core.errors import JobErroredError
    from airflow_video_providers.core.purchase.ledger import Ledger
    from airflow_video_providers.core.settings import Settings
    from airflow_video_providers.core.vendors.models import VideoModel
    from airflow_video_providers.operators.base import BuysVideo


def rendered_request(task: BuysVideo) -> VideoModel:
    """The request as it will be sent, checked.

    :raises InvalidRequestError: it is wrong; nothing was sent.
    """
    model = model_of(task, task.model)
    if is_nothing(task.request):
        raise InvalidRequestError(
            "There is nothing to buy: the request and the request_id are empty after rendering.",
            remedy="Check the task or the param that they come from.",
            model=model.id,
            field="request",
            allowed="a dict of the model's fields, or a request_id",
        )
    return model.parse(cast("Mapping[str, Any]", task.request))


def buy(
    task: BuysVideo,
    context: Context,
    *,
    into: Path | None = None,
    check: Callable[[], None] | None = None,
    keeps: Callable[[VideoJob], bool] = lambda _job: False,
    event: Mapping[str, Any] | None = None,
) -> VideoJob:
    """The job that this task instance bought, now or in an earlier try.

    :param into: Buy on the route that answers with the video itself, and stream it to this file.
    :param check: Raises where nothing may be bought for a reason of the caller's.
    :param keeps: Which finished jobs a Clear keeps instead of buying again; none by default.
    :param event: Of the trigger that waited for a call about a submit without an answer.
    :raises AwaitsCallback: there is such a submit, and a call may still name its job.
    """
    settle(task)
    check_options(task)
    hook = VideoHook.of_task(task, task.model, task.conn_id)
    settings = _settings(hook, task, context)  # whatever is wrong with it must show before an intent is stored
    hook.get_conn()
    ledger, this = open_ledger(context), this_try(context)
    if task.request_id:
        named = VideoJob(
            model=str(task.model), request_id=task.request_id, conn_id=hook.conn_id, status_route=settings.status_route
        )
        task.known_job = attach_named(named, ledger, this, now=utcnow(), log=_log(task))
        hook.close()
        return task.known_job
    answer_lost(partial(answer_from_mail, task, ledger, this, event), ledger, this, _log(task), VideoHook.for_model)
    order = _order(task, hook, ledger, this)
    warn_of_equal_takes(order, this, task.log)
    if (landed := landed_before(task, order, ledger, this)) is not None:
        hook.close()
        task.known_job = landed
        return landed
    sent = False

    def ready(order: Order) -> Order:
        hook.refuse_if_off()
        hook.get_conn().open()
        if check is not None:
            check()
        # signing comes before the intent: what cannot be lent costs nothing
        loan = loan_for(getattr(task, "timeout", None))
        return order.lent(hook.get_conn(), hook.settings, loan=loan, log=_log(task))

    def send(order: Order) -> VideoJob:
        nonlocal sent
        sent = True
        return hook.send(order, into=into, max_bytes=getattr(task, "max_bytes", None))

    outside = Outside(
        log=_log(task),
        poll=lambda job: _poll(job, task),
        ready=ready,
        finished=lambda job: kept_job(job, task, context),
        keeps=keeps,
    )
    chosen = Choices(
        task.on_clear or default_on_clear(), task.on_unknown_outcome, timedelta(seconds=task.queue_timeout)
    )
    try:
        job = submit_once(order, ledger, send, this=this, outside=outside, chosen=chosen)
    except SubmissionOutcomeUnknownError as unknown:
        if not sent or not answer_from_history(ledger, this, _log(task), VideoHook.for_model):
            later = may_answer_later(unknown, ledger, this, VideoHook.for_model)
            raise await_instead(later, ledger, this) from unknown.__cause__
        job = submit_once(order, ledger, send, this=this, outside=outside, chosen=chosen)  # keeps what was found
    finally:
        hook.close()
    task.known_job = job
    if sent:
        metrics.submitted(job)
    if job.remaining_credits is not None:
        task.log.info("Credits left in the account: %s.", job.remaining_credits)
    return job


def _order(task: BuysVideo, hook: VideoHook, ledger: Ledger | None, this: Try) -> Order | NoOrder:
    """What the task wants to buy. What it has bought already is returned even if it has drifted into nonsense since.

    :raises InvalidRequestError: it is wrong, and nothing is bought yet.
    """
    try:
        return make_order(
            hook.get_conn().vendor,
            rendered_request(task),
            plain_json("extra_fields", task.extra_fields),
            hook.settings,
            callback=hook.callback(task.webhook_url, task.webhook_mode),
            receiver=receiver_for(hook.vendor_class, hook.settings, task.resolve_within),
            max_cost_usd=task.max_cost_usd,
            max_run_cost_usd=task.max_run_cost_usd,
            allow_unknown_price=task.allow_unknown_price,
            make_unique=task.make_unique,
        )
    except (InvalidRequestError, LandingError) as wrong:
        if ledger is None or not any(attempt.request_id for attempt in ledger.attempts(this.identity)):
            raise
        return NoOrder(task.model, hook.conn_id, wrong)


def _log(task: BuysVideo) -> logging.Logger:
    return cast("logging.Logger", task.log)  # Airflow's own logger, by the same protocol


def _settings(hook: VideoHook, task: BuysVideo, context: Context) -> Settings:
    """The connection; where this task instance has bought already, it is asked for again for a while.

    :raises InvalidRequestError: it is wrong, or Airflow does not give it.
    """
    try:
        return hook.settings
    except InvalidRequestError:
        ledger = open_ledger(context)
        attempts = [] if ledger is None else ledger.attempts(identity_of(context))
        bought = [attempt for attempt in attempts if attempt.request_id]
        if not bought:
            raise
    job = VideoJob(model=bought[-1].model, request_id=str(bought[-1].request_id))
    return settings_for(hook, job, task.log, sleep_of(task))


def _poll(job: VideoJob, task: BuysVideo) -> VideoJob:
    """How a job stands that a Clear finds, asked with the connection that bought it.

    :raises VideoProviderError: nobody knows; nothing is bought then.
    """
    hook = VideoHook.of_task(task, job.model, job.conn_id)
    settings_for(hook, job, task.log, sleep_of(task))
    try:
        return believed(job, hook.status, now=utcnow, sleep=sleep_of(task), reconnect=hook.reconnect)
    except InvalidRequestError as wrong:
        raise wrong.while_paid(job) from wrong.__cause__
    finally:
        hook.close()


def not_landed(context: Context) -> Callable[[VideoJob], bool]:
    """Says of a job whether it has succeeded and this task has neither landed it nor lost it for good."""

    def not_landed(job: VideoJob) -> bool:
        ledger = open_ledger(context)
        return ledger is not None and job.status is JobStatus.SUCCEEDED and not ledger.settled(job)

    return not_landed


def may_buy_again(context: Context, error: JobErroredError, *, limit: int, log: Any) -> bool:
    """Take back a job that the vendor's own error ended without a charge, so that the next try buys again.

    :param limit: For how many jobs of one task instance at most.
    """
    try:
        ledger = open_ledger(context)
        if ledger is None or error.job is None:
            return False
        free = void_after_error(ledger, identity_of(context), error.job, limit=limit)
    except LedgerError as failure:  # the job's own error is what must be reported
        log.warning("Nothing is bought again: %s", failure.what)
        return False
    if free:
        log.info("Job %s was not charged: the next try buys again.", error.job.request_id)
    return free
