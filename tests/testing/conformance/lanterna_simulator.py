"""Lanterna's gateway, from the page "Lanterna Clips API" and not from ``lanterna.py``: a second opinion."""

from __future__ import annotations

import uuid
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

from airflow_video_providers.testing.simulator.clip import ClipSpec
from airflow_video_providers.testing.simulator.gateway import Gateway, Route
from airflow_video_providers.testing.simulator.schema import Field, Model
from airflow_video_providers.testing.simulator.wire import Answer, Call

if TYPE_CHECKING:
    from airflow_video_providers.testing.simulator.faults import Fault
    from airflow_video_providers.testing.simulator.jobs import Job

MAGICA = Model(
    id="magica",
    path="/v1/clips",
    fields={
        "prompt": Field("string", required=True),
        "duration": Field("integer", low=2, high=12),
        "shape": Field("string", allowed=("wide", "tall", "square")),
    },
    clip=lambda body: ClipSpec(640, 360, 24, 24 * int(body.get("duration", 4))),
    price=lambda body: (Decimal("0.05") * int(body.get("duration", 4)), "documented"),
)
WORDS = {"QUEUED": "waiting", "PROCESSING": "rendering", "COMPLETED": "done", "FAILED": "failed"}


class LanternaGateway(Gateway):
    """Submit, status and account."""

    name = "lanterna"
    key_header = "authorization"
    key_prefix = "Bearer "
    system_error = "FAILED"

    def find(self, call: Call) -> Route | Answer:
        if (call.method, call.path) == ("POST", MAGICA.path):
            return Route("submit", self._submit)
        if (call.method, call.path) == ("GET", "/v1/account"):
            return Route("other", lambda _call, _faults: Answer(200, {"plan": "studio"}))
        job = self.job(call.path.removeprefix("/v1/clips/"))
        if call.method != "GET" or job is None:
            return self.error(404)
        return Route("status", partial(self._status, job), job)

    def error(self, code: int, detail: str = "") -> Answer:
        return Answer(code, {"error": {"code": code, "message": detail or "The request could not be served."}})

    def charged_outcomes(self) -> tuple[str, ...]:
        return ("COMPLETED",)

    def _submit(self, call: Call, faults: list[Fault]) -> Answer:
        job = self.accept(call, MAGICA, faults, lambda _now: f"lt_{uuid.uuid4().hex}")
        return job if isinstance(job, Answer) else Answer(201, {"id": job.request_id, "status": "waiting"})

    def _status(self, job: Job, call: Call, _faults: list[Fault]) -> Answer:
        state = job.state(self.world.clock.now())
        files = [{"url": url} for url in self.media_urls(job, call.root)] if state == "COMPLETED" else []
        return Answer(200, {"id": job.request_id, "status": WORDS[state], "files": files, "error": job.error})
