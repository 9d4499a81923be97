"""Errors decide about retries: one that a retry cannot help never burns one, in every version of Airflow.

From Airflow 3.3 the error is raised as it is and a default retry policy reads it; a user's own policy wins.
Before 3.3 there are no policies, and "a retry cannot help" becomes ``AirflowFailException``.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException

from airflow_video_providers.core.clock import utcnow
from airflow_video_providers.core.errors import InsufficientCreditsError, JobTimeoutError, VideoProviderError
from airflow_video_providers.integration import metrics
from airflow_video_providers.integration.heard import soonest
from airflow_video_providers.integration.wording import in_words_of

try:
    from airflow.sdk.exceptions import AirflowRescheduleException
except ImportError:  # Airflow 3.1
    from airflow.exceptions import AirflowRescheduleException  # type: ignore[no-redef, unused-ignore] # the same class, older address

#: Retry policies came with Airflow 3.3.
HAS_POLICIES = find_spec("airflow.sdk.definitions.retry_policy") is not None


def with_retry_policy(arguments: dict[str, Any]) -> dict[str, Any]:
    """An operator's arguments, with the default policy where the author has set none."""
    if not HAS_POLICIES or arguments.get("retry_policy") is not None:
        return arguments
    from airflow_video_providers.integration.retry_policy import VideoRetryPolicy

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


def failed(task: Any, error: VideoProviderError) -> Exception:
    """What to raise for an error that ends a task: one table for all operators and all ways of waiting.

    The task's log gets one record with the whole of it first, because Airflow puts a traceback before the message.

    An account on hold ends no task: Airflow lets any operator be put off until a time, and counts no try.

    :returns: The exception. Raise it outside of the ``except`` block: it carries its own cause.
    """
    if isinstance(error, InsufficientCreditsError) and error.held_until is not None:
        task.log.info("Task %s goes away and comes back without spending a try. %s", task.task_id, error)
        return AirflowRescheduleException(soonest(error.held_until, utcnow()))  # type: ignore[no-untyped-call] # Airflow's
    metrics.failed(error)
    worded = in_words_of(task, error)
    if getattr(task, "soft_fail", False) or getattr(task, "never_fail", False):
        skip = AirflowSkipException(f"{worded} (skipped: soft_fail or never_fail is set)")
        skip.__cause__ = worded
        return skip
    task.log.debug("Where the error that follows comes from.", exc_info=error)
    task.log.error("Task %s failed. %s", task.task_id, worded)
    return without_frames(for_airflow(worded))


def behind(error: BaseException) -> VideoProviderError | None:
    """The error of this package that Airflow's own loop has wrapped, perhaps twice."""
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, VideoProviderError):
        seen = seen.__cause__
    return seen


def without_frames(error: Exception) -> Exception:
    """The same error without the frames that led to it, and so are its causes; their texts stay.

    Whoever raises it adds one frame. The debug log has them all.
    """
    seen: BaseException | None = error
    passed: set[int] = set()
    while seen is not None and id(seen) not in passed:
        passed.add(id(seen))
        seen.__traceback__ = None
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    return error
