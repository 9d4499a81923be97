"""How often a rescheduled wait has warned that the vendor forgets its job: what the next process of the try has to know.

Airflow 3.3 keeps it in the task's state store. Before 3.3 nothing of a task survives a reschedule: then it is kept beside the
ledger's records, where ``ledger_path`` is set, and else in a file on the worker, so that each worker warns once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.clock import utcnow
from airflow_video_providers.core.polling.decision import RETENTION_WARNING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_video_providers.core.jobs import VideoJob
    from airflow_video_providers.core.purchase.stores.base import Store

#: The row's name, one per task instance.
NAME = "video_wait.warned"
#: Of the records before 3.3, one per job; and of the directory on a worker.
KIND, DIRECTORY = "warned", "airflow-video-providers-waits"


def warned_before(job: VideoJob, context: Mapping[str, Any], log: Any) -> int:
    """How often earlier processes have warned about this job; 0 where nobody knows.

    It is asked for only once there is something to warn about.
    """
    used = job.retention_used(utcnow())
    if used is None or used < RETENTION_WARNING:
        return 0
    store = context.get("task_state_store")
    known = _quietly(lambda: _directory().read(_key(job)) if store is None else store.get(NAME), "read", log)
    if not isinstance(known, dict) or known.get("request_id") != job.request_id:
        return 0
    times = known.get("warned")
    return times if isinstance(times, int) else 0


def remember_warned(job: VideoJob, times: int, context: Mapping[str, Any], log: Any) -> None:
    """Leave it for the next process. Airflow removes its row as it removes all; a record of ours is a hundred bytes."""
    store, value = context.get("task_state_store"), {"request_id": job.request_id, "warned": times}
    _quietly(
        lambda: _directory().replace(_key(job), value) if store is None else store.set(NAME, value), "written", log
    )


def _quietly(call: Callable[[], Any], doing: str, log: Any) -> Any:
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - a warning too many must not end a wait for what is paid for
        log.debug("How often the wait has warned was not %s: %s", doing, type(error).__name__)
        return None


def _directory() -> Store:
    from airflow_video_providers.integration.ledger_config import ledger_path, open_directory

    if path := ledger_path():
        return open_directory(path)
    from pathlib import Path

    from airflow_video_providers.core.landing.spool import private_directory
    from airflow_video_providers.core.purchase.stores.local_directory import LocalDirectory

    return LocalDirectory(Path(private_directory(DIRECTORY)))


def _key(job: VideoJob) -> tuple[str, ...]:
    from airflow_video_providers.core.purchase.records import digest

    return KIND, digest([job.model, job.request_id])[:32]
