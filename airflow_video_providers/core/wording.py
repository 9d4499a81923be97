"""Remedies for who calls a client or a hook: the errors' own speak of tasks."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow_video_providers.core.errors import VideoProviderError

if TYPE_CHECKING:
    from collections.abc import Iterator

_WORDS = {
    "clear the submit task to buy it again": "submit the request again to buy it again",
    "run the sensor again": "call wait again",
    "run the download again": "call land again",
    "run the task again": "call it again",
    "clear the task": "call it again",
}
_TASKS = re.compile("|".join(_WORDS), re.IGNORECASE)


@contextmanager
def in_a_call() -> Iterator[None]:
    """What is raised within says what to call again, and not which task to run.

    :raises VideoProviderError: in these words.
    """
    try:
        yield
    except VideoProviderError as error:
        remedy = _TASKS.sub(_called, error.remedy)
        if remedy == error.remedy:
            raise
        failure = error.replace(remedy=remedy)
    else:
        return
    raise failure from failure.__cause__


def _called(found: re.Match[str]) -> str:
    words = _WORDS[found[0].lower()]
    return words.capitalize() if found[0][0].isupper() else words
