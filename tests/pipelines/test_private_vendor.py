"""A vendor that only a private distribution knows, through submit, deferred wait and landing."""

from __future__ import annotations

import pytest
from airflow.sdk import DAG

from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.operators.video import DownloadVideoOperator, SubmitVideoOperator
from airflow_video_providers.sensors.video import VideoJobSensor
from tests.support.airflow import MemoryAirflow
from tests.testing.conformance.test_fourth_vendor import installed, simulator  # noqa: F401  the fixtures


@pytest.mark.usefixtures("installed")
def test_operators_sensor_and_trigger_work_with_it(simulator, tmp_path, monkeypatch):  # noqa: F811
    simulator.reset()
    monkeypatch.setattr(catalogue.vendors()["lanterna"], "poll_seconds", (0.01, 0.05))
    airflow = MemoryAirflow({"lanterna_default": simulator.connection("lanterna")})
    with DAG("dag", schedule=None):
        submit = SubmitVideoOperator(
            task_id="submit", model="lanterna:magica", request={"prompt": "a paper boat", "duration": 2},
            max_cost_usd="0.10",
        )  # fmt: skip
        wait = VideoJobSensor(task_id="wait", job=submit.output)
        land = DownloadVideoOperator(task_id="land", job=wait.output, output_path=tmp_path.as_uri())
    assert airflow.run(submit).state == "success"
    deferred = airflow.run(wait)
    assert deferred.state == "deferred"
    simulator.advance(600)
    assert deferred.message.trigger_kwargs["poll_interval"] is None
    airflow.fire(deferred.message, timeout=60.0)
    assert airflow.run(wait).state == "success"
    assert airflow.run(land).state == "success"
    video, frame = airflow.xcom("land")["outputs"]
    assert (video["width"], video["height"], video["duration_s"]) == (640, 360, 2.0)
    assert frame["role"] == "last_frame"
    assert simulator.ledger()["charges"] == 1
    assert simulator.violations() == []
