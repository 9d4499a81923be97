"""The paid call: once, after its intent is stored.

A submit is a purchase without an idempotency key, so a ledger stands in for one. Each try of a task reads
what earlier tries wrote and :func:`decide` says what may be done; :func:`buy_once` does it. Everything
works from what is stored, because Airflow runs each try in a new process.

===========================  ==================================  =====================================
what the ledger holds        on an automatic retry               on a user's Clear
===========================  ==================================  =====================================
nothing                      buy                                 buy
refused, or never sent       buy                                 buy
a request_id                 return that job, send nothing       ``on_clear``: look; a live job is kept,
                                                                 a finished one is bought again, unless
                                                                 ``keeps`` says that it is still wanted
an intent without an answer  ``on_unknown_outcome``: an error,   the same: a Clear does not answer it
                             or buy at most once more
===========================  ==================================  =====================================

A Clear is seen by ``ti.max_tries``, which Airflow raises on a clear and never on a retry. It is not seen
where a task is cleared while it runs, or where ``retries`` was lowered in between so that the sum stays
the same: both count as a retry, which never buys twice.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from airflow_video_providers.exceptions import LedgerError, VideoProviderError
from airflow_video_providers.jobs import VideoJob
from airflow_video_providers.ledger.book import Ledger
from airflow_video_providers.ledger.gestures import attach
from airflow_video_providers.ledger.records import Attempt, AttemptState, Identity, Intent, Key
from airflow_video_providers.ledger.storing import Nowhere
from airflow_video_providers.ledger.wording import no_ledger, outcome_unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from logging import Logger

OnClear = Literal["resubmit", "reattach"]
OnUnknownOutcome = Literal["fail", "resubmit"]


class Allowance(Protocol):
    """Whether money may be spent. Asked directly before an intent is stored, never for a re-attached job."""

    def grant(self, key: Key, *, uncharged: Sequence[Key]) -> None:
        """Allow the attempt ``key`` or raise InvalidRequestError; asked twice for one key, it counts once.

        :param uncharged: Earlier attempts of this buyer that cost nothing.
        """

    def give_back(self, key: Key) -> None:
        """The attempt ``key`` was granted and cost nothing."""


@dataclass(frozen=True)
class Decision:
    """What a try may do: ``buy``, ``keep`` a job, ``look`` at one that a Clear met, or ``refuse``."""

    action: Literal["buy", "keep", "look", "refuse"]
    purchase: int
    attempt: Attempt | None = None


def decide(attempts: Sequence[Attempt], *, generation: int | None, on_unknown_outcome: OnUnknownOutcome) -> Decision:
    """What may be done, from what is stored and nothing else."""
    if not attempts:
        return Decision("buy", 1)
    purchase = attempts[-1].purchase
    ours = [attempt for attempt in attempts if attempt.purchase == purchase]
    bought = [attempt for attempt in ours if attempt.state is AttemptState.SUBMITTED]
    if bought:
        kept = bought[-1]
        cleared = None not in (generation, kept.generation) and generation != kept.generation
        return Decision("look" if cleared else "keep", purchase, kept)
    unanswered = [attempt for attempt in ours if attempt.open]
    if unanswered and (on_unknown_outcome != "resubmit" or len(unanswered) > 1):
        return Decision("refuse", purchase, unanswered[-1])
    return Decision("buy", purchase + 1 if ours[-1].state is AttemptState.FORGOTTEN else purchase)


def buy_once(
    *,
    ledger: Ledger | None,
    identity: Identity,
    intent: Intent,
    buy: Callable[[], VideoJob],
    look: Callable[[VideoJob], VideoJob],
    clock: Callable[[], datetime],
    log: Logger,
    generation: int | None = None,
    try_number: int = 1,
    on_clear: OnClear = "resubmit",
    on_unknown_outcome: OnUnknownOutcome = "fail",
    request_id: str | None = None,
    status_route: str = "default",
    allowance: Allowance | None = None,
    keeps: Callable[[VideoJob], bool] | None = None,
    stands: Callable[[VideoJob], bool] | None = None,
) -> VideoJob:
    """The job that this task instance bought, buying it where that is certain not to be a second purchase.

    :param ledger: Where attempts are kept; None where there is nowhere, and then only a first try may buy.
    :param buy: Sends the paid call and nothing else, once. Connection look-ups, rendering and validation
        belong before ``buy_once``: an exception from ``buy`` that does not say ``charged == "no"`` counts
        as an unknown outcome.
    :param look: Reads a job's state at the vendor. Called only after a Clear.
    :param clock: The time in UTC.
    :param generation: ``ti.max_tries``; None means that a Clear cannot be told from a retry.
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
    :raises SubmissionOutcomeUnknownError: an earlier try, or this one, may have bought; nothing more was sent.
    :raises LedgerError: the ledger could not be read or written; nothing was sent.
    :raises VideoProviderError: whatever ``buy`` raised; with ``charged == "no"`` the next try may buy.
    """
    book = ledger or Ledger(Nowhere())
    if request_id:
        named = VideoJob(
            model=intent.model,
            request_id=request_id,
            conn_id=intent.conn_id,
            status_route=status_route,
            estimated_cost_usd=intent.estimated_cost_usd,
            cost_basis=intent.cost_basis,
        )
        return _attach(named, book, identity, generation, clock, log)
    if ledger is None:
        if try_number > 1:
            raise no_ledger(identity, intent, try_number)
        log.warning("No ledger of purchases: a second try would send nothing. Set [video_providers] ledger_path.")
    attempts = book.attempts(identity)
    if ledger is not None and try_number > 1 and not attempts:
        log.warning(
            "The ledger knows nothing of an earlier try: they ended before buying, or not every worker reaches it."
        )
    decision = decide(attempts, generation=generation, on_unknown_outcome=on_unknown_outcome)
    purchase = decision.purchase
    if decision.action == "refuse":
        raise outcome_unknown(decision.attempt, "An earlier try was interrupted, or got no answer.", attempts)
    if (kept := decision.attempt) is not None:
        job = _job_of(kept)
        if decision.action == "look" and stands is not None and stands(job):
            log.info("The file of job %s is kept for a second opinion: a Clear buys nothing.", job.request_id)
            return _keep(job, kept, book, intent, generation, log)
        if decision.action == "look" and on_clear == "resubmit":
            job = look(job)
        wanted = not job.status.terminal or (keeps is not None and keeps(job))
        if decision.action == "keep" or on_clear != "resubmit" or wanted:
            return _keep(job, kept, book, intent, generation, log)
        log.info("Cleared by a user: job %s is %s; buying again for %s.", job.request_id, job.status, intent.price)
        purchase += 1

    attempt = Attempt(
        **vars(identity),
        **vars(intent),
        number=len(attempts) + 1,
        purchase=purchase,
        generation=generation,
        try_number=try_number,
        state=AttemptState.INTENT,
        claim=uuid.uuid4().hex,
        created_at=clock(),
    )
    if allowance is not None:
        allowance.grant(attempt.key, uncharged=[earlier.key for earlier in attempts if earlier.costless])
    if not book.create(attempt):
        return _lost_race(book, identity, log)
    log.info("Buying %s for %s (attempt %d of %s).", intent.model, intent.price, attempt.number, identity)
    return _pay(attempt, book, buy, allowance, log)


def _pay(
    attempt: Attempt, book: Ledger, buy: Callable[[], VideoJob], allowance: Allowance | None, log: Logger
) -> VideoJob:
    """Spend the money. The intent is stored before, the answer is stored before anything else can fail."""
    try:
        job = buy()  # THE PAID CALL, the only one: a second place that buys is a second bill
    except VideoProviderError as error:
        if error.charged != "no":
            _note(attempt, AttemptState.UNKNOWN, error, book, log)
            raise outcome_unknown(attempt, error.what, http_status=error.http_status) from error
        _note(attempt, AttemptState.REJECTED, error, book, log)
        _give_back(attempt, allowance, log)
        raise
    except Exception as error:
        _note(attempt, AttemptState.UNKNOWN, error, book, log)
        raise outcome_unknown(attempt, f"{type(error).__name__} when the request may have been sent.") from error
    _store(attempt, job, book, log)
    return job


def _store(attempt: Attempt, job: VideoJob, book: Ledger, log: Logger) -> None:
    """Keep the request_id. Where the ledger refuses it, the log and the caller still have it."""
    try:
        book.replace(attempt.bought(job))
    except LedgerError as failure:
        log.error(  # noqa: TRY400 - not a trace: the id is what must be found in this line
            "Bought request_id=%s, but: %s The job is returned all the same; if this task does not succeed, "
            "attach it by hand.",
            job.request_id, failure.what,
        )  # fmt: skip
    except BaseException:
        log.critical("Interrupted while storing the bought request_id=%s: attach it by hand.", job.request_id)
        raise
    else:
        log.info("Bought request_id=%s.", job.request_id)


def _note(attempt: Attempt, state: AttemptState, error: Exception, book: Ledger, log: Logger) -> None:
    """Write how an attempt ended. A failure leaves the intent open, which is the cautious side."""
    try:
        book.replace(attempt.but(state=state, reason=type(error).__name__))
    except LedgerError as failure:
        log.warning("%s The attempt stays open: the next try will not buy.", failure.what)


def _give_back(attempt: Attempt, allowance: Allowance | None, log: Logger) -> None:
    try:
        if allowance is not None:
            allowance.give_back(attempt.key)
    except LedgerError as failure:
        log.warning("%s The next try gives the reservation back.", failure.what)


def _keep(job: VideoJob, kept: Attempt, book: Ledger, intent: Intent, generation: int | None, log: Logger) -> VideoJob:
    if generation is not None and kept.generation != generation:
        # This Clear is answered now: a later retry of it must not look, and buy, again.
        book.replace(kept.but(generation=generation))
    if changed := kept.drift(intent):
        log.warning(
            "The request changed since job %s was bought (%s). The job is kept; nothing is sent.",
            job.request_id, ", ".join(changed),
        )  # fmt: skip
    log.info("Re-attached to job %s; nothing was sent.", job.request_id)
    return job


def _lost_race(book: Ledger, identity: Identity, log: Logger) -> VideoJob:
    """Another process of the same task instance was faster: take its job, or say that it is not known yet."""
    attempts = book.attempts(identity)
    newest = attempts[-1] if attempts else None
    if newest is not None and newest.state is AttemptState.SUBMITTED:
        log.info("Another try bought job %s at the same time; this one sent nothing.", newest.request_id)
        return _job_of(newest)
    raise outcome_unknown(newest, f"Another try of {identity} is submitting at this moment.", attempts)


def _attach(
    job: VideoJob, book: Ledger, identity: Identity, generation: int | None, clock: Callable[[], datetime], log: Logger
) -> VideoJob:
    """A job that a person names. The ledger learns of it where it can; attaching needs no ledger."""
    try:
        attach(book, identity, job, generation=generation, now=clock())
    except LedgerError as failure:
        log.warning("%s The job is attached without it.", failure.what)
    log.info("Attached to job %s as asked; nothing was sent.", job.request_id)
    return job


def _job_of(attempt: Attempt) -> VideoJob:
    try:
        return VideoJob.from_dict(attempt.job or {})
    except ValueError as error:
        raise LedgerError(
            f"The ledger's record of job {attempt.request_id} cannot be read.",
            remedy="Run the task with that request_id.",
            model=attempt.model,
            request_id=attempt.request_id,
        ) from error
