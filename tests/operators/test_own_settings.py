"""Deadlines at Replicate and the lifetime of fal's outputs, from the connection's extra to the vendor and back."""

from __future__ import annotations

import pytest
from airflow.sdk import DAG

from airflow_video_providers.core.landing import fetch
from airflow_video_providers.operators.video import DownloadVideoOperator
from airflow_video_providers.sensors.video import VideoJobSensor
from tests.support.submitting import Desk

pytest_plugins = ["airflow_video_providers.testing.pytest_plugin"]

MODELS = {"fal": "fal:fal-ai/kling-video/v2.1/standard/text-to-video", "replicate": "replicate:studio/magica"}


@pytest.fixture
def desk(video_simulator):
    desk = Desk(video_simulator)
    for vendor in MODELS:
        desk.connect(vendor)
    return desk


def bought(desk, vendor, extra):
    desk.connect(vendor, extra=extra)
    outcome = desk.run(desk.submit(MODELS[vendor], unchecked=True))
    assert outcome.state == "success", outcome.error
    return desk.airflow.xcoms["submit", "return_value", -1]


def waited(desk, job):
    with DAG("dag", schedule=None):
        return desk.run(VideoJobSensor(task_id="wait", job=job, deferrable=False, poke_interval=0.01, timeout=60))


@pytest.mark.parametrize(
    ("queue", "run", "word", "charged"),
    [(100, 100, "aborted", "no"), (5, 100, "canceled", "unknown"), (5, 5, None, "yes")],
)
def test_a_prediction_that_is_late_is_ended_by_replicate(desk, queue, run, word, charged):
    desk.simulator.configure(queue_seconds=[queue, queue], run_seconds=[run, run])
    job = bought(desk, "replicate", {"cancel_after": "30s"})
    (sent,) = (call for call in desk.simulator.requests() if call["method"] == "POST")
    assert sent["headers"]["cancel-after"] == "30s"
    desk.simulator.advance(31)
    outcome = waited(desk, job)
    if word is None:
        assert outcome.state == "success", outcome.error
        return
    assert outcome.state == "failed"
    assert type(outcome.error).__name__ == "JobCancelledError"
    assert f"ended with {word}" in str(outcome.error)
    assert outcome.error.charged == charged
    assert desk.simulator.ledger()["charges"] == 0


def test_what_fal_keeps_for_a_while_lands_within_it_and_not_after(desk, tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "PATIENCE", 0.0)
    desk.simulator.configure(queue_seconds=[0, 0], run_seconds=[0, 0])
    job = bought(desk, "fal", {"output_lifetime": "2h"})
    assert waited(desk, job).state == "success"
    done = desk.airflow.xcoms["wait", "return_value", -1]
    assert done["expires_at"] < job["expires_at"]
    with DAG("dag", schedule=None):
        land = DownloadVideoOperator(task_id="land", job=done, output_path=str(tmp_path / "in-time"))
        late = DownloadVideoOperator(task_id="late", job=done, output_path=str(tmp_path / "late"))
    desk.simulator.advance(7000)
    assert desk.run(land).state == "success"
    desk.simulator.advance(400)
    outcome = desk.run(late)
    assert outcome.state == "failed"
    assert "404" in str(outcome.error)


@pytest.mark.parametrize("vendor", MODELS)
@pytest.mark.parametrize("value", ["soon", "4s", 0, True])
def test_a_setting_that_cannot_be_read_costs_nothing(desk, vendor, value):
    name = {"fal": "output_lifetime", "replicate": "cancel_after"}[vendor]
    desk.connect(vendor, extra={name: value})
    outcome = desk.run(desk.submit(MODELS[vendor], unchecked=True))
    assert outcome.state == "failed"
    assert f"{name} in the connection's extra is {value!r}; it must be seconds" in str(outcome.error)
    assert (outcome.error.charged, desk.accepted, desk.airflow.store) == ("no", 0, {})
