"""Whether callbacks of a connection may be relied on: earned by those that arrive, lost by one that does not."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_video_providers.core.jobs import VideoJob

#: Seconds after a job's end for which its call may still be on its way: the vendor tries more than once.
ON_ITS_WAY = 60.0
#: After so many losses it is no longer made dearer.
_MOST_LOSSES = 6

log = logging.getLogger(__name__)


class Trust:
    """One connection's callbacks, in one event loop. At first nobody relies on them.

    Each loss doubles how many have to arrive before they are relied on again.

    :param name: The connection, for the log.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._arrived = 0
        self._losses = 0
        self._logged = False

    @property
    def earned(self) -> bool:
        """May a job wait for its call, with rare polls as a net?"""
        return bool(self._arrived >= 2**self._losses)

    def arrived(self) -> None:
        """A call about a job that waits has been seen."""
        self._arrived += 1

    def missed(self, job: VideoJob, now: datetime) -> bool:
        """The net found a job that has ended, and nobody had called; False where the call may still be on its way."""
        if job.completed_at is not None and (now - job.completed_at).total_seconds() < ON_ITS_WAY:
            return False
        self.lost(f"job {job.request_id} has ended, and no call about it has arrived")
        return True

    def lost(self, why: str) -> None:
        """Poll as without callbacks until enough of them have been seen again. The log says why, once."""
        self._losses, self._arrived = min(self._losses + 1, _MOST_LOSSES), 0
        if not self._logged:
            self._logged = True
            log.warning(
                "Callbacks of the connection %s are not relied on any more: %s. Jobs are polled as without them. Likely the "
                "receiver, or the way to it (DNS, ingress, proxy), is down, callback_secret differs between the receiver and "
                "the workers, or the vendor has stopped calling after failures.",
                self._name, why,
            )  # fmt: skip
