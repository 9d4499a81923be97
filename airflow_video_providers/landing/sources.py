"""Where a job's outputs are, and the one question to the vendor when an address has expired."""

from __future__ import annotations

import threading
from collections.abc import Callable

from airflow_video_providers.exceptions import (
    DownloadError,
    JobCancelledError,
    JobErroredError,
    JobExpiredError,
    JobFailedError,
    OutputExpiredError,
    VideoProviderError,
)
from airflow_video_providers.jobs import JobStatus, VideoJob

Refresh = Callable[[VideoJob], VideoJob]
# After these the vendor will never name an address again; anything else may be better a moment later.
_GONE = (JobStatus.EXPIRED, JobStatus.FAILED, JobStatus.ERROR, JobStatus.CANCELLED)
_SAYS_GONE = (JobExpiredError, JobFailedError, JobErroredError, JobCancelledError)


class Sources:
    """The outputs' addresses; the vendor is asked for fresh ones once for all of them."""

    def __init__(self, job: VideoJob, refresh: Refresh | None) -> None:
        self._job = job
        self._refresh = refresh
        self._asking = threading.Lock()
        self._fresh: VideoJob | None = None

    def output(self, index: int) -> Source:
        """One output's address."""
        return Source(self, index, self._job.outputs[index].url)

    def fresh_url(self, index: int, status: int) -> str:
        """A fresh address for an output whose first one answered ``status``.

        :raises OutputExpiredError: if the vendor has given the output up, or nobody can ask.
        :raises DownloadError: if the vendor has no address right now; it may have one later.
        """
        expired = f"The address of output {index} answered {status}"
        if self._refresh is None:
            raise OutputExpiredError(f"{expired}, and nobody was named who could ask the vendor.", reason="expired")
        with self._asking:
            if self._fresh is None:
                try:
                    self._fresh = self._refresh(self._job)
                except _SAYS_GONE as gone:
                    raise OutputExpiredError(f"{expired}, and the vendor says: {gone.what}", reason="expired") from gone
                except VideoProviderError as failed:
                    raise DownloadError(
                        f"{expired}, and the vendor could not be asked for a fresh one: {failed.what}", reason="refresh"
                    ) from failed
        fresh = self._fresh
        if index < len(fresh.outputs):
            return fresh.outputs[index].url
        if fresh.status in _GONE:
            raise OutputExpiredError(
                f"{expired}, and the vendor says that the job is {fresh.status}.", reason="expired"
            )
        if fresh.status is JobStatus.SUCCEEDED and fresh.outputs:
            raise OutputExpiredError(f"{expired}, and the vendor names no such output any more.", reason="expired")
        raise DownloadError(
            f"{expired}, and the vendor has no fresh one right now: the job is {fresh.status}, with "
            f"{len(fresh.outputs)} outputs.",
            reason="refresh",
        )


class Source:
    """One output's address, as it stands."""

    def __init__(self, sources: Sources, index: int, url: str) -> None:
        self._sources = sources
        self._index = index
        self._renewed = False
        self.url = url

    def renew(self, status: int) -> None:
        """Ask the vendor, once, for a fresh address; raises where there is none."""
        if self._renewed:
            raise OutputExpiredError(
                f"The address of output {self._index} answered {status}, the fresh one from the vendor too.",
                reason="expired",
            )
        self._renewed = True
        self.url = self._sources.fresh_url(self._index, status)
