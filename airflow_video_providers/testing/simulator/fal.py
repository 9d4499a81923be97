"""fal's queue, from what its own clients (fal-client 1.0.3, @fal-ai/client 1.10.1) send and expect, and its documents.

Invented: the models' fields (any JSON object is taken; a ``prompt`` must be text, ``duration`` a number of seconds), their
prices, how a cancelled job looks (COMPLETED with an error), and the texts of the errors.
"""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from . import fal_files
from .clip import ClipSpec, clip, colour_of
from .clock import iso_millis
from .gateway import Gateway, Route
from .open_schema import OPENAPI, PRICE
from .schema import Field, Model
from .signing import key_set, sign_as_fal
from .wire import Answer, Call

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .faults import Fault
    from .jobs import Job
    from .webhooks import Webhooks
    from .world import World

_PART = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_APP = rf"(?P<app>(?:(?:workflows|comfy)/)?{_PART}/{_PART})"
_REQUEST = re.compile(rf"/{_APP}/requests/(?P<id>[^/]+)(?P<what>/status|/cancel)?$")
_SUBMIT = re.compile(rf"/(?P<endpoint>{_PART}(?:/{_PART})+)$")
_STATES = {"QUEUED": "IN_QUEUE", "PROCESSING": "IN_PROGRESS"}
_ERRORS = {
    400: "Bad request",
    401: "Authentication is required to access this application.",
    402: "Insufficient balance",
    403: "User is locked. Reason: Exhausted balance. Top up your balance at fal.ai/dashboard/billing.",
    404: "Not found",
    429: "Too many requests",
    500: "Internal server error",
}


def _seconds(body: Mapping[str, Any]) -> int:
    try:
        return max(1, min(60, int(str(body.get("duration", 5)).rstrip("s"))))
    except ValueError:
        return 5


def any_model(name: str, path: str) -> Model:
    """A model of which nothing is known but its name."""
    return Model(
        name,
        path,
        {"prompt": Field("string")},
        lambda body: ClipSpec(640, 360, 24, 24 * _seconds(body)),
        lambda body: (Decimal("0.05") * _seconds(body), "invented"),
    )


