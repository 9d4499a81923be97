"""What was made from what: for Airflow's assets, for whoever reads hook lineage, and for OpenLineage.

A job is named ``<vendor>://<model>/<request_id>`` everywhere, a landed file by its uri. No address here has a query,
where signatures are, and no prompt leaves the task: OpenLineage gets its digest.
"""

from __future__ import annotations

from types import FunctionType
from typing import TYPE_CHECKING, Any

from airflow_video_providers.integration.job_uri import job_uri

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import Context

    from airflow_video_providers.core.jobs import VideoJob
    from airflow_video_providers.hooks.base import VideoHook


class ReportsLineage:
    """Mixed into the operators and the sensor: what they know of their job, and OpenLineage's questions about it."""

    #: The job, as the task has last seen it.
    known_job: VideoJob | None = None
    #: The manifest, where the task has landed the job.
    manifest: dict[str, Any] | None = None
    #: The hook that has looked the connection up, for all that this process of the task does.
    video_hook: VideoHook | None = None

    def get_openlineage_facets_on_start(self) -> OperatorLineage[Any, Any]:
        """Asked by the OpenLineage provider."""
        from airflow_video_providers.integration.openlineage import lineage_of

        return lineage_of(self)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:  # noqa: ARG002 # Airflow's signature
        """Asked by the OpenLineage provider, also after a failure."""
        return self.get_openlineage_facets_on_start()


def note_landed(task: Any, context: Context, hook: VideoHook, job: VideoJob, manifest: Mapping[str, Any]) -> None:
    """Report to the task's outlets and the readers of hook lineage. The clip is safe: no trouble here fails the task."""
    try:
        _report_outlets(task, context, manifest)
        _report_readers(hook, job, manifest)
    except Exception:
        task.log.warning("The clip has landed, and its asset events or lineage could not be recorded.", exc_info=True)


def event_extra(manifest: Mapping[str, Any], output: Mapping[str, Any]) -> dict[str, Any]:
    """What an asset event says about a landed clip.

    :param manifest: The manifest, as the download pushes it.
    :param output: The clip: one of the manifest's outputs.
    """
    known = {
        "uri": output["uri"],
        "uris": [each["uri"] for each in manifest["outputs"]],
        "manifest_uri": manifest["manifest_uri"],
        "sha256": output["sha256"],
        "bytes": output["bytes"],
        "content_type": output["content_type"],
        "duration": output.get("duration_s"),
        "model": manifest["model"],
        "request_id": manifest["request_id"],
        "parameters": manifest.get("parameters"),
        "vendor_defaults": manifest.get("vendor_defaults"),
        "differences": manifest.get("differences"),
    }
    return {name: value for name, value in known.items() if value is not None}


def _report_outlets(task: Any, context: Context, manifest: Mapping[str, Any]) -> None:
    """An asset that the author declares gets one event about the first clip, an alias one event per clip."""
    from airflow.providers.common.compat.sdk import Asset, AssetAlias

    from airflow_video_providers.core.landing.manifest import videos

    for outlet in task.outlets or ():
        if isinstance(outlet, AssetAlias):
            for output in videos(manifest):
                context["outlet_events"][outlet].add(Asset(output["uri"]), extra=event_extra(manifest, output))
        else:
            event = context["outlet_events"][outlet]
            event.extra = {**event.extra, **event_extra(manifest, manifest["outputs"][0])}


def _report_readers(hook: VideoHook, job: VideoJob, manifest: Mapping[str, Any]) -> None:
    from airflow.providers.common.compat.lineage import hook as lineage

    from airflow_video_providers.core.redact import public_url

    if not _has_readers(lineage.get_hook_lineage_collector):
        return
    collector = lineage.get_hook_lineage_collector()  # type: ignore[no-untyped-call] # Airflow's
    collector.add_input_asset(context=hook, uri=job_uri(job))
    for output in manifest["outputs"]:
        collector.add_output_asset(context=hook, uri=public_url(output["uri"]))


def _has_readers(getter: Any) -> bool:
    """Does anybody read hook lineage? Making the collector imports every provider's asset handlers: seconds.

    OpenLineage's own reader does not count: it reads the operators' facets.
    """
    if not isinstance(getter, FunctionType):  # a stand-in
        return True
    try:
        from airflow.sdk import lineage, plugins_manager

        known = lineage.get_hook_lineage_collector.cache_info().currsize
        readers = plugins_manager.get_hook_lineage_readers_plugins()
    except (ImportError, AttributeError):  # Airflow 3.1, or a stand-in
        return True
    return bool(known) or any(reader is not lineage.HookLineageReader for reader in readers)
