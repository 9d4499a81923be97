"""Airflow says that a connection is not defined while it is away itself: no verdict, before a purchase and after one."""

from __future__ import annotations

import pytest
from airflow.sdk import DAG

from airflow_video_providers.integration import retries
from airflow_video_providers.operators.video import DownloadVideoOperator, GenerateVideoOperator
from airflow_video_providers.sensors.video import VideoJobSensor
from tests.support.submitting import V6, Desk

pytest_plugins = ["airflow_video_providers.testing.pytest_plugin"]

FOR_EVER = 10**6


class Connections(dict):
    """What Airflow knows, and for how many look-ups it is away."""

    def __init__(self, known):
        super().__init__(known)
        self.asked, self.away = 0, range(0)

    def get(self, conn_id):
        self.asked += 1
        return None if self.asked in self.away else super().get(conn_id)

    def out(self, *, after=0, times=FOR_EVER):
        """Away for so many look-ups, after so many more that work."""
        self.away = range(self.asked + after + 1, self.asked + after + 1 + times)


@pytest.fixture
def desk(video_simulator):
    video_simulator.configure(queue_seconds=[0, 0], run_seconds=[0, 0])
    desk = Desk(video_simulator)
    desk.airflow.connections = Connections(desk.airflow.connections)
    return desk


@pytest.fixture(params=[True, False], ids=["policies", "before 3.3"])
def _versions(request, monkeypatch):
    monkeypatch.setattr(retries, "HAS_POLICIES", request.param)


def patient(task):
    """The task, and how long it has paused; its pauses take no time."""
    slept = []
    task._sleep = slept.append
    return task, slept


def a_wait(desk, tmp_path, **how):
    assert desk.run(desk.submit()).state == "success"
    with DAG("dag", schedule=None):
        return VideoJobSensor(task_id="wait", job=desk.airflow.xcom("submit"), poke_interval=5, **how)


def in_a_worker(desk, tmp_path):
    return a_wait(desk, tmp_path, deferrable=False)


def by_id(desk, tmp_path):
    assert desk.run(desk.submit()).state == "success"
    given = {"model": V6, "request_id": desk.airflow.xcom("submit", "request_id")}
    with DAG("dag", schedule=None):
        return VideoJobSensor(task_id="wait", poke_interval=5, **given)


def rescheduled(desk, tmp_path):
    return a_wait(desk, tmp_path, deferrable=False, mode="reschedule")


def a_landing(desk, tmp_path):
    wait = a_wait(desk, tmp_path, deferrable=False)
    assert desk.run(wait).state == "success"
    with DAG("dag", schedule=None):
        return DownloadVideoOperator(task_id="land", job=desk.airflow.xcom("wait"), output_path=str(tmp_path))


def generate(tmp_path, **how):
    with DAG("dag", schedule=None):
        return GenerateVideoOperator(
            task_id="clip", model=V6, request={"prompt": "a fox"}, output_path=str(tmp_path), poll_interval=5, **how
        )


def a_resume(desk, tmp_path):
    task = generate(tmp_path)
    deferred = desk.run(task)
    assert deferred.state == "deferred"
    desk.airflow.fire(deferred.message)
    return task


def a_resumed_wait(desk, tmp_path):
    task = a_wait(desk, tmp_path)
    deferred = desk.run(task)
    assert deferred.state == "deferred"
    desk.airflow.fire(deferred.message)
    return task


PAID = [a_wait, in_a_worker, rescheduled, by_id, a_landing, a_resume, a_resumed_wait]


@pytest.mark.usefixtures("_versions")
def test_before_a_purchase_an_outage_is_retried_names_both_causes_and_leaves_nothing_behind(desk):
    desk.airflow.connections.out(times=1)
    outcome = desk.run(desk.submit(), retries=5)
    assert outcome.state == "up_for_retry"
    error = outcome.error
    assert (error.charged, error.retryable) == ("no", True)
    for part in ("not defined", "database, API server or secrets backend", "AIRFLOW_CONN_PIXAZO_DEFAULT"):
        assert part in str(error)
    assert desk.bodies() == []
    assert desk.airflow.store == {}
    assert desk.run(desk.submit(), try_number=2, retries=5).state == "success"
    assert desk.accepted == 1


