"""The operators' facets for OpenLineage. Imported by its provider's call only, so that nothing else needs it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote, urlsplit

from airflow.providers.common.compat.openlineage.facet import (
    Dataset,
    OutputDataset,
    OutputStatisticsOutputDatasetFacet,
    RunFacet,
)
from airflow.providers.openlineage.extractors import OperatorLineage
from attrs import define

from airflow_video_providers.core.errors import VideoProviderError
from airflow_video_providers.core.redact import public_url
from airflow_video_providers.core.vendors.input_addresses import inputs_in
from airflow_video_providers.core.vendors.models import VideoModel
from airflow_video_providers.integration.job_uri import job_uri
from airflow_video_providers.operators.open_models import model_of

if TYPE_CHECKING:
    from airflow_video_providers.core.jobs import VideoJob

#: Key of the facet in a run.
FACET = "airflowVideoProviders_generation"


class KnowsItsJob(Protocol):
    """What is read of a task: its class mixes in ``ReportsLineage``."""

    known_job: VideoJob | None
    manifest: dict[str, Any] | None


@define
class VideoGenerationRunFacet(RunFacet):
    """What is known of a video when a task starts or ends. The prompt itself is not reported.

    :param vendor: The company.
    :param model: The model's id.
    :param promptSha256: Digest of the prompt.
    :param requestId: The vendor's id of the job.
    :param requestSha256: Digest of the request as it was sent.
    :param status: Where the job stands.
    :param charged: ``yes``, ``no`` or ``unknown``.
    :param estimatedCostUsd: Estimated price, as text.
    """

    vendor: str
    model: str
    promptSha256: str | None = None
    requestId: str | None = None
    requestSha256: str | None = None
    status: str | None = None
    charged: str | None = None
    estimatedCostUsd: str | None = None


def lineage_of(task: KnowsItsJob) -> OperatorLineage[Any, Any]:
    """What an operator has read and made, as far as it has come.

    A submit reads the image and makes the job, a sensor and a download read the job, a download makes the clips;
    the operator that does all of it reads the image and makes the clips.
    """
    job, manifest, request = task.known_job, task.manifest, _request(task)
    model = job.model if job else getattr(task, "model", None)
    jobs = [_dataset(Dataset, job_uri(job))] if job else []
    clips = [_clip(output) for output in manifest["outputs"]] if manifest else []
    buys = hasattr(task, "request")
    return OperatorLineage(
        inputs=_files(task, model, request) if buys else jobs,
        outputs=clips or (jobs if buys else []),
        run_facets={FACET: _facet(model, request, job)} if model else {},
    )


def _files(task: Any, model: str | None, request: Mapping[str, Any]) -> list[Any]:
    """The files that the request names, wherever it does, each once."""
    extra_fields = getattr(task, "extra_fields", None)
    try:
        found = {**model_of(task, str(model)).inputs_among(request)}
        if isinstance(extra_fields, Mapping):
            found |= inputs_in(extra_fields)
    except (VideoProviderError, RecursionError):  # what cannot be bought has no inputs
        return []
    addresses = dict.fromkeys(given.address for given in found.values())
    return [_dataset(Dataset, uri) for address in addresses if (uri := _uri(address)) is not None]


def _uri(address: str) -> str | None:
    """How lineage names a file: without connection, password and signature; None where it is no whole address."""
    if address.startswith("/"):
        return f"file://{quote(address)}"
    try:
        uri = public_url(address)
        return uri if urlsplit(uri).scheme and "://" in uri else None
    except ValueError:
        return None


def _request(task: KnowsItsJob) -> Mapping[str, Any]:
    request = getattr(task, "request", None)
    if isinstance(request, VideoModel):
        request = request.serialize()
    return request if isinstance(request, Mapping) else {}


def _facet(model: str, request: Mapping[str, Any], job: VideoJob | None) -> VideoGenerationRunFacet:
    prompt = request.get("prompt")
    facet = VideoGenerationRunFacet(
        vendor=model.partition(":")[0],
        model=model,
        promptSha256=hashlib.sha256(prompt.encode()).hexdigest() if isinstance(prompt, str) else None,
    )
    if job is not None:
        facet.requestId = job.request_id
        facet.requestSha256 = job.request_sha256
        facet.status = str(job.status)
        facet.charged = job.charged
        facet.estimatedCostUsd = None if job.estimated_cost_usd is None else str(job.estimated_cost_usd)
    return facet


def _clip(output: Mapping[str, Any]) -> OutputDataset:
    size = OutputStatisticsOutputDatasetFacet(size=output["bytes"], fileCount=1)
    clip: OutputDataset = _dataset(OutputDataset, public_url(output["uri"]), outputFacets={"outputStatistics": size})
    return clip


def _dataset(kind: type[Any], uri: str, **facets: Any) -> Any:
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return kind(namespace="file", name=parts.path, **facets)
    return kind(namespace=f"{parts.scheme}://{parts.netloc}", name=parts.path.lstrip("/"), **facets)
