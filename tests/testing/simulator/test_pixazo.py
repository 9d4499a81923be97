"""Pixazo as its pages on Mochi and PixVerse describe it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .conftest import Desk

MOCHI = "68a5784c0828c041ba519ca6"
IMAGE = "https://images.example/fox.png"
UUID7 = r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"

EVERY_MODEL = [
    (MOCHI, "/mochi-v1-clone/generate", {"seed": 445}),
    ("pixverse-v6-text-to-video", None, {"aspect_ratio": "21:9", "style": "clay", "thinking_type": "auto", "seed": 1}),
    ("pixverse-v6-image-to-video", None, {"image_url": IMAGE, "resolution": "480p", "generate_audio_switch": True}),
    ("pixverse-c1-text-to-video", None, {"duration": 15, "generate_multi_clip_switch": True}),
    ("pixverse-c1-image-to-video", None, {"image_url": IMAGE, "resolution": "540p", "duration": 1}),
    ("pixverse", None, {"aspect_ratio": "1:1", "resolution": "2160p", "duration": 7}),
    ("pixverse-i2v", None, {"image_url": IMAGE, "resolution": "1080p", "duration": "10"}),
]


@pytest.mark.parametrize(("model", "path", "fields"), EVERY_MODEL, ids=[row[0] for row in EVERY_MODEL])
def test_every_model_is_accepted_with_202_an_id_and_a_polling_url(
    desk: Desk, model: str, path: str | None, fields: dict[str, Any]
) -> None:
    answer = desk.submit("pixazo", path=path or f"/{model}/v1/{model}-request", body={"prompt": "a fox"} | fields)
    assert answer.status_code == 202
    body = answer.json()
    assert re.fullmatch(f"{model}_{UUID7}", body["request_id"])
    assert body == {
        "request_id": body["request_id"],
        "status": "QUEUED",
        "polling_url": f"{desk.simulator.base_url('pixazo')}/v2/requests/status/{body['request_id']}",
    }


def test_a_job_is_queued_then_processing_then_completed_with_every_documented_field(desk: Desk) -> None:
    request_id = desk.buy("pixazo")
    queued = desk.status("pixazo", request_id).json()
    assert (queued["status"], queued["output"], queued["error"], queued["completed_at"]) == ("QUEUED", None, None, None)
    desk.start()
    assert desk.status("pixazo", request_id).json()["status"] == "PROCESSING"
    desk.finish()
    done = desk.status("pixazo", request_id).json()
    assert done["status"] == "COMPLETED"
    assert done["model_id"] == "pixverse-v6-text-to-video"
    assert done["output"]["media_type"] == "application/octet-stream"
    assert len(done["output"]["media_url"]) == 1
    assert set(done) == {
        "request_id", "status", "model_id", "error", "output", "created_at", "updated_at", "completed_at",
    }  # fmt: skip
    for name in ("created_at", "updated_at", "completed_at"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", done[name])


def test_a_job_may_have_several_outputs(desk: Desk) -> None:
    desk.simulator.configure(outputs=3)
    request_id = desk.buy("pixazo")
    desk.finish()
    urls = desk.status("pixazo", request_id).json()["output"]["media_url"]
    assert len(set(urls)) == 3
    assert len({desk.http.get(url).content for url in urls}) == 3


@pytest.mark.parametrize("fault", ["job_failed", "job_error", "content_blocked"])
def test_a_job_that_went_wrong_has_a_reason_and_no_output(desk: Desk, fault: str) -> None:
    request_id = desk.buy("pixazo", f"[[fault:{fault}]] a fox")
    desk.finish()
    answer = desk.status("pixazo", request_id)
    body = answer.json()
    assert answer.status_code == 200
    assert body["status"] == ("ERROR" if fault == "job_error" else "FAILED")
    assert body["error"]
    assert body["output"] is None


def test_the_submit_status_can_be_200(desk: Desk) -> None:
    desk.simulator.configure(pixazo_submit_status=200)
    assert desk.submit("pixazo").status_code == 200


def test_the_legacy_status_speaks_lower_case_and_takes_the_bare_uuid_and_the_whole_id(desk: Desk) -> None:
    request_id = desk.buy("pixazo", path="/mochi-v1-clone/generate")

    def ask(wanted: str) -> dict[str, Any]:
        path = "/mochi-v1-polling-clone/getStatus"
        return dict(desk.call("pixazo", "POST", path, json={"requestId": wanted}).json())

    bare = request_id.partition("_")[2]
    assert ask(bare) == {"status": "queued", "video_url": ""}
    desk.start()
    assert ask(request_id) == {"status": "processing", "video_url": ""}
    desk.finish()
    done = ask(bare)
    assert done["status"] == "completed"
    assert desk.http.get(done["video_url"]).status_code == 200


def test_the_legacy_status_may_complete_with_an_empty_url(desk: Desk) -> None:
    request_id = desk.buy("pixazo", "[[fault:completed_without_url@status]] a fox", path="/mochi-v1-clone/generate")
    desk.finish()
    asked = [
        desk.call("pixazo", "POST", "/mochi-v1-polling-clone/getStatus", json={"requestId": request_id}).json()
        for _ in range(2)
    ]
    assert asked[0] == {"status": "completed", "video_url": ""}
    assert asked[1]["video_url"]


def test_the_legacy_status_says_why_a_job_failed(desk: Desk) -> None:
    request_id = desk.buy("pixazo", "[[fault:job_failed:too dark]] a fox", path="/mochi-v1-clone/generate")
    desk.finish()
    answer = desk.call("pixazo", "POST", "/mochi-v1-polling-clone/getStatus", json={"requestId": request_id})
    assert answer.json() == {"status": "failed", "video_url": "", "error": "too dark"}


@pytest.mark.parametrize("body", [{}, {"requestId": ""}, {"request_id": "x"}, [1]])
def test_the_legacy_status_wants_its_own_field(desk: Desk, body: Any) -> None:
    assert desk.call("pixazo", "POST", "/mochi-v1-polling-clone/getStatus", json=body).status_code == 400


def test_the_documented_body_of_402(desk: Desk) -> None:
    desk.simulator.configure(credits=0.1)
    answer = desk.submit("pixazo")
    assert answer.status_code == 402
    assert answer.json() == {
        "error": "Insufficient Balance",
        "message": "Your wallet does not have enough balance.",
    }


def test_an_unknown_model_is_400_with_the_documented_body(desk: Desk) -> None:
    answer = desk.submit("pixazo", path="/pixverse-v9/v1/pixverse-v9-request")
    assert answer.status_code == 400
    assert answer.json() == {"error": "Model not found", "message": "Model 'pixverse-v9' not found or is disabled"}


@pytest.mark.parametrize("key", [None, "", "bad-key"])
def test_a_missing_or_bad_key_is_401_on_submit_and_status(desk: Desk, key: str | None) -> None:
    request_id = desk.buy("pixazo")
    for answer in (desk.submit("pixazo", key=key), desk.status("pixazo", request_id, key=key)):
        assert answer.status_code == 401
        assert set(answer.json()) == {"error", "message"}
    assert desk.simulator.ledger()["accepted"] == 1


def test_an_unknown_request_is_404(desk: Desk) -> None:
    assert desk.status("pixazo", "pixverse_nobody").status_code == 404
    assert desk.call("pixazo", "GET", "/v1/models").status_code == 404


def test_another_vendors_job_is_unknown_here(desk: Desk) -> None:
    assert desk.status("pixazo", desk.buy("segmind")).status_code == 404
    assert desk.status("segmind", desk.buy("pixazo")).status_code == 404


def test_a_body_that_is_not_sent_as_json_is_refused(desk: Desk) -> None:
    answer = desk.call("pixazo", "POST", "/mochi-v1-clone/generate", data={"prompt": "a fox"})
    assert answer.status_code == 400
    assert desk.simulator.ledger()["accepted"] == 0


@pytest.mark.parametrize("code", [400, 401, 402, 403, 404, 429, 500])
def test_every_code_of_the_table_can_be_asked_for(desk: Desk, code: int) -> None:
    answer = desk.submit("pixazo", f"[[fault:error_{code}]] a fox")
    assert answer.status_code == code
    assert set(answer.json()) == {"error", "message"}
    assert "retry-after" not in answer.headers
