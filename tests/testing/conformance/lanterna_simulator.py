"""Lanterna's gateway, from the page "Lanterna Clips API" and not from ``lanterna.py``: a second opinion."""

from __future__ import annotations

import base64
import uuid
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_video_providers.testing.simulator.clip import ClipSpec, clip, colour_of
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
#: One grey pixel.
PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
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
        name, _, file = call.path.removeprefix("/v1/clips/").partition("/files/")
        job = self.job(name)
        if call.method != "GET" or job is None:
            return self.error(404)
        return (
            Route("other", partial(self._file, job, file)) if file else Route("status", partial(self._status, job), job)
        )

    def error(self, code: int, detail: str = "") -> Answer:
        return Answer(code, {"error": {"code": code, "message": detail or "The request could not be served."}})

    def charged_outcomes(self) -> tuple[str, ...]:
        return ("COMPLETED",)

    def _submit(self, call: Call, faults: list[Fault]) -> Answer:
        job = self.accept(call, MAGICA, faults, lambda _now: f"lt_{uuid.uuid4().hex}")
        return job if isinstance(job, Answer) else Answer(201, {"id": job.request_id, "status": "waiting"})

    def _status(self, job: Job, call: Call, _faults: list[Fault]) -> Answer:
        now = self.world.clock.now()
        state, home = job.state(now), f"{call.root}/{self.name}/v1/clips/{job.request_id}/files"
        body: dict[str, Any] = {
            "id": job.request_id,
            "model": job.model,
            "status": WORDS[state],
            "made": int(job.submitted),
            "files": [],
        }
        if state == "PROCESSING":
            body["share"] = round((now - job.started) / job.run_seconds, 2)
        if now >= job.finished:
            body |= {"ended": int(job.finished), "bill": {"usd": str(job.price if state == "COMPLETED" else 0)}}
        if state == "COMPLETED":
            body["files"] = [{"url": f"{home}/0", "type": "video/mp4"}]
            body["last_frame"] = {"url": f"{home}/1", "type": "image/png"}
        return Answer(200, body | {"error": job.error})

    def _file(self, job: Job, file: str, _call: Call, _faults: list[Fault]) -> Answer:
        """Behind the key, as all that is below ``/v1``."""
        if job.state(self.world.clock.now()) != "COMPLETED" or file not in ("0", "1"):
            return self.error(404)
        if file == "1":
            return Answer(200, PICTURE, {"content-type": "image/png"})
        return Answer(200, clip(job.clip, colour_of(f"{job.request_id}/0")), {"content-type": "video/mp4"})
