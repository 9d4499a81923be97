"""Each fault of a call does on the wire what it says."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from airflow_video_providers.testing.simulator import faults
from airflow_video_providers.testing.simulator.handle import KEYS

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Desk

VENDORS = ("pixazo", "appypie", "segmind")
every_vendor = pytest.mark.parametrize("vendor", VENDORS)


def accepted(desk: Desk) -> int:
    """How many jobs were bought."""
    return int(desk.simulator.ledger()["accepted"])


@every_vendor
def test_drop_before_read_resets_the_connection_and_buys_nothing(desk: Desk, vendor: str) -> None:
    with pytest.raises(httpx.ReadError, match="reset"):
        desk.submit(vendor, "[[fault:drop_before_read]] a fox")
    assert accepted(desk) == 0


@every_vendor
def test_drop_after_accept_buys_and_says_nothing(desk: Desk, vendor: str) -> None:
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        desk.submit(vendor, "[[fault:drop_after_accept]] a fox")
    desk.finish()
    ledger = desk.simulator.ledger()
    assert (ledger["accepted"], ledger["charges"]) == (1, 1)


@pytest.mark.parametrize(("fault", "bought"), [("hang", 0), ("hang_after_accept", 1)])
def test_a_hang_lasts_until_the_client_gives_up(
    desk: Desk, fault: str, bought: int, eventually: Callable[[Callable[[], Any]], Any]
) -> None:
    with pytest.raises(httpx.ReadTimeout):
        desk.submit("pixazo", f"[[fault:{fault}]] a fox", timeout=0.2)
    assert eventually(lambda: desk.simulator.requests("pixazo"))
    assert eventually(lambda: accepted(desk) == bought)


@every_vendor
def test_drop_mid_body_sends_half_of_what_was_announced(desk: Desk, vendor: str) -> None:
    with pytest.raises(httpx.RemoteProtocolError, match="complete message body"):
        desk.submit(vendor, "[[fault:drop_mid_body]] a fox")
    assert accepted(desk) == 1


@every_vendor
def test_truncated_json_is_a_complete_answer_that_does_not_parse(desk: Desk, vendor: str) -> None:
    answer = desk.submit(vendor, "[[fault:truncated_json]] a fox")
    assert answer.is_success
    with pytest.raises(json.JSONDecodeError):
        answer.json()
    assert accepted(desk) == 1


def test_slow_body_takes_as_long_as_it_was_told(desk: Desk) -> None:
    answer = desk.submit("pixazo", "[[fault:slow_body:0.2]] a fox")
    assert answer.elapsed.total_seconds() >= 0.2
    assert answer.json()["request_id"]


@every_vendor
@pytest.mark.parametrize("code", [500, 502, 503, 504])
def test_a_proxys_error_is_html_and_buys_nothing_or_something(desk: Desk, vendor: str, code: int) -> None:
    answer = desk.submit(vendor, f"[[fault:http_{code}]] a fox")
    assert (answer.status_code, accepted(desk)) == (code, 0)
    assert answer.text.startswith("<!DOCTYPE html>")
    answer = desk.submit(vendor, f"[[fault:http_{code}_after_accept]] a fox")
    assert (answer.status_code, accepted(desk)) == (code, 1)


def test_a_503_may_name_its_retry_after(desk: Desk) -> None:
    assert desk.submit("pixazo", "[[fault:http_503:7]] a fox").headers["retry-after"] == "7"


@every_vendor
def test_429_comes_without_and_with_retry_after(desk: Desk, vendor: str) -> None:
    answer = desk.submit(vendor, "[[fault:rate_limited]] a fox")
    assert answer.status_code == 429
    assert "retry-after" not in answer.headers
    answer = desk.submit(vendor, "[[fault:rate_limited_retry_after:12]] a fox")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "12")
    assert accepted(desk) == 0


@every_vendor
def test_html_with_200_and_an_empty_body(desk: Desk, vendor: str) -> None:
    answer = desk.submit(vendor, "[[fault:html_200]] a fox")
    assert (answer.status_code, answer.text[:9]) == (200, "<!DOCTYPE")
    answer = desk.submit(vendor, "[[fault:empty_body]] a fox")
    assert (answer.status_code, answer.content) == (200, b"")
    assert accepted(desk) == 2


@every_vendor
def test_no_id_is_a_success_without_any_id_or_address(desk: Desk, vendor: str) -> None:
    answer = desk.submit(vendor, "[[fault:no_id]] a fox")
    assert answer.is_success
    assert not {"request_id", "requestId", "polling_url", "status_url", "response_url"} & set(answer.json())


def test_gzip_is_sent_to_those_who_did_not_ask(desk: Desk) -> None:
    answer = desk.submit("pixazo", "[[fault:gzip]] a fox", headers={"Accept-Encoding": "identity"})
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.json()["status"] == "QUEUED"


def test_duplicate_id_is_the_id_of_the_job_before(desk: Desk) -> None:
    first = desk.buy("segmind", "one")
    assert desk.buy("segmind", "[[fault:duplicate_id]] two") == first
    assert accepted(desk) == 2


@pytest.mark.parametrize(
    ("vendor", "field"), [("pixazo", "polling_url"), ("segmind", "status_url"), ("segmind", "response_url")]
)
def test_foreign_urls_lead_to_another_host_where_a_key_is_a_violation(desk: Desk, vendor: str, field: str) -> None:
    url = desk.submit(vendor, "[[fault:foreign_url]] a fox").json()[field]
    assert url.startswith("http://localhost:")
    key_header = "x-api-key" if vendor == "segmind" else "Ocp-Apim-Subscription-Key"
    desk.call(vendor, "GET", url, headers={"Host": "localhost"})
    assert [found["header"] for found in desk.simulator.violations()] == [key_header.lower()]


def test_a_redirect_of_the_status_leads_to_another_host(desk: Desk) -> None:
    request_id = desk.buy("pixazo", "[[fault:redirect@status]] a fox")
    answer = desk.status("pixazo", request_id)
    assert answer.status_code == 307
    assert answer.headers["location"].startswith("http://localhost:")
    assert desk.status("pixazo", request_id).status_code == 200


@every_vendor
def test_a_new_job_may_be_unknown_for_a_while(desk: Desk, vendor: str) -> None:
    request_id = desk.buy(vendor, "[[fault:not_found*2]] a fox")
    assert [desk.status(vendor, request_id).status_code for _ in range(3)] == [404, 404, 200]


def test_status_words_that_nobody_knows_and_words_in_the_wrong_case(desk: Desk) -> None:
    request_id = desk.buy("pixazo", "[[fault:unknown_status]] a fox")
    assert desk.status("pixazo", request_id).json()["status"] == "PONDERING"
    assert desk.status("pixazo", request_id).json()["status"] == "PONDERING"
    request_id = desk.buy("segmind", "[[fault:odd_case]] a fox")
    assert desk.status("segmind", request_id).json()["status"] == "queued"
    request_id = desk.buy("pixazo", "[[fault:status:CANCELLED*1]] a fox")
    assert desk.status("pixazo", request_id).json()["status"] == "CANCELLED"
    assert desk.status("pixazo", request_id).json()["status"] == "QUEUED"


def test_a_status_can_go_backwards_once_it_has_gone_forward(desk: Desk) -> None:
    request_id = desk.buy("pixazo", "[[fault:status_backwards]] a fox")
    words = [desk.status("pixazo", request_id).json()["status"]]
    desk.start()
    words += [desk.status("pixazo", request_id).json()["status"] for _ in range(2)]
    assert words == ["QUEUED", "QUEUED", "PROCESSING"]


@pytest.mark.parametrize("vendor", VENDORS)
def test_completed_without_a_url_waits_for_the_completion(desk: Desk, vendor: str) -> None:
    stage = "result" if vendor == "segmind" else "status"
    request_id = desk.buy(vendor, f"[[fault:completed_without_url@{stage}]] a fox")
    desk.status(vendor, request_id)
    desk.finish()
    asked = [desk.result(request_id) if vendor == "segmind" else desk.status(vendor, request_id) for _ in range(2)]
    assert "output.mp4" not in asked[0].text
    assert asked[0].json()["status"].upper() == "COMPLETED"
    assert "output.mp4" in asked[1].text


def test_a_huge_error_text(desk: Desk) -> None:
    request_id = desk.buy("pixazo", "[[fault:huge_error]] a fox")
    desk.finish()
    assert len(desk.status("pixazo", request_id).json()["error"]) > 1_000_000


def test_any_field_of_an_answer_can_be_renamed(desk: Desk) -> None:
    assert "rid" in desk.submit("pixazo", "[[fault:rename:request_id=rid]] a fox").json()


def test_several_faults_in_one_prompt_each_at_its_stage(desk: Desk) -> None:
    request_id = desk.buy("pixazo", "[[fault:http_503@status*2]][[fault:job_failed]] [[fault:gzip]] a fox")
    desk.finish()
    assert [desk.status("pixazo", request_id).status_code for _ in range(3)] == [503, 503, 200]
    assert desk.status("pixazo", request_id).json()["status"] == "FAILED"


def test_a_refused_prompt_is_refused_as_often_as_it_says(desk: Desk) -> None:
    prompt = "[[fault:http_503*2]] a fox"
    assert [desk.submit("pixazo", prompt).status_code for _ in range(4)] == [503, 503, 202, 503]
    assert desk.submit("pixazo", "[[fault:http_500*]] a fox").status_code == 500


def test_a_fault_by_header_strikes_this_request_only(desk: Desk) -> None:
    request_id = desk.buy("pixazo")
    assert desk.status("pixazo", request_id, headers={"X-Sim-Fault": "http_502"}).status_code == 502
    assert desk.status("pixazo", request_id).status_code == 200
    answer = desk.submit("pixazo", headers={"X-Sim-Fault": "job_failed, gzip"})
    desk.finish()
    assert answer.headers["content-encoding"] == "gzip"
    assert desk.status("pixazo", answer.json()["request_id"]).json()["status"] == "FAILED"


def test_a_fault_by_the_admin_route_strikes_where_and_as_often_as_it_was_told(desk: Desk) -> None:
    desk.simulator.fault("http_503", count=2, vendor="segmind", on="status")
    pixazo, segmind = desk.buy("pixazo"), desk.buy("segmind")
    assert desk.status("pixazo", pixazo).status_code == 200
    assert [desk.status("segmind", segmind).status_code for _ in range(3)] == [503, 503, 200]


def test_a_fault_without_a_count_stays_until_it_is_taken_back(desk: Desk) -> None:
    desk.simulator.fault("error_403", count=None)
    assert [desk.submit("appypie").status_code for _ in range(3)] == [403] * 3
    desk.simulator.clear_faults()
    assert desk.submit("appypie").status_code == 200


def test_probability_is_a_share_and_repeats_with_the_seed() -> None:
    def strikes(seed: int) -> list[int]:
        book = faults.FaultBook(seed)
        book.entries.append(faults.make("http_503", left=None, probability=0.3))
        return [len(book.take("submit", "pixazo")) for _ in range(500)]

    assert 100 < sum(strikes(1)) < 200
    assert strikes(1) == strikes(1)
    assert strikes(1) != strikes(2)


@pytest.mark.parametrize("name", ["no_such_fault", "http", "error", "http_999", "media_drop_503", "http 503"])
def test_an_unknown_fault_is_refused_and_the_message_lists_them_or_the_form(desk: Desk, name: str) -> None:
    with pytest.raises(ValueError, match=r"There are: job_failed|of the form name"):
        desk.simulator.fault(name)
    answer = desk.submit("pixazo", f"[[fault:{name}]] a fox")
    assert (answer.status_code, answer.json()["error"]) == (400, "Simulator")


def test_a_fault_at_a_stage_where_it_cannot_strike_is_refused(desk: Desk) -> None:
    with pytest.raises(ValueError, match="strikes at media"):
        desk.simulator.fault("media_drop", on="submit")
    with pytest.raises(faults.FaultError, match="strikes at status"):
        faults.parse("status_backwards@submit")


def test_any_written_form_is_parsed_or_refused() -> None:
    dice = random.Random(7)  # noqa: S311  repeatable on purpose
    for _ in range(2000):
        text = "".join(dice.choices("ab_:@*]5 http_503", k=dice.randint(0, 20)))
        try:
            assert faults.parse(text).kind in faults.KINDS
        except faults.FaultError:
            continue


@every_vendor
def test_a_fault_never_reveals_a_key(desk: Desk, vendor: str) -> None:
    desk.submit(vendor, "[[fault:error_401]] a fox")
    assert KEYS[vendor] not in json.dumps(desk.simulator.requests())


@pytest.mark.parametrize("vendor", ["pixazo", "appypie", "segmind"])
def test_a_403_may_be_about_the_quota_or_the_balance_instead_of_the_key(desk: Desk, vendor: str) -> None:
    quota = desk.submit(vendor, "[[fault:quota:7]] a fox")
    assert (quota.status_code, quota.headers["retry-after"]) == (403, "7")
    assert "call volume quota" in quota.text
    locked = desk.submit(vendor, "[[fault:locked]] a fox")
    assert (locked.status_code, "Exhausted balance" in locked.text) == (403, True)
    assert desk.simulator.ledger()["accepted"] == 0


@pytest.mark.parametrize("vendor", ["pixazo", "appypie", "segmind"])
def test_a_status_may_be_about_another_job(desk: Desk, vendor: str) -> None:
    request_id = desk.buy(vendor, "[[fault:other_id@status]] a fox")
    desk.finish()
    first, second = desk.status(vendor, request_id), desk.status(vendor, request_id)
    assert "beef" in first.text
    assert "beef" not in second.text
