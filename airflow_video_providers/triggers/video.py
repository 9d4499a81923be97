"""The trigger that waits for a video."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_video_providers.core.border import printable
from airflow_video_providers.core.errors import (
    JobCancelledError,
    JobErroredError,
    JobFailedError,
    JobTimeoutError,
    OutputMissingError,
    VendorUnavailableError,
    VideoProviderError,
    describe,
)
from airflow_video_providers.core.jobs import VideoJob, read_job
from airflow_video_providers.core.polling.decision import PollState
from airflow_video_providers.core.polling.mailbox import shared_reader
from airflow_video_providers.core.polling.shared import shared_poller
from airflow_video_providers.core.purchase.records import Identity
from airflow_video_providers.core.redact import public_text
from airflow_video_providers.core.vendors.parameters import without_texts
from airflow_video_providers.hooks.base import VideoHook
from airflow_video_providers.integration import kills, metrics
from airflow_video_providers.integration.callbacks import aopen_mailbox
from airflow_video_providers.integration.waiting import AIRFLOWS_MARGIN
from airflow_video_providers.triggers.first_event import until_heard

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from airflow_video_providers.core.polling.mailbox import MailReader

#: How long a job is waited for where nobody says.
DEFAULT_TIMEOUT = timedelta(hours=1)

_FAILED = (JobFailedError, JobErroredError, JobCancelledError, OutputMissingError)


class VideoJobTrigger(BaseTrigger):
    """Waits for one job, together with all others on its connection, and fires one event.

    The event is ``{"status", "message", "job", "error"}``: ``status`` is ``success``, ``failed``, ``timeout``
    or ``unknown`` (the job's fate is open); ``job`` comes without its output addresses, because the triggerer
    logs every event; ``error`` is what :func:`~airflow_video_providers.core.errors.rebuild` needs, or None.

    All arguments are plain, hold no secret, and have defaults; arguments of another version of the package
    are ignored, so that a task deferred before an upgrade resumes after it.

    :param job: The job as JSON text of :meth:`VideoJob.to_dict`.
    :param poll_interval: Seconds between two polls; unset leaves it to what was learned of the model.
    :param end_time: When to stop, in seconds since 1970; it survives a restart of the triggerer. Unset: when
        the task's own time-out is near, or an hour after ``started_at``.
    :param started_at: When the wait began, in seconds since 1970; by default now.
    :param cancel_on_kill: Cancel the job where somebody ends the task meanwhile.
    """

    def __init__(
        self,
        job: str = "{}",
        *,
        poll_interval: float | None = None,
        end_time: float | None = None,
        started_at: float | None = None,
        cancel_on_kill: bool = False,
        **_of_another_version: Any,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # Airflow's is untyped
        self.job = job
        self.poll_interval = poll_interval
        self.end_time = end_time
        self.started_at = time.time() if started_at is None else started_at
        self.cancel_on_kill = cancel_on_kill

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Where this class lives, and the arguments that make its like."""
        return "airflow_video_providers.triggers.video.VideoJobTrigger", {
            "job": self.job,
            "poll_interval": self.poll_interval,
            "end_time": self.end_time,
            "started_at": self.started_at,
            "cancel_on_kill": self.cancel_on_kill,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and fire one event, whatever happens."""
        began = asyncio.get_running_loop().time()
        event = await self._end()
        await until_heard(self, began)
        yield event

    async def _end(self) -> TriggerEvent:
        """The event that ends the wait."""
        job: VideoJob | None = None
        try:
            job = read_job(self.job)
            job = await self.wait_for(job)
        except VideoProviderError as error:
            return event_of(getattr(error, "job", None) or job, error)
        except Exception as error:
            self.log.exception("The trigger failed by an error of its own.")
            return event_of(job, own_error(error, job))
        return event_of(job, None)

    async def wait_for(self, job: VideoJob) -> VideoJob:
        """The job when it is done, with its outputs.

        :raises VideoProviderError: what ended the wait otherwise.
        """
        hook = VideoHook.for_model(job.model, job.conn_id)

        began = datetime.fromtimestamp(self.started_at, UTC)
        state = PollState(job=job, started=began, deadline=self._deadline(began))
        poller = shared_poller((hook.vendor_class.id, hook.conn_id), hook.connect, hook.vendor_class, listener=metrics)
        mail = None if job.callback_until is None else mail_of(hook.conn_id)
        return await poller.wait(
            state, interval=self.poll_interval, on_news=lambda seen: self._report(job, seen), mail=mail
        )

    def _deadline(self, began: datetime) -> datetime:
        if self.end_time is not None:
            return datetime.fromtimestamp(self.end_time, UTC)
        airflows: datetime | None = getattr(self, "timeout_after", None)
        if airflows is not None:
            return (airflows if airflows.tzinfo else airflows.replace(tzinfo=UTC)) - AIRFLOWS_MARGIN
        return began + DEFAULT_TIMEOUT

    def _report(self, job: VideoJob, seen: VideoJob | VideoProviderError | str) -> None:
        if isinstance(seen, str):
            self.log.warning("%s", seen)
            return
        if isinstance(seen, VideoProviderError):
            self.log.info("%s %s: no answer about it (%s)", job.model, job.request_id, seen.what)
            return
        begun = job.submitted_at or datetime.fromtimestamp(self.started_at, UTC)
        self.log.info(
            "%s %s: %s (%s), %.0f s after %s",
            job.model,
            job.request_id,
            seen.status,
            seen.vendor_status or "no word from the vendor",
            (datetime.now(UTC) - begun).total_seconds(),
            "its submit" if job.submitted_at else "the wait began",
        )

    async def on_kill(self) -> None:
        """Say what still runs, or cancel it, where that is wished and the task is over for Airflow.

        Airflow calls it whenever a trigger leaves this triggerer's list: after a user's click, but also when
        another triggerer took the task over while this one was paused.
        """
        await kills.undisturbed(self._killed())

    async def _killed(self) -> None:
        state = await self._state_of_task()
        if state is not None and state not in kills.ENDED:
            self.log.info(
                "This wait ends here, and the task is %s: it was cleared, or another triggerer waits. The job is not "
                "affected.",
                state,
            )
            return
        try:
            job = read_job(self.job)
        except ValueError:
            return
        if self.cancel_on_kill and state is not None and not self._is_over():
            self.log.warning("The task is now %s: its job is cancelled, unless it has ended.", state)
            await kills.acancel(VideoHook.for_model(job.model, job.conn_id), job, self.log)
            return
        self.log.warning(
            "The wait ended from outside%s. The job %s of %s is not stopped by that, and it may still be charged. To come "
            "back to it, clear this task, or run SubmitVideoOperator with request_id=%r; either buys nothing.",
            f" (the task is now {state})" if state else ", and Airflow does not say how the task stands",
            job.request_id,
            job.model,
            job.request_id,
        )

    def _is_over(self) -> bool:
        """Has the wait's own time ended? Then the task may have ended by itself, with another triggerer, and nobody has killed it."""
        return self._deadline(datetime.fromtimestamp(self.started_at, UTC)) <= datetime.now(UTC)

    async def _state_of_task(self) -> str | None:
        """The state of the task that waits; None where it is unknown."""
        ti = self.task_instance
        if ti is None:
            return None
        from asgiref.sync import sync_to_async

        who = Identity(ti.dag_id, ti.run_id, ti.task_id, -1 if ti.map_index is None else ti.map_index)
        state: str | None = await sync_to_async(kills.state_of)(who, self.log)
        return state


def mail_of(conn_id: str) -> MailReader:
    """Where calls about a connection's jobs arrive, shared by all who wait for them in this event loop."""
    return shared_reader(conn_id, partial(aopen_mailbox, conn_id))


def event_of(job: VideoJob | None, error: VideoProviderError | None) -> TriggerEvent:
    """The one event that ends a wait."""
    payload = {
        "status": _status(error),
        "message": str(error) if error else f"The job {job.request_id if job else ''} is finished.",
        "job": without_texts(job.replace(outputs=())).to_dict() if job else {},
        "error": describe(error) if error else None,
    }
    return TriggerEvent(payload)  # type: ignore[no-untyped-call] # Airflow's is untyped


def _status(error: VideoProviderError | None) -> str:
    if error is None:
        return "success"
    if isinstance(error, JobTimeoutError):
        return "timeout"
    return "failed" if isinstance(error, _FAILED) else "unknown"


def own_error(error: Exception, job: VideoJob | None) -> VideoProviderError:
    """A mistake of ours, or of what we stand on, as an error that says what it means for the job: nothing, try again."""
    return VendorUnavailableError(
        f"The wait broke off with an error of its own ({printable(public_text(f'{type(error).__name__}: {error}'))}).",
        money="The job is not affected and may still be charged.",
        remedy="Run the sensor again to go on waiting; the triggerer's log has the details.",
        model=job.model if job else None,
        request_id=job.request_id if job else None,
    )