class Fal(Gateway):
    """Submit, status, result and cancel of the queue, and the history of the platform's API."""

    name = "fal"
    key_header = "authorization"
    key_prefix = "Key "
    system_error = "ERROR"
    refuses_unknown_fields = False

    def __init__(self, world: World, webhooks: Webhooks | None = None) -> None:
        super().__init__(world)
        self.webhooks = webhooks

    async def serve(self, call: Call) -> Answer:
        if (call.method, call.path) == ("GET", "/.well-known/jwks.json"):  # for everybody, without a key
            return Answer(200, key_set())
        if (call.method, call.path) == ("POST", "/files/upload"):  # with a token of its own, and without the key
            return fal_files.take(self.world, call) or self.error(401)
        return await super().serve(call)

    def find(self, call: Call) -> Route | Answer:
        if call.path == "/v1/models/requests/by-endpoint" and call.method == "GET":
            return Route("other", self._history)
        if call.path in ("/v1/models", "/v1/models/pricing") and call.method == "GET":
            return Route("other", self._models if call.path == "/v1/models" else self._prices)
        if (call.method, call.path) == ("POST", "/storage/auth/token"):
            return Route("other", lambda _call, _faults: fal_files.token(self.world))
        if found := _REQUEST.match(call.path):
            return self._request(call, found)
        endpoint = _SUBMIT.match(call.path)
        if endpoint is None or call.path.startswith("/v1/"):
            return self.error(404)
        if call.method != "POST":
            return self.error(405)
        return Route("submit", partial(self._submit, any_model(endpoint["endpoint"], call.path)))

    def _request(self, call: Call, found: re.Match[str]) -> Route | Answer:
        job = self.job(found["id"])
        if job is None or _application(job.model) != found["app"]:
            return Answer(404, {"status": "NOT_FOUND"}) if found["what"] == "/cancel" else self.error(404)
        wanted = "PUT" if found["what"] == "/cancel" else "GET"
        if call.method != wanted:
            return self.error(405)
        if found["what"] == "/cancel":
            return Route("other", partial(self._cancel, job), job)
        if found["what"] == "/status":
            return Route("status", partial(self._status, job), job)
        return Route("result", partial(self._result, job), job)

    def error(self, code: int, detail: str = "") -> Answer:
        return Answer(
            code, {"detail": f"{_ERRORS.get(code, 'The request could not be served')}{detail and ': '}{detail}"}
        )

    def charged_outcomes(self) -> tuple[str, ...]:
        return ("COMPLETED",)

    async def _submit(self, model: Model, call: Call, faults: list[Fault]) -> Answer:
        if isinstance(call.json, dict) and not isinstance(call.json.get("prompt", ""), str):
            return Answer(422, {"detail": [{"loc": ["body", "prompt"], "msg": "must be text", "type": "string_type"}]})
        lifetime = fal_files.lifetime(call.headers.get("x-fal-object-lifecycle-preference"))
        if lifetime is not None and lifetime < 1:
            return self.error(422, "X-Fal-Object-Lifecycle-Preference")
        url = call.parameters.get("fal_webhook")
        early = bool(url) and self.webhooks is not None and self.webhooks.early(call.armed)
        at_once = (0.0, 0.0) if early else None
        job = self.accept(call, model, faults, lambda _now: str(uuid.uuid4()), at_once)
        if isinstance(job, Answer):
            return job
        job.file_seconds = lifetime
        if url and self.webhooks is not None:
            self.webhooks.expect(job, url, "terminal", partial(self._called, job, call), sign_as_fal)
            if early:
                await self.webhooks.answered(job)
        return Answer(200, {"status": "IN_QUEUE", "queue_position": 0} | _addresses(job, call.base))

    def _status(self, job: Job, call: Call, _faults: list[Fault]) -> Answer:
        state = job.state(self.world.clock.now())
        body: dict[str, Any] = {"status": _STATES.get(state, "COMPLETED")} | _addresses(job, call.base)
        if state == "QUEUED":
            return Answer(202, body | {"queue_position": 0})
        body["logs"] = [] if call.parameters.get("logs") in ("1", "true", "True") else None
        if state == "PROCESSING":
            return Answer(202, body)
        body["metrics"] = {"inference_time": round(job.run_seconds, 3)}
        if state == "ERROR":
            body |= {"error": job.error, "error_type": "runner_disconnected"}
        elif state == "CANCELLED":
            body |= {"error": "The request was cancelled.", "error_type": "client_cancelled"}
        return Answer(200, body)

    def _result(self, job: Job, call: Call, _faults: list[Fault]) -> Answer:
        state = job.state(self.world.clock.now())
        if state in _STATES:
            return self.error(400, "Request is still in progress")
        if state == "FAILED":
            kind = "content_policy_violation" if "policy" in str(job.error) else "generation_failed"
            detail = [{"loc": ["body", "prompt"], "msg": job.error, "type": kind}]
            return Answer(422, {"detail": detail}).with_headers(x_fal_error_type=kind)
        if state != "COMPLETED":
            kind = "runner_disconnected" if state == "ERROR" else "client_cancelled"
            code = 503 if state == "ERROR" else 499
            return Answer(code, {"detail": job.error, "error_type": kind}).with_headers(x_fal_error_type=kind)
        (url,) = self.media_urls(job, call.root)
        size = len(clip(job.clip, colour_of(f"{job.request_id}/0")))
        video = {"url": url, "content_type": "video/mp4", "file_name": "output.mp4", "file_size": size}
        return Answer(200, {"video": video, "seed": job.body.get("seed", 42)})

    def _called(self, job: Job, call: Call, _state: str) -> dict[str, Any]:
        """What a call says: the result's body, and whether that is an error."""
        answer = self._result(job, call, [])
        body = {"request_id": job.request_id, "gateway_request_id": job.request_id, "payload": answer.content}
        if answer.status == 200:
            return body | {"status": "OK", "error": None}
        return body | {"status": "ERROR", "error": f"Invalid status code: {answer.status}"}

    def _cancel(self, job: Job, _call: Call, _faults: list[Fault]) -> Answer:
        now = self.world.clock.now()
        if job.state(now) not in _STATES:
            return Answer(400, {"status": "ALREADY_COMPLETED"})
        self.world.store.cancel(job, now)
        return Answer(202, {"status": "CANCELLATION_REQUESTED"})

    def _models(self, call: Call, _faults: list[Fault]) -> Answer:
        expanded = {"openapi": OPENAPI} if call.parameters.get("expand") == "openapi-3.0" else {}
        names = call.parameters.get("endpoint_id", "").split(",")
        models = [{"endpoint_id": name, "metadata": {}} | expanded for name in names if _SUBMIT.match(f"/{name}")]
        return Answer(200, {"models": models, "next_cursor": None, "has_more": False})

    def _prices(self, call: Call, _faults: list[Fault]) -> Answer:
        names = call.parameters.get("endpoint_id", "").split(",")
        return Answer(200, {"prices": [{"endpoint_id": name} | PRICE for name in names]})

    def _history(self, call: Call, _faults: list[Fault]) -> Answer:
        """Newest first, a page at a time; what still waits is listed, too (no document says whether)."""
        asked = call.parameters
        start, end = _moment(asked.get("start"), 0.0), _moment(asked.get("end"), float("inf"))
        found = [
            job
            for job in reversed(self.world.store.order)
            if job.vendor == self.name and job.model == asked.get("endpoint_id") and start <= job.submitted <= end
        ]
        most = self.world.options.history_page
        limit = (
            max(1, min(most, int(asked.get("limit", "50")))) if asked.get("limit", "50").isdigit() else min(most, 50)
        )
        cursor = asked.get("cursor", "0")
        at = int(cursor) if cursor.isdigit() else 0
        more = at + limit < len(found)
        items = [self._item(job, payloads=asked.get("expand") == "payloads") for job in found[at : at + limit]]
        return Answer(200, {"items": items, "next_cursor": str(at + limit) if more else None, "has_more": more})

    def _item(self, job: Job, *, payloads: bool) -> dict[str, Any]:
        now = self.world.clock.now()
        item: dict[str, Any] = {
            "request_id": job.request_id,
            "endpoint_id": job.model,
            "sent_at": iso_millis(job.submitted),
            "started_at": iso_millis(job.started),
        }
        if now >= job.finished:
            code = {"COMPLETED": 200, "FAILED": 422}.get(job.outcome, 503)
            item |= {"ended_at": iso_millis(job.finished), "status_code": code, "duration": job.run_seconds}
        return item | ({"json_input": job.body} if payloads else {})


def _application(endpoint: str) -> str:
    parts = endpoint.split("/")
    return "/".join(parts[: 3 if parts[0] in ("workflows", "comfy") else 2])


def _addresses(job: Job, base: str) -> dict[str, str]:
    url = f"{base}/{_application(job.model)}/requests/{job.request_id}"
    return {
        "request_id": job.request_id,
        "response_url": url,
        "status_url": f"{url}/status",
        "cancel_url": f"{url}/cancel",
    }


def _moment(text: str | None, otherwise: float) -> float:
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return otherwise
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
