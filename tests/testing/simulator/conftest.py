"""Vendors on a simulator whose clock stands still: queue 10 s, run 60 s."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from airflow_video_providers.testing.pytest_plugin import video_simulator, video_simulator_server  # noqa: F401
from airflow_video_providers.testing.simulator.handle import KEYS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_video_providers.testing.simulator import SimulatorHandle

HEADERS = {"pixazo": "Ocp-Apim-Subscription-Key", "appypie": "Ocp-Apim-Subscription-Key", "segmind": "x-api-key"}
SUBMIT = {
    "pixazo": "/pixverse-v6-text-to-video/v1/pixverse-v6-text-to-video-request",
    "appypie": "/fal-ai-mochi-v1/v1/generate",
    "segmind": "/v2/mochi-1",
}


class Desk:
    """A client of all three vendors, with a key for each.

    :param simulator: The handle on the simulator.
    """

    QUEUE = 10.0
    RUN = 60.0

    def __init__(self, simulator: SimulatorHandle, http: httpx.Client) -> None:
        self.simulator = simulator
        self.http = http

    def call(self, vendor: str, method: str, path: str, **how: Any) -> httpx.Response:
        """Any request to a vendor, with a good key unless ``key`` is given; ``key=None`` sends none."""
        key = how.pop("key", KEYS[vendor])
        headers = ({HEADERS[vendor]: key} if key is not None else {}) | how.pop("headers", {})
        url = path if path.startswith("http") else self.simulator.base_url(vendor) + path
        return self.http.request(method, url, headers=headers, **how)

    def submit(self, vendor: str, prompt: str = "a red fox", *, path: str | None = None, **how: Any) -> httpx.Response:
        """Buy a video."""
        body = how.pop("body", {"prompt": prompt})
        return self.call(vendor, "POST", path or SUBMIT[vendor], json=body, **how)

    def buy(self, vendor: str, prompt: str = "a red fox", **how: Any) -> str:
        """Buy a video and return its id."""
        answer = self.submit(vendor, prompt, **how)
        assert answer.is_success, answer.text
        content = answer.json()
        return str(content.get("request_id") or content.get("requestId"))

    def status(self, vendor: str, request_id: str, **how: Any) -> httpx.Response:
        """Ask for a status."""
        if vendor == "pixazo":
            return self.call(vendor, "GET", f"/v2/requests/status/{request_id}", **how)
        if vendor == "segmind":
            return self.call(vendor, "GET", f"/v2/requests/{request_id}/status", **how)
        body = {"requestId": request_id}
        return self.call(vendor, "POST", "/fal-ai-mochi-v1-polling/v1/getStatus", json=body, **how)

    def result(self, request_id: str, **how: Any) -> httpx.Response:
        """Segmind's result."""
        return self.call("segmind", "GET", f"/v2/requests/{request_id}", **how)

    def url(self, vendor: str, request_id: str) -> str:
        """Where a finished job's first video is."""
        if vendor == "pixazo":
            return str(self.status(vendor, request_id).json()["output"]["media_url"][0])
        if vendor == "segmind":
            return str(self.result(request_id).json()["output"])
        return str(self.status(vendor, request_id).json()["video_url"])

    def start(self) -> None:
        """Let everything leave the queue."""
        self.simulator.advance(self.QUEUE)

    def finish(self) -> None:
        """Let everything end."""
        self.simulator.advance(self.QUEUE + self.RUN)

    def finished(self, vendor: str, prompt: str = "a red fox", **how: Any) -> str:
        """Buy a video, wait, and return where it is."""
        request_id = self.buy(vendor, prompt, **how)
        self.finish()
        return self.url(vendor, request_id)


@pytest.fixture(scope="session")
def http() -> Iterator[httpx.Client]:
    """A client without any key."""
    with httpx.Client(trust_env=False, timeout=60) as client:
        yield client


@pytest.fixture
def desk(video_simulator: SimulatorHandle, http: httpx.Client) -> Desk:  # noqa: F811  the fixture of that name
    """The three vendors; time stands still."""
    queue, run = Desk.QUEUE, Desk.RUN
    video_simulator.configure(frozen_clock=True, queue_seconds=[queue, queue], run_seconds=[run, run])
    return Desk(video_simulator, http)


@pytest.fixture
def eventually() -> Callable[[Callable[[], Any]], Any]:
    """Asks until the answer is true, for at most a minute."""

    def ask(question: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + 60
        while not (answer := question()) and time.monotonic() < deadline:
            time.sleep(0.01)  # another process's or thread's work is waited for
        return answer

    return ask
