"""From a finished job to files in storage, and to everything in Airflow that wants to know of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from airflow_video_providers.core.errors import (
    DownloadError,
    InvalidRequestError,
    OutputExpiredError,
    OutputRejectedError,
)
from airflow_video_providers.core.landing.decode import require_av
from airflow_video_providers.core.landing.preflight import preflight
from airflow_video_providers.core.storage.base import check_encryption
from airflow_video_providers.core.storage.open import check_output_path
from airflow_video_providers.hooks.base import VideoHook
from airflow_video_providers.integration import (
    metrics,
    object_storage,  # noqa: F401 # buckets through Airflow's connections
)
from airflow_video_providers.integration.lineage import note_landed
from airflow_video_providers.integration.waiting import settings_for, sleep_of
from airflow_video_providers.landing import Landing
from airflow_video_providers.operators import bookkeeping
from airflow_video_providers.operators.kept import note_kept
from airflow_video_providers.operators.options import check_options
from airflow_video_providers.operators.rendered import plain_json, settle

if TYPE_CHECKING:
    import logging
    from pathlib import Path

    from airflow.sdk import Context

    from airflow_video_providers.core.jobs import VideoJob
    from airflow_video_providers.operators.base import LandsVideo


def deliver(job: VideoJob, task: LandsVideo, context: Context, *, file: Path | None = None) -> dict[str, Any]:
    """Land the job, or the file that its answer carried, and report it to Airflow; returns the manifest."""
    task.known_job = job
    bookkeeping.repair_receipt(job, context, task.log)
    hook = VideoHook.of_task(task, job.model, job.conn_id)

    def refresh(stale: VideoJob) -> VideoJob:
        try:
            return hook.status(stale)
        except InvalidRequestError as wrong:
            raise wrong.while_paid(job) from wrong.__cause__

    lack: InvalidRequestError | None = None
    try:
        settle(task)
        check_options(task)
        hosts, agent, lack = _of_connection(hook, job, task)
        landing = replace(
            _landing(task),
            allow_private_hosts=hosts,
            user_agent=task.download_user_agent or agent,
            refresh=refresh,
            keyed=hook.keyed_output,
            task=_origin(context),
        )
        task.manifest = manifest = landing.run(job, file=file)
    except InvalidRequestError as wrong:
        raise wrong.with_job(job) from wrong.__cause__
    except DownloadError as failed:
        if lack is not None and isinstance(failed, OutputRejectedError) and failed.reason == "forbidden_address":
            raise lack from failed  # the connection may allow it
        note_kept(failed, job, task, context)
        if isinstance(failed, OutputExpiredError):
            bookkeeping.note_ending(failed, job, context, task.log)
        raise
    finally:
        hook.close()
    metrics.landed(manifest)
    note_landed(task, context, hook, job, manifest)
    bookkeeping.note_landed(job, manifest, context, task.log)
    return manifest


def check_delivery(task: LandsVideo, job: VideoJob | None = None) -> None:
    """What can be wrong about the landing must show before anything is bought, and before anybody waits.

    :param job: The job that would land, where it is bought already.
    :raises InvalidRequestError: an option is wrong, or the worker lacks what it needs.
    """
    try:
        _landing(task)
        saved = job is not None and task.keep_rejected  # without the decoder it is fetched none the less, and kept
        if (task.poster or task.verify == "decode") and not saved:
            require_av()
    except InvalidRequestError as wrong:
        if job is None:
            raise
        raise wrong.with_job(job) from wrong.__cause__


def check_before_purchase(task: LandsVideo) -> None:
    """Could the video land? Asks the storage, too.

    :raises InvalidRequestError: it could not; nothing was bought.
    :raises LandingError: the connection or the storage cannot be asked right now; nothing was bought.
    """
    check_delivery(task)
    check_encryption(task.encryption, check_output_path(task.output_path))
    preflight(str(task.output_path))


def _landing(task: LandsVideo) -> Landing:
    check_output_path(task.output_path)
    options: dict[str, Any] = {}
    if task.media_types is not None:
        options["media_types"] = task.media_types
    if task.max_bytes is not None:
        options["max_bytes"] = task.max_bytes
    return Landing(
        output_path=str(task.output_path),
        overwrite=task.overwrite,
        verify=task.verify,
        expect=task.expect,
        key_template=task.key_template,
        poster=task.poster,
        timeout=task.download_timeout,
        extra_manifest=plain_json("extra_manifest", task.extra_manifest) or None,
        user_agent=task.download_user_agent,
        source_paths=task.source_paths,
        encryption=task.encryption,
        keep_rejected=task.keep_rejected,
        log=cast("logging.Logger", task.log),  # Airflow's own logger, by the same protocol
        **options,
    )


def _of_connection(
    hook: VideoHook, job: VideoJob, task: LandsVideo
) -> tuple[frozenset[str], str | None, InvalidRequestError | None]:
    """Which hosts may be private, what file hosts are sent as User-Agent, and why neither is known, where it is not.

    What is landed already, or lies at a public address, needs no connection of the vendor's.
    """
    try:
        settings = settings_for(hook, job, task.log, sleep_of(task))
        known = settings.allow_private_hosts, settings.download_user_agent, None
    except InvalidRequestError as wrong:
        task.log.warning("Landing without the job's connection: %s", wrong.what)
        return frozenset(), None, wrong.while_paid(job)
    return known


def _origin(context: Context) -> dict[str, Any]:
    ti = context["ti"]
    moment = context.get("logical_date")  # a run that an asset triggered has none
    return {
        "dag_id": ti.dag_id,
        "run_id": ti.run_id,
        "task_id": ti.task_id,
        "map_index": ti.map_index,
        "logical_date": moment.isoformat() if moment else None,
    }
