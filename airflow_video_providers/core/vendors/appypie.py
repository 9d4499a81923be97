"""Appy Pie: Mochi 1. Written from the vendor's page "Mochi 1 API Documentation"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_video_providers.core.jobs import JobStatus, VideoJob
from airflow_video_providers.core.vendors.answers import cut
from airflow_video_providers.core.vendors.base import Flow, Vendor
from airflow_video_providers.core.vendors.models import Text, VideoModel, optional, required
from airflow_video_providers.core.vendors.output_shapes import find_urls

if TYPE_CHECKING:
    import httpx

    from airflow_video_providers.core.vendors.answers import Answer


class AppyPie(Vendor):
    """The documents name two prefixes for the status call: the one of all samples is tried first."""

    id = "appypie"
    title = "Appy Pie"
    base_url = "https://gateway.appypie.com"
    documentation = "https://www.appypie.com/endpoint/docs/mochi-1"
    key_header = "Ocp-Apim-Subscription-Key"
    id_paths = ("requestId", "request_id")
    output_paths = ("video_url",)
    charged = {JobStatus.SUCCEEDED: "yes"}
    poll_seconds = (10.0, 30.0)
    failure_codes = frozenset({404})

    _prefixes = ("/fal-ai-mochi-v1-polling/v1", "/fal-ai-mochi-v1/v1")
    _prefix = _prefixes[0]

    def status_call(self, job: VideoJob) -> httpx.Request:
        return self._get_status(self._prefix, job)

    def status(self, job: VideoJob) -> Flow[VideoJob]:
        return self.read_job(job, (yield from self._read_either(job, job)))

    def unlabelled(self, answer: Answer, job: VideoJob) -> tuple[JobStatus, str]:
        body = answer.body or {}
        said = cut(str(body.get("msg") or ""))
        # The only documented sign of progress: a 200 with a message about something getting created.
        if answer.ok and "getting created" in said.casefold() and not find_urls(body, self.output_paths):
            return JobStatus.RUNNING, said
        status, word = super().unlabelled(answer, job)
        return status, (said or word) if status is JobStatus.UNKNOWN else word  # an error says what was said

    def _read_either(self, job: VideoJob, reported: VideoJob | None) -> Flow[Answer]:
        """How a job stands; ``reported`` is the job that an error speaks of."""
        asked = self._prefix
        answer = yield from self.send_read(self._get_status(asked, job), reported)
        if _lacks_endpoint(answer):
            other = next(prefix for prefix in self._prefixes if prefix != asked)
            second = yield from self.send_read(self._get_status(other, job), reported)
            if not _lacks_endpoint(second):
                self._prefix, answer = other, second  # remembered for the connection
        return answer

    def _get_status(self, prefix: str, job: VideoJob) -> httpx.Request:
        return self.call("POST", f"{prefix}/getStatus", json={"requestId": job.request_id})

    def check(self) -> Flow[str]:
        """The documents name no free call about the account: ask for a job that cannot exist."""
        return self.read_check((yield from self._read_either(self.impossible_job(Mochi1.id), None)))


def _lacks_endpoint(answer: Answer) -> bool:
    return answer.status == 404 and "status" not in (answer.body or {})  # else it is the job that is missing


class AppyPieModel(VideoModel):
    """Base of the models behind Appy Pie's gateway."""


class Mochi1(AppyPieModel):
    """Mochi 1, text to video."""

    id = "appypie:mochi-1"
    path = "/fal-ai-mochi-v1/v1/generate"
    documentation = AppyPie.documentation
    typical_seconds = 180.0

    prompt: Text = required("What the video shows.")
    seed: int | None = optional("Makes a result repeatable.", ge=1, le=9_999_999_999)
