"""The default retry policy. Airflow 3.3 and later; importing operators does not need it, making one does."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.common.compat.sdk import RetryDecision, RetryPolicy

from airflow_video_providers.core.errors import VideoProviderError


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
