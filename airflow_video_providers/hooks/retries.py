"""Errors decide about retries: one that a retry cannot help never burns one, in every version of Airflow.

From Airflow 3.3 the error is raised as it is and a default retry policy reads it; a user's own policy wins.
Before 3.3 there are no policies, and "a retry cannot help" becomes ``AirflowFailException``.
"""

from __future__ import annotations

from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException

from airflow_video_providers import metrics
from airflow_video_providers.exceptions import JobTimeoutError, VideoProviderError

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Retry policies came with Airflow 3.3.
HAS_POLICIES = find_spec("airflow.sdk.definitions.retry_policy") is not None


def with_retry_policy(arguments: dict[str, Any]) -> dict[str, Any]:
    """An operator's arguments, with the default policy where the author has set none."""
    if not HAS_POLICIES or arguments.get("retry_policy") is not None:
        return arguments
    from airflow_video_providers.hooks.retry_policy import VideoRetryPolicy

    own = (arguments.get("default_args") or {}).get("retry_policy")
    return {**arguments, "retry_policy": own or VideoRetryPolicy()}


def made_while_running(operator: Any) -> bool:
    """Is this what Airflow makes of a mapped task when it runs?

    No policy reads what its ``__init__`` raises, so a mistake would burn every retry: ``execute`` has to find it.
    """
    return bool(getattr(operator, "_BaseOperator__from_mapped", False))


def for_airflow(error: VideoProviderError) -> Exception:
    """The exception to raise for ``error`` in the version of Airflow that runs."""
    if HAS_POLICIES or error.retryable or isinstance(error, JobTimeoutError):
        return error
    failure = AirflowFailException(str(error))
    failure.__cause__ = error
    return failure


@contextmanager
def errors_for_airflow() -> Iterator[None]:
    """Run an operator's work; its errors leave in the form that decides rightly about retries."""
    try:
        yield
    except VideoProviderError as error:
        metrics.failed(error)
        told = for_airflow(error)
        if told is error:
            raise
        raise told from error


def fail(task: Any, error: VideoProviderError) -> NoReturn:
    """End a wait with an error: one table for all modes, because Airflow's own differs between them."""
    metrics.failed(error)
    if task.soft_fail or task.never_fail:
        raise AirflowSkipException(f"{error} (skipped: soft_fail or never_fail is set)") from error
    told = for_airflow(error)
    raise told from (error if told is not error else error.__cause__)
