"""Replicate's predictions, from what its own client (replicate 1.0.7) sends and expects, and its documents.

Invented: the models' fields, their prices, the texts of the errors, when data are removed (an hour after the end), and
which model a deployment or a version is one of. That a prediction names its deployment stands in Replicate's reference.
"""

from __future__ import annotations

import email
import hashlib
import re
import uuid
from functools import partial
from typing import TYPE_CHECKING, Any

from .clock import iso_millis
from .fal import any_model
from .gateway import Gateway, Route
from .open_schema import OPENAPI
from .signing import WEBHOOK_SECRET, sign_as_replicate
from .wire import Answer, Call

if TYPE_CHECKING:
    from .faults import Fault
    from .jobs import Job
    from .webhooks import Webhooks
    from .world import World

_PART = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_MODEL = re.compile(rf"/v1/(?P<kind>models|deployments)/(?P<name>{_PART}/{_PART})/predictions$")
_DESCRIBED = re.compile(rf"/v1/models/(?P<owner>{_PART})/(?P<name>{_PART})$")
_PREDICTION = re.compile(r"/v1/predictions/(?P<id>[^/]+)(?P<cancel>/cancel)?$")
_STATES = {
    "QUEUED": "starting",
    "PROCESSING": "processing",
    "COMPLETED": "succeeded",
    "FAILED": "failed",
    "CANCELLED": "canceled",
}
_ERRORS = {
    401: ("Unauthenticated", "You did not pass a valid authentication token"),
    402: ("Insufficient credit", "You have insufficient credit to run this model."),
    404: ("Not found", "The requested resource could not be found."),
    422: ("Input validation failed", "The input is wrong"),
    429: ("Too many requests", "Request was throttled."),
}
_KEPT = 3600.0
_DURATION = re.compile(r"(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s?)?")
_SHORTEST_DEADLINE = 5
#: Whose version each version is.
_OF_A_VERSION = "studio/magica"


