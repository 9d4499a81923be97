"""An author's own receiver, from the operator's argument to the vendor's call and back to nothing that a retry sees."""

from __future__ import annotations

import pytest

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.hooks.pixazo import PixazoHook
from airflow_video_providers.operators.video import GenerateVideoOperator
from tests.support.submitting import ONE_OF_EACH, Desk

pytest_plugins = ["airflow_video_providers.testing.pytest_plugin"]
RECEIVER = "https://receiver.example/video"


@pytest.fixture
def desk(video_simulator, monkeypatch, tmp_path):
    monkeypatch.setenv("AIRFLOW__VIDEO_PROVIDERS__LEDGER_PATH", str(tmp_path))
    return Desk(video_simulator)


def headers(desk):
    (call,) = [call for call in desk.simulator.requests() if call["method"] == "POST"]
    return {name.lower(): value for name, value in call["headers"].items()}


def test_a_templated_receiver_reaches_the_vendor(desk):
    task = desk.submit(webhook_url="https://receiver.example/{{ task.task_id }}", webhook_mode="sync")
    assert desk.run(task).error is None
    assert headers(desk)["x-webhook-url"] == "https://receiver.example/submit"
    assert headers(desk)["x-webhook-mode"] == "sync"


def test_generate_takes_one_too(desk, tmp_path):
    with desk.submit().dag:
        task = GenerateVideoOperator(
            task_id="video", model=ONE_OF_EACH["pixazo"], request={"prompt": "a fox"}, output_path=tmp_path.as_uri(),
            webhook_url=RECEIVER,
        )  # fmt: skip
    assert desk.run(task).state == "deferred"
    assert headers(desk)["x-webhook-url"] == RECEIVER
    assert headers(desk)["x-webhook-mode"] == "terminal"


@pytest.mark.parametrize("template", ["{{ '' }}", "{{ None }}", None])
def test_a_receiver_that_renders_to_nothing_is_none(desk, template):
    assert desk.run(desk.submit(webhook_url=template)).error is None
    assert "x-webhook-url" not in headers(desk)


@pytest.mark.parametrize(
    ("model", "arguments"),
    [
        (ONE_OF_EACH["segmind"], {"webhook_url": RECEIVER}),
        (ONE_OF_EACH["appypie"], {"webhook_url": RECEIVER}),
        (ONE_OF_EACH["pixazo"], {"webhook_url": "ftp://receiver.example"}),
        (ONE_OF_EACH["pixazo"], {"webhook_url": RECEIVER, "webhook_mode": "always"}),
        (ONE_OF_EACH["pixazo"], {"webhook_url": 7.5}),
    ],
)
def test_what_is_wrong_with_a_literal_shows_when_the_dag_is_parsed(desk, model, arguments):
    with pytest.raises(InvalidRequestError):
        desk.submit(model, **arguments)


@pytest.mark.parametrize(
    ("model", "url"),
    [
        (ONE_OF_EACH["segmind"], "{{ 'https://receiver.example' }}"),
        (ONE_OF_EACH["pixazo"], "{{ 'http://receiver.example' }}"),
        (ONE_OF_EACH["pixazo"], "http://receiver.example"),
        (ONE_OF_EACH["pixazo"], "https://10.0.0.1/x"),
        (ONE_OF_EACH["pixazo"], "{{ 'https://192.168.0.9/x' }}"),
    ],
)
def test_what_is_wrong_after_rendering_shows_before_anything_is_stored_or_sent(desk, tmp_path, model, url):
    outcome = desk.run(desk.submit(model, webhook_url=url))
    assert isinstance(outcome.error, InvalidRequestError)
    assert desk.accepted == 0
    assert list(tmp_path.rglob("*.json")) == []


def test_a_private_receiver_is_taken_where_the_connection_allows_its_host(desk):
    desk.connect("pixazo", extra={"allow_private_hosts": ["127.0.0.1", "10.0.0.1"]})
    assert desk.run(desk.submit(webhook_url="https://10.0.0.1/x")).error is None
    assert headers(desk)["x-webhook-url"] == "https://10.0.0.1/x"


def test_a_changed_receiver_is_no_changed_request(desk):
    assert desk.run(desk.submit(webhook_url=RECEIVER)).error is None
    task = desk.submit(webhook_url=RECEIVER + "/moved")
    assert desk.run(task, try_number=2, retries=3).error is None
    assert desk.accepted == 1
    assert "changed" not in desk.log


def test_a_job_that_is_bought_is_kept_where_the_receiver_has_become_nonsense(desk):
    assert desk.run(desk.submit(webhook_url=RECEIVER)).error is None
    outcome = desk.run(desk.submit(webhook_url="{{ 'http://x' }}"), try_number=2, retries=3)
    assert outcome.error is None
    assert desk.accepted == 1


def test_a_hook_takes_one_and_refuses_as_the_operators_do(video_simulator, monkeypatch):
    import json

    monkeypatch.setenv("AIRFLOW_CONN_PIXAZO_DEFAULT", json.dumps(video_simulator.connection("pixazo")))
    hook = PixazoHook()
    with pytest.raises(InvalidRequestError):
        hook.submit(ONE_OF_EACH["pixazo"], {"prompt": "a fox"}, webhook_url="http://receiver.example")
    assert video_simulator.ledger()["accepted"] == 0
    hook.submit(ONE_OF_EACH["pixazo"], {"prompt": "a fox"}, webhook_url=RECEIVER, webhook_mode="sync")
    (call,) = [call for call in video_simulator.requests() if call["method"] == "POST"]
    assert {name.lower(): value for name, value in call["headers"].items()}["x-webhook-mode"] == "sync"
