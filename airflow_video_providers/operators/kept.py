"""Is a refused file of this job kept? Asked by every next try before it polls, waits or asks the vendor.

Who knows where it is kept: the task's own ``output_path``, the ledger (every task's with ``ledger_path``, the task's
own rows in Airflow's state store), and the XCom that the landing left, which is there until that task starts again.
The storage itself has the last word: what a person has deleted is not kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.errors import DownloadError, InvalidRequestError, LedgerError
from airflow_video_providers.core.landing.quarantine import find_kept
from airflow_video_providers.integration import object_storage  # noqa: F401 # buckets through Airflow's connections
from airflow_video_providers.integration.ledger_config import open_ledger

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow.sdk import Context

    from airflow_video_providers.core.errors import VideoProviderError
    from airflow_video_providers.core.jobs import VideoJob

#: Under which a landing leaves the address of a file that it has kept.
XCOM_KEY = "kept_file"


def kept_job(job: VideoJob, task: Any, context: Context) -> VideoJob | None:
    """The job as it is finished, where a refused file of it is kept; None where none is.

    :raises LedgerError: if the ledger cannot be asked.
    :raises DownloadError: if a storage cannot be asked. In both cases nobody knows, and nothing may be bought.
    """
    ledger = open_ledger(context)
    marked = ledger.refused_file(job) if ledger is not None else None
    recorded = marked.kept_at if marked is not None else None
    own = getattr(task, "output_path", None)
    places = dict.fromkeys(
        [*([str(own)] if own else []), *([recorded] if recorded else []), *_left_by_landings(task, context, job)]
    )
    for place in places:
        kept = find_kept(place, job)
        if kept is not None:
            task.log.info("A refused file of job %s is kept (%s): it is verified again.", job.request_id, kept.reason)
            return kept.job
    if ledger is not None and recorded is not None:
        task.log.info("The kept file of job %s was deleted: a Clear may buy again.", job.request_id)
        ledger.drop_refused_file(job)
    return None


def kept_while_waiting(job: VideoJob, task: Any, context: Context) -> VideoJob | None:
    """The same for a wait, which buys nothing: where nobody knows, it goes on waiting."""
    try:
        return kept_job(job, task, context)
    except (LedgerError, DownloadError, InvalidRequestError) as failed:
        task.log.warning("Whether a refused file of job %s is kept is not known: %s", job.request_id, failed.what)
        return None


def note_kept(error: VideoProviderError, job: VideoJob, task: Any, context: Context) -> None:
    """Record for the ledger and the tasks before this one where a refused file is kept. Trouble here changes no ending."""
    if error.kept_at is None:
        return
    try:
        ledger = open_ledger(context)
        if ledger is not None:
            ledger.mark_refused_file(job, error.kept_at, getattr(error, "reason", None) or "refused")
    except LedgerError as failed:
        task.log.warning("The ledger could not record that a file of %s is kept: %s", job.request_id, failed.what)
    value = {"model": job.model, "request_id": job.request_id, "address": error.kept_at}
    context["ti"].xcom_push(key=XCOM_KEY, value=value)


def is_next_try(context: Context) -> bool:
    """Has this task instance run before, so that something may have been kept?"""
    return (context["ti"].try_number or 1) > 1


def _left_by_landings(task: Any, context: Context, job: VideoJob) -> Iterable[str]:
    """What the landings behind this task have left of this very job."""
    landings = sorted(_landings_behind(task))
    if not landings:
        return
    ti = context["ti"]
    own = -1 if ti.map_index is None else ti.map_index
    for index in dict.fromkeys((own, -1)):
        for left in ti.xcom_pull(task_ids=landings, key=XCOM_KEY, map_indexes=index) or []:
            if not isinstance(left, dict) or (left.get("model"), left.get("request_id")) != (job.model, job.request_id):
                continue
            if isinstance(address := left.get("address"), str):
                yield address


def _landings_behind(task: Any) -> set[str]:
    from airflow_video_providers.operators.base import LandsVideo

    try:
        behind = task.get_flat_relatives(upstream=False)
    except Exception:  # noqa: BLE001 - a task without a DAG has nothing behind it
        return set()
    found = set()
    for one in behind:
        kind = getattr(one, "operator_class", None) or type(one)
        if isinstance(kind, type) and issubclass(kind, LandsVideo):
            found.add(one.task_id)
    return found
