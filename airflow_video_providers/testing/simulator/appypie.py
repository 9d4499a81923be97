"""Appy Pie's gateway, from its page on Mochi 1.

Invented: the words for a job that failed, and the HTTP status of ``{"status": "NOT_FOUND"}`` (404). While
a job runs the answer has a ``msg`` and no status, as the table of codes prints it.
"""

from __future__ import annotations

import uuid
from functools import partial
from typing import TYPE_CHECKING

from .gateway import Gateway, Route
from .models import APPYPIE_MOCHI
from .wire import Answer, Call

if TYPE_CHECKING:
    from .faults import Fault
    from .jobs import Job

_STATUS = {"polling": "/fal-ai-mochi-v1-polling/v1/getStatus", "plain": "/fal-ai-mochi-v1/v1/getStatus"}

_ERRORS = {
    400: "Invalid request parameters",
    401: "Invalid or missing authentication",
    403: "Access denied for this operation",
    404: "Endpoint not found",
    429: "Rate limit exceeded, please retry later",
    500: "An unexpected error occurred, please try again later",
}


class AppyPie(Gateway):
    """One submit route, and getStatus under two prefixes."""

    name = "appypie"
    key_header = "ocp-apim-subscription-key"

    def find(self, call: Call) -> Route | Answer:
        if call.method != "POST":
            return self.error(404)
        if call.path == APPYPIE_MOCHI.path:
            return Route("submit", self._submit)
        dead = _STATUS.get(self.world.options.appypie_dead_prefix)
        if call.path not in _STATUS.values() or call.path == dead:
            return self.error(404)
        wanted = call.json.get("requestId") if isinstance(call.json, dict) and call.is_json else None
        if not isinstance(wanted, str) or not wanted:
            return self.error(400)
        job = self.job(wanted)
        if job is None:
            return self.error(404, "request")
        return Route("status", partial(self._status, job), job)

    def error(self, code: int, detail: str = "") -> Answer:
        if code == 404 and detail:
            return Answer(404, {"status": "NOT_FOUND"})
        return Answer(code, {"error": _ERRORS.get(code, _ERRORS[500])})

    def model_not_found(self, name: str) -> Answer:
        del name  # the documented body does not repeat it
        return self.error(404)

    def charged_outcomes(self) -> tuple[str, ...]:
        return ("COMPLETED", "FAILED") if self.world.options.charge_failed else ("COMPLETED",)

    def _submit(self, call: Call, faults: list[Fault]) -> Answer:
        if not call.is_json:
            return self.error(400)
        job = self.accept(call, APPYPIE_MOCHI, faults, lambda _now: str(uuid.uuid4()))
        return job if isinstance(job, Answer) else Answer(200, {"requestId": job.request_id})

    def _status(self, job: Job, call: Call, _faults: list[Fault]) -> Answer:
        match job.state(self.world.clock.now()):
            case "COMPLETED":
                return Answer(200, {"status": "completed", "video_url": self.media_urls(job, call.root)[0]})
            case "QUEUED" | "PROCESSING":
                return Answer(200, {"msg": "Image Getting Created"})
            case word:
                return Answer(200, {"status": word.lower(), "error": job.error})
