"""Segmind's API, from its page on Mochi 1, its list of codes, and what its own client expects.

Invented: the texts of the error bodies (their shape, ``{"error": ...}``, is what the vendor's client reads), and the
result of a job that still runs (its status). ERROR is not a Segmind word: such a job ends FAILED.
"""

from __future__ import annotations

import base64
import binascii
import re
import uuid
from functools import partial
from typing import TYPE_CHECKING, Any

from .clip import clip, colour_of
from .clock import iso_millis
from .gateway import Gateway, Route
from .models import SEGMIND
from .spoil import page
from .wire import Answer, Call

if TYPE_CHECKING:
    from .faults import Fault
    from .jobs import Job
    from .schema import Model

_MODELS = {model.id: model for model in SEGMIND}
_REQUEST = re.compile(r"/v[12]/requests/(?P<id>[^/]+)(?P<status>/status)?$")
_SUBMIT = re.compile(r"/v(?P<version>[12])/(?P<slug>[a-z0-9.-]+)$")
_DATA_URL = re.compile(r"data:(?P<type>[a-z]+/[a-z0-9.+-]+);base64,(?P<data>[A-Za-z0-9+/=]*)$")

_ERRORS = {
    400: "Invalid parameters or request format",
    401: "Unauthorized. API key is invalid or may have expired",
    402: "Insufficient credits",
    403: "Insufficient permissions",
    404: "Model or endpoint not found",
    406: "Not enough credits",
    410: "This model has been retired",
    429: "Too many requests",
    500: "Internal server error",
    502: "Service temporarily unavailable",
    504: "Request timed out",
}


