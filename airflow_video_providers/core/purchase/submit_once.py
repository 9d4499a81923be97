"""The paid call: once, after its intent is stored.

A submit is a purchase without an idempotency key, so a ledger stands in for one. Each try of a task reads
what earlier tries wrote and :func:`decide` says what may be done; :func:`submit_once` does it. Everything
works from what is stored, because Airflow runs each try in a new process.

===========================  ==================================  =====================================
what the ledger holds        on an automatic retry               on a user's Clear
===========================  ==================================  =====================================
nothing                      buy                                 buy
refused, or never sent       buy                                 buy
a request_id                 return that job, send nothing       ``on_clear``: poll; a live job is kept,
                                                                 a finished one is bought again, unless
                                                                 ``keeps`` says that it is still wanted
an intent without an answer  ``on_unknown_outcome``: an error,   the same: a Clear does not answer it
                             or buy at most once more
attempts of a deleted run    buy: a new run of the same id is    (it is never a Clear)
of the same id               a new wish
a record that is missing     refuse, send nothing                the same
or damaged
===========================  ==================================  =====================================

A Clear is seen by ``ti.max_tries``, which Airflow raises on a clear and never on a retry. It is not seen
where a task is cleared while it runs, or where ``retries`` was lowered in between so that the sum stays
the same: both count as a retry, which never buys twice.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from airflow_video_providers.core.errors import InsufficientCreditsError, LedgerError, VideoProviderError
from airflow_video_providers.core.purchase.decision import Choices, Decision, Try, decide
from airflow_video_providers.core.purchase.hold import AccountHold
from airflow_video_providers.core.purchase.keeping import job_of, keep, take_winners_job
from airflow_video_providers.core.purchase.ledger import Ledger
from airflow_video_providers.core.purchase.named import ALL_ARE_NAMED
from airflow_video_providers.core.purchase.order import NoOrder, Order
from airflow_video_providers.core.purchase.outside import Outside
from airflow_video_providers.core.purchase.patience import outlast, persist
from airflow_video_providers.core.purchase.records import Attempt, AttemptState
from airflow_video_providers.core.purchase.stores.base import NoStore
from airflow_video_providers.core.purchase.wording import no_ledger, outcome_unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from logging import Logger

    from airflow_video_providers.core.jobs import VideoJob

__all__ = ["Outside", "submit_once"]


def submit_once(
    order: Order | NoOrder,
    ledger: Ledger | None,
    send: Callable[[Order], VideoJob],
    *,
    this: Try,
    outside: Outside,
    chosen: Choices = Choices(),  # noqa: B008 - frozen
) -> VideoJob:
    """The job that this task instance bought, buying it where that is certain not to be a second purchase.

    :param ledger: Where attempts are kept; None where there is nowhere, and then only a first try may buy.
    :param send: Sends the paid call and nothing else, once. Connection look-ups, rendering and validation belong
        before ``submit_once``: an exception from ``send`` that does not say ``charged == "no"`` counts as an unknown
        outcome.
    :raises SubmissionOutcomeUnknownError: an earlier try, or this one, may have bought; nothing more was sent.
    :raises LedgerError: the ledger could not be read or written, or lacks a record; nothing was sent.
    :raises InsufficientCreditsError: the account is empty; with ``held_until`` it is on hold, and may be come back to.
    :raises InvalidRequestError: a limit, ``outside.ready`` or the order itself does not allow it; nothing was sent.
    :raises VideoProviderError: whatever ``send`` raised; with ``charged == "no"`` the next try may buy.
    """
    attempts = _earlier(order, ledger, this, outside.log)
    ledger = ledger or Ledger(NoStore())
    decision = decide(attempts, this, chosen.on_unknown_outcome)
    if decision.action == "refuse":
        return _refused(decision, attempts, ledger, this, outside)
    if (kept := _kept(decision, order, ledger, this, outside, chosen)) is not None:
        return kept
    if isinstance(order, NoOrder):
        raise order.error
    hold = AccountHold(
        ledger.store, order.conn_id, this,
        queue_timeout=chosen.queue_timeout, log=outside.log, model=order.request.id,
    )  # fmt: skip
    hold.check(outside.clock(), attempts)
    uncharged = [earlier.key for earlier in attempts if earlier.costless]
    planned = _intent(order, attempts, decision, this, outside)
    if order.lends:  # no file goes to the vendor for what a limit refuses
        order.limits.foresee(order.cost, planned, ledger.store, uncharged=uncharged)
    try:
        order = outside.ready(order)
    except InsufficientCreditsError as empty:
        hold.begin(empty, outside.clock(), attempts)
    hold.check(outside.clock(), attempts)  # to be ready may have taken a while
    order, attempt = order.addressed(planned.replace(**vars(order.intent), created_at=outside.clock()))
    order.limits.grant(order.cost, attempt, ledger.store, uncharged=uncharged)
    if not _open(attempt, ledger, outside):
        return take_winners_job(attempt, ledger, outside.sleep, outside.log)
    not_each_try = f"; this is try {this.try_number}, and not every try sends a request"
    outside.log.info(
        "Buying %s for %s (attempt %d of %s%s).", attempt.model, order.intent.price, attempt.number, this.identity,
        "" if attempt.number == this.try_number else not_each_try,
    )  # fmt: skip
    try:
        job = _send(order, attempt, ledger, send, outside)
    except InsufficientCreditsError as empty:
        hold.begin(empty, outside.clock(), attempts)
    hold.end()
    return job


def _earlier(order: Order | NoOrder, ledger: Ledger | None, this: Try, log: Logger) -> list[Attempt]:
    """What earlier tries wrote.

    :raises SubmissionOutcomeUnknownError: there is nowhere to write, and this is not the first.
    """
    if ledger is None:
        if this.try_number > 1:
            raise no_ledger(this.identity, order.intent, this.try_number)
        log.warning("No ledger of purchases: a second try would send nothing. Set [video_providers] ledger_path.")
        return []
    attempts = ledger.attempts(this.identity)
    if this.try_number > 1 and not attempts:
        log.warning(
            "The ledger knows nothing of an earlier try: they ended before buying, or not every worker reaches it."
        )
    return attempts


def _refused(decision: Decision, attempts: Sequence[Attempt], ledger: Ledger, this: Try, outside: Outside) -> VideoJob:
    """An earlier try may have bought. Where it is this very try, which runs in a second process, it says so."""
    other = decision.attempt
    if (
        other is not None
        and other.state is AttemptState.INTENT
        and other.try_number == this.try_number
        and other is attempts[-1]
    ):
        return take_winners_job(other, ledger, outside.sleep, outside.log)
    raise outcome_unknown(other, "An earlier try was interrupted, or got no answer.", attempts)


def _kept(
    decision: Decision, order: Order | NoOrder, ledger: Ledger, this: Try, outside: Outside, chosen: Choices
) -> VideoJob | None:
    """The job that is bought already; None where there is none, or where a Clear buys again."""
    if (kept := decision.attempt) is None:
        return None
    job, log = job_of(kept), outside.log
    if decision.action == "poll":
        if (finished := outside.finished(job)) is not None:
            log.info("The file of job %s is kept for a second opinion: a Clear buys nothing.", job.request_id)
            return keep(finished, kept, order.intent, ledger, this, log)
        if chosen.on_clear == "resubmit":
            job = outside.poll(job)
            if job.status.terminal and not outside.keeps(job):
                price = order.intent.price
                log.info("Cleared by a user: job %s is %s; buying again for %s.", job.request_id, job.status, price)
                return None
    return keep(job, kept, order.intent, ledger, this, log)


def _intent(order: Order, attempts: Sequence[Attempt], decision: Decision, this: Try, outside: Outside) -> Attempt:
    """What is stored before the paid call."""
    if attempts and attempts[-1].of_earlier_run(this.run, this.try_number):
        outside.log.warning(
            "An earlier DAG run of this id was deleted; what it bought (%s) is not this run's. Buying for %s.",
            attempts[-1].request_id or "nothing that is known", order.intent.price,
        )  # fmt: skip
    return Attempt(
        v=ALL_ARE_NAMED,
        **vars(this.identity),
        **vars(order.intent),
        number=len(attempts) + 1,
        purchase=decision.purchase + (decision.attempt is not None),  # a Clear that buys again
        max_tries=this.max_tries,
        try_number=this.try_number,
        state=AttemptState.INTENT,
        claim=uuid.uuid4().hex,
        created_at=outside.clock(),
    ).within(this.run)


def _open(attempt: Attempt, ledger: Ledger, outside: Outside) -> bool:
    """Store the intent; False where another process was faster. Trouble leaves no intent open: nothing was sent."""
    try:
        return outlast(lambda: ledger.create(attempt), outside.sleep)
    except BaseException:
        try:
            if ledger.holds(attempt):
                ledger.replace(attempt.replace(state=AttemptState.REJECTED, reason="NotSent"))
        except LedgerError as failure:
            outside.log.warning(
                "%s If the intent is stored all the same, the next try finds it open; nothing was sent.", failure.what
            )
        raise


def _send(
    order: Order, attempt: Attempt, ledger: Ledger, send: Callable[[Order], VideoJob], outside: Outside
) -> VideoJob:
    """Spend the money. The intent is stored before, the answer is stored before anything else can fail."""
    log, sleep = outside.log, outside.sleep
    try:
        job = order.noted_in(send(order))  # THE PAID CALL, the only one: a second place that buys is a second bill
    except VideoProviderError as error:
        if error.charged != "no":
            _note_unknown(attempt, error, ledger, log)
            raise outcome_unknown(attempt, error.what, http_status=error.http_status) from error
        free = attempt.replace(state=AttemptState.REJECTED, reason=type(error).__name__)
        persist(lambda: ledger.replace(free), "That nothing was bought", sleep=sleep, log=log)
        _give_back(order, attempt, ledger, log)
        raise
    except Exception as error:
        _note_unknown(attempt, error, ledger, log)
        raise outcome_unknown(attempt, f"{type(error).__name__} when the request may have been sent.") from error
    log.info("Bought request_id=%s.", job.request_id)
    stored = persist(
        lambda: ledger.replace(attempt.bought(job)), f"The receipt request_id={job.request_id}", sleep=sleep, log=log
    )
    return job if stored else job.replace(receipt_due=attempt.key)


def _note_unknown(attempt: Attempt, error: Exception, ledger: Ledger, log: Logger) -> None:
    """Write why the outcome is unknown. A failure leaves the intent open, which means the same."""
    try:
        ledger.replace(attempt.replace(state=AttemptState.UNKNOWN, reason=type(error).__name__))
    except LedgerError as failure:
        log.warning("%s The attempt stays open: the next try will not buy.", failure.what)


def _give_back(order: Order, attempt: Attempt, ledger: Ledger, log: Logger) -> None:
    try:
        order.limits.give_back(attempt, ledger.store)
    except LedgerError as failure:
        log.warning("%s The next try gives the reservation back.", failure.what)
