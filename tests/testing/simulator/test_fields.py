"""Types, ranges, required and unknown fields, as the tables of the documents list them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .conftest import Desk

IMAGE = {"image_url": "https://images.example/fox.webp"}
V6, V6_IMAGE = "pixverse-v6-text-to-video", "pixverse-v6-image-to-video"
C1, C1_IMAGE = "pixverse-c1-text-to-video", "pixverse-c1-image-to-video"
V56, V56_IMAGE = "pixverse", "pixverse-i2v"
BASE: dict[str, dict[str, Any]] = {
    V6: {},
    V6_IMAGE: IMAGE,
    C1: {},
    C1_IMAGE: IMAGE,
    V56: {"aspect_ratio": "16:9", "resolution": "720p", "duration": 5},
    V56_IMAGE: IMAGE | {"resolution": "720p", "duration": "5"},
}


def ask(desk: Desk, model: str, fields: dict[str, Any]) -> tuple[int, str]:
    """Submit, and return the status and what is wrong."""
    path = "/mochi-v1-clone/generate" if model == "mochi" else f"/{model}/v1/{model}-request"
    answer = desk.submit("pixazo", path=path, body={"prompt": "a fox"} | BASE.get(model, {}) | fields)
    return answer.status_code, answer.json().get("message", "")


@pytest.mark.parametrize(
    ("model", "fields", "complaint"),
    [
        ("mochi", {"seed": 0}, "seed must be between"),
        ("mochi", {"seed": 4294967297}, "seed must be between"),
        ("mochi", {"seed": 1.5}, "seed must be an integer"),
        ("mochi", {"seed": True}, "seed must be an integer"),
        ("mochi", {"prompt": 3}, "prompt must be a string"),
        ("mochi", {"prompt": ""}, "prompt must not be empty"),
        ("mochi", {"duration": 5}, "duration is not a known field"),
        (V6, {"duration": 0}, "duration must be between 1 and 15"),
        (V6, {"duration": 16}, "duration must be between 1 and 15"),
        (V6, {"duration": "5"}, "duration must be an integer"),
        (V6, {"resolution": "480p"}, "resolution must be one of"),
        (V6, {"aspect_ratio": "5:4"}, "aspect_ratio must be one of"),
        (V6, {"style": "noir"}, "style must be one of"),
        (V6, {"thinking_type": "enabled (optimize)"}, "thinking_type must be one of"),
        (V6, {"generate_audio_switch": "true"}, "generate_audio_switch must be a boolean"),
        (V6, {"generate_multi_clip_switch": 1}, "generate_multi_clip_switch must be a boolean"),
        (V6, {"negative_prompt": None}, "negative_prompt must be a string"),
        (V6, IMAGE, "image_url is not a known field"),
        (V6_IMAGE, {"image_url": "ftp://x/y.png"}, "image_url must be an http(s) URL"),
        (V6_IMAGE, {"aspect_ratio": "16:9"}, "aspect_ratio is not a known field"),
        (C1, {"resolution": "2160p"}, "resolution must be one of"),
        (C1_IMAGE, {"style": "clay"}, "style is not a known field"),
        (C1_IMAGE, {"negative_prompt": "blur"}, "negative_prompt is not a known field"),
        (V56, {"duration": 4}, "duration must be one of"),
        (V56, {"aspect_ratio": "21:9"}, "aspect_ratio must be one of"),
        (V56, {"seed": 1}, "seed is not a known field"),
        (V56_IMAGE, {"duration": 5}, "duration must be a string"),
        (V56_IMAGE, {"duration": "7"}, "duration must be one of"),
        (V56_IMAGE, {"resolution": "360p"}, "resolution must be one of"),
    ],
)
def test_a_wrong_field_is_refused_and_named(desk: Desk, model: str, fields: dict[str, Any], complaint: str) -> None:
    status, message = ask(desk, model, fields)
    assert status == 400
    assert complaint in message
    assert desk.simulator.ledger()["accepted"] == 0


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        ("mochi", {"seed": 1}),
        ("mochi", {"seed": 4294967296}),
        (V6, {"duration": 1, "resolution": "360p"}),
        (V6_IMAGE, {"resolution": "480p"}),
        (V6_IMAGE, {"resolution": "540p"}),
        (V6_IMAGE, {"thinking_type": "disabled"}),
        (C1, {"seed": -5}),
        (C1_IMAGE, {"generate_audio_switch": True}),
        (V56, {"resolution": "2160p", "duration": 10}),
    ],
)
def test_the_edges_of_every_range_are_accepted(desk: Desk, model: str, fields: dict[str, Any]) -> None:
    assert ask(desk, model, fields)[0] == 202


@pytest.mark.parametrize(
    ("model", "missing"),
    [
        ("mochi", "prompt"),
        (V6_IMAGE, "image_url"),
        (C1_IMAGE, "image_url"),
        (V56, "aspect_ratio"),
        (V56, "resolution"),
        (V56, "duration"),
        (V56_IMAGE, "duration"),
        (V56_IMAGE, "resolution"),
        (V56_IMAGE, "image_url"),
    ],
)
def test_a_missing_required_field_is_named(desk: Desk, model: str, missing: str) -> None:
    path = "/mochi-v1-clone/generate" if model == "mochi" else f"/{model}/v1/{model}-request"
    body = {"prompt": "a fox"} | BASE.get(model, {})
    del body[missing]
    answer = desk.submit("pixazo", path=path, body=body)
    assert answer.status_code == 400
    assert f"{missing} is required" in answer.json()["message"]


@pytest.mark.parametrize(
    "fields",
    [
        {"fps": 6.9},
        {"fps": 31},
        {"frames": 0},
        {"frames": 161},
        {"guidance_scale": 1},
        {"guidance_scale": 10.5},
        {"steps": 9},
        {"steps": 76},
        {"steps": 30.5},
        {"seed": "x"},
        {"negative_prompt": 1},
    ],
)
def test_segmind_refuses_what_is_out_of_range(desk: Desk, fields: dict[str, Any]) -> None:
    answer = desk.submit("segmind", body={"prompt": "a fox"} | fields)
    assert answer.status_code == 400
    assert next(iter(fields)) in answer.json()["error"]


def test_segmind_takes_floats_where_its_table_says_number_and_ignores_unknown_fields(desk: Desk) -> None:
    body = {"prompt": "a fox", "fps": 7.5, "frames": 160, "guidance_scale": 2, "steps": 75, "interval": 3}
    assert desk.submit("segmind", body=body).status_code == 200


def test_unknown_fields_can_be_ignored(desk: Desk) -> None:
    desk.simulator.configure(unknown_fields="ignore")
    assert ask(desk, V6, {"a_new_field": 1})[0] == 202


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"text"', b"null", b"\xff"])
def test_a_body_that_is_no_json_object_is_refused(desk: Desk, content: bytes) -> None:
    answer = desk.call(
        "pixazo", "POST", "/mochi-v1-clone/generate", content=content, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 400
