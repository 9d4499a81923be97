"""When a rescheduled wait comes back: as its job's pace says, and not before Airflow's scheduler has heard that it went."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from airflow.sdk import DAG

from airflow_video_providers.integration import waiting
from airflow_video_providers.sensors.video import VideoJobSensor
from tests.support.submitting import V6, Desk

pytest_plugins = ["airflow_video_providers.testing.pytest_plugin"]
pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("own", "due", "comes"),
    [(None, 0.5, 10.0), (None, 25.0, 25.0), (2.0, 2.0, 2.0)],
    ids=["too soon for the scheduler", "late enough", "the author's own pace"],
)
def test_a_wait_comes_back_after_so_many_seconds(video_simulator, monkeypatch, own, due, comes):
    video_simulator.configure(queue_seconds=(600, 600))
    desk = Desk(video_simulator)
    assert desk.run(desk.submit(V6)).state == "success"
    monkeypatch.setattr(waiting.Wait, "pause", lambda _wait: due)
    with DAG("dag", schedule=None):
        job = desk.airflow.xcom("submit")
        sensor = VideoJobSensor(task_id="wait", job=job, deferrable=False, mode="reschedule", poke_interval=own)
    began = datetime.now(UTC)
    outcome = desk.run(sensor)
    assert outcome.state == "up_for_reschedule"
    pause = timedelta(seconds=comes)
    assert began + pause <= outcome.message.reschedule_date <= datetime.now(UTC) + pause
