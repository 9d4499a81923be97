"""The decision after each poll of a job: go on, or an outcome. Pure: state and answer in, state and verdict out.

Synchronous, rescheduled and deferred waiting all ask :func:`after`, and are therefore equal in every case.
Only the vendor's own final word ends a wait early. A lost answer and a word that nobody knows are carried to the
wait's own end; a refusal, a 404 and a missing output have to be repeated for a while before they count.

Whether a job is gone for good is decided here alone (:func:`lost`): by the wait, by a Clear that would buy again,
and by a landing whose address does not answer.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from airflow_video_providers.core.errors import (
    AuthenticationError,
    InsufficientCreditsError,
    InvalidRequestError,
    JobCancelledError,
    JobError,
    JobErroredError,
    JobExpiredError,
    JobFailedError,
    JobTimeoutError,
    JobUnknownError,
    OutputMissingError,
    RequestRejectedError,
    VideoProviderError,
)
from airflow_video_providers.core.jobs import JobStatus, VideoJob

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: A vendor's status store may lag behind its submit: until then a 404 means nothing.
GRACE = timedelta(seconds=120)
#: At this share of the time for which a vendor keeps a job a wait, or a landing, warns.
RETENTION_WARNING = 0.75
_ENDINGS: Mapping[JobStatus, type[JobError]] = {
    JobStatus.FAILED: JobFailedError,
    JobStatus.ERROR: JobErroredError,
    JobStatus.CANCELLED: JobCancelledError,
}


class Trouble(NamedTuple):
    """An odd answer that is carried for a while.

    :param times: How often in a row it must come before it counts.
    :param lasting: How long it must have lasted.
    :param pause: Seconds until the next poll.
    """

    times: int
    lasting: timedelta
    pause: float


TROUBLES = {
    "not found": Trouble(times=3, lasting=timedelta(minutes=1), pause=30.0),
    "no output": Trouble(times=3, lasting=timedelta(seconds=30), pause=15.0),
    "refused": Trouble(times=3, lasting=timedelta(seconds=30), pause=15.0),
    "no connection": Trouble(times=3, lasting=timedelta(minutes=1), pause=10.0),
    "key refused": Trouble(times=3, lasting=timedelta(seconds=10), pause=5.0),
}


class PollState(NamedTuple):
    """What is remembered of one job between two polls.

    :param job: The job as it was last seen.
    :param started: When the watch began (UTC).
    :param deadline: When it ends in any case (UTC).
    :param warned: How often the wait has warned that the vendor forgets the job.
    """

    job: VideoJob
    started: datetime
    deadline: datetime
    trouble: str | None = None
    trouble_since: datetime | None = None
    trouble_times: int = 0
    warned: int = 0


class Verdict(NamedTuple):
    """What to do now.

    :param done: The finished job: stop, it succeeded.
    :param error: Stop, with this error.
    :param pause: Poll again after so many seconds; None leaves it to the caller's own timing.
    :param reconnect: Read the connection again before the next poll: its key may have been changed.
    :param warning: To be logged: the vendor forgets the job soon, or may have done so.
    """

    done: VideoJob | None = None
    error: VideoProviderError | None = None
    pause: float | None = None
    reconnect: bool = False
    warning: str | None = None


def after(state: PollState, seen: VideoJob | VideoProviderError, now: datetime) -> tuple[PollState, Verdict]:
    """What to do after a poll of the job has returned ``seen``."""
    job = seen if isinstance(seen, VideoJob) else state.job
    state, verdict = _judge(state._replace(job=job if job.status is not JobStatus.EXPIRED else state.job), seen, now)
    if verdict.done is None and verdict.error is None and now >= state.deadline:
        verdict = Verdict(error=timed_out(state))
    if verdict.done is None and verdict.error is None:
        return _mind_retention(state, verdict, now)
    return state, verdict


def _mind_retention(state: PollState, verdict: Verdict, now: datetime) -> tuple[PollState, Verdict]:
    """No wait reaches past the time for which the vendor keeps the job in silence: a warning before, and one after."""
    job, used = state.job, state.job.retention_used(now)
    due = 0 if used is None or used < RETENTION_WARNING else 1 if used < 1 else 2
    if due <= state.warned or job.expires_at is None:
        return state, verdict
    until = f"{job.expires_at:%H:%M} UTC"
    if due == 1:
        left = (job.expires_at - now).total_seconds() / 60
        warning = (
            f"The vendor forgets job {job.request_id} at {until}, in {left:.0f} min, and it is {job.status}. Its result has "
            "to land before that: give its landing a higher priority_weight than new submits."
        )
    else:
        warning = (
            f"The vendor's documents promise job {job.request_id} until {until} only. The wait goes on until "
            f"{state.deadline:%H:%M} UTC, and the vendor may forget the job, which is paid for, at any time."
        )
    return state._replace(warned=due), verdict._replace(warning=warning)


def _judge(state: PollState, seen: VideoJob | VideoProviderError, now: datetime) -> tuple[PollState, Verdict]:
    if isinstance(seen, AuthenticationError):
        state, over = _troubled(state, "key refused", now)
        return state, Verdict(error=seen) if over else Verdict(pause=TROUBLES["key refused"].pause, reconnect=True)
    if isinstance(seen, InvalidRequestError):  # the connection is wrong or away, and the job was bought before
        if seen.retryable:
            state, over = _troubled(state, "no connection", now)
            if not over:
                return state, Verdict(pause=TROUBLES["no connection"].pause, reconnect=True)
        return state, Verdict(error=seen.while_paid(state.job))
    if isinstance(seen, RequestRejectedError | InsufficientCreditsError):
        state, over = _troubled(state, "refused", now)
        return state, Verdict(error=seen) if over else Verdict(pause=TROUBLES["refused"].pause)
    if isinstance(seen, VideoProviderError):  # no answer: the row of odd answers neither grows nor breaks
        return state, Verdict(pause=None if seen.retry_after is None else max(seen.retry_after, 1.0))
    if seen.status is JobStatus.SUCCEEDED and seen.outputs:
        return state, Verdict(done=seen)
    if seen.status in _ENDINGS:
        return state, Verdict(error=_ended(seen))
    if seen.status is JobStatus.EXPIRED and not lost(
        seen.replace(submitted_at=seen.submitted_at or state.started), now
    ):
        return _calm(state), Verdict()
    trouble = {JobStatus.EXPIRED: "not found", JobStatus.SUCCEEDED: "no output"}.get(seen.status)
    if trouble is None:
        return _calm(state), Verdict()
    state, over = _troubled(state, trouble, now)
    return state, Verdict(error=_given_up(seen, state)) if over else Verdict(pause=TROUBLES[trouble].pause)


def _calm(state: PollState) -> PollState:
    return state._replace(trouble=None, trouble_since=None, trouble_times=0)


def _troubled(state: PollState, trouble: str, now: datetime) -> tuple[PollState, bool]:
    if state.trouble != trouble:
        state = state._replace(trouble=trouble, trouble_since=now, trouble_times=0)
    state = state._replace(trouble_times=state.trouble_times + 1)
    limit = TROUBLES[trouble]
    lasted = now - (state.trouble_since or now)
    return state, state.trouble_times >= limit.times and lasted >= limit.lasting


def _ended(job: VideoJob) -> JobError:
    word = job.vendor_status or job.status
    reason = (job.error or "the vendor gives no reason").rstrip(".")
    return _ENDINGS[job.status](f"The job ended with {word}: {reason}.", job=job)


def _given_up(job: VideoJob, state: PollState) -> JobError:
    if job.status is JobStatus.SUCCEEDED:
        return OutputMissingError(
            f"The job is finished, but {state.trouble_times} polls found no output address; the answer holds "
            f"{job.instead_of_outputs or 'nothing'}.",
            job=job,
        )
    hint = ""
    if job.model == "pixazo:mochi-v1" and job.status_route == "default":
        hint = (
            " If the id came from Pixazo's older status call, attach it with request_id and a connection whose extra says "
            "status_route=legacy."
        )
    return JobExpiredError(
        f"The vendor does not know the job ({job.vendor_status}, {state.trouble_times} times in a row).",
        job=job,
        remedy=f"{JobExpiredError.default_remedy}{hint}",
    )


def timed_out(state: PollState) -> JobTimeoutError | JobUnknownError:
    """The error for a watch whose deadline has come."""
    waited = round((state.deadline - state.started).total_seconds())
    used = state.job.retention_used(state.deadline)
    over = (
        ""
        if used is None or used < 1
        else f" The vendor has promised to keep it until {state.job.expires_at:%H:%M} UTC only."
    )
    if state.job.status is JobStatus.UNKNOWN:
        return JobUnknownError(
            f"The job was not finished after {waited} s of waiting; the vendor still reports the status "
            f"{state.job.vendor_status!r}, which nobody knows.{over}",
            money="It may still be running at the vendor and may still be charged.",
            job=state.job,
        )
    running = not state.job.status.terminal  # else it is finished, and its output was still to come
    return JobTimeoutError(
        f"The job was not finished after {waited} s of waiting; it was last seen {state.job.status}.{over}",
        money="It is still running at the vendor and may still be charged." if running else None,
        job=state.job,
    )


def lost(job: VideoJob, now: datetime) -> bool:
    """Is what was bought gone for good? Only then may it be bought again.

    It is where the vendor itself says that it does not know the job, unless it was submitted a moment ago; and where
    twice the retention that the vendor documents has passed. Without a documented retention time alone says nothing.

    :param job: As the vendor has just described it.
    """
    if job.status is JobStatus.EXPIRED:
        return job.submitted_at is None or now >= job.submitted_at + GRACE
    if job.submitted_at is None or job.expires_at is None:
        return False
    return now >= job.submitted_at + 2 * (job.expires_at - job.submitted_at)


def believed(
    job: VideoJob,
    poll: Callable[[VideoJob], VideoJob],
    *,
    now: Callable[[], datetime],
    sleep: Callable[[float], None],
    reconnect: Callable[[], None] = lambda: None,
) -> VideoJob:
    """How a job stands, outside of a wait: what a wait would not believe at once is asked again, as patiently.

    A job that the vendor does not know a moment after its submit comes back as it was known.

    :param poll: Asks the vendor once.
    :param reconnect: Reads the connection again: its key may have been changed.
    :raises VideoProviderError: what the vendor said instead. Nothing is known of the job then.
    """
    state = PollState(job, started=job.submitted_at or now() - GRACE, deadline=now() + timedelta(hours=1))
    while True:
        seen: VideoJob | VideoProviderError
        try:
            seen = poll(job)
        except VideoProviderError as error:
            if error.retryable:
                raise
            seen = error
        else:
            if seen.status is not JobStatus.EXPIRED:
                return seen
            if not lost(seen, now()):
                return job
        state, verdict = after(state, seen, now())
        if verdict.error is not None:
            if isinstance(seen, VideoJob):
                return seen
            raise verdict.error
        if verdict.reconnect:
            reconnect()
        sleep(verdict.pause or 0.0)
