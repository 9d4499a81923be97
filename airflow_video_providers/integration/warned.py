"""How often a rescheduled wait has warned that the vendor forgets its job: what the next process of the try has to know.

Airflow 3.3 keeps it in the task's state store. Before 3.3 nothing of a task survives a reschedule, and the warning comes
with every poll: too often is better than never.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.clock import utcnow
from airflow_video_providers.core.polling.decision import RETENTION_WARNING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_video_providers.core.jobs import VideoJob

#: The row's name, one per task instance.
NAME = "video_wait.warned"


def warned_before(job: VideoJob, context: Mapping[str, Any], log: Any) -> int:
    """How often earlier processes of the try have warned about this job; 0 where nobody knows.

    Airflow is asked only once there is something to warn about.
    """
    used, store = job.retention_used(utcnow()), context.get("task_state_store")
    if store is None or used is None or used < RETENTION_WARNING:
        return 0
    try:
        known = store.get(NAME)
    except Exception as error:  # noqa: BLE001 - a warning too many must not end a wait for what is paid for
        log.debug("Airflow's state store was not read: %s", type(error).__name__)
        return 0
    if not isinstance(known, dict) or known.get("request_id") != job.request_id:
        return 0
    times = known.get("warned")
    return times if isinstance(times, int) else 0


def remember_warned(job: VideoJob, times: int, context: Mapping[str, Any], log: Any) -> None:
    """Leave it for the next process, for as long as Airflow keeps such rows by default."""
    if (store := context.get("task_state_store")) is None:
        return
    try:
        store.set(NAME, {"request_id": job.request_id, "warned": times})
    except Exception as error:  # noqa: BLE001 - as above
        log.debug("Airflow's state store was not written: %s", type(error).__name__)
