"""From a finished job to files in storage, and to everything in Airflow that wants to know of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from airflow_video_providers import metrics
from airflow_video_providers.exceptions import InvalidRequestError, VideoProviderError
from airflow_video_providers.hooks.base import VideoHook
from airflow_video_providers.landing import Landing
from airflow_video_providers.ledger.config import open_ledger
from airflow_video_providers.lineage import note_landed

if TYPE_CHECKING:
    import logging
    from pathlib import Path

    from airflow.sdk import Context

    from airflow_video_providers.jobs import VideoJob
    from airflow_video_providers.operators.arguments import LandsVideo


def deliver(job: VideoJob, task: LandsVideo, context: Context, *, file: Path | None = None) -> dict[str, Any]:
    """Land the job, or the file that its answer brought, and tell Airflow about it; returns the manifest."""
    hook = VideoHook.for_model(job.model, job.conn_id)
    options: dict[str, Any] = {}
    if task.media_types is not None:
        options["media_types"] = task.media_types
    if task.max_bytes is not None:
        options["max_bytes"] = task.max_bytes
    landing = Landing(
        output_path=task.output_path,
        overwrite=task.overwrite,
        verify=task.verify,
        key_template=task.key_template,
        poster=task.poster,
        timeout=task.download_timeout,
        allow_private_hosts=_private_hosts(hook, task),
        refresh=hook.status,
        task=_origin(context),
        extra_manifest=task.extra_manifest,
        log=cast("logging.Logger", task.log),  # Airflow's own logger, by the same protocol
        **options,
    )
    task.known_job = job
    try:
        task.manifest = manifest = landing.run(job, file=file)
    finally:
        hook.close()
    metrics.landed(manifest)
    note_landed(task, context, hook, job, manifest)
    _take_off_ledger(job, manifest, task, context)
    return manifest


def _private_hosts(hook: VideoHook, task: LandsVideo) -> frozenset[str]:
    """What is landed already, or lies at a public address, needs no connection of the vendor's."""
    try:
        return hook.settings.allow_private_hosts
    except InvalidRequestError as error:
        task.log.warning("Landing without the job's connection: %s", error.what)
        return frozenset()


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


def _take_off_ledger(job: VideoJob, manifest: dict[str, Any], task: LandsVideo, context: Context) -> None:
    """Take the job off the list of what was bought and never landed, where there is such a list."""
    try:
        ledger = open_ledger(context)
        if ledger is not None:
            ledger.mark_landed(job.request_id, manifest["manifest_uri"])
    except VideoProviderError as error:  # the clip is safe: a list that is one entry too long must not fail it
        task.log.warning("The ledger could not be told that %s has landed: %s", job.request_id, error.what)
