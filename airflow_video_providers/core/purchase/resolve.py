"""What a person, or an operator on a person's word, decides about an attempt. Nothing here buys."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow_video_providers.core.errors import InvalidRequestError, LedgerError
from airflow_video_providers.core.jobs import JobStatus, VideoJob
from airflow_video_providers.core.purchase.records import Attempt, AttemptState, Identity, Run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_video_providers.core.purchase.ledger import Flaw, Ledger


def attach(
    ledger: Ledger,
    identity: Identity,
    job: VideoJob,
    *,
    now: datetime,
    max_tries: int | None = None,
    run: Run | None = None,
    try_number: int = 1,
) -> Attempt:
    """Write that this task instance's job is ``job``. Answers an open attempt, or starts a new record.

    :param max_tries: ``ti.max_tries`` where a task attaches. None, from outside a task, means that the
        next try takes the job as it is, also when a person cleared the task to get there.
    :param run: The run of the task that attaches, with its ``try_number``: it answers no attempt of a deleted run.
    :raises LedgerError: the ledger could not be read or written.
    """
    attempts, flaws = ledger.survey(identity)
    newest = attempts[-1] if attempts else None
    if flaws:
        answered = (
            _in_place_of(flaws[0], identity, attempts, job, now).bought(job).replace(max_tries=max_tries).within(run)
        )
        ledger.replace(answered)
        return answered
    answerable = [] if newest is not None and newest.of_earlier_run(run, try_number) else attempts
    for attempt in reversed(answerable):
        same = attempt.request_id == job.request_id
        if attempt.purchase == attempts[-1].purchase and (attempt.open or same):
            known = (
                VideoJob.from_dict(attempt.job).replace(status_route=job.status_route) if same and attempt.job else job
            )
            answered = attempt.bought(known).replace(max_tries=max_tries).within(run)
            ledger.replace(answered)
            return answered
    attempt = Attempt(
        **vars(identity),
        number=len(attempts) + 1,
        purchase=newest.purchase + 1 if newest else 1,
        max_tries=max_tries,
        try_number=try_number if run is not None else None,
        state=AttemptState.INTENT,
        claim=uuid.uuid4().hex,
        created_at=now,
        model=job.model,
        conn_id=job.conn_id,
        estimated_cost_usd=job.estimated_cost_usd,
        cost_basis=job.cost_basis,
    )
    attempt = attempt.bought(job).within(run)
    if not ledger.create(attempt):
        raise LedgerError(f"Another process is writing the ledger's record of {identity}.", remedy="Try again.")
    return attempt


def forget(ledger: Ledger, identity: Identity, *, now: datetime | None = None) -> list[Attempt]:
    """Write that nothing came of the open attempts: a person checked with the vendor. The next try may buy.

    Missing and damaged records are open, too: new ones are written in their place.

    :param now: The time in UTC, for those.

    :raises InvalidRequestError: no attempt of this task instance is open, or one still waits for a call; a bought job is
        never forgotten.
    :raises LedgerError: the ledger could not be read or written.
    """
    now = now or datetime.now(UTC)
    attempts, flaws = ledger.survey(identity)
    refuse_while_waiting(attempts, now)
    open_ones = [attempt.replace(state=AttemptState.FORGOTTEN) for attempt in attempts if attempt.open]
    if not (forgotten := open_ones + stand_ins(flaws, identity, attempts, now)):
        raise InvalidRequestError(f"No attempt of {identity} is open.", remedy="List the open ones and try again.")
    for attempt in forgotten:
        ledger.replace(attempt)
    return forgotten


def refuse_while_waiting(attempts: Sequence[Attempt], now: datetime) -> None:
    """An attempt whose job a call may still name is nobody's to forget.

    :raises InvalidRequestError: one of them waits for a call.
    """
    for attempt in attempts:
        if attempt.open and attempt.resolve_until is not None and now < attempt.resolve_until:
            raise InvalidRequestError(
                f"The submit of {attempt.identity} at {attempt.created_at:%Y-%m-%d %H:%M:%S} UTC waits for the vendor's call until "
                f"{attempt.resolve_until:%Y-%m-%d %H:%M:%S} UTC, which may name its job.",
                money="Nothing was changed.",
                remedy="Attach its job if you know it, or wait until then.",
                model=attempt.model,
            )


def stand_ins(flaws: Sequence[Flaw], identity: Identity, attempts: Sequence[Attempt], now: datetime) -> list[Attempt]:
    """What is written in place of records that are missing or damaged, where nothing came of them."""
    return [_in_place_of(flaw, identity, attempts, None, now).replace(state=AttemptState.FORGOTTEN) for flaw in flaws]


def _in_place_of(
    flaw: Flaw, identity: Identity, attempts: Sequence[Attempt], job: VideoJob | None, now: datetime
) -> Attempt:
    """What stands for a record that is missing or damaged, once a person has said what came of it."""
    number = int((flaw.key or identity.key(1))[-1])
    before = [attempt for attempt in attempts if attempt.number < number]
    near = before[-1:] or list(attempts)[:1]
    return Attempt(
        **vars(identity),
        number=number,
        purchase=near[0].purchase if near else 1,
        state=AttemptState.INTENT,
        claim=uuid.uuid4().hex,
        created_at=now,
        model=job.model if job is not None else (near[0].model if near else "unknown"),
        conn_id=job.conn_id if job is not None else None,
    )


def void_after_error(ledger: Ledger, identity: Identity, job: VideoJob, *, limit: int) -> bool:
    """Write that the vendor took ``job`` back: its own system error, not charged. The next try may buy.

    :param limit: How many jobs of one purchase may be taken back before it is not bought again.
    :returns: False where the job was charged, is not the one that the ledger holds, or the limit is reached.
    :raises LedgerError: the ledger could not be read or written.
    """
    attempts = ledger.attempts(identity)
    purchase = attempts[-1].purchase if attempts else 0
    ours = [attempt for attempt in attempts if attempt.purchase == purchase]
    held = [a for a in ours if a.state is AttemptState.SUBMITTED and a.request_id == job.request_id]
    spent = sum(attempt.state is AttemptState.VOID for attempt in ours)
    if job.status is not JobStatus.ERROR or job.charged != "no" or not held or spent >= limit:
        return False
    ledger.replace(held[-1].replace(state=AttemptState.VOID))
    return True
