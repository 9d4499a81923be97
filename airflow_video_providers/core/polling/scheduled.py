"""One waiting job as the poller sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from airflow_video_providers.core.polling.decision import PollState
    from airflow_video_providers.core.polling.scheduler import Slot


@dataclass(slots=True, eq=False)
class ScheduledJob:
    """One job, as the poller sees it. Times are the event loop's.

    :param born: When it was submitted.
    :param ends: When the wait ends.
    :param interval: The author's own seconds between two polls.
    :param asked: When it was last polled.
    :param unfinished: When it was last known to be unfinished; None where nobody knows.
    :param silent: How many polls in a row got no answer.
    :param awaits_call: May the vendor call about it?
    :param call: Has it called? ``"due"``: yes, and the job is to be polled for it; ``"read"``: that has been done.
    :param slot: Its place among those that wait, while it has one.
    """

    state: PollState
    born: float
    ends: float
    interval: float | None
    asked: float
    unfinished: float | None = None
    silent: int = 0
    news: str = ""
    awaits_call: bool = False
    call: Literal["none", "due", "read"] = "none"
    slot: Slot | None = None

    @property
    def model(self) -> str:
        """Its model's id."""
        return self.state.job.model
