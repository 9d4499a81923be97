"""Whom a simulator answers, what it takes, and how much of it stays."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

from airflow_video_providers.testing.simulator.bounded import History, Newest, shortened
from airflow_video_providers.testing.simulator.faults import from_prompt
from airflow_video_providers.testing.simulator.hosts import OwnHosts

from .conftest import SUBMIT

if TYPE_CHECKING:
    from .conftest import Desk


@pytest.mark.parametrize("path", ["/_sim/ledger", "/_sim/requests", "/pixazo/mochi-v1-clone/generate", "/media/x"])
@pytest.mark.parametrize("host", ["evil.example", "evil.example:8099", "127.0.0.1.evil.example", "10.0.0.7", ""])
def test_a_page_under_a_foreign_name_gets_no_answer(desk: Desk, path: str, host: str) -> None:
    answer = desk.http.get(desk.simulator.url + path, headers={"Host": host})
    assert answer.status_code in (400, 421)  # an empty name is refused before us
    assert desk.simulator.requests() == []


@pytest.mark.parametrize(
    ("header", "listening", "more", "ours"),
    [
        ("127.0.0.1:8099", "127.0.0.1", [], True),
        ("LOCALHOST:8099", "127.0.0.1", [], True),
        ("localhost.", "127.0.0.1", [], True),
        ("[::1]:8099", "127.0.0.1", [], True),
        ("api.segmind.com", "127.0.0.1", [], True),
        ("gateway.pixazo.ai:443", "127.0.0.1", [], True),
        ("gateway.pixazo.ai.evil.example", "127.0.0.1", [], False),
        ("10.0.0.7:8099", "10.0.0.7", [], True),
        ("10.0.0.8:8099", "10.0.0.7", [], False),
        ("10.0.0.8:8099", "0.0.0.0", [], True),
        ("[fd00::8]:8099", "::", [], True),
        ("evil.example:8099", "0.0.0.0", [], False),
        ("vendor:8099", "0.0.0.0", ["vendor"], True),
        ("::1", "127.0.0.1", [], False),
        ("[::1", "127.0.0.1", [], True),
    ],
)
def test_own_names_are_loopback_the_vendors_where_it_listens_and_what_was_given(
    header: str, listening: str, more: list[str], ours: bool
) -> None:
    assert OwnHosts(listening).has(header, more) is ours


@pytest.mark.parametrize("route", ["options", "faults", "advance", "reset"])
@pytest.mark.parametrize(
    "form",
    [
        {"data": {"credits": "0"}},
        {"content": b'{"credits": 0}', "headers": {"Content-Type": "text/plain"}},
        {"content": b'{"credits": 0}'},
        {"files": {"credits": b"0"}},
    ],
)
def test_what_a_form_of_another_site_can_send_changes_nothing(desk: Desk, route: str, form: dict[str, Any]) -> None:
    desk.buy("pixazo")
    answer = desk.http.post(f"{desk.simulator.url}/_sim/{route}", **form)
    assert answer.status_code == 415
    ledger = desk.simulator.ledger()
    assert (ledger["accepted"], ledger["credits"]["segmind"]) == (1, 1000.0)


def test_large_requests_are_remembered_by_their_length(desk: Desk) -> None:
    filler = "x" * (8 * 1024 * 1024)
    for number in range(3):
        desk.submit("segmind", body={"prompt": f"fox {number}", "filler": filler})
        desk.submit("segmind", body={"prompt": f"{filler} {number}"})
        desk.submit("pixazo", body=[filler])
    world = [entry["body"] for entry in desk.simulator.requests()]
    assert all(str(body).endswith(" bytes") for body in world)
    ledger = desk.simulator.ledger()
    assert (ledger["accepted"], ledger["duplicates"]) == (6, [])
    assert max(len(row["prompt"]) for row in ledger["jobs"]) == 4000


def test_a_body_that_is_too_large_or_too_deep_is_refused(desk: Desk) -> None:
    url = desk.simulator.base_url("segmind") + SUBMIT["segmind"]
    assert desk.http.post(url, content=b"[" * 17 * 1024 * 1024, timeout=30).status_code == 413
    deep = {"x-api-key": "SG_1", "Content-Type": "application/json"}
    assert desk.http.post(url, content=b"[" * 100_000, headers=deep).status_code == 400


def test_a_prompt_asks_for_so_many_faults_and_no_more() -> None:
    assert len(from_prompt("[[fault:http_503]]" * 10_000)) == 20


def test_the_newest_uploads_stay(desk: Desk) -> None:
    data = "data:image/png;base64," + base64.b64encode(bytes(8 * 1024 * 1024)).decode()
    urls = []
    for _ in range(8):
        answer = desk.call("segmind", "POST", "/upload-asset", json={"data_urls": [data]}, timeout=30)
        urls += answer.json()["file_urls"]
    codes = [desk.http.head(url).status_code for url in urls]
    assert codes == [404] * 2 + [200] * 6


def test_the_history_has_an_end_in_number_and_in_bytes() -> None:
    history = History(most=3, size=100)
    for number in range(5):
        history.append({"number": number}, 10)
    assert [entry["number"] for entry in history] == [2, 3, 4]
    history.append({"number": 5}, 85)
    assert [entry["number"] for entry in history] == [4, 5]
    history.append({"number": 6}, 500)
    assert len(history) == 0


def test_a_bounded_dict_forgets_the_oldest() -> None:
    newest: Newest[int] = Newest(2)
    assert [newest.setdefault(name, number) for number, name in enumerate("aba")] == [0, 1, 0]
    newest["c"] = 3
    assert dict(newest) == {"b": 1, "c": 3}


def test_a_job_keeps_of_its_request_what_is_flat_and_short() -> None:
    body = {"prompt": "x" * 5000, "seed": 1, "nested": {"x": [1]}, "n" * 500: None}
    kept = shortened(body | {f"field {number}": 1 for number in range(200)})
    assert len(kept["prompt"]) == 4000
    assert (kept["seed"], len(kept), max(map(len, kept))) == (1, 99, 100)
    assert "nested" not in kept
