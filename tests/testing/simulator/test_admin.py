"""Routing, the recorder, violations, settings, and the handle."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from airflow_video_providers.testing.simulator import Options, SimulatorHandle, running
from airflow_video_providers.testing.simulator.handle import KEYS

if TYPE_CHECKING:
    from .conftest import Desk


@pytest.mark.parametrize(
    ("host", "path", "header", "status"),
    [
        ("gateway.pixazo.ai", "/mochi-v1-clone/generate", "Ocp-Apim-Subscription-Key", 202),
        ("gateway.appypie.com", "/fal-ai-mochi-v1/v1/generate", "Ocp-Apim-Subscription-Key", 200),
        ("api.segmind.com", "/v2/mochi-1", "x-api-key", 200),
    ],
)
def test_the_vendors_own_host_names_are_told_apart_by_the_host_header(
    desk: Desk, host: str, path: str, header: str, status: int
) -> None:
    answer = desk.http.post(
        desk.simulator.url + path, json={"prompt": "a fox"}, headers={"Host": host, header: "a key"}
    )
    assert answer.status_code == status
    for name, value in answer.json().items():
        if name.endswith("_url"):
            assert value.startswith(f"http://{host}/")


@pytest.mark.parametrize(
    ("path", "header"),
    [
        ("/mochi-v1-clone/generate", "Ocp-Apim-Subscription-Key"),
        ("/fal-ai-mochi-v1/v1/generate", "Ocp-Apim-Subscription-Key"),
        ("/v2/mochi-1", "x-api-key"),
    ],
)
def test_without_prefix_the_key_and_the_path_tell_the_vendor(desk: Desk, path: str, header: str) -> None:
    answer = desk.http.post(desk.simulator.url + path, json={"prompt": "a fox"}, headers={header: "a key"})
    assert answer.is_success


def test_addresses_in_answers_follow_the_host_of_the_request(desk: Desk) -> None:
    desk.simulator.configure(hosts=["simulator.example"])
    answer = desk.submit("pixazo", headers={"Host": "simulator.example:1234"})
    assert answer.json()["polling_url"].startswith("http://simulator.example:1234/pixazo/v2/")


def test_what_is_not_simulated_is_404(desk: Desk) -> None:
    assert desk.http.get(desk.simulator.url + "/robots.txt").status_code == 404
    assert desk.http.get(desk.simulator.url + "/_sim/nothing").status_code == 404


def test_the_recorder_keeps_order_vendor_body_and_status_and_redacts_keys(desk: Desk) -> None:
    request_id = desk.buy("segmind", "a recorded fox")
    desk.status("segmind", request_id)
    desk.http.get(desk.simulator.url + "/media/segmind/x/0/0/output.mp4?token=1")
    first, second, third = desk.simulator.requests()
    assert (first["method"], first["path"], first["vendor"], first["status"]) == ("POST", "/v2/mochi-1", "segmind", 200)
    assert first["body"] == {"prompt": "a recorded fox"}
    assert first["headers"]["x-api-key"].startswith("<redacted ")
    assert first["headers"]["x-api-key"] == second["headers"]["x-api-key"]
    assert (third["vendor"], third["query"], third["status"]) == (None, "token=1", 404)
    assert len(desk.simulator.requests("segmind")) == 2
    assert KEYS["segmind"] not in json.dumps([first, second, third, desk.simulator.ledger()])


def test_the_recorder_says_how_an_answer_went_wrong(desk: Desk) -> None:
    desk.submit("pixazo", "[[fault:truncated_json]] a fox")
    with pytest.raises(Exception, match="reset"):
        desk.submit("pixazo", "[[fault:drop_before_read]] a fox")
    assert [entry["status"] for entry in desk.simulator.requests()] == [202, "reset"]


@pytest.mark.parametrize("header", ["x-api-key", "Ocp-Apim-Subscription-Key", "Authorization"])
def test_a_key_that_reaches_the_media_host_is_a_violation(desk: Desk, header: str) -> None:
    url = desk.finished("pixazo")
    assert desk.http.get(url).status_code == 200
    assert desk.simulator.violations() == []
    assert desk.http.get(url, headers={header: "secret"}).status_code == 200
    (found,) = desk.simulator.violations()
    assert found["header"] == header.lower()
    assert found["path"].startswith("/media/pixazo/")
    assert "secret" not in json.dumps(found)


def test_a_key_in_the_address_of_a_video_is_a_violation(desk: Desk) -> None:
    desk.http.get(desk.finished("pixazo") + f"?key={KEYS['pixazo']}")
    assert [found["header"] for found in desk.simulator.violations()] == ["(query)"]
    assert KEYS["pixazo"] not in json.dumps([desk.simulator.violations(), desk.simulator.requests()])


def test_one_vendors_kind_of_key_at_another_is_a_violation(desk: Desk) -> None:
    desk.submit("pixazo", headers={"x-api-key": "secret"})
    desk.http.get(desk.simulator.url + "/_foreign/x", headers={"Ocp-Apim-Subscription-Key": "secret"})
    assert [found["header"] for found in desk.simulator.violations()] == ["x-api-key", "ocp-apim-subscription-key"]


def test_reset_forgets_everything_and_returns_to_the_first_settings(desk: Desk) -> None:
    desk.simulator.configure(outputs=4, credits=1)
    desk.simulator.fault("http_503", count=None)
    desk.submit("segmind")
    desk.http.get(desk.simulator.url + "/media/x", headers={"x-api-key": "secret"})
    desk.simulator.reset()
    assert desk.simulator.requests() == desk.simulator.violations() == []
    assert desk.simulator.ledger()["credits"]["pixazo"] == 1000.0
    assert desk.http.get(desk.simulator.url + "/_sim/options").json()["outputs"] == 1
    assert desk.http.get(desk.simulator.url + "/_sim/health").json()["frozen"] is False
    assert desk.submit("segmind").status_code == 200


@pytest.mark.parametrize(
    "changes",
    [{"no_such_setting": 1}, {"profile": "slow"}, {"outputs": 0}, {"appypie_dead_prefix": "both"}],
)
def test_a_wrong_setting_is_refused_with_what_there_is(desk: Desk, changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"There are|one of|at least"):
        desk.simulator.configure(**changes)
    with pytest.raises(ValueError, match=r"There are|one of|at least"), running(**changes):
        pass


def test_only_the_given_keys_are_accepted_when_keys_are_given(desk: Desk) -> None:
    desk.simulator.configure(keys=["this one"])
    assert desk.submit("pixazo", key="another").status_code == 401
    assert desk.submit("pixazo", key="this one").status_code == 202


def test_the_faults_route_lists_what_is_armed_and_what_there_is(desk: Desk) -> None:
    desk.simulator.fault("status:ODD", count=3, vendor="pixazo", probability=0.5)
    shown = desk.http.get(desk.simulator.url + "/_sim/faults").json()
    assert shown["armed"] == [
        {"name": "status", "arg": "ODD", "on": "status", "count": 3, "probability": 0.5, "vendor": "pixazo"}
    ]
    assert shown["kinds"]["media_drop"]["on"] == ["media"]


def test_wrong_admin_requests_are_400_with_a_reason(desk: Desk) -> None:
    for route, body in (("advance", {"seconds": "soon"}), ("advance", {"seconds": -1}), ("faults", {})):
        answer = desk.http.post(f"{desk.simulator.url}/_sim/{route}", json=body)
        assert answer.status_code == 400
        assert answer.json()["message"]


def test_a_handle_works_on_a_simulator_that_somebody_else_started(desk: Desk) -> None:
    desk.buy("pixazo")
    other = SimulatorHandle(desk.simulator.url + "/")
    assert other.ledger()["accepted"] == 1
    other.close()


def test_connections_are_json_with_a_host_a_key_and_the_private_host_allowed(desk: Desk) -> None:
    for vendor in ("pixazo", "appypie", "segmind"):
        connection = desk.simulator.connection(vendor)
        assert json.loads(desk.simulator.environment()[f"AIRFLOW_CONN_{vendor.upper()}_DEFAULT"]) == connection
        assert connection == {
            "conn_type": vendor,
            "host": f"{desk.simulator.url}/{vendor}",
            "password": KEYS[vendor],
            "extra": {"allow_private_hosts": ["127.0.0.1", "localhost"]},
        }
    assert desk.simulator.connection("segmind", key="mine")["password"] == "mine"
    with pytest.raises(ValueError, match="pixazo, appypie, segmind"):
        desk.simulator.base_url("runway")


def test_settings_name_what_they_take() -> None:
    assert Options().replace(queue_seconds=[1, 2]).queue_seconds == (1, 2)
    assert Options(profile="real").latency(mochi=True)[1] == (170.0, 190.0)


@pytest.mark.parametrize("wrong", [0, -1, 101])
def test_a_page_of_a_history_that_no_vendor_gives_is_refused(wrong: int) -> None:
    with pytest.raises(ValueError, match="history_page"):
        Options().replace(history_page=wrong)
