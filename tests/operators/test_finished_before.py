"""A wait for a job that is finished already ends in the worker: a trigger would end before Airflow can follow."""

from __future__ import annotations

import pytest
from airflow.sdk import DAG

from airflow_video_providers.operators.video import SubmitVideoOperator
from airflow_video_providers.sensors.video import VideoJobSensor
from airflow_video_providers.testing.simulator import running
from tests.support.airflow import MemoryAirflow
from tests.support.versions import needs_state_store

pytestmark = needs_state_store

MODEL = "pixazo:pixverse-v6-text-to-video"


@pytest.fixture(scope="module")
def simulator():
    with running(frozen_clock=True) as handle:
        yield handle


@pytest.fixture
def airflow(simulator):
    simulator.reset()
    airflow = MemoryAirflow({"pixazo_default": simulator.connection("pixazo")})
    with DAG("dag", schedule=None):
        submit = SubmitVideoOperator(task_id="submit", model=MODEL, request={"prompt": "a fox"})
    assert airflow.run(submit).state == "success"
    return airflow


def by_id(airflow):
    with DAG("dag", schedule=None):
        request_id = airflow.xcom("submit", "request_id")
        return VideoJobSensor(task_id="wait", model=MODEL, request_id=request_id)


def by_job(airflow, **known):
    with DAG("dag", schedule=None):
        return VideoJobSensor(task_id="wait", job={**airflow.xcom("submit"), **known})


def looks(simulator):
    return sum(call["method"] == "GET" for call in simulator.requests("pixazo"))


def test_a_finished_job_that_is_named_by_its_id_is_not_waited_for(airflow, simulator):
    simulator.advance(3600)
    assert airflow.run(by_id(airflow)).state == "success"
    assert airflow.xcom("wait")["status"] == "succeeded"


def test_a_job_that_was_finished_when_it_was_handed_over_is_not_waited_for(airflow, simulator):
    simulator.advance(3600)
    assert airflow.run(by_job(airflow, status="succeeded")).state == "success"
    assert len(airflow.xcom("wait")["outputs"]) == 1


def test_a_job_of_unknown_age_that_still_runs_is_put_aside(airflow):
    assert airflow.run(by_id(airflow)).state == "deferred"


def test_a_job_that_was_just_bought_is_put_aside_without_a_look(airflow, simulator):
    assert airflow.run(by_job(airflow)).state == "deferred"
    assert looks(simulator) == 0
