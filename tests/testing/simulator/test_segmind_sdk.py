"""A client that nobody here wrote: the vendor's own ``segmind`` package, unmodified, runs against the simulator."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .conftest import Desk

segmind = pytest.importorskip("segmind")

MOCHI = {"prompt": "a fox", "frames": 52, "fps": 16, "guidance_scale": 4.5, "steps": 30, "seed": 985521}


@pytest.fixture(params=["prefix", "bare"])
def client(desk: Desk, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The vendor's client, on both forms of the address; the clock runs and jobs take 60 ms."""
    desk.simulator.configure(frozen_clock=False, queue_seconds=[0.02, 0.02], run_seconds=[0.04, 0.04])
    base = desk.simulator.base_url("segmind") if request.param == "prefix" else desk.simulator.url
    client = segmind.SegmindClient(api_key="SG_0123456789abcdef", base_url=f"{base}/v1")
    yield client
    client._client.close()


def test_the_client_is_the_published_one() -> None:
    assert version("segmind") == "1.3.0"


def test_submit_and_wait_until_the_video_can_be_fetched(desk: Desk, client: Any) -> None:
    job = client.submit_async("mochi-1", **MOCHI)
    assert job.status()["status"] in ("QUEUED", "PROCESSING")
    result = job.wait(timeout=60, interval=0.02)
    assert result["status"] == "COMPLETED"
    assert desk.http.get(result["output"]).content[4:8] == b"ftyp"
    assert desk.simulator.requests("segmind")[0]["body"] == MOCHI
    assert desk.simulator.requests("segmind")[0]["headers"]["x-initiator"] == "SDK-PY"
    assert (desk.simulator.ledger()["charges"], desk.simulator.violations()) == (1, [])


def test_run_submits_and_waits_in_one_call(desk: Desk, client: Any) -> None:
    result = client.run("mock-inference", sleep=0.02, interval=0.02, timeout=60)
    assert result["status"] == "COMPLETED"
    assert desk.simulator.ledger()["accepted"] == 1


def test_a_failed_job_is_inference_failed_with_its_reason(client: Any) -> None:
    job = client.submit_async("mochi-1", prompt="[[fault:job_failed:too dark]] a fox")
    with pytest.raises(segmind.InferenceFailed) as caught:
        job.wait(timeout=60, interval=0.02)
    assert caught.value.detail == "too dark"
    assert job.result()["status"] == "FAILED"


def test_a_job_that_takes_too_long_is_inference_timeout_and_goes_on(desk: Desk, client: Any) -> None:
    desk.simulator.configure(run_seconds=[3600, 3600])
    job = client.submit_async("mochi-1", prompt="a fox")
    with pytest.raises(segmind.InferenceTimeout) as caught:
        job.wait(timeout=0.1, interval=0.02)
    assert caught.value.request_id == job.request_id
    desk.simulator.advance(3000)
    assert desk.simulator.ledger()["jobs"][0]["state"] == "PROCESSING"


def test_a_bad_key_an_unknown_model_and_an_empty_wallet_are_segmind_errors(desk: Desk, client: Any) -> None:
    with pytest.raises(segmind.SegmindError) as caught:
        client.submit_async("mochi-9", prompt="a fox")
    assert caught.value.status == 404
    desk.simulator.configure(credits=0.1)
    with pytest.raises(segmind.SegmindError) as caught:
        client.submit_async("mochi-1", prompt="a fox")
    assert (caught.value.status, caught.value.detail) == (406, "Not enough credits")
    client._client.headers["x-api-key"] = "bad"
    with pytest.raises(segmind.SegmindError) as caught:
        client.submit_async("mochi-1", prompt="a fox")
    assert caught.value.status == 401
    assert "API key" in caught.value.detail


def test_credits_and_the_synchronous_call(desk: Desk, client: Any) -> None:
    answer = client.run_sync("mochi-1", prompt="a fox")
    assert answer.content[4:8] == b"ftyp"
    assert answer.headers["x-remaining-credits"] == "999.70"
    assert client._client.get("/get-user-credits").json() == {"credits": 999.7, "free-credits": 0.0}


def test_a_request_is_forgotten_after_an_hour(desk: Desk, client: Any) -> None:
    job = client.submit_async("mochi-1", prompt="a fox")
    job.wait(timeout=60, interval=0.02)
    desk.simulator.advance(3600)
    with pytest.raises(segmind.SegmindError) as caught:
        job.result()
    assert caught.value.status == 404


def test_a_file_is_uploaded_through_a_hook_that_only_changes_where_requests_go(
    desk: Desk, client: Any, tmp_path: Path
) -> None:
    def to_simulator(request: httpx.Request) -> None:
        request.url = request.url.copy_with(scheme="http", host="127.0.0.1", port=httpx.URL(desk.simulator.url).port)

    client._client.event_hooks["request"].append(to_simulator)
    image = tmp_path / "fox.png"
    image.write_bytes(b"\x89PNG fox")
    (url,) = client.files.upload(str(image))["file_urls"]
    stored = desk.http.get(desk.simulator.url + httpx.URL(url).path)
    assert stored.content == b"\x89PNG fox"


@pytest.mark.parametrize("field", ["request_id", "status_url", "response_url"])
def test_it_fails_when_one_field_of_the_submit_has_another_name(desk: Desk, client: Any, field: str) -> None:
    desk.simulator.fault(f"rename:{field}=something_else")
    with pytest.raises(Exception, match=field):
        client.submit_async("mochi-1", prompt="a fox")


def test_it_never_ends_when_the_status_has_another_name(desk: Desk, client: Any) -> None:
    desk.simulator.fault("rename:status=state", count=None, on="status")
    job = client.submit_async("mochi-1", prompt="a fox")
    with pytest.raises(segmind.InferenceTimeout):
        job.wait(timeout=0.2, interval=0.02)
