"""Jobs that a try takes instead of buying: its own of an earlier try, another process's, one that a person names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_video_providers.core.errors import LedgerError
from airflow_video_providers.core.jobs import VideoJob
from airflow_video_providers.core.purchase.patience import pauses
from airflow_video_providers.core.purchase.records import Attempt, AttemptState
from airflow_video_providers.core.purchase.resolve import attach
from airflow_video_providers.core.purchase.wording import outcome_unknown

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from logging import Logger

    from airflow_video_providers.core.purchase.decision import Try
    from airflow_video_providers.core.purchase.intent import Intent
    from airflow_video_providers.core.purchase.ledger import Ledger

#: Seconds for which a process that lost the race for an intent waits for the winner's request_id.
_WINNERS_TIME = 30.0


def keep(job: VideoJob, kept: Attempt, intent: Intent, ledger: Ledger, this: Try, log: Logger) -> VideoJob:
    """The job of an earlier try, and the Clear that found it is answered."""
    if (this.max_tries is not None and kept.max_tries != this.max_tries) or kept.begun_again(this.run):
        # This Clear is answered now: a later retry of it must not poll, and buy, again.
        ledger.replace(kept.replace(max_tries=this.max_tries).within(this.run))
    if changed := intent.drift(kept):
        log.warning(
            "The request changed since job %s was bought (%s). The job is kept; nothing is sent.",
            job.request_id, ", ".join(changed),
        )  # fmt: skip
    log.info("Re-attached to job %s; nothing was sent.", job.request_id)
    return job


def take_winners_job(ours: Attempt, ledger: Ledger, sleep: Callable[[float], None], log: Logger) -> VideoJob:
    """Another process of the same task instance was faster: take its job, or say that it is not known yet."""
    waited, what = 0.0, f"Another try of {ours.identity} is submitting at this moment."
    growing = pauses(0.5, 5.0)
    while True:
        attempts = ledger.attempts(ours.identity)
        newest = attempts[-1] if attempts else None
        if newest is not None and newest.state is AttemptState.SUBMITTED:
            log.info("Another try bought job %s at the same time; this one sent nothing.", newest.request_id)
            return job_of(newest)
        if newest is not None and newest.costless:
            raise LedgerError(f"Another try of {ours.identity} was refused at the same time; this one sent nothing.")
        if newest is None or newest.state is not AttemptState.INTENT or waited >= _WINNERS_TIME:
            raise outcome_unknown(newest, what, attempts)
        pause = next(growing)
        sleep(pause)
        waited += pause


def attach_named(job: VideoJob, ledger: Ledger | None, this: Try, *, now: datetime, log: Logger) -> VideoJob:
    """A job that a person names: nothing is bought. The ledger learns of it where it can; attaching needs none."""
    try:
        if ledger is not None:
            attach(
                ledger, this.identity, job, max_tries=this.max_tries, run=this.run, try_number=this.try_number, now=now
            )
    except LedgerError as failure:
        log.warning("%s The job is attached without it.", failure.what)
    log.info("Attached to job %s as asked; nothing was sent.", job.request_id)
    return job


def job_of(attempt: Attempt) -> VideoJob:
    """The job that an attempt bought.

    :raises LedgerError: its record cannot be read.
    """
    try:
        return VideoJob.from_dict(attempt.job or {})
    except ValueError as error:
        raise LedgerError(
            f"The ledger's record of job {attempt.request_id} cannot be read.",
            remedy="Run the task with that request_id.",
            model=attempt.model,
            request_id=attempt.request_id,
        ) from error
