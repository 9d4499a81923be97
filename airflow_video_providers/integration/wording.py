"""Words that fit the task that runs: remedies speak of three tasks, and one task may be all of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_video_providers.core.errors import VideoProviderError


def in_words_of(task: Any, error: VideoProviderError) -> VideoProviderError:
    """The error as it reads in the log of ``task``: where the remedy speaks of another task that is this one, by name."""
    remedy = error.remedy
    for called in _called(task):
        remedy = re.sub(rf"\b{called}\b", f"the task {task.task_id!r}", remedy, flags=re.IGNORECASE)
    if remedy == error.remedy:
        return error
    return error.replace(remedy=remedy)


def _called(task: Any) -> tuple[str, ...]:
    if hasattr(task, "resubmit_on_error"):  # the three in one
        return "the submit task", "the sensor", "the download"
    return ("the submit task",) if hasattr(task, "on_unknown_outcome") else ()
