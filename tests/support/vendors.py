"""A vendor that answers from a script, and a client that talks to it: no network, no sleep."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx

from airflow_video_providers.core.client.client import VideoClient
from airflow_video_providers.core.jobs import VideoJob
from airflow_video_providers.core.vendors import catalogue

KEY = "sk_test_0123456789abcdef"
NOW = datetime(2026, 5, 22, 13, 0, tzinfo=UTC)
MODELS = {
    "pixazo": "pixazo:mochi-v1",
    "appypie": "appypie:mochi-1",
    "segmind": "segmind:mochi-1",
}
IMAGE = "https://images.example/first.png"

#: The smallest request of each model.
SMALLEST: dict[str, dict[str, Any]] = {
    "pixazo:mochi-v1": {},
    "pixazo:pixverse-v6-text-to-video": {},
    "pixazo:pixverse-v6-image-to-video": {"image_url": IMAGE},
    "pixazo:pixverse-c1-text-to-video": {},
    "pixazo:pixverse-c1-image-to-video": {"image_url": IMAGE},
    "pixazo:pixverse-v5.6-text-to-video": {"aspect_ratio": "16:9", "resolution": "720p", "duration": 5},
    "pixazo:pixverse-v5.6-image-to-video": {"image_url": IMAGE, "resolution": "720p", "duration": 5},
    "appypie:mochi-1": {},
    "segmind:mochi-1": {},
}


def request(model: str, **fields: Any) -> Any:
    """A typed request for a model, with what it needs."""
    return catalogue.find(model, unchecked=True).parse({"prompt": "a fox", **SMALLEST.get(model, {}), **fields})


def answer(code: int = 200, body: Any = None, **headers: str) -> httpx.Response:
    """A response; a str or bytes body is sent as it is, anything else as JSON."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    content = body if isinstance(body, str | bytes) else json.dumps(body)
    return httpx.Response(code, headers=named, content=b"" if body is None else content)


@dataclass
class Scripted:
    """Answers each request with the next of ``answers``; the last one is repeated for ever."""

    answers: tuple[httpx.Response | Exception, ...]
    sent: list[httpx.Request] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)

    def __call__(self, call: httpx.Request) -> httpx.Response:
        self.sent.append(call)
        assert len(self.sent) < 500, "a storm of requests"
        what = self.answers[min(len(self.sent), len(self.answers)) - 1]
        if isinstance(what, Exception):
            raise what
        return httpx.Response(what.status_code, headers=what.headers, content=what.content)

    def client(self, vendor: str, *, key: str = KEY, **options: Any) -> VideoClient:
        """A client of one vendor that gets these answers."""
        known = catalogue.vendors()[vendor](now=lambda: NOW, **options)
        return VideoClient(known, key, transport=httpx.MockTransport(self), sleep=self.slept.append)


def scripted(*answers: httpx.Response | Exception) -> Scripted:
    """A vendor with these answers."""
    return Scripted(answers)


def job(vendor: str, **fields: Any) -> VideoJob:
    """A job that was just bought."""
    return VideoJob(
        **{"model": MODELS.get(vendor, f"{vendor}:a/b"), "request_id": "r-1", "submitted_at": NOW, **fields}
    )
