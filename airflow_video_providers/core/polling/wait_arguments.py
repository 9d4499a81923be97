"""What a caller may say of a wait: checked before anything is asked."""

from __future__ import annotations

import inspect
import math
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.polling.decision import PollState
from airflow_video_providers.core.polling.timing import own_interval

if TYPE_CHECKING:
    from logging import Logger

    from airflow_video_providers.core.jobs import VideoJob
    from airflow_video_providers.core.vendors.base import Vendor

#: How long a job is waited for where nobody says, in seconds: generation takes minutes.
DEFAULT_TIMEOUT = 3600.0


def begun(job: VideoJob, timeout: float | timedelta, now: datetime) -> PollState:
    """A wait that begins now.

    :param timeout: float | timedelta to wait in all, or a timedelta.
    :raises InvalidRequestError: that is no length of time. The job is not affected.
    """
    try:
        return PollState(job, started=now, deadline=now + timedelta(seconds=_seconds("timeout", timeout)))
    except OverflowError:
        raise _no_time("timeout", timeout) from None


def checked_interval(poll_interval: float | timedelta | None, vendor: type[Vendor], log: Logger) -> float | None:
    """The author's own seconds between two polls; None leaves it to what was learned.

    :param log: Where it is said, once, that it is shorter than the vendor asks for.
    :raises InvalidRequestError: that is no length of time. The job is not affected.
    """
    interval = None if poll_interval is None else _seconds("poll_interval", poll_interval)
    if warning := too_short(interval, vendor):
        log.warning("%s", warning)
    return interval


def too_short(interval: float | None, vendor: type[Vendor]) -> str | None:
    """What to say of an interval that is shorter than the vendor asks for: it is the author's, and is kept to."""
    asked = vendor.documented_poll_seconds
    if interval is None or asked is None or interval >= asked:
        return None
    return (
        f"An interval of {interval:g} s is shorter than the {asked:g} s that the documents of {vendor.title} ask for. Jobs "
        f"are asked about every {own_interval(interval):g} s all the same."
    )


def check_on_progress(on_progress: object, *, asynchronous: bool = False) -> None:
    """Can it be called from here?

    :raises InvalidRequestError: it cannot, or nobody would await it. The job is not affected.
    """
    if on_progress is None or (
        callable(on_progress) and (asynchronous or not inspect.iscoroutinefunction(on_progress))
    ):
        return
    raise InvalidRequestError(
        "on_progress is asynchronous, and nothing awaits it here."
        if callable(on_progress)
        else f"on_progress is {on_progress!r:.80}, which cannot be called.",
        money="The job is not affected.",
        field="on_progress",
        allowed="a function that takes the job",
    )


def _seconds(name: str, value: object) -> float:
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 <= seconds < math.inf:
        with suppress(OverflowError):
            return float(seconds)
    raise _no_time(name, value)


def _no_time(name: str, value: object) -> InvalidRequestError:
    return InvalidRequestError(
        f"{name} is {value!r:.80}, which is no length of time.",
        money="The job is not affected.",
        field=name,
        allowed="seconds from 0, or a timedelta",
    )
