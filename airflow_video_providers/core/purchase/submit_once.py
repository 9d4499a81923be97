"""The paid call: once, after its intent is stored.

A submit is a purchase without an idempotency key, so a ledger stands in for one. Each try of a task reads
what earlier tries wrote and :func:`decide` says what may be done; :func:`buy_once` does it. Everything
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

import time
import uuid
from typing import TYPE_CHECKING, Protocol

from airflow_video_providers.core.errors import LedgerError, VideoProviderError
from airflow_video_providers.core.jobs import VideoJob
from airflow_video_providers.core.purchase.decision import OnClear, OnUnknownOutcome, decide
from airflow_video_providers.core.purchase.keeping import attach_named, job_of, keep, take_winners_job
from airflow_video_providers.core.purchase.ledger import Ledger
from airflow_video_providers.core.purchase.patience import outlast, persist
from airflow_video_providers.core.purchase.records import Attempt, AttemptState, Identity, Intent, Key, Run
from airflow_video_providers.core.purchase.stores.base import Nowhere
from airflow_video_providers.core.purchase.wording import no_ledger, outcome_unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from logging import Logger


class Allowance(Protocol):
    """Whether money may be spent. Asked directly before an intent is stored, never for a re-attached job."""

    def grant(self, key: Key, *, uncharged: Sequence[Key]) -> None:
        """Allow the attempt ``key`` or raise InvalidRequestError; asked twice for one key, it counts once.

        :param uncharged: Earlier attempts of this buyer that cost nothing.
        """

    def give_back(self, key: Key) -> None:
        """The attempt ``key`` was granted and cost nothing."""


def buy_once(
    *,
    ledger: Ledger | None,
    identity: Identity,
    intent: Intent,
    buy: Callable[[], VideoJob],
    poll: Callable[[VideoJob], VideoJob],
    clock: Callable[[], datetime],
    log: Logger,
    max_tries: int | None = None,
    try_number: int = 1,
    on_clear: OnClear = "resubmit",
    on_unknown_outcome: OnUnknownOutcome = "fail",
    request_id: str | None = None,
    status_route: str = "default",
    allowance: Allowance | None = None,
    keeps: Callable[[VideoJob], bool] | None = None,
    stands: Callable[[VideoJob], bool] | None = None,
    run: Run | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> VideoJob:
    """The job that this task instance bought, buying it where that is certain not to be a second purchase.

    :param ledger: Where attempts are kept; None where there is nowhere, and then only a first try may buy.
    :param buy: Sends the paid call and nothing else, once. Connection look-ups, rendering and validation
        belong before ``buy_once``: an exception from ``buy`` that does not say ``charged == "no"`` counts
        as an unknown outcome.
    :param poll: Reads a job's state at the vendor. Called only after a Clear.
    :param clock: The time in UTC.
    :param max_tries: ``ti.max_tries``; None means that a Clear cannot be told from a retry.
    :param try_number: ``ti.try_number``. Decides only where there is no ledger.
    :param on_clear: What a user's Clear does with a finished job: ``"resubmit"`` buys again, ``"reattach"``
        returns it. A job that still runs is kept in both cases.
    :param on_unknown_outcome: ``"fail"``, or ``"resubmit"``: buy at most once more per purchase, which may
        pay twice.
    :param request_id: Attach to this job of the vendor's instead, and buy nothing.
    :param status_route: Which status call knows ``request_id``.
    :param allowance: Price and budget guards.
    :param keeps: Asked of a finished job that a Clear would buy again: True keeps it, because what was paid for
        has not reached its place yet.
    :param stands: Asked of the job that a Clear meets, before the vendor is: True keeps it whatever the vendor says,
        because its file is kept for a second opinion.
    :param run: The DAG run, so that one that was deleted and made anew is not taken for the old one.
    :param sleep: How to pause: before the paid call while the ledger is away, after it until the ledger has stored
        what came of it, and while another process of this task instance is buying.
    :raises SubmissionOutcomeUnknownError: an earlier try, or this one, may have bought; nothing more was sent.
    :raises LedgerError: the ledger could not be read or written, or lacks a record; nothing was sent.
    :raises VideoProviderError: whatever ``buy`` raised; with ``charged == "no"`` the next try may buy.
    """
    kept_anywhere = ledger is not None
    ledger = ledger or Ledger(Nowhere())
    if request_id:
        named = VideoJob(
            model=intent.model,
            request_id=request_id,
            conn_id=intent.conn_id,
            status_route=status_route,
            estimated_cost_usd=intent.estimated_cost_usd,
            cost_basis=intent.cost_basis,
        )
        return attach_named(named, ledger, identity, max_tries, run, try_number, clock, log)
    if not kept_anywhere:
        if try_number > 1:
            raise no_ledger(identity, intent, try_number)
        log.warning("No ledger of purchases: a second try would send nothing. Set [video_providers] ledger_path.")
    attempts = ledger.attempts(identity)
    if kept_anywhere and try_number > 1 and not attempts:
        log.warning(
            "The ledger knows nothing of an earlier try: they ended before buying, or not every worker reaches it."
        )
    decision = decide(
        attempts, max_tries=max_tries, on_unknown_outcome=on_unknown_outcome, run=run, try_number=try_number
    )
    purchase = decision.purchase
    if decision.action == "refuse" and (other := decision.attempt) is not None:
        if other.state is AttemptState.INTENT and other.try_number == try_number and other is attempts[-1]:
            return take_winners_job(other, ledger, sleep, log)  # this very try runs in a second process
        raise outcome_unknown(decision.attempt, "An earlier try was interrupted, or got no answer.", attempts)
    if (kept := decision.attempt) is not None:
        job = job_of(kept)
        if decision.action == "look" and stands is not None and stands(job):
            log.info("The file of job %s is kept for a second opinion: a Clear buys nothing.", job.request_id)
            return keep(job, kept, ledger, intent, max_tries, run, log)
        if decision.action == "look" and on_clear == "resubmit":
            job = poll(job)
        wanted = not job.status.terminal or (keeps is not None and keeps(job))
        if decision.action == "keep" or on_clear != "resubmit" or wanted:
            return keep(job, kept, ledger, intent, max_tries, run, log)
        log.info("Cleared by a user: job %s is %s; buying again for %s.", job.request_id, job.status, intent.price)
        purchase += 1

    attempt = Attempt(
        **vars(identity),
        **vars(intent),
        number=len(attempts) + 1,
        purchase=purchase,
        max_tries=max_tries,
        try_number=try_number,
        state=AttemptState.INTENT,
        claim=uuid.uuid4().hex,
        created_at=clock(),
    ).within(run)
    if attempts and attempts[-1].of_earlier_run(run, try_number):
        log.warning(
            "An earlier DAG run of this id was deleted; what it bought (%s) is not this run's. Buying for %s.",
            attempts[-1].request_id or "nothing that is known", intent.price,
        )  # fmt: skip
    if allowance is not None:
        allowance.grant(attempt.key, uncharged=[earlier.key for earlier in attempts if earlier.costless])
    if not _open(attempt, ledger, sleep, log):
        return take_winners_job(attempt, ledger, sleep, log)
    not_each_try = (
        "" if attempt.number == try_number else f"; this is try {try_number}, and not every try sends a request"
    )
    log.info(
        "Buying %s for %s (attempt %d of %s%s).", intent.model, intent.price, attempt.number, identity, not_each_try
    )
    return _pay(attempt, ledger, buy, allowance, sleep, log)


def _open(attempt: Attempt, ledger: Ledger, sleep: Callable[[float], None], log: Logger) -> bool:
    """Store the intent; False where another process was faster. Trouble leaves no intent open: nothing was sent."""
    try:
        return outlast(lambda: ledger.create(attempt), sleep)
    except BaseException:
        try:
            if ledger.holds(attempt):
                ledger.replace(attempt.replace(state=AttemptState.REJECTED, reason="NotSent"))
        except LedgerError as failure:
            log.warning(
                "%s If the intent is stored all the same, the next try finds it open; nothing was sent.", failure.what
            )
        raise


def _pay(
    attempt: Attempt,
    ledger: Ledger,
    buy: Callable[[], VideoJob],
    allowance: Allowance | None,
    sleep: Callable[[float], None],
    log: Logger,
) -> VideoJob:
    """Spend the money. The intent is stored before, the answer is stored before anything else can fail."""
    try:
        job = buy()  # THE PAID CALL, the only one: a second place that buys is a second bill
    except VideoProviderError as error:
        if error.charged != "no":
            _note_unknown(attempt, error, ledger, log)
            raise outcome_unknown(attempt, error.what, http_status=error.http_status) from error
        free = attempt.replace(state=AttemptState.REJECTED, reason=type(error).__name__)
        persist(lambda: ledger.replace(free), "That nothing was bought", sleep=sleep, log=log)
        _give_back(attempt, allowance, log)
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


def _give_back(attempt: Attempt, allowance: Allowance | None, log: Logger) -> None:
    try:
        if allowance is not None:
            allowance.give_back(attempt.key)
    except LedgerError as failure:
        log.warning("%s The next try gives the reservation back.", failure.what)
