"""Drives a vendor's own, unmodified client against a simulator, and prints what came of it as JSON.

Runs in an environment of its own, without this package: ``python drive.py fal|replicate|segmind CASE URL``.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
import urllib.request
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

PROMPTS = {"fails": "[[fault:job_failed:too dark]] a fox", "breaks": "[[fault:job_error:the runner went]] a fox"}


def lost(case: str, url: str, vendor: str, submit: Callable[[str], object]) -> dict[str, Any]:
    """So many purchases (``lost:FAULT:TIMES:PURCHASES``), and of each the first answers are lost."""
    _, fault, times, purchases = case.split(":")
    ended = 0
    for number in range(int(purchases)):
        _steer(url, "DELETE", {})
        if int(times):
            _steer(url, "POST", {"name": fault, "count": int(times), "vendor": vendor, "on": "submit"})
        with contextlib.suppress(Exception):  # what it raises tells its user nothing about the bill
            submit(f"fox number {number}")
            ended += 1
    _steer(url, "DELETE", {})
    return {"answered": ended}


def _steer(url: str, method: str, body: dict[str, Any]) -> None:
    request = urllib.request.Request(
        f"{url}/_sim/faults", json.dumps(body).encode(), {"Content-Type": "application/json"}, method=method
    )
    urllib.request.urlopen(request, timeout=60).close()


def fal(case: str, url: str) -> dict[str, Any]:
    """Submit, wait and read, or cancel, with fal-client."""
    import fal_client
    import fal_client.client

    fal_client.client.QUEUE_URL_FORMAT = f"{url}/fal/"  # its own setting knows https only
    client = fal_client.SyncClient(key="fal_simulated")
    endpoint = "fal-ai/kling-video/v2.1/standard/text-to-video"
    if case.startswith("lost:"):
        return lost(case, url, "fal", lambda prompt: client.submit(endpoint, {"prompt": prompt}))
    request = {"prompt": PROMPTS.get(case, "a fox"), "elements": [{"url": "https://i.example/a.png"}]}
    handle = client.submit(endpoint, request)
    seen = [type(handle.status()).__name__]
    if case == "cancel":
        handle.cancel()
        return {"id": handle.request_id, "seen": seen, "after": type(handle.status()).__name__}
    try:
        result = handle.get(interval=0.02)
    except fal_client.client.FalClientHTTPError as error:
        return {"id": handle.request_id, "seen": seen, "code": error.status_code, "type": error.error_type}
    after = handle.status()
    return {
        "id": handle.request_id,
        "seen": [*seen, type(after).__name__],
        "video": result["video"]["url"],
        "type": result["video"]["content_type"],
    }


def replicate(case: str, url: str) -> dict[str, Any]:
    """Create, wait and read, or cancel, with replicate."""
    import replicate as sdk

    client = sdk.Client(api_token="r8_simulated", base_url=f"{url}/replicate")  # no secret
    if case.startswith("lost:"):
        create = client.models.predictions.create
        return lost(case, url, "replicate", lambda prompt: create("studio/magica", input={"prompt": prompt}))
    request = {"prompt": PROMPTS.get(case, "a fox")}
    if case == "deployment":
        prediction = client.deployments.predictions.create("studio/magica", input=request)
    elif case == "version":
        prediction = client.predictions.create(version="0a" * 32, input=request)
    else:
        prediction = client.models.predictions.create("studio/magica", input=request)
    seen = [prediction.status]
    if case == "cancel":
        prediction.cancel()
        return {"id": prediction.id, "seen": [*seen, prediction.status]}
    client.poll_interval = 0.02
    prediction.wait()
    listed = [found.id for found in client.predictions.list().results]
    return {
        "id": prediction.id,
        "seen": [*seen, prediction.status],
        "video": str(prediction.output) if prediction.output else None,
        "error": prediction.error,
        "listed": listed,
    }


def segmind(case: str, url: str) -> dict[str, Any]:
    """Submit, wait and read with segmind, or list what of it cancels."""
    import segmind as sdk

    client = sdk.SegmindClient(api_key="SG_0123456789abcdef", base_url=f"{url}/segmind/v1")
    if case.startswith("lost:"):
        return lost(case, url, "segmind", lambda prompt: client.submit_async("mochi-1", prompt=prompt))
    if case == "cancel":
        places = {"SegmindClient": client, "AsyncJob": sdk.v2.AsyncJob, "Generations": client.generations}
        return {
            "cancels": [f"{place}.{name}" for place, one in places.items() for name in dir(one) if "cancel" in name]
        }
    job = client.submit_async("mochi-1", prompt=PROMPTS.get(case, "a fox"))
    try:
        result = job.wait(timeout=20, interval=0.02)
    except sdk.InferenceFailed as error:
        return {"id": job.request_id, "error": error.detail}
    return {"id": job.request_id, "seen": [result["status"]], "video": result["output"]}


def main() -> None:
    """Run one case; whatever the client raises is part of what came of it."""
    vendor, case, url = sys.argv[1:]
    begun = time.monotonic()
    try:
        found = {"fal": fal, "replicate": replicate, "segmind": segmind}[vendor](case, url)
    except Exception as error:  # noqa: BLE001 # that is the finding
        found = {"raised": f"{type(error).__name__}: {error}"}
    print(json.dumps({**found, "seconds": time.monotonic() - begun}))


if __name__ == "__main__":
    main()