class Replicate(Gateway):
    """Predictions by model, version and deployment; status, cancel, list and account."""

    name = "replicate"
    key_header = "authorization"
    key_prefix = "Bearer "
    system_error = "FAILED"
    refuses_unknown_fields = False

    def __init__(self, world: World, webhooks: Webhooks | None = None) -> None:
        super().__init__(world)
        self.webhooks = webhooks

    def find(self, call: Call) -> Route | Answer:
        if (call.method, call.path) == ("GET", "/v1/webhooks/default/secret"):
            return Route("other", lambda _call, _faults: Answer(200, {"key": WEBHOOK_SECRET}))
        if (call.method, call.path) == ("GET", "/v1/account"):
            return Route(
                "other", lambda _call, _faults: Answer(200, {"type": "user", "username": "studio", "name": ""})
            )
        if (call.method, call.path) == ("POST", "/v1/files"):
            return Route("other", self._file)
        if call.path == "/v1/predictions":
            return Route("other", self._list) if call.method == "GET" else Route("submit", partial(self._submit, ""))
        if found := _MODEL.match(call.path):
            prefix = "deployments/" if found["kind"] == "deployments" else ""
            return (
                Route("submit", partial(self._submit, prefix + found["name"]))
                if call.method == "POST"
                else self.error(405)
            )
        if call.method == "GET" and (named := _DESCRIBED.match(call.path)):
            version = {"id": "0a" * 32, "openapi_schema": OPENAPI}
            body = {"owner": named["owner"], "name": named["name"], "latest_version": version}
            return Route("other", lambda _call, _faults: Answer(200, body))
        found = _PREDICTION.match(call.path)
        job = self.job(found["id"]) if found else None
        if found is None or job is None:
            return self.error(404)
        if call.method != ("POST" if found["cancel"] else "GET"):
            return self.error(405)
        if found["cancel"]:
            return Route("other", partial(self._cancel, job), job)
        return Route("status", partial(self._status, job), job)

    def request_in(self, call: Call) -> Any:
        return call.json.get("input") if isinstance(call.json, dict) else None

    def error(self, code: int, detail: str = "") -> Answer:
        title, text = _ERRORS.get(code, ("Error", "The request could not be served."))
        return Answer(code, {"title": title, "detail": f"{text}{detail and ' '}{detail}", "status": code})

    def charged_outcomes(self) -> tuple[str, ...]:
        return ("COMPLETED",)

    async def _submit(self, name: str, call: Call, faults: list[Fault]) -> Answer:
        version = call.json.get("version") if isinstance(call.json, dict) else None
        if not name and not isinstance(version, str):
            return self.error(422, "version is required")
        if not isinstance(self.request_in(call), dict):
            return self.error(422, "input is required")
        deadline = _deadline(call.headers.get("cancel-after"))
        if deadline is not None and deadline < _SHORTEST_DEADLINE:
            return self.error(422, "Cancel-After is no duration of 5 seconds or more")
        url = call.json.get("webhook")
        early = isinstance(url, str) and self.webhooks is not None and self.webhooks.early(call.armed)
        at_once = (0.0, 0.0) if early else None
        model = any_model(name or str(version), call.path)
        job = self.accept(call, model, faults, lambda _now: uuid.uuid4().hex[:26], at_once)
        if isinstance(job, Answer):
            return job
        if deadline is not None and job.submitted + deadline < job.finished:
            job.aborted = job.submitted + deadline <= job.started
            self.world.store.cancel(job, job.submitted + deadline)
        if isinstance(url, str) and self.webhooks is not None:
            self.webhooks.expect(job, url, "terminal", lambda _state: self._prediction(job, call), sign_as_replicate)
            if early:
                await self.webhooks.answered(job)
        return Answer(201, self._prediction(job, call))

    def _status(self, job: Job, call: Call, _faults: list[Fault]) -> Answer:
        return Answer(200, self._prediction(job, call))

    def _cancel(self, job: Job, call: Call, _faults: list[Fault]) -> Answer:
        now = self.world.clock.now()
        if now < job.finished:
            job.aborted = False
            self.world.store.cancel(job, now)
        return Answer(200, self._prediction(job, call))

    def _prediction(self, job: Job, call: Call) -> dict[str, Any]:
        now = self.world.clock.now()
        state, removed = job.state(now), now >= job.finished + _KEPT
        ended = now >= job.finished
        url = f"{call.base}/v1/predictions/{job.request_id}"
        body: dict[str, Any] = {
            "id": job.request_id,
            **_made_by(job.model),
            "status": "aborted" if job.aborted and state == "CANCELLED" else _STATES[state],
            "input": {} if removed else job.body,
            "output": None,
            "logs": "",
            "error": job.error if ended else None,
            "metrics": {"predict_time": round(job.run_seconds, 3)} if state == "COMPLETED" else {},
            "created_at": iso_millis(job.submitted),
            "started_at": iso_millis(job.started) if now >= job.started else None,
            "completed_at": iso_millis(job.finished) if ended else None,
            "urls": {"get": url, "cancel": f"{url}/cancel", "web": f"https://replicate.com/p/{job.request_id}"},
            "source": "api",
            "data_removed": removed,
        }
        if state == "COMPLETED" and not removed:
            (body["output"],) = self.media_urls(job, call.root)
        return body

    def _file(self, call: Call, _faults: list[Fault]) -> Answer:
        """A form with one file; its address is one that a model can fetch (Replicate's own needs the key)."""
        kind = call.headers.get("content-type", "")
        form = email.message_from_bytes(f"content-type: {kind}\r\n\r\n".encode() + call.body)
        parts: Any = form.get_payload() if form.is_multipart() else []
        found: Any = next(
            (one for one in parts if one.get_param("name", header="content-disposition") == "content"), None
        )
        if found is None:
            return self.error(422, "content is required")
        data, name = found.get_payload(decode=True), f"{uuid.uuid4().hex}_{found.get_filename() or 'file'}"
        self.world.uploads[name] = (data, found.get_content_type())
        now = self.world.clock.now()
        body = {
            "id": name[:32],
            "name": found.get_filename() or "file",
            "content_type": found.get_content_type(),
            "size": len(data),
            "etag": name[:8],
            "checksums": {"sha256": hashlib.sha256(data).hexdigest()},
            "metadata": {},
            "created_at": iso_millis(now),
            "expires_at": iso_millis(now + 86400.0),
            "urls": {"get": f"{call.root}/media/_upload/{name}"},
        }
        return Answer(201, body)

    def _list(self, call: Call, _faults: list[Fault]) -> Answer:
        """Newest first, 100 a page where nothing else is set."""
        page = self.world.options.history_page
        jobs = [job for job in reversed(self.world.store.order) if job.vendor == self.name]
        cursor = call.parameters.get("cursor", "0")
        at = int(cursor) if cursor.isdigit() else 0
        after = f"{call.base}/v1/predictions?cursor={at + page}" if at + page < len(jobs) else None
        results = [self._prediction(job, call) for job in jobs[at : at + page]]
        return Answer(200, {"results": results, "next": after, "previous": None})


def _made_by(name: str) -> dict[str, str]:
    """What a prediction says of its model: always ``owner/name``, whatever it was asked for by."""
    if name.startswith("deployments/"):  # of a model of the same name
        named = name.removeprefix("deployments/")
        return {"model": named, "version": f"dp-{'0a' * 16}", "deployment": named}
    return {"model": name, "version": "hidden"} if "/" in name else {"model": _OF_A_VERSION, "version": name}


def _deadline(text: str | None) -> int | None:
    """The seconds of a ``Cancel-After``; 0 where it says nothing that is understood."""
    if text is None:
        return None
    found = _DURATION.fullmatch(text.strip())
    return (
        sum(int(count or 0) * size for count, size in zip(found.groups(), (3600, 60, 1), strict=True)) if found else 0
    )
