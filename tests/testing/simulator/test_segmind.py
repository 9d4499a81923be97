"""Segmind as its page on Mochi 1, its list of codes, and its own client describe it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Desk


def test_a_submit_answers_with_an_id_and_all_its_addresses(desk: Desk) -> None:
    answer = desk.submit("segmind", body={"prompt": "a fox", "frames": 52, "fps": 16.0, "timeout": 7})
    body, base = answer.json(), desk.simulator.base_url("segmind")
    assert answer.status_code == 200
    assert body == {
        "request_id": body["request_id"],
        "status": "QUEUED",
        "poll_url": f"{base}/v1/requests/{body['request_id']}",
        "status_url": f"{base}/v2/requests/{body['request_id']}/status",
        "response_url": f"{base}/v2/requests/{body['request_id']}",
    }


def test_status_and_result_of_a_job_from_queue_to_video(desk: Desk) -> None:
    request_id = desk.buy("segmind")
    assert desk.status("segmind", request_id).json()["status"] == "QUEUED"
    desk.start()
    assert desk.status("segmind", request_id).json()["status"] == "PROCESSING"
    assert desk.result(request_id).json()["status"] == "PROCESSING"
    desk.finish()
    status = desk.status("segmind", request_id).json()
    assert (status["status"], status["metrics"]) == ("COMPLETED", {"inference_time": 60.0})
    assert "output" not in status
    result = desk.result(request_id).json()
    assert result["status"] == "COMPLETED"
    assert result["output"] == result["video"]["url"]
    assert result["metrics"]["total_time"] == 70.0
    assert len(desk.http.get(result["output"]).content) == result["video"]["file_size"]
    assert desk.call("segmind", "GET", f"/v1/requests/{request_id}").json() == result


@pytest.mark.parametrize("fault", ["job_failed", "job_error", "content_blocked"])
def test_a_failed_job_is_served_as_422_on_status_and_result(desk: Desk, fault: str) -> None:
    request_id = desk.buy("segmind", f"[[fault:{fault}]] a fox")
    assert desk.status("segmind", request_id).status_code == 200
    desk.finish()
    for answer in (desk.status("segmind", request_id), desk.result(request_id)):
        assert answer.status_code == 422
        body = answer.json()
        assert (body["status"], body["metrics"]) == ("FAILED", {"inference_time": 60.0})
        assert body["error"]
        assert set(body) == {
            "request_id", "status", "error", "metrics", "poll_url", "status_url", "response_url",
        }  # fmt: skip
    assert desk.simulator.ledger()["charges"] == 0


def test_a_request_is_forgotten_one_hour_after_its_submit(desk: Desk) -> None:
    request_id = desk.buy("segmind")
    desk.simulator.advance(3599)
    url = desk.result(request_id).json()["output"]
    desk.simulator.advance(1)
    assert desk.status("segmind", request_id).status_code == 404
    assert desk.result(request_id).status_code == 404
    assert desk.http.get(url).status_code == 200


def test_the_wallet_only_decreases_when_a_job_succeeds(desk: Desk) -> None:
    def left() -> float:
        return float(desk.call("segmind", "GET", "/v1/get-user-credits").json()["credits"])

    desk.buy("segmind")
    desk.buy("segmind", "[[fault:job_failed]] a fox")
    assert left() == 1000.0
    desk.finish()
    assert left() == 999.7
    assert desk.submit("segmind").headers["x-remaining-credits"] == "999.70"


def test_without_credits_a_submit_is_406(desk: Desk) -> None:
    desk.simulator.configure(credits=0.2)
    answer = desk.submit("segmind")
    assert (answer.status_code, answer.json()) == (406, {"error": "Not enough credits"})


def test_406_can_also_mean_the_content_type(desk: Desk) -> None:
    answers = [
        desk.call("segmind", "POST", "/v2/mochi-1", content=b'{"prompt": "a fox"}'),
        desk.submit("segmind", "[[fault:wrong_content_type]] a fox"),
    ]
    for answer in answers:
        assert answer.status_code == 406
        assert "content type" in answer.json()["error"]


def test_the_synchronous_route_answers_with_the_video_itself(desk: Desk) -> None:
    answer = desk.submit("segmind", path="/v1/mochi-1", body={"prompt": "a fox", "seed": 7})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.content[4:8] == b"ftyp"
    assert answer.headers["x-seed-value"] == "7"
    assert answer.headers["x-cost"] == "0.30"
    assert answer.headers["x-remaining-credits"] == "999.70"
    assert answer.headers["x-request-id"] == desk.simulator.ledger()["jobs"][0]["request_id"]
    assert float(answer.headers["x-generation-time"]) >= 0


def test_the_synchronous_route_can_answer_with_json_or_lie_about_the_type(desk: Desk) -> None:
    desk.simulator.configure(segmind_sync_answer="json")
    assert desk.submit("segmind", path="/v1/mochi-1").json()["video"]["url"].endswith(".mp4")
    desk.simulator.configure(segmind_sync_answer="image/jpeg")
    answer = desk.submit("segmind", path="/v1/mochi-1")
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.content[4:8] == b"ftyp"


def test_the_synchronous_route_is_422_when_the_job_fails(desk: Desk) -> None:
    answer = desk.submit("segmind", "[[fault:job_failed]] a fox", path="/v1/mochi-1")
    assert answer.status_code == 422
    assert desk.simulator.ledger()["charges"] == 0


def test_the_synchronous_route_takes_its_time_when_the_clock_runs(desk: Desk) -> None:
    desk.simulator.configure(frozen_clock=False, queue_seconds=[0, 0], run_seconds=[0.15, 0.15])
    answer = desk.submit("segmind", path="/v1/mochi-1")
    assert answer.elapsed.total_seconds() >= 0.15
    assert answer.headers["x-generation-time"] == "0.150"


@pytest.mark.parametrize(
    ("key", "text"), [(None, "Missing Authorization or x-api-key"), ("bad", "Unauthorized. API key is invalid")]
)
def test_a_missing_or_bad_key_is_401(desk: Desk, key: str | None, text: str) -> None:
    answer = desk.submit("segmind", key=key)
    assert answer.status_code == 401
    assert answer.json()["error"].startswith(text)
    assert "x-remaining-credits" not in answer.headers


def test_an_unknown_model_is_404_and_a_retired_one_410(desk: Desk) -> None:
    assert desk.submit("segmind", path="/v2/mochi-9").status_code == 404
    assert desk.submit("segmind", "[[fault:error_410]] a fox").status_code == 410
    assert desk.submit("segmind", "[[fault:model_not_found]] a fox").status_code == 404


def test_a_wrong_method_is_405_as_an_html_page(desk: Desk) -> None:
    for answer in (
        desk.call("segmind", "GET", "/v2/mochi-1"),
        desk.call("segmind", "POST", f"/v2/requests/{desk.buy('segmind')}/status"),
    ):
        assert answer.status_code == 405
        assert answer.headers["content-type"].startswith("text/html")


def test_too_many_requests_name_a_moment_and_never_retry_after(desk: Desk) -> None:
    desk.simulator.configure(rpm=1)
    desk.submit("segmind")
    answer = desk.submit("segmind")
    assert answer.status_code == 429
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT.*Z", answer.headers["x-rate-limit-reset-at-utc"])
    assert "retry-after" not in answer.headers
    desk.simulator.advance(60)
    assert desk.submit("segmind").status_code == 200


def test_mock_inference_sleeps_as_long_and_costs_as_much_as_it_was_told(desk: Desk) -> None:
    request_id = desk.buy("segmind", path="/v2/mock-inference", body={"sleep": 3, "credits": 2.5})
    desk.simulator.advance(2.9)
    assert desk.status("segmind", request_id).json()["status"] == "PROCESSING"
    desk.simulator.advance(0.2)
    assert desk.status("segmind", request_id).json()["status"] == "COMPLETED"
    assert desk.simulator.ledger()["charged"]["segmind"] == 2.5


def test_an_uploaded_file_can_be_fetched_under_both_names_of_the_field(desk: Desk) -> None:
    answer = desk.call("segmind", "POST", "/upload-asset", json={"data_urls": ["data:image/png;base64,aGVsbG8="]})
    assert answer.json()["file_urls"] == answer.json()["urls"]
    stored = desk.http.get(answer.json()["file_urls"][0])
    assert (stored.content, stored.headers["content-type"]) == (b"hello", "image/png")


@pytest.mark.parametrize(
    "body", [{}, {"data_urls": []}, {"data_urls": ["http://x/y.png"]}, {"data_urls": ["data:image/png;base64,a"]}]
)
def test_a_wrong_upload_is_400(desk: Desk, body: dict[str, list[str]]) -> None:
    assert desk.call("segmind", "POST", "/upload-asset", json=body).status_code == 400


@pytest.mark.parametrize(("accept", "code"), [("application/json", 406), ("*/*", 200), ("video/mp4, */*;q=0.1", 200)])
def test_v1_answers_with_a_video_and_refuses_who_takes_none(desk: Desk, accept: str, code: int) -> None:
    answer = desk.call("segmind", "POST", "/v1/mochi-1", json={"prompt": "a fox"}, headers={"accept": accept})
    assert answer.status_code == code
    assert desk.simulator.ledger()["accepted"] == (code == 200)


def test_a_v2_result_may_be_the_video_itself(desk: Desk) -> None:
    desk.simulator.configure(segmind_result="video")
    request_id = desk.buy("segmind")
    desk.finish()
    answer = desk.result(request_id)
    assert (answer.headers["content-type"], answer.content[4:8]) == ("video/mp4", b"ftyp")
