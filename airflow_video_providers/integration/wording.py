"""Words that fit the task that runs: remedies speak of three tasks, and one task may be all of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_video_providers.core.errors import VideoProviderError


def in_words_of(task: Any, error: VideoProviderError) -> VideoProviderError:
    """The error as it reads in the log of ``task``: where the remedy speaks of another task that is this one, by name."""
    remedy = error.remedy
    if hasattr(task, "by_id"):  # a sensor never buys: the submit and this wait have to run anew
        submits = " and ".join(repr(name) for name in _submits_before(task))
        both = (
            f"the tasks {submits} and {task.task_id!r}" if submits else f"the submit task and the task {task.task_id!r}"
        )
        remedy = re.sub(r"\bthe submit task\b", both, remedy)
    for called in _called(task):
        remedy = re.sub(rf"\b{called}\b", f"the task {task.task_id!r}", remedy, flags=re.IGNORECASE)
    if remedy == error.remedy:
        return error
    return error.replace(remedy=remedy)


def _submits_before(task: Any) -> list[str]:
    """The tasks that buy and stand before this one: the direct ones, or else all."""
    for relatives in ("get_direct_relatives", "get_flat_relatives"):
        try:
            found = [one for one in getattr(task, relatives)(upstream=True) if _buys(one)]
        except Exception:  # noqa: BLE001 - a task without a DAG has nothing before it
            found = []
        if found:
            return sorted(one.task_id for one in found)
    return []


def _buys(task: Any) -> bool:
    return hasattr(getattr(task, "operator_class", None) or task, "as_kept")


def _called(task: Any) -> tuple[str, ...]:
    if hasattr(task, "resubmit_on_error"):  # the three in one
        return "the submit task", "the sensor", "the download"
    return ("the submit task",) if hasattr(task, "on_unknown_outcome") else ()
