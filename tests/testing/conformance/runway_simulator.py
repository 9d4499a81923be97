"""Runway's API, from what runwayml 5.24.0 sends and expects, and not from ``runway.py``: a second opinion."""

from __future__ import annotations

import uuid
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_video_providers.testing.simulator.clip import ClipSpec
from airflow_video_providers.testing.simulator.clock import iso_millis
from airflow_video_providers.testing.simulator.gateway import Gateway, Route
from airflow_video_providers.testing.simulator.schema import Field, Model
from airflow_video_providers.testing.simulator.wire import Answer, Call

if TYPE_CHECKING:
    from airflow_video_providers.testing.simulator.faults import Fault
    from airflow_video_providers.testing.simulator.jobs import Job

GEN45 = Model(
    id="gen4.5",
    path="/v1/text_to_video",
    fields={"promptText": Field("string", required=True), "duration": Field("integer", low=2, high=10)},
    clip=lambda body: ClipSpec(1280, 720, 24, 24 * int(body.get("duration", 5))),
    price=lambda body: (Decimal("0.12") * int(body.get("duration", 5)), "invented"),
)
WORDS = {
    "QUEUED": "PENDING",
    "PROCESSING": "RUNNING",
    "COMPLETED": "SUCCEEDED",
    "FAILED": "FAILED",
    "CANCELLED": "CANCELLED",
}


class RunwayGateway(Gateway):
    """Submit, task, delete and organization."""

    name = "runway"
    key_header = "authorization"
    key_prefix = "Bearer "
    system_error = "FAILED"
    refuses_unknown_fields = False

    def find(self, call: Call) -> Route | Answer:
        if call.headers.get("x-runway-version") != "2024-11-06":
            return self.error(400, "X-Runway-Version")
        if (call.method, call.path) == ("POST", GEN45.path):
            return Route("submit", self._submit)
        if (call.method, call.path) == ("GET", "/v1/organization"):
            return Route("other", lambda _call, _faults: Answer(200, {"creditBalance": 1000}))
        job = self.job(call.path.removeprefix("/v1/tasks/"))
        if job is None:
            return self.error(404)
        return (
            Route("status", partial(self._task, job), job)
            if call.method == "GET"
            else Route("other", partial(self._delete, job), job)
        )

    def request_in(self, call: Call) -> Any:
        return {**call.json, "prompt": call.json.get("promptText")} if isinstance(call.json, dict) else None

    def error(self, code: int, detail: str = "") -> Answer:
        return Answer(code, {"error": detail or "The request could not be served."})

    def charged_outcomes(self) -> tuple[str, ...]:
        return ("COMPLETED",)

    def _submit(self, call: Call, faults: list[Fault]) -> Answer:
        job = self.accept(call, GEN45, faults, lambda _now: str(uuid.uuid4()))
        return job if isinstance(job, Answer) else Answer(200, {"id": job.request_id, "estimatedCost": {"credits": 60}})

    def _task(self, job: Job, call: Call, _faults: list[Fault]) -> Answer:
        now = self.world.clock.now()
        state = job.state(now)
        body: dict[str, Any] = {"id": job.request_id, "status": WORDS[state], "createdAt": iso_millis(job.submitted)}
        if state == "PROCESSING":
            body["progress"] = 0.5
        if now >= job.finished:
            body["cost"] = {"credits": float(job.price * 100) if state == "COMPLETED" else 0}
        if state == "COMPLETED":
            body["output"] = self.media_urls(job, call.root)
        if state == "FAILED":
            body |= {"failure": job.error, "failureCode": "INTERNAL"}
        return Answer(200, body)

    def _delete(self, job: Job, _call: Call, _faults: list[Fault]) -> Answer:
        now = self.world.clock.now()
        if now < job.finished:
            self.world.store.cancel(job, now)
        else:
            del self.world.store.jobs[job.request_id]  # the task and its output are gone
        return Answer(204, "")
