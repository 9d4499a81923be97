"""Pixazo's gateway, from its pages on Mochi 1.0 and PixVerse.

Invented, because the documents print no body: 401, 403, 404, 429, 500 and the 400 of a wrong field (all in
the shape of the documented 402), the refusal of webhook URLs, and the legacy route's words while it waits.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from .clock import iso_millis
from .gateway import Gateway, Route
from .jobs import Job, uuid7
from .models import PIXAZO, PIXAZO_MOCHI
from .wire import Answer, Call

if TYPE_CHECKING:
    from .faults import Fault
    from .schema import Model
    from .webhooks import Webhooks
    from .world import World

_MODELS = {model.path: model for model in PIXAZO}
_STATUS = "/v2/requests/status/"
_LEGACY = "/mochi-v1-polling-clone/getStatus"

_ERRORS = {
    400: ("Bad Request", "The request is not valid."),
    401: ("Unauthorized", "The subscription key is missing or invalid."),
    402: ("Insufficient Balance", "Your wallet does not have enough balance."),
    403: ("Forbidden", "The subscription does not include this API."),
    404: ("Not Found", "There is no such request."),
    429: ("Too Many Requests", "The rate limit of this key is exceeded."),
    500: ("Internal Server Error", "An unexpected error occurred."),
}


class Pixazo(Gateway):
    """The seven submit routes, the universal status, Mochi's legacy status, and the webhook headers."""

    name = "pixazo"
    key_header = "ocp-apim-subscription-key"

    def __init__(self, world: World, webhooks: Webhooks) -> None:
        super().__init__(world)
        self.webhooks = webhooks

    def find(self, call: Call) -> Route | Answer:
        if call.method == "GET" and call.path.startswith(_STATUS):
            job = self.job(call.path.removeprefix(_STATUS))
            return Route("status", partial(self._status, job), job) if job else self.error(404)
        if call.method != "POST":
            return self.error(404, "endpoint")
        if call.path == _LEGACY:
            wanted = call.json.get("requestId") if isinstance(call.json, dict) and call.is_json else None
            if not isinstance(wanted, str) or not wanted:
                return self.error(400, "requestId is required")
            # the page shows a bare UUID here and a longer id elsewhere: both are taken
            job = self.job(f"{PIXAZO_MOCHI.id}_{wanted}") or self.job(wanted)
            if job is None or job.model != PIXAZO_MOCHI.id:
                return self.error(404)
            return Route("status", partial(self._legacy_status, job), job)
        if model := _MODELS.get(call.path):
            return Route("submit", partial(self._submit, model))
        return self.model_not_found(call.path.strip("/").split("/")[0])

    def error(self, code: int, detail: str = "") -> Answer:
        title, message = _ERRORS.get(code, ("Error", "The request could not be served."))
        if detail and code == 400:
            title, message = "Validation Error", detail
        return Answer(code, {"error": title, "message": message})

    def model_not_found(self, name: str) -> Answer:
        return Answer(400, {"error": "Model not found", "message": f"Model '{name}' not found or is disabled"})

    def charged_outcomes(self) -> tuple[str, ...]:
        return ("COMPLETED", "FAILED") if self.world.options.charge_failed else ("COMPLETED",)

    async def _submit(self, model: Model, call: Call, faults: list[Fault]) -> Answer:
        if not call.is_json:
            return self.error(400, "Content-Type must be application/json")
        if complaint := self.webhooks.complaint(call.headers):
            return self.error(400, complaint)
        url = call.headers.get("x-webhook-url")
        early = url is not None and self.webhooks.early(call.armed)
        at_once = (0.0, 0.0) if early else None
        job = self.accept(call, model, faults, lambda now: f"{model.id}_{uuid7(now)}", at_once)
        if isinstance(job, Answer):
            return job
        if url:
            mode = call.headers.get("x-webhook-mode", "terminal")
            self.webhooks.expect(job, url, mode, partial(self.callback_body, job, call.root))
            if early:
                await self.webhooks.answered(job)
        return Answer(
            self.world.options.pixazo_submit_status,
            {
                "request_id": job.request_id,
                "status": "QUEUED",
                "polling_url": f"{call.base}{_STATUS}{job.request_id}",
            },
        )

    def _status(self, job: Job, call: Call, _faults: list[Fault]) -> Answer:
        return Answer(200, self.body(job, job.state(self.world.clock.now()), call.root))

    def body(self, job: Job, state: str, root: str) -> dict[str, Any]:
        """The documented status body, in the shape of the GET route."""
        now = self.world.clock.now()
        done = state in ("COMPLETED", "FAILED", "ERROR")
        output = None
        if state == "COMPLETED":
            output = {"media_url": self.media_urls(job, root), "media_type": "application/octet-stream"}
        touched = {"QUEUED": job.submitted, "PROCESSING": job.started}.get(state, job.finished)
        return {
            "request_id": job.request_id,
            "status": state,
            "model_id": job.model,
            "error": job.error if done else None,
            "output": output,
            "created_at": iso_millis(job.submitted),
            "updated_at": iso_millis(min(touched, now)),
            "completed_at": iso_millis(job.finished) if done else None,
        }

    def callback_body(self, job: Job, root: str, state: str) -> dict[str, Any]:
        """The documented callback body: another media type, and a second way to write times."""
        body = self.body(job, state, root)
        if body["output"]:
            body["output"]["media_type"] = "video/mp4"
        for name in ("updated_at", "completed_at"):
            if body[name]:
                body[name] = body[name][:19].replace("T", " ")
        return body

    def _legacy_status(self, job: Job, call: Call, _faults: list[Fault]) -> Answer:
        state = job.state(self.world.clock.now())
        url = self.media_urls(job, call.root)[0] if state == "COMPLETED" else ""
        body = {"status": state.lower(), "video_url": url}
        if state in ("FAILED", "ERROR"):
            body["error"] = job.error or ""
        return Answer(200, body)