@pytest.mark.parametrize("way", PAID, ids=lambda way: way.__name__)
def test_what_is_paid_for_outlives_an_outage_of_half_a_minute_within_its_try(desk, tmp_path, way):
    task, slept = patient(way(desk, tmp_path))
    desk.airflow.connections.out(times=5)
    outcome = desk.run(task)
    assert outcome.state in ("success", "deferred")
    assert sum(slept) >= 29
    assert desk.accepted == 1
    assert "is not affected; asking again" in desk.log


@pytest.mark.parametrize("way", PAID, ids=lambda way: way.__name__)
@pytest.mark.usefixtures("_versions")
def test_an_outage_that_lasts_is_retried_after_about_a_minute_and_is_told_of_the_job(desk, tmp_path, way):
    task, slept = patient(way(desk, tmp_path))
    desk.airflow.connections.out()
    outcome = desk.run(task, retries=1)
    assert outcome.state == "up_for_retry"
    assert 55 <= sum(slept) <= 70
    error = outcome.error
    assert error.request_id
    assert error.retryable
    assert "The job is not affected." in str(error)
    assert "Nothing was charged" not in str(error)


@pytest.mark.parametrize("way", PAID, ids=lambda way: way.__name__)
@pytest.mark.parametrize("wrong", [{"password": ""}, {"conn_type": "segmind"}, {"extra": "[1]"}])
def test_once_a_job_is_paid_for_nothing_about_its_connection_is_final(desk, tmp_path, way, wrong):
    task, slept = patient(way(desk, tmp_path))
    desk.airflow.connections["pixazo_default"] |= wrong
    outcome = desk.run(task, retries=1)
    assert outcome.state == "up_for_retry"
    assert slept == [], "that is no outage"
    assert "The job is not affected." in str(outcome.error)


def test_the_retry_of_a_submit_that_has_bought_outlives_an_outage(desk):
    desk.run(desk.submit(), retries=2)
    task, slept = patient(desk.submit())
    desk.airflow.connections.out(times=4)
    assert desk.run(task, try_number=2, retries=2).state == "success"
    assert sum(slept) >= 7
    assert desk.accepted == 1


@pytest.mark.parametrize("cleared", [0, 1])
def test_the_retry_of_a_submit_that_has_bought_is_not_final_where_the_connection_stays_away(desk, cleared):
    desk.run(desk.submit(), retries=2)
    task, slept = patient(desk.submit())
    desk.airflow.connections.out()
    outcome = desk.run(task, try_number=2, retries=2, cleared=cleared)
    assert outcome.state == "up_for_retry"
    assert sum(slept) >= 55
    assert outcome.error.request_id
    assert desk.accepted == 1


def look_ups(desk, task):
    before = desk.airflow.connections.asked
    outcome = desk.run(task)
    return outcome, desk.airflow.connections.asked - before


def test_a_submit_looks_the_connection_up_once(desk):
    outcome, asked = look_ups(desk, desk.submit())
    assert (outcome.state, asked) == ("success", 1)


def test_the_one_task_looks_it_up_once_when_it_buys_and_once_when_it_lands(desk, tmp_path):
    task = generate(tmp_path)
    outcome, asked = look_ups(desk, task)
    assert (outcome.state, asked) == ("deferred", 1)
    desk.airflow.fire(outcome.message)
    outcome, asked = look_ups(desk, task)
    assert (outcome.state, asked) == ("success", 1)


@pytest.mark.parametrize("way", [a_wait, in_a_worker, rescheduled, by_id, a_landing], ids=lambda way: way.__name__)
def test_one_process_of_a_later_task_looks_it_up_once_too(desk, tmp_path, way):
    outcome, asked = look_ups(desk, way(desk, tmp_path))
    assert outcome.state in ("success", "deferred")
    assert asked == 1


def test_a_backend_that_fails_right_after_the_paid_call_does_not_end_the_try(desk, tmp_path):
    desk.airflow.connections.out(after=1)
    outcome = desk.run(generate(tmp_path))
    assert outcome.state == "deferred"
    assert desk.accepted == 1


def test_the_one_task_in_a_worker_needs_the_backend_once_from_the_purchase_to_the_landing(desk, tmp_path):
    desk.airflow.connections.out(after=1)
    task, _ = patient(generate(tmp_path, deferrable=False))
    assert desk.run(task).state == "success"
    assert desk.accepted == 1
