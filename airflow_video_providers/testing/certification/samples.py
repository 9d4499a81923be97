"""What a transcript is held against: the documented pairs, and what the simulator answers to the same request."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from airflow_video_providers.core.client.client import VideoClient
from airflow_video_providers.core.errors import VideoProviderError
from airflow_video_providers.core.jobs import JobStatus
from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.testing.certification.recorder import Recorder
from airflow_video_providers.testing.certification.redaction import Reduction
from airflow_video_providers.testing.certification.transcript import Exchange, Reply, kind_of
from airflow_video_providers.testing.simulator.app import Simulator
from airflow_video_providers.testing.simulator.options import Options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_video_providers.core.vendors.base import Vendor
    from airflow_video_providers.core.vendors.models import VideoModel
    from airflow_video_providers.testing.certification.transcript import Transcript
    from airflow_video_providers.testing.simulator.gateway import Gateway

#: One folder for each vendor.
DOCUMENTS = Path(__file__).parent / "documents"
_KEY = "simulated-0123456789"
_FAILING = "[[fault:job_failed]] "


def documented(transcript: Transcript, folder: Path = DOCUMENTS) -> list[Exchange]:
    """The documented answers of the transcript's vendor: of its model, where the documents show any of it."""
    place = folder / transcript.vendor / "answers.json"
    if not place.is_file():
        return []
    facts = json.loads(place.read_text(encoding="utf-8"))
    of_model = [fact for fact in facts if fact["model"] == transcript.model]
    found = []
    for fact in of_model or facts:
        if fact["to"] == "status" and fact.get("status_route", "default") != transcript.status_route:
            continue
        for step, answer in enumerate([fact, *fact.get("then", [])]):
            reply = Reply(
                http=answer["http"], headers=answer.get("headers", {}), body=answer.get("body", answer.get("text"))
            )
            found.append(Exchange(verb=fact["to"], step=step, answer=reply))
    return found


def simulated(transcript: Transcript, more: Sequence[type[Gateway]] = ()) -> list[Exchange] | None:
    """What this version sends for the transcript's request, and what the simulator answers; None where it plays no such vendor.

    Everything happens in this process: no network.

    :param more: Gateways of vendors that the package does not ship.
    :raises InvalidRequestError: this version knows no such model, or refuses the request.
    """
    app = Simulator(Options(queue_seconds=(10.0, 10.0), run_seconds=(10.0, 10.0), frozen_clock=True), more)
    if transcript.vendor not in app.gateways:
        return None
    kind = catalogue.vendor_of(transcript.model)
    vendor = kind(
        f"http://127.0.0.1/{transcript.vendor}",
        status_route=transcript.status_route,
        now=lambda: datetime.fromtimestamp(app.world.clock.now(), UTC),
    )
    request = catalogue.find(transcript.model, unchecked=True).parse(transcript.request)
    found = _played(app, vendor, request)
    names = {kind_of(transcript.vendor, one.answer) for one in transcript.exchanges if one.answer is not None}
    if names & {JobStatus.FAILED, JobStatus.ERROR, "HTTP 422"} and "prompt" in transcript.request:
        prompt = f"{_FAILING}{transcript.request['prompt']}"
        failing = _played(app, vendor, type(request).parse({**transcript.request, "prompt": prompt}))
        found += [one for one in failing if one.verb == "status"]
    return found


def _played(app: Simulator, vendor: Vendor, request: VideoModel) -> list[Exchange]:
    """One job from its submit to its end, polled in each of its states."""
    recorder, world, way = Recorder(vendor, request), app.world, _InProcess(app)
    with VideoClient(vendor, _KEY, transport=way, sleep=lambda _: None) as client:
        client.heard = recorder
        job = client.submit(request)
        for seconds in (0, 15, 600):
            world.clock.advance(seconds)
            recorder.verb = "status"
            try:
                job = client.status(job)
            except VideoProviderError:  # heard all the same
                continue
            if vendor.history_kept is not None and seconds != 15:
                recorder.verb = "history"
                now = vendor.now()
                client.history(request.id, now - timedelta(hours=1), now + timedelta(hours=1))
    heard = recorder.exchanges(Reduction(_KEY, [vendor.url], [job.request_id]), job.request_id)
    files = (way.handle_request(httpx.Request("HEAD", output.url)) for output in job.outputs)
    return heard + [
        Exchange(verb="output", step=step, answer=Reply(http=file.status_code, headers=_type_of(file)))
        for step, file in enumerate(files)
    ]


def _type_of(file: httpx.Response) -> dict[str, str]:
    return {"content-type": file.headers.get("content-type", "")}


class _InProcess(httpx.BaseTransport):
    """The simulator without a socket."""

    def __init__(self, app: Simulator) -> None:
        self._transport = httpx.ASGITransport(app)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        async def answered() -> httpx.Response:
            answer = await self._transport.handle_async_request(request)
            return httpx.Response(answer.status_code, headers=answer.headers, content=await answer.aread())

        return asyncio.run(answered())
