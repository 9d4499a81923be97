"""Lanterna, an invented vendor. Written from the page "Lanterna Clips API"."""

from __future__ import annotations

import hmac
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from airflow_video_providers.core.jobs import JobStatus, OutputRole, VideoJob
from airflow_video_providers.core.vendors.base import Flow, Vendor
from airflow_video_providers.core.vendors.models import Price, Text, VideoModel, optional, required

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    import httpx

    from airflow_video_providers.core.callbacks.webhook import Callback


class Lanterna(Vendor):
    """One address per clip: POST makes it, GET says how it stands."""

    id = "lanterna"
    title = "Lanterna"
    base_url = "https://api.lanterna.example"
    documentation = "https://lanterna.example/docs"
    key_header = "Authorization"
    key_prefix = "Bearer "
    id_paths = ("id",)
    output_paths = ("files",)
    further_outputs = {OutputRole.LAST_FRAME: ("last_frame",)}
    media_type_names = ("type",)
    submitted_paths = ("made",)
    completed_paths = ("ended",)
    progress_paths = ("share",)
    cost_paths = ("bill.usd",)
    charged = {JobStatus.SUCCEEDED: "yes", JobStatus.FAILED: "no"}
    poll_seconds = (3.0, 20.0)
    requests_per_minute = 120.0
    webhook_modes = ("terminal",)

    def webhook_headers(self, callback: Callback) -> Mapping[str, str]:
        return {"Lanterna-Notify": callback.url}

    @classmethod
    def verify_callback(cls, headers: Mapping[str, str], body: bytes, keys: Sequence[str], now: datetime) -> bool:
        signatures = [hmac.digest(key.encode(), body, "sha256").hex() for key in keys]
        return any(hmac.compare_digest(one, headers.get("lanterna-signature", "")) for one in signatures)

    def is_of_model(self, model: str, body: Mapping[str, Any]) -> bool:
        return body.get("model") == model.partition(":")[2]

    def status_call(self, job: VideoJob) -> httpx.Request:
        return self.call("GET", f"/v1/clips/{self.in_path(job.request_id)}")

    def output_call(self, job: VideoJob, index: int) -> httpx.Request:
        return self.call("GET", f"/v1/clips/{self.in_path(job.request_id)}/files/{index}")

    def check(self) -> Flow[str]:
        """The account page: a free call."""
        return self.read_check((yield from self.send_read(self.call("GET", "/v1/account"))))


class Magica(VideoModel):
    """Magica, text to video."""

    id = "lanterna:magica"
    path = "/v1/clips"
    documentation = "https://lanterna.example/docs/magica"
    prices = (Price(Decimal("0.05"), "second", "documented per second"),)
    typical_seconds = 40.0

    prompt: Text = required("What the video shows.")
    duration: int | None = optional("Length of the video.", vendor_default=4, unit="seconds", ge=2, le=12)
    shape: Literal["wide", "tall", "square"] | None = optional("Shape of the picture.", vendor_default="wide")
