"""Runway as a stranger would add it: by the guide alone, in a distribution of its own. Written from runwayml 5.24.0.

What a credit costs stands in none of the sources; it is this file's assumption.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from airflow_video_providers.core.jobs import JobStatus, VideoJob
from airflow_video_providers.core.vendors.base import Flow, Vendor
from airflow_video_providers.core.vendors.fields import bounded
from airflow_video_providers.core.vendors.models import Text, VideoModel, optional, required
from airflow_video_providers.core.vendors.output_shapes import at
from airflow_video_providers.core.vendors.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

USD_PER_CREDIT = Decimal("0.01")


class Runway(Vendor):
    """A task per video; the bill stands in the answer, and DELETE takes a finished video away."""

    id = "runway"
    title = "Runway"
    base_url = "https://api.dev.runwayml.com"
    documentation = "https://docs.dev.runwayml.com"
    key_header = "Authorization"
    key_prefix = "Bearer "
    id_paths = ("id",)
    output_paths = ("output",)
    reason_paths = ("failure", "failureCode", "error")
    submitted_paths = ("createdAt",)
    progress_paths = ("progress",)
    charged = {JobStatus.SUCCEEDED: "yes"}
    poll_seconds = (5.0, 30.0)
    documented_poll_seconds = 5.0
    cancel_deletes = True

    def wire(self, request: VideoModel, extra_fields: Mapping[str, Any]) -> Wire:
        fields = {_camel(name): value for name, value in request.body().items()}
        return Wire({"model": request.id.partition(":")[2], **fields, **extra_fields})

    def call(self, method: str, path: str, **more: Any) -> httpx.Request:
        call = super().call(method, path, **more)
        call.headers["X-Runway-Version"] = "2024-11-06"
        return call

    def status_call(self, job: VideoJob) -> httpx.Request:
        return self.call("GET", f"/v1/tasks/{self.in_path(job.request_id)}")

    def cancel_call(self, job: VideoJob) -> httpx.Request:
        return self.call("DELETE", f"/v1/tasks/{self.in_path(job.request_id)}")

    def cost_in(self, body: Mapping[str, Any]) -> Decimal | None:
        credits = bounded(at(body, "cost.credits"))
        return None if credits is None else credits * USD_PER_CREDIT

    def check(self) -> Flow[str]:
        """The organization: a free call."""
        return self.read_check((yield from self.send_read(self.call("GET", "/v1/organization"))))


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.title() for part in rest)


class Gen45(VideoModel):
    """Gen-4.5, text to video."""

    id = "runway:gen4.5"
    path = "/v1/text_to_video"
    documentation = Runway.documentation

    prompt_text: Text = required("What the video shows.")
    ratio: Literal["1280:720", "720:1280"] | None = optional("Size of the picture.")
    duration: int | None = optional("Length of the video.", unit="seconds", ge=2, le=10)
    seed: int | None = optional("Makes a result repeatable.")
