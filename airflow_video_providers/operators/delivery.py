"""From a finished job to files in storage, and to everything in Airflow that wants to know of them."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from airflow_video_providers import metrics
from airflow_video_providers.exceptions import InvalidRequestError, VideoProviderError
from airflow_video_providers.hooks.base import VideoHook
from airflow_video_providers.landing import Landing
from airflow_video_providers.landing.media import require_av
from airflow_video_providers.landing.preflight import preflight
from airflow_video_providers.landing.store import check_encryption, check_output_path
from airflow_video_providers.ledger.book import Ledger
from airflow_video_providers.ledger.config import open_ledger
from airflow_video_providers.ledger.storing import Nowhere
from airflow_video_providers.lineage import note_landed
from airflow_video_providers.operators.options import check_options
from airflow_video_providers.operators.rendered import plain_json, settle

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator
    from pathlib import Path

    from airflow.sdk import Context

    from airflow_video_providers.exceptions import OutputExpiredError
    from airflow_video_providers.jobs import VideoJob
    from airflow_video_providers.operators.arguments import LandsVideo


def deliver(job: VideoJob, task: LandsVideo, context: Context, *, file: Path | None = None) -> dict[str, Any]:
    """Land the job, or the file that its answer brought, and tell Airflow about it; returns the manifest."""
    task.known_job = job
    hook = VideoHook.for_model(job.model, job.conn_id)
    try:
        settle(task)
        check_options(task)
        hosts, agent = _of_connection(hook, task)
        landing = replace(
            _landing(task),
            allow_private_hosts=hosts,
            user_agent=task.download_user_agent or agent,
            refresh=hook.status,
            task=_origin(context),
        )
        task.manifest = manifest = landing.run(job, file=file)
    except InvalidRequestError as wrong:
        raise wrong.about(job) from wrong.__cause__
    finally:
        hook.close()
    metrics.landed(manifest)
    note_landed(task, context, hook, job, manifest)
    _take_off_ledger(job, manifest, task, context)
    return manifest


def check_delivery(task: LandsVideo, job: VideoJob | None = None) -> None:
    """What can be wrong about the landing must show before anything is bought, and before anybody waits.

    :param job: The job that would land, where it is bought already.
    :raises InvalidRequestError: an option is wrong, or the worker lacks what it needs.
    """
    try:
        _landing(task)
        # a job that is paid for comes, and is kept, whether it can be decoded or not
        if job is None and (task.poster or task.verify == "decode"):
            require_av()
    except InvalidRequestError as wrong:
        if job is not None:
            wrong.about(job)
        raise


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
        key_template=task.key_template,
        poster=task.poster,
        timeout=task.download_timeout,
        extra_manifest=plain_json("extra_manifest", task.extra_manifest) or None,
        user_agent=task.download_user_agent,
        source_paths=task.source_paths,
        encryption=task.encryption,
        log=cast("logging.Logger", task.log),  # Airflow's own logger, by the same protocol
        **options,
    )


def _of_connection(hook: VideoHook, task: LandsVideo) -> tuple[frozenset[str], str | None]:
    """Which hosts may be private, and what file hosts are told who asks.

    What is landed already, or lies at a public address, needs no connection of the vendor's.
    """
    try:
        return hook.settings.allow_private_hosts, hook.settings.download_user_agent
    except InvalidRequestError as error:
        task.log.warning("Landing without the job's connection: %s", error.what)
        return frozenset(), None


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
    """Take the job off the list of what was bought and never landed; a Clear may now buy again."""
    with _telling_ledger(task, context, f"{job.request_id} has landed") as ledger:
        ledger.mark_landed(job, manifest["manifest_uri"])


def lose(error: OutputExpiredError, task: LandsVideo, context: Context) -> None:
    """The paid clip is gone at the vendor: a Clear of this task may buy again."""
    if task.known_job is not None:
        with _telling_ledger(task, context, f"the output of {error.request_id} is gone") as ledger:
            ledger.mark_lost(task.known_job)


@contextmanager
def _telling_ledger(task: LandsVideo, context: Context, what: str) -> Iterator[Ledger]:
    """The ledger, or a stand-in where there is none. No trouble with it changes how the task ends."""
    try:
        yield open_ledger(context) or Ledger(Nowhere())
    except VideoProviderError as error:
        task.log.warning("The ledger could not be told that %s: %s", what, error.what)
