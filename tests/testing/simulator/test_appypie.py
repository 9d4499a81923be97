"""Appy Pie as its page on Mochi 1 describes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Desk

POLLING = "/fal-ai-mochi-v1-polling/v1/getStatus"
PLAIN = "/fal-ai-mochi-v1/v1/getStatus"
TABLE = {
    400: "Invalid request parameters",
    401: "Invalid or missing authentication",
    403: "Access denied for this operation",
    404: "Endpoint not found",
    429: "Rate limit exceeded, please retry later",
    500: "An unexpected error occurred, please try again later",
}


def test_a_submit_answers_200_with_a_request_id_and_nothing_else(desk: Desk) -> None:
    answer = desk.submit("appypie", body={"prompt": "a fox", "seed": 9_999_999_999})
    assert answer.status_code == 200
    assert list(answer.json()) == ["requestId"]


@pytest.mark.parametrize("path", [POLLING, PLAIN])
def test_both_prefixes_show_a_message_while_it_runs_and_then_the_url(desk: Desk, path: str) -> None:
    request_id = desk.buy("appypie")
    assert desk.call("appypie", "POST", path, json={"requestId": request_id}).json() == {"msg": "Image Getting Created"}
    desk.finish()
    done = desk.call("appypie", "POST", path, json={"requestId": request_id}).json()
    assert done["status"] == "completed"
    assert desk.http.get(done["video_url"]).headers["content-type"] == "video/mp4"


@pytest.mark.parametrize(("dead", "path", "other"), [("polling", POLLING, PLAIN), ("plain", PLAIN, POLLING)])
def test_one_prefix_can_be_dead(desk: Desk, dead: str, path: str, other: str) -> None:
    desk.simulator.configure(appypie_dead_prefix=dead)
    request_id = desk.buy("appypie")
    answer = desk.call("appypie", "POST", path, json={"requestId": request_id})
    assert (answer.status_code, answer.json()) == (404, {"error": "Endpoint not found"})
    assert desk.call("appypie", "POST", other, json={"requestId": request_id}).status_code == 200


def test_an_unknown_request_is_not_found_in_other_words_than_an_unknown_endpoint(desk: Desk) -> None:
    answer = desk.status("appypie", "nobody")
    assert (answer.status_code, answer.json()) == (404, {"status": "NOT_FOUND"})
    answer = desk.submit("appypie", path="/fal-ai-mochi-v2/v1/generate")
    assert (answer.status_code, answer.json()) == (404, {"error": "Endpoint not found"})


def test_a_failed_job_says_so_with_a_reason(desk: Desk) -> None:
    request_id = desk.buy("appypie", "[[fault:job_failed:too dark]] a fox")
    desk.finish()
    assert desk.status("appypie", request_id).json() == {"status": "failed", "error": "too dark"}


def test_the_key_is_required_on_submit_and_status(desk: Desk) -> None:
    request_id = desk.buy("appypie")
    for answer in (
        desk.submit("appypie", key=None),
        desk.submit("appypie", key="bad"),
        desk.status("appypie", request_id, key=None),
    ):
        assert (answer.status_code, answer.json()) == (401, {"error": TABLE[401]})


@pytest.mark.parametrize("code", TABLE)
def test_the_body_of_every_code_of_the_table(desk: Desk, code: int) -> None:
    answer = desk.submit("appypie", f"[[fault:error_{code}]] a fox")
    assert (answer.status_code, answer.json()) == (code, {"error": TABLE[code]})


def test_a_wrong_request_is_400_with_the_documented_body(desk: Desk) -> None:
    for answer in (
        desk.submit("appypie", body={}),
        desk.submit("appypie", body={"prompt": "a fox", "seed": 10_000_000_000}),
        desk.call("appypie", "POST", "/fal-ai-mochi-v1/v1/generate", content=b'{"prompt": "a fox"}'),
        desk.call("appypie", "POST", POLLING, json={"requestId": ""}),
        desk.call("appypie", "POST", POLLING, json={"request_id": "x"}),
    ):
        assert (answer.status_code, answer.json()) == (400, {"error": TABLE[400]})


def test_only_post_is_known(desk: Desk) -> None:
    assert desk.call("appypie", "GET", POLLING).json() == {"error": "Endpoint not found"}
