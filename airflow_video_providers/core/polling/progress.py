"""Who is called when a job that is waited for is in a new state."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.jobs import JobStatus, VideoJob

if TYPE_CHECKING:
    from collections.abc import Callable
    from logging import Logger

    from airflow_video_providers.core.errors import VideoProviderError

    OnProgress = Callable[[VideoJob], object]


class Progress:
    """Calls somebody once for each state of a job that differs from the one before, and logs warnings.

    :param job: The job, in the state that is known.
    :param report: Called with the job in each new state. What it returns is returned, where that can be
        awaited.
    :param log: Where a warning is logged.
    """

    def __init__(self, job: VideoJob, report: Callable[[VideoJob], Any] | None, log: Logger) -> None:
        self._known = _state_of(job)
        self._report = report or _nobody
        self._log = log

    def __call__(self, seen: VideoJob | VideoProviderError | str) -> Any:
        """Take what a poll returned, or a warning. No answer, and a job that is not to be found, are no state of it."""
        if isinstance(seen, str):
            self._log.warning("%s", seen)
            return None
        if not isinstance(seen, VideoJob) or seen.status is JobStatus.EXPIRED or _state_of(seen) == self._known:
            return None
        self._known = _state_of(seen)
        reported = self._report(seen)
        return reported if inspect.isawaitable(reported) else None


def _state_of(job: VideoJob) -> tuple[JobStatus, str | None]:
    return job.status, job.vendor_status


def _nobody(_job: VideoJob) -> None: ...
