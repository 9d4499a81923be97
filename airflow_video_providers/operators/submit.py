"""From a submit operator's arguments to a bought job. The paid call itself stands in ``core/purchase/submit_once.py``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from airflow_video_providers.core.errors import InvalidRequestError, LedgerError
from airflow_video_providers.core.jobs import JobStatus, VideoJob
from airflow_video_providers.core.polling.decision import believed
from airflow_video_providers.core.purchase.limits import Guard
from airflow_video_providers.core.purchase.pricing import Estimate, Limits, estimate
from airflow_video_providers.core.purchase.records import Intent
from airflow_video_providers.core.purchase.resolve import void_after_error
from airflow_video_providers.core.purchase.run_budget import RunBudget
from airflow_video_providers.core.purchase.submit_once import buy_once
from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.core.vendors.base import utcnow
from airflow_video_providers.hooks.base import VideoHook
from airflow_video_providers.integration import metrics
from airflow_video_providers.integration.ledger_config import default_on_clear, open_ledger
from airflow_video_providers.integration.waiting import settings_for, sleep_of
from airflow_video_providers.operators.bookkeeping import identity_of, run_of
from airflow_video_providers.operators.kept import kept_job
from airflow_video_providers.operators.options import check_options
from airflow_video_providers.operators.rendered import is_nothing, plain_json, plain_request, settle

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from airflow.sdk import Context

    from airflow_video_providers.core.callbacks.webhook import Callback
    from airflow_video_providers.core.errors import JobErroredError
    from airflow_video_providers.core.settings import Settings
    from airflow_video_providers.core.vendors.models import VideoModel
    from airflow_video_providers.operators.base import BuysVideo
    from airflow_video_providers.operators.generate import GenerateVideoOperator


def rendered_request(task: BuysVideo) -> VideoModel:
    """The request as it will be sent, checked.

    :raises InvalidRequestError: it is wrong; nothing was sent.
    """
    model = catalogue.find(task.model)
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
    keeps: Callable[[VideoJob], bool] | None = None,
) -> VideoJob:
    """The job that this task instance bought, now or in an earlier try.

    :param into: Buy on the route that answers with the video itself, and stream it to this file.
    :param check: Raises where nothing may be bought for a reason of the caller's.
    :param keeps: Which finished jobs a Clear keeps instead of buying again; none by default.
    """
    settle(task)
    check_options(task)
    hook = VideoHook.of_task(task, task.model, task.conn_id)
    settings = _settings(hook, task, context)  # whatever is wrong with it must show before an intent is stored
    hook.get_conn()
    identity, ledger, ti = identity_of(context), open_ledger(context), context["ti"]
    try:
        order = _order(task, settings.extra, hook)
    except InvalidRequestError as wrong:
        # What is bought already is returned even if the task has drifted into nonsense since.
        if ledger is None or not any(attempt.request_id for attempt in ledger.attempts(identity)):
            raise
        order = _Order(wrong=wrong)
    intent = Intent.of(
        model=task.model,
        request=order.body,
        conn_id=hook.conn_id,
        estimated_cost_usd=order.cost.usd,
        cost_basis=order.cost.basis,
    )
    shared = ledger is not None and ledger.store.shared
    budget = RunBudget(ledger.store, identity.dag_id, identity.run_id) if ledger is not None and shared else None

    bought = False
    standing: list[VideoJob] = []

    def stands(job: VideoJob) -> bool:
        if (finished := kept_job(job, task, context)) is not None:
            standing.append(finished)
        return finished is not None

    def refuse_to_buy() -> None:
        """Asked directly before an intent is stored: a job that is bought already is never kept from its task."""
        if order.wrong is not None:
            raise order.wrong
        hook.refuse_if_off()
        hook.get_conn().open()
        if check is not None:
            check()

    def paid_call() -> VideoJob:
        if order.request is None:
            raise AssertionError("a task that attaches never buys")
        nonlocal bought
        bought = True
        most = getattr(task, "max_bytes", None)
        job = hook.send(order.request, order.extra_fields, into=into, max_bytes=most, callback=order.callback)
        return job.replace(
            estimated_cost_usd=order.cost.usd, cost_basis=order.cost.basis, request_sha256=intent.request_sha256
        )

    try:
        job = buy_once(
            ledger=ledger,
            identity=identity,
            intent=intent,
            buy=paid_call,
            poll=lambda job: _poll(job, task),
            clock=utcnow,
            log=cast("logging.Logger", task.log),  # Airflow's own logger, by the same protocol
            max_tries=ti.max_tries,
            try_number=ti.try_number,
            on_clear=task.on_clear or default_on_clear(),
            on_unknown_outcome=task.on_unknown_outcome,
            request_id=task.request_id or None,
            status_route=settings.status_route,
            allowance=Guard(task.model, order.cost, order.limits, budget, switch=refuse_to_buy),
            keeps=keeps,
            run=run_of(context),
            stands=stands,
        )
    finally:
        hook.close()
    job = next((finished for finished in standing if finished.request_id == job.request_id), job)
    task.known_job = job
    if bought:
        metrics.submitted(job)
    if job.remaining_credits is not None:
        task.log.info("Credits left in the account: %s.", job.remaining_credits)
    return job


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
    """How a job stands that a Clear meets, asked with the connection that bought it.

    :raises VideoProviderError: nobody can tell; nothing is bought then.
    """
    hook = VideoHook.of_task(task, job.model, job.conn_id)
    settings_for(hook, job, task.log, sleep_of(task))
    try:
        return believed(job, hook.status, now=utcnow, sleep=sleep_of(task), reconnect=hook.reconnect)
    except InvalidRequestError as wrong:
        raise wrong.while_paid(job) from wrong.__cause__
    finally:
        hook.close()


@dataclass(frozen=True)
class _Order:
    """What would be bought, for how much, and within which limits."""

    request: VideoModel | None = None
    body: dict[str, Any] = field(default_factory=dict)
    extra_fields: dict[str, Any] = field(default_factory=dict)
    cost: Estimate = field(default_factory=Estimate)
    limits: Limits = field(default_factory=Limits)
    callback: Callback | None = None
    wrong: InvalidRequestError | None = None


def _order(task: BuysVideo, extra: Mapping[str, Any], hook: VideoHook) -> _Order:
    if task.request_id:
        return _Order()
    request, extra_fields = rendered_request(task), plain_json("extra_fields", task.extra_fields)
    request.refuse_known(extra_fields)
    cost = estimate(request, extra.get("prices"))
    limits = Limits.of(
        extra,
        max_cost_usd=task.max_cost_usd,
        max_run_cost_usd=task.max_run_cost_usd,
        allow_unknown_price=task.allow_unknown_price,
    )
    callback = hook.callback(task.webhook_url, task.webhook_mode)
    return _Order(request, plain_request(request, extra_fields), extra_fields, cost, limits, callback)


def not_landed(context: Context) -> Callable[[VideoJob], bool]:
    """Tells of a job whether it has succeeded and this task has neither landed it nor lost it for good."""

    def not_landed(job: VideoJob) -> bool:
        ledger = open_ledger(context)
        return ledger is not None and job.status is JobStatus.SUCCEEDED and not ledger.settled(job)

    return not_landed


def may_buy_again(task: GenerateVideoOperator, context: Context, error: JobErroredError) -> bool:
    """Take back a job that the vendor's own error ended without a charge, so that the next try buys again."""
    try:
        ledger = open_ledger(context)
        if ledger is None or error.job is None:
            return False
        free = void_after_error(ledger, identity_of(context), error.job, limit=task.resubmit_on_error)
    except LedgerError as failure:  # the job's own error is what must be told
        task.log.warning("Nothing is bought again: %s", failure.what)
        return False
    if free:
        task.log.info("Job %s was not charged: the next try buys again.", error.job.request_id)
    return free
