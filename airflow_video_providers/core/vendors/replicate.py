"""Replicate: any model, version or deployment as a prediction. Written from replicate 1.0.7 and Replicate's documents.

What none of them states is left open here: what a prediction costs, whatever its end.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.jobs import JobStatus, VideoJob
from airflow_video_providers.core.vendors.base import Flow, Vendor
from airflow_video_providers.core.vendors.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

    from airflow_video_providers.core.vendors.answers import Answer
    from airflow_video_providers.core.vendors.models import VideoModel

_PART = r"[A-Za-z0-9][A-Za-z0-9._-]*"


class Replicate(Vendor):
    """One address per prediction: POST makes it, GET says how it stands; its data are deleted after an hour."""

    id = "replicate"
    title = "Replicate"
    base_url = "https://api.replicate.com"
    documentation = "https://replicate.com/docs/reference/http"
    key_header = "Authorization"
    key_prefix = "Bearer "
    id_paths = ("id",)
    output_paths = ("output",)
    reason_paths = ("error", "detail", "title")
    retention = timedelta(hours=1)
    poll_seconds = (2.0, 30.0)
    open_ids = "an owner/name, an owner/name:version, or deployments/owner/name"
    _open_id = re.compile(rf"(?:deployments/)?{_PART}/{_PART}|{_PART}/{_PART}:[0-9a-f]{{64}}")

    @classmethod
    def open_path(cls, name: str) -> str:
        model, _, version = name.partition(":")
        if version:
            return "/v1/predictions"
        return f"/v1/{model}/predictions" if model.startswith("deployments/") else f"/v1/models/{model}/predictions"

    @classmethod
    def documentation_of(cls, name: str) -> str:
        return f"https://replicate.com/{name.removeprefix('deployments/').partition(':')[0]}"

    def wire(self, request: VideoModel, extra_fields: Mapping[str, Any]) -> Wire:
        version = request.id.partition(":")[2].partition(":")[2]
        named = {"version": version} if version else {}
        return Wire({**named, "input": {**request.body(), **extra_fields}})

    def status_call(self, job: VideoJob) -> httpx.Request:
        return self.call("GET", f"/v1/predictions/{self.in_path(job.request_id)}")

    def read_job(self, job: VideoJob, answer: Answer) -> VideoJob:
        seen = super().read_job(job, answer)
        removed = (answer.body or {}).get("data_removed") is True
        if seen.status is JobStatus.SUCCEEDED and removed and not seen.outputs:
            return seen.replace(status=JobStatus.EXPIRED, instead_of_outputs=None)
        return seen

    def check(self) -> Flow[str]:
        """The account: a free call."""
        return self.read_check((yield from self.send_read(self.call("GET", "/v1/account"))))
