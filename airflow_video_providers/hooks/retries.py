"""Errors decide about retries: one that a retry cannot help never burns one, in every version of Airflow.

From Airflow 3.3 the error is raised as it is and a default retry policy reads it; a user's own policy wins.
Before 3.3 there are no policies, and "a retry cannot help" becomes ``AirflowFailException``.
"""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_video_providers import metrics
from airflow_video_providers.exceptions import JobTimeoutError, VideoProviderError

if TYPE_CHECKING:
    from collections.abc import Iterator

try:
    from airflow.providers.common.compat.sdk import RetryDecision, RetryPolicy
except ImportError:  # Airflow 3.1 and 3.2
    HAS_POLICIES = False
else:
    HAS_POLICIES = True

    class VideoRetryPolicy(RetryPolicy):
        """Fails at once where a retry cannot help, and otherwise waits as long as the vendor asks."""

        def evaluate(self, exception: BaseException, *_tries: Any, **_context: Any) -> RetryDecision:
            """Read the error; what is not this package's own is Airflow's business."""
            if not isinstance(exception, VideoProviderError):
                return RetryDecision.default()
            if not exception.retryable:
                return RetryDecision.fail(reason=f"{type(exception).__name__}: a retry cannot help.")
            if exception.retry_after is None:
                return RetryDecision.default()
            return RetryDecision.retry(
                delay=timedelta(seconds=exception.retry_after), reason="The vendor asked to wait this long."
            )


def with_retry_policy(arguments: dict[str, Any]) -> dict[str, Any]:
    """An operator's arguments, with the default policy where the author has set none."""
    if not HAS_POLICIES or arguments.get("retry_policy") is not None:
        return arguments
    own = (arguments.get("default_args") or {}).get("retry_policy")
    return {**arguments, "retry_policy": own or VideoRetryPolicy()}


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
