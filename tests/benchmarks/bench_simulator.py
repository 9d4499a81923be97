"""What a thousand complete jobs cost on the simulator, client included.

Prints CPU seconds, and the ratio to a bare Starlette application that answers the same number of
requests in the same run. Nothing is asserted: run it with ``python tests/benchmarks/bench_simulator.py``.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from airflow_video_providers.testing.simulator import SimulatorHandle, running
from airflow_video_providers.testing.simulator.handle import KEYS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request

JOBS = 1000
OCP = {"Ocp-Apim-Subscription-Key": KEYS["pixazo"]}
SEG = {"x-api-key": KEYS["segmind"]}


class Counted:
    """A client that counts what it asks."""

    def __init__(self) -> None:
        self.client = httpx.Client()
        self.requests = 0

    def __call__(self, method: str, url: str, **how: Any) -> httpx.Response:
        self.requests += 1
        response = self.client.request(method, url, **how)
        response.raise_for_status()
        return response


def submit(ask: Counted, simulator: SimulatorHandle, number: int) -> tuple[str, str]:
    """Buy one video; the vendor and the id."""
    prompt = {"prompt": f"fox {number}"}
    match number % 3:
        case 0:
            path = "/pixverse-v6-text-to-video/v1/pixverse-v6-text-to-video-request"
            body = ask("POST", simulator.base_url("pixazo") + path, json=prompt | {"duration": 5}, headers=OCP)
            return "pixazo", body.json()["request_id"]
        case 1:
            url = simulator.base_url("appypie") + "/fal-ai-mochi-v1/v1/generate"
            return "appypie", ask("POST", url, json=prompt, headers=OCP).json()["requestId"]
        case _:
            url = simulator.base_url("segmind") + "/v2/mochi-1"
            return "segmind", ask("POST", url, json=prompt, headers=SEG).json()["request_id"]


def poll(ask: Counted, simulator: SimulatorHandle, vendor: str, request_id: str) -> dict[str, Any]:
    """One status."""
    base = simulator.base_url(vendor)
    match vendor:
        case "pixazo":
            return ask("GET", f"{base}/v2/requests/status/{request_id}", headers=OCP).json()
        case "appypie":
            url = f"{base}/fal-ai-mochi-v1-polling/v1/getStatus"
            return ask("POST", url, json={"requestId": request_id}, headers=OCP).json()
        case _:
            return ask("GET", f"{base}/v2/requests/{request_id}/status", headers=SEG).json()


def media_url(ask: Counted, simulator: SimulatorHandle, vendor: str, request_id: str, status: dict[str, Any]) -> str:
    """Where the video is; Segmind keeps it in the result."""
    if vendor == "segmind":
        return ask("GET", f"{simulator.base_url(vendor)}/v2/requests/{request_id}", headers=SEG).json()["output"]
    return status["output"]["media_url"][0] if vendor == "pixazo" else status["video_url"]


def life_cycles(ask: Counted) -> int:
    """Submit, three polls, result, download: every job. Returns the bytes of video."""
    downloaded = 0
    with running(frozen_clock=True, queue_seconds=(10, 10), run_seconds=(60, 60), credits=1e6) as simulator:
        jobs = [submit(ask, simulator, number) for number in range(JOBS)]
        for seconds in (0, 30):
            simulator.advance(seconds)
            for vendor, request_id in jobs:
                poll(ask, simulator, vendor, request_id)
        simulator.advance(60)
        for vendor, request_id in jobs:
            status = poll(ask, simulator, vendor, request_id)
            downloaded += len(ask("GET", media_url(ask, simulator, vendor, request_id, status)).content)
        ledger = simulator.ledger()
        if ledger["charges"] != JOBS or ledger["duplicates"] or simulator.violations():
            raise SystemExit(f"the ledger is wrong: {ledger['charges']} charges for {JOBS} jobs")
    return downloaded


async def _answer(request: Request) -> JSONResponse:
    await request.body()
    return JSONResponse({"request_id": "x" * 60, "status": "QUEUED", "polling_url": "y" * 100})


@contextmanager
def bare_starlette() -> Iterator[str]:
    """One route, nothing behind it, the same server."""
    app = Starlette(routes=[Route("/answer", _answer, methods=["GET", "POST"])])
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", access_log=False, loop="asyncio"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/answer"
    server.should_exit = True
    thread.join(5)


def main() -> None:
    """Measure both, and print."""
    ask = Counted()
    started = time.process_time()
    downloaded = life_cycles(ask)
    simulated = time.process_time() - started
    with bare_starlette() as url:
        bare = Counted()
        started = time.process_time()
        for number in range(ask.requests):
            bare("POST" if number % 2 else "GET", url, **({"json": {"prompt": "fox"}} if number % 2 else {}))
        floor = time.process_time() - started
    print(f"{JOBS} jobs, {ask.requests} requests, {downloaded / 1e6:.1f} MB of video")
    print(f"simulator and client  {simulated:6.2f} CPU-s  {1000 * simulated / ask.requests:.2f} ms per request")
    print(f"bare Starlette        {floor:6.2f} CPU-s  {1000 * floor / ask.requests:.2f} ms per request")
    print(f"ratio                 {simulated / floor:6.2f}")


if __name__ == "__main__":
    main()
