"""The option ``cancel_on_kill`` of a task in a worker."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_video_providers.core.jobs import VideoJob
    from airflow_video_providers.core.purchase.records import Identity

#: Seconds for which ``on_kill`` waits. Airflow ends the process five seconds after the signal.
WORKER_PATIENCE = 4.0


class CancelsOnKill:
    """What waits for a job, and may give it up with the task."""

    log: Any
    cancel_on_kill: bool
    _waits_as: Identity | None = None
    _waits_for: VideoJob | None = None
    _killed = False

    def waits_for(self, context: Context, job: VideoJob) -> None:
        """From here on it is known which job a kill is about. One that came while it was bought is made up for."""
        from airflow_video_providers.core.vendors import catalogue
        from airflow_video_providers.integration.this_try import identity_of

        self._waits_as, self._waits_for = identity_of(context), job
        if not self.cancel_on_kill:
            return
        if not catalogue.vendor_of(job.model)().cancels:
            self.log.warning(
                "cancel_on_kill has no effect: no document names a way to cancel job %s of %s.",
                job.request_id,
                job.model,
            )
        elif self._killed:
            self._cancel_if_ended()

    def on_kill(self) -> None:
        """Called in a signal handler, or at ``execution_timeout``: the job is given up only where Airflow says that the task is over."""
        self._killed = True
        if not self.cancel_on_kill or self._waits_for is None:
            later = (
                " If a purchase is under way and this process lives until its answer, the job is cancelled then, should the task be over."
                if self.cancel_on_kill
                else ""
            )
            self.log.warning(
                "Killed. A video that was bought is still being made and may be charged; nothing is cancelled. Run this "
                "task again: it returns to the job and buys nothing twice.%s",
                later,
            )
            return
        # The main thread may stand in the middle of a message to Airflow, whose lock a second message would wait for.
        work = threading.Thread(target=self._cancel_if_ended, name="cancel_on_kill", daemon=True)
        work.start()
        work.join(WORKER_PATIENCE)
        if work.is_alive():
            self.log.warning(
                "Job %s is not cancelled yet, and this process ends: it may go on and may be charged.",
                self._waits_for.request_id,
            )

    def _cancel_if_ended(self) -> None:
        from airflow_video_providers.integration import kills

        job, who = self._waits_for, self._waits_as
        if job is None or who is None:
            return
        state = kills.state_of(who, self.log)
        if state not in kills.ENDED:
            self.log.warning(
                "Killed, and %s: job %s is not cancelled, and may be charged. Run this task again: it returns to the job and "
                "buys nothing twice.",
                f"for Airflow the task is {state}" if state else "Airflow does not say how the task stands",
                job.request_id,
            )
            return
        kills.cancel(self._own_hook(job), job, self.log)

    def _own_hook(self, job: VideoJob) -> Any:
        """A hook of its own: the task's may be in the middle of a call. What is known of the connection is not asked again."""
        from airflow_video_providers.hooks.base import VideoHook

        known = VideoHook.of_task(self, job.model, job.conn_id)
        return known.apart()
