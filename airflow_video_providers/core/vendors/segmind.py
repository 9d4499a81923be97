"""Segmind: Mochi 1. Written from the vendor's pages "Mochi 1 Serverless API" (v2) and "mochi-1" (v1)."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import uuid4

from airflow_video_providers.core.border import TooLong, header, plain_id, printable
from airflow_video_providers.core.errors import VendorUnavailableError
from airflow_video_providers.core.jobs import JobStatus, VideoJob, VideoOutput
from airflow_video_providers.core.vendors.base import Flow, Vendor
from airflow_video_providers.core.vendors.models import Number, Text, VideoModel, optional, required
from airflow_video_providers.core.vendors.output_shapes import find_urls

if TYPE_CHECKING:
    from datetime import datetime

    import httpx

    from airflow_video_providers.core.vendors.answers import Answer
    from airflow_video_providers.core.vendors.wire import Wire

#: Of what the account has left, in characters.
_LONGEST_FIGURE = 40


class Segmind(Vendor):
    """Submit, status and result are three calls; a job is forgotten an hour after its submit."""

    id = "segmind"
    title = "Segmind"
    base_url = "https://api.segmind.com"
    documentation = "https://www.segmind.com/models/mochi-1/api"
    key_header = "x-api-key"
    id_paths = ("request_id",)
    output_paths = ("video.url", "video", "output", "video_url", "url", "images")
    charged = {JobStatus.SUCCEEDED: "yes"}
    no_credits = frozenset({402, 406})
    failure_codes = frozenset({422})  # how a failed job is served
    says_balance = True
    retention = timedelta(hours=1)
    poll_seconds = (2.0, 30.0)
    requests_per_minute = 50.0

    def status_call(self, job: VideoJob) -> httpx.Request:
        return self.call("GET", f"/v2/requests/{self.in_path(job.request_id)}/status")

    def status(self, job: VideoJob) -> Flow[VideoJob]:
        seen = yield from super().status(job)
        if seen.status is not JobStatus.SUCCEEDED:
            return seen
        # The result lives in a call of its own and is forgotten soon: fetch it now.
        result = self.call("GET", f"/v2/requests/{self.in_path(job.request_id)}")
        try:
            answer = yield from self.send_read(result, job)
        except VendorUnavailableError as error:
            if not isinstance(error.__cause__, TooLong):
                raise
            return seen.replace(
                instead_of_outputs="more bytes than an answer has, perhaps the file itself, and no address"
            )
        if answer.ok and answer.body is None and (file := answer.file()):
            return seen.replace(instead_of_outputs=file)
        fetched = self.read_job(seen, answer)
        if fetched.status is JobStatus.EXPIRED:
            return fetched.replace(charged=seen.charged)  # the result is forgotten, the bill is not
        return seen if fetched.status is JobStatus.UNKNOWN else fetched

    def unlabelled(self, answer: Answer, job: VideoJob) -> tuple[JobStatus, str]:
        # The documents promise that the body of a failed job's 422 holds the detail, not that it holds a status.
        if answer.status == 422:
            return JobStatus.FAILED, "HTTP 422"
        return super().unlabelled(answer, job)

    def credits_left(self, answer: Answer) -> str | None:
        metrics = (answer.body or {}).get("metrics")
        balance = metrics.get("remaining_credits") if isinstance(metrics, dict) else None
        number = str(balance) if isinstance(balance, str | int | float) and not isinstance(balance, bool) else ""
        return (
            header(answer.headers, "x-remaining-credits", _LONGEST_FIGURE) or printable(number, _LONGEST_FIGURE) or None
        )

    def generate(self, request: VideoModel, wire: Wire) -> Flow[VideoJob]:
        """The v1 call. Interrupted after sending, it leaves a bill and no id."""
        path = self.path_of(request).replace("/v2/", "/v1/", 1)
        call = self.call("POST", path, json=wire.body, headers=wire.headers)
        call.headers["Accept"] = "*/*"  # it answers with a video
        return (yield from self.send_paid(request, call, self._generated))

    def _generated(self, request: VideoModel, sent_at: datetime, answer: Answer) -> VideoJob | None:
        # The documents promise a video, call it an image, and newer samples read JSON: trust none of them.
        urls = find_urls(answer.body, self.output_paths)
        kind = answer.headers.get("content-type", "").lower()
        named = answer.headers.get("x-request-id", "").strip()
        if not urls and not kind.startswith(("video/", "image/", "application/octet-stream")):
            return None
        return VideoJob(
            model=request.id,
            request_id=named if plain_id(named) else f"v1-{uuid4()}",
            status=JobStatus.SUCCEEDED,
            submitted_at=sent_at,
            completed_at=self.now(),
            charged="yes",
            outputs=tuple(VideoOutput(url=url) for url in urls),
            remaining_credits=self.credits_left(answer),
        )

    def balance(self) -> Flow[str | None]:
        answer = yield from self._ask_for_credits()
        left = answer.body.get("credits") if answer.ok and answer.body is not None else None
        return printable(str(left), _LONGEST_FIGURE) if isinstance(left, str | int | float) else None

    def _ask_for_credits(self) -> Flow[Answer]:
        return (yield from self.send_read(self.call("GET", "/v1/get-user-credits")))

    def check(self) -> Flow[str]:
        """The credit balance, a free call; where there is none, a job that cannot exist."""
        answer = yield from self._ask_for_credits()
        if answer.ok and answer.body is not None and "credits" in answer.body:
            return f"Segmind accepts the key; credits left: {answer.body['credits']}. Nothing was spent."
        self.read_check(answer)
        return self.read_check((yield from self.send_read(self.status_call(self.impossible_job(Mochi1.id)))))


class SegmindModel(VideoModel):
    """Base of the models served by Segmind."""


class Mochi1(SegmindModel):
    """Mochi 1, text to video. The length of the video is ``frames / fps`` seconds."""

    id = "segmind:mochi-1"
    path = "/v2/mochi-1"
    documentation = Segmind.documentation
    typical_seconds = 180.0
    length_fields = ("frames", "fps")

    prompt: Text = required("What the video shows.")
    negative_prompt: str | None = optional("What to keep out of the video.")
    guidance_scale: Number | None = optional("How closely to follow the prompt.", vendor_default=4.5, ge=2, le=10)
    fps: Number | None = optional("Frame rate.", vendor_default=16, unit="frames per second", ge=7, le=30)
    steps: int | None = optional("Denoising steps.", vendor_default=30, ge=10, le=75)
    seed: int | None = optional("Makes a result repeatable.", vendor_default=985521)
    frames: Number | None = optional("Length of the video.", vendor_default=52, unit="frames", ge=1, le=160)

    def seconds(self) -> Decimal | None:
        return Decimal(str(self.effective("frames"))) / Decimal(str(self.effective("fps")))
