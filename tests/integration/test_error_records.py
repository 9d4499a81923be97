"""What a person finds in the log at three in the morning: cause, money and remedy first, and one frame of ours."""

from __future__ import annotations

import traceback

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException

from airflow_video_providers.integration import retries
from airflow_video_providers.operators.video import DownloadVideoOperator, GenerateVideoOperator
from airflow_video_providers.sensors.video import VideoJobSensor
from tests.support.submitting import V6, Desk

pytest_plugins = ["airflow_video_providers.testing.pytest_plugin"]


@pytest.fixture
def desk(video_simulator):
    video_simulator.configure(queue_seconds=[0, 0], run_seconds=[0, 0])
    return Desk(video_simulator)


def submit(desk, tmp_path):
    desk.simulator.fault("error_402", on="submit")
    return desk.submit(task_id="clip")


def wait(desk, tmp_path, **how):
    assert desk.run(desk.submit(request={"prompt": "[[fault:job_error]] a fox"})).state == "success"
    with DAG("dag", schedule=None):
        return VideoJobSensor(task_id="clip", job=desk.airflow.xcom("submit"), poke_interval=1, **how)


def wait_in_worker(desk, tmp_path):
    return wait(desk, tmp_path, deferrable=False)


def land(desk, tmp_path):
    assert desk.run(desk.submit()).state == "success"
    with DAG("dag", schedule=None):
        return DownloadVideoOperator(task_id="clip", job=desk.airflow.xcom("submit"), output_path=str(tmp_path))


def one_task(desk, tmp_path, **how):
    with DAG("dag", schedule=None):
        return GenerateVideoOperator(
            task_id="clip", model=V6, request={"prompt": "[[fault:job_error]] a fox"}, output_path=str(tmp_path),
            poll_interval=1, **how,
        )  # fmt: skip


def one_task_in_worker(desk, tmp_path):
    return one_task(desk, tmp_path, deferrable=False)


def ended(desk, task):
    outcome = desk.run(task)
    while outcome.state == "deferred":
        desk.airflow.fire(outcome.message)
        outcome = desk.run(task)
    assert outcome.state == "failed"
    return outcome


def frames(error):
    """Where each exception of the chain came from, the outermost first."""
    found = []
    while error is not None:
        found.append([frame.filename for frame in traceback.extract_tb(error.__traceback__)])
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return found


WAYS = [submit, wait, wait_in_worker, land, one_task, one_task_in_worker]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("has_policies", [True, False])
def test_one_record_says_it_all_before_airflow_logs_the_exception(desk, tmp_path, way, has_policies, monkeypatch):
    monkeypatch.setattr(retries, "HAS_POLICIES", has_policies)
    outcome = ended(desk, way(desk, tmp_path))
    (told,) = [line for line in desk.logs if line.startswith("Task clip failed. ")]
    assert desk.logs.index(told) < desk.logs.index("Task failed with exception")
    error = outcome.error.__cause__ if isinstance(outcome.error, AirflowFailException) else outcome.error
    for part in (error.what, error.money, error.remedy):
        assert part in told


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("has_policies", [True, False])
def test_an_error_brings_one_frame_of_ours_and_its_causes_none(desk, tmp_path, way, has_policies, monkeypatch):
    monkeypatch.setattr(retries, "HAS_POLICIES", has_policies)
    raised, *causes = frames(ended(desk, way(desk, tmp_path)).error)
    assert sum("airflow_video_providers" in name for name in raised) == 1
    assert all(cause == [] for cause in causes)
