"""A task that ends while its job runs: has somebody ended it, and is the job cancelled with it?

Airflow calls ``on_kill`` for more than that. A trigger's: also where another triggerer took its task over while this one was
paused, and where a task was cleared and waits for the same job again. A worker's: also at ``execution_timeout``, at a
worker's shutdown, and where the API server is away. So Airflow is asked how the task stands, and only a task that is over
for Airflow gives its job up.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.errors import RateLimitedError, VendorUnavailableError, VideoProviderError
from airflow_video_providers.core.jobs import JobStatus

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from airflow_video_providers.core.jobs import VideoJob
    from airflow_video_providers.core.purchase.records import Identity
    from airflow_video_providers.hooks.base import VideoHook

#: A task that is over. A task of any other state comes back to its job by itself.
ENDED = frozenset({"failed", "success", "skipped", "upstream_failed", "removed"})
#: How a task without a state is called here: it was cleared, and is not scheduled yet.
CLEARED = "cleared"
#: Seconds in which a trigger may cancel; Airflow itself gives it 30 (``[triggerer] on_kill_timeout``).
TRIGGER_PATIENCE = 25.0
#: Seconds between two tries while the vendor does not answer.
PAUSE = 2.0
#: What goes on where the trigger has ended meanwhile: an event loop itself keeps no task alive.
_UNDER_WAY: set[asyncio.Future[None]] = set()


def state_of(who: Identity, log: Any) -> str | None:
    """How a task instance stands for Airflow; None where it does not say. Blocking."""
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    try:
        states = RuntimeTaskInstance.get_task_states(
            dag_id=who.dag_id, task_ids=[who.task_id], run_ids=[who.run_id], map_index=who.map_index
        )
        (state,) = states[who.run_id].values()  # the key names the map index in a way of its own
    except Exception:
        log.debug("The task's state could not be read.", exc_info=True)
        return None
    return CLEARED if state is None else str(state)


def outcome(seen: VideoJob, title: str) -> str:
    """What a cancellation has come to, in a sentence that says what it means for the bill."""
    charged = {"yes": "It is charged.", "no": "It is not charged."}.get(
        seen.charged, f"Whether it is charged is not known: what is known of {title} does not say."
    )
    if seen.status is JobStatus.CANCELLED:
        return f"Job {seen.request_id} is cancelled at {title}. {charged}"
    if seen.status is JobStatus.EXPIRED:
        return f"{title} does not know job {seen.request_id}, and nothing is cancelled. {charged}"
    if seen.error is not None and seen.status.terminal:  # fal has no word of its own for a cancelled job
        return (
            f"Job {seen.request_id} has ended at {title} ({seen.vendor_status or seen.status}: {seen.error}). {charged}"
        )
    if seen.status.terminal:
        return f"Job {seen.request_id} has ended ({seen.vendor_status or seen.status}), and is left as it is. {charged}"
    return (
        f"{title} was asked to cancel job {seen.request_id}, and it still stands as {seen.vendor_status or seen.status}: it may "
        f"end all the same. {charged}"
    )


def not_cancelled(job: VideoJob, error: VideoProviderError) -> str:
    """The same where the vendor did not answer, or has no way to cancel."""
    return (
        f"Job {job.request_id} of {job.model} could not be cancelled: {error.what} It may go on, and may be charged. "
        f"SubmitVideoOperator with request_id={job.request_id!r} attaches to it and buys nothing."
    )


def cancel(hook: VideoHook, job: VideoJob, log: Any) -> None:
    """Cancel a job in a worker, and log what came of it."""
    try:
        log.warning("%s", outcome(hook.cancel(job), hook.vendor_class.title))
    except VideoProviderError as error:
        log.warning("%s", not_cancelled(job, error))
    finally:
        hook.close()


async def undisturbed(work: Coroutine[Any, Any, None], *, patience: float = TRIGGER_PATIENCE + 3.0) -> None:
    """Do something to its end in a trigger that is killed.

    Airflow (3.3.2) cancels a killed trigger anew about once a second until it has ended, which ends an ``on_kill`` that takes
    longer half way: between the question how a job stands and the call that cancels it.

    :param patience: Seconds after which it is left to itself.
    """
    task = asyncio.ensure_future(work)
    _UNDER_WAY.add(task)
    task.add_done_callback(_UNDER_WAY.discard)
    until = time.monotonic() + patience
    while not task.done() and (left := until - time.monotonic()) > 0:
        with suppress(asyncio.CancelledError):
            await asyncio.wait({task}, timeout=left)
    if task.done():
        task.result()


async def acancel(hook: VideoHook, job: VideoJob, log: Any, *, patience: float = TRIGGER_PATIENCE) -> None:
    """The same in a triggerer, with a second try while the vendor does not answer.

    :param patience: Seconds for all of it.
    """
    until = time.monotonic() + patience
    while True:
        try:
            async with asyncio.timeout(max(0.0, until - time.monotonic())):
                log.warning("%s", outcome(await hook.cancel_async(job), hook.vendor_class.title))
        except (VendorUnavailableError, RateLimitedError) as error:
            pause = max(PAUSE, error.retry_after or 0.0)
            if time.monotonic() + pause < until:
                await asyncio.sleep(pause)
                continue
            log.warning("%s", not_cancelled(job, error))
        except VideoProviderError as error:
            log.warning("%s", not_cancelled(job, error))
        except TimeoutError:
            late = VendorUnavailableError(f"{hook.vendor_class.title} did not answer in time.")
            log.warning("%s", not_cancelled(job, late))
        return
