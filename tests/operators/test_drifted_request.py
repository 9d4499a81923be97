"""A retry returns to its job even where what it would send now is no longer a request."""

from __future__ import annotations

import pytest
from airflow.sdk import DAG

from airflow_video_providers.operators.video import DownloadVideoOperator, SubmitVideoOperator
from airflow_video_providers.sensors.video import VideoJobSensor
from tests.support.airflow import MemoryAirflow

pytest_plugins = ["airflow_video_providers.testing.pytest_plugin"]
MODEL = "pixazo:pixverse-v6-text-to-video"


@pytest.fixture
def airflow(video_simulator):
    return MemoryAirflow({"pixazo_default": video_simulator.connection("pixazo")})


def submit(**request):
    with DAG("dag", schedule=None):
        task = SubmitVideoOperator(task_id="submit", model=MODEL, request={"prompt": "a fox"})
    task.request = request  # what rendering has made of a template
    return task


def test_a_retry_whose_request_became_invalid_returns_the_job(airflow, video_simulator):
    airflow.run(submit(prompt="a fox"), retries=2)
    bought = airflow.xcom("submit")
    outcome = airflow.run(submit(prompt="", duration=99), try_number=2, retries=2)
    assert outcome.state == "success"
    assert airflow.xcom("submit")["request_id"] == bought["request_id"]
    assert video_simulator.ledger()["accepted"] == 1


def test_a_clear_that_would_buy_again_refuses_an_invalid_request(airflow, video_simulator):
    airflow.run(submit(prompt="[[fault:job_failed]] a fox"))
    video_simulator.configure(run_seconds=(0, 0), queue_seconds=(0, 0))
    video_simulator.advance(60)
    outcome = airflow.run(submit(duration=99), cleared=1, try_number=2)
    assert (outcome.state, type(outcome.error).__name__) == ("failed", "InvalidRequestError")
    assert video_simulator.ledger()["accepted"] == 1


def test_a_landed_job_is_marked_in_the_state_store_too(airflow, video_simulator, tmp_path):
    video_simulator.configure(run_seconds=(0, 0), queue_seconds=(0, 0))
    airflow.run(submit(prompt="a fox"))
    job = airflow.xcom("submit")
    with DAG("dag", schedule=None):
        wait = VideoJobSensor(task_id="wait", job=job, deferrable=False, poke_interval=0.05)
        assert airflow.run(wait).state == "success"
        land = DownloadVideoOperator(task_id="land", job=airflow.xcom("wait"), output_path=str(tmp_path))
    assert airflow.run(land).state == "success"
    assert any("landed" in name for name in airflow.store)