class Segmind(Gateway):
    """Submit, status and result of v2, the synchronous v1, credits and uploads."""

    name = "segmind"
    key_header = "x-api-key"
    system_error = "FAILED"
    refuses_unknown_fields = False  # the vendor's own client forwards every argument, its own among them

    def find(self, call: Call) -> Route | Answer:
        if call.path == "/v1/get-user-credits" and call.method == "GET":
            return Route("other", self._credits)
        if call.path == "/upload-asset" and call.method == "POST":
            return Route("other", self._upload)
        if found := _REQUEST.match(call.path):
            return self._request(call, found["id"], bool(found["status"]))
        slug = _SUBMIT.match(call.path)
        if not slug:
            return self.error(404)
        if call.method != "POST":
            return page(405)
        model = _MODELS.get(slug["slug"])
        if model is None:
            return self.error(404)
        return Route("submit", partial(self._run if slug["version"] == "1" else self._submit, model))

    def _request(self, call: Call, request_id: str, status: bool) -> Route | Answer:
        job = self.job(request_id)
        if job is None or self.world.clock.now() >= job.submitted + self.world.options.ttl:
            return self.error(404, "request")
        if call.method != "GET":
            return page(405)
        if status:
            return Route("status", partial(self._status, job), job)
        return Route("result", partial(self._result, job), job)

    def error(self, code: int, detail: str = "") -> Answer:
        if code == 402:
            code = 406  # the list of codes gives this number to "Not enough credits"
        text = _ERRORS.get(code, "The request could not be served")
        if code == 401 and detail:
            text = "Missing Authorization or x-api-key in header"
        elif code == 404 and detail:
            text = "Request not found or expired"
        elif code == 406 and detail:
            text = "Unsupported content type; use application/json"
        elif code == 400 and detail:
            text = f"{text}: {detail}"
        return Answer(code, {"error": text})

    def model_not_found(self, name: str) -> Answer:
        del name
        return self.error(404)

    def rate_limited(self, wait: float) -> Answer:
        return self.error(429).with_headers(x_rate_limit_reset_at_utc=iso_millis(self.world.clock.now() + wait))

    def charged_outcomes(self) -> tuple[str, ...]:
        return ("COMPLETED",)

    async def serve(self, call: Call) -> Answer:
        answer = await super().serve(call)
        if answer.status == 401 or "x-remaining-credits" in answer.headers:
            return answer
        return answer.with_headers(x_remaining_credits=self._left())

    def _left(self) -> str:
        return f"{self.world.store.credits(self.name, self.world.clock.now()):f}"

    def _accept(
        self, model: Model, call: Call, faults: list[Fault], latency: tuple[float, float] | None
    ) -> Job | Answer:
        if not call.is_json:
            return self.error(406, "content type")
        sleep = call.json.get("sleep") if model.id == "mock-inference" and isinstance(call.json, dict) else None
        if isinstance(sleep, int | float) and latency is None:
            latency = (0.0, float(sleep))
        return self.accept(call, model, faults, lambda _now: str(uuid.uuid4()), latency)

    def _submit(self, model: Model, call: Call, faults: list[Fault]) -> Answer:
        job = self._accept(model, call, faults, None)
        if isinstance(job, Answer):
            return job
        return Answer(200, {"request_id": job.request_id, "status": "QUEUED"} | _addresses(job, call.base))

    async def _run(self, model: Model, call: Call, faults: list[Fault]) -> Answer:
        if not _takes_video(call.headers.get("accept", "*/*")):
            return page(406)
        clock, options = self.world.clock, self.world.options
        # a clock that stands still would never come to the end of the call
        job = self._accept(model, call, faults, (0.0, 0.0) if clock.frozen else None)
        if isinstance(job, Answer):
            return job
        await clock.sleep_until(job.finished)
        if job.outcome != "COMPLETED":
            return Answer(422, {"error": job.error, "status": "FAILED", "request_id": job.request_id})
        headers = {
            "x-request-id": job.request_id,
            "x-cost": f"{job.price:f}",
            "x-remaining-credits": self._left(),
            "x-generation-time": f"{job.run_seconds:.3f}",
            "x-seed-value": str(job.body.get("seed", 985521)),
        }
        if options.segmind_sync_answer == "json":
            return Answer(200, self._output(job, call.root), headers)
        media_type = "image/jpeg" if options.segmind_sync_answer == "image/jpeg" else "video/mp4"
        video = clip(job.clip, colour_of(f"{job.request_id}/0"))
        return Answer(200, video, headers | {"content-type": media_type})

    def _status(self, job: Job, call: Call, _faults: list[Fault]) -> Answer:
        state = job.state(self.world.clock.now())
        body: dict[str, Any] = {"request_id": job.request_id, "status": state, "metrics": {}}
        body |= _addresses(job, call.base)
        if state == "COMPLETED":
            body["metrics"] = {"inference_time": round(job.run_seconds, 3)}
        if state == "FAILED":
            body |= {"error": job.error, "metrics": {"inference_time": round(job.run_seconds, 3)}}
        return Answer(422 if state == "FAILED" else 200, body)

    def _result(self, job: Job, call: Call, faults: list[Fault]) -> Answer:
        if job.state(self.world.clock.now()) != "COMPLETED":
            return self._status(job, call, faults)
        if self.world.options.segmind_result == "video":
            return Answer(200, clip(job.clip, colour_of(f"{job.request_id}/0")), {"content-type": "video/mp4"})
        return Answer(200, self._output(job, call.root))

    def _output(self, job: Job, root: str) -> dict[str, Any]:
        url = self.media_urls(job, root)[0]
        size = len(clip(job.clip, colour_of(f"{job.request_id}/0")))
        return {
            "request_id": job.request_id,
            "status": "COMPLETED",
            "error": None,
            "metrics": {
                "cost": float(job.price),
                "remaining_credits": float(self._left()),
                "inference_time": round(job.run_seconds, 3),
                "queue_time": round(job.queue_seconds, 3),
                "total_time": round(job.queue_seconds + job.run_seconds, 3),
            },
            "output": url,
            "video": {"url": url, "content_type": "video/mp4", "file_name": "output.mp4", "file_size": size},
        }

    def _credits(self, _call: Call, _faults: list[Fault]) -> Answer:
        return Answer(200, {"credits": float(self._left()), "free-credits": 0.0})

    def _upload(self, call: Call, _faults: list[Fault]) -> Answer:
        urls = call.json.get("data_urls") if isinstance(call.json, dict) else None
        if not isinstance(urls, list) or not urls:
            return self.error(400, "data_urls must be a list of data URLs")
        stored: list[str] = []
        for url in urls:
            found = _DATA_URL.match(str(url))
            try:
                data = base64.b64decode(found["data"], validate=True) if found else b""
            except binascii.Error:
                found = None
            if not found:
                return self.error(400, "data_urls must be a list of data URLs")
            name = f"{uuid.uuid4()}.{found['type'].partition('/')[2]}"
            self.world.uploads[name] = (data, found["type"])
            stored.append(f"{call.root}/media/_upload/{name}")
        return Answer(200, {"file_urls": stored, "urls": stored, "message": "Files uploaded successfully"})


def _takes_video(accept: str) -> bool:
    return any(kind.partition(";")[0].strip() in ("*/*", "video/*", "video/mp4") for kind in accept.lower().split(","))


def _addresses(job: Job, base: str) -> dict[str, str]:
    return {
        "poll_url": f"{base}/v1/requests/{job.request_id}",
        "response_url": f"{base}/v2/requests/{job.request_id}",
        "status_url": f"{base}/v2/requests/{job.request_id}/status",
    }
