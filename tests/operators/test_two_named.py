"""Two ids that callbacks have named for one submit: only the vendor, or a person, says which is right."""

from __future__ import annotations

import time

import pytest

from airflow_video_providers.core.callbacks.token import Claim
from airflow_video_providers.core.client.client import VideoClient
from airflow_video_providers.core.errors import VendorUnavailableError
from airflow_video_providers.integration.callbacks import open_mailbox
from airflow_video_providers.integration.ledger_cli import main
from airflow_video_providers.integration.ledger_config import open_ledger
from tests.support.submitting import Desk

pytest_plugins = ["airflow_video_providers.testing.pytest_plugin"]

MODELS = {
    "fal": "fal:fal-ai/kling-video/v2.1/standard/text-to-video",
    "replicate": "replicate:studio/magica",
}


@pytest.fixture
def desk(video_simulator, tmp_path, monkeypatch):
    (tmp_path / "ledger").mkdir()
    for name, value in {
        "LEDGER_PATH": str(tmp_path / "ledger"),
        "CALLBACK_URL": "https://airflow.example.com/video-callbacks",
        "CALLBACK_SECRET": "a-secret-of-this-test-0123",
        "CALLBACK_SIGNING_SECRET_REPLICATE": "whsec_AAAAAAAAAAAAAAAA",
    }.items():
        monkeypatch.setenv(f"AIRFLOW__VIDEO_PROVIDERS__{name}", value)
    return Desk(video_simulator)


def name(*ids):
    (attempt,) = open_ledger({}).overview().attempts
    for request_id in ids:
        open_mailbox(attempt.conn_id).put(Claim.of(attempt), request_id, terminal=True)
    return attempt


@pytest.mark.parametrize("vendor", MODELS)
def test_the_history_says_which_of_two_it_is(vendor, desk, monkeypatch):
    desk.connect(vendor)
    task = desk.submit(MODELS[vendor], {"prompt": "[[fault:drop_after_accept]] a fox"}, unchecked=True)
    monkeypatch.setattr(type(task), "_sleep", staticmethod(lambda _: None))
    with monkeypatch.context() as away:

        def refuse(*_):
            raise VendorUnavailableError("HTTP 503")

        away.setattr(VideoClient, "history", refuse)
        desk.run(task)
        (bought,) = desk.simulator.ledger()["jobs"]
        name(bought["request_id"], "forged-0001")
        assert "named 2 jobs" in str(desk.run(task, try_number=2).error), "nobody says which"
    again = desk.run(task, try_number=3)
    assert again.state == "success", again.error
    assert desk.airflow.xcoms["submit", "return_value", -1]["request_id"] == bought["request_id"]
    assert desk.accepted == 1


def test_a_person_who_has_forgotten_the_submit_has_judged_both(desk, monkeypatch):
    desk.simulator.fault("drop_before_read", vendor="pixazo", on="submit")  # nothing was bought
    task = desk.submit("pixazo:mochi-v1", {"prompt": "a fox"}, resolve_within=0.05, deferrable=False)
    monkeypatch.setattr(type(task), "_sleep", staticmethod(lambda _: None))
    desk.run(task)
    attempt = name("other-1", "other-2")
    while time.time() < attempt.resolve_until.timestamp():  # the task's own end of waiting, a twentieth of a second
        time.sleep(0.01)
    assert main(["forget", attempt.dag_id, attempt.run_id, attempt.task_id]) == 0
    again = desk.run(task, try_number=2, cleared=1)
    assert again.state == "success", again.error
    assert desk.accepted == 1
