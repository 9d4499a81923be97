"""A wait that starts in the triggerer: what it leaves behind although no worker ever saw it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG
from airflow.sdk.execution_time.xcom import XCom
from airflow.triggers.base import TaskSkippedEvent, TaskSuccessEvent

from airflow_video_providers import metrics, timing
from airflow_video_providers.exceptions import InvalidRequestError
from airflow_video_providers.links.video import ModelDocumentationLink, documentation_of
from airflow_video_providers.operators.video import SubmitVideoOperator
from airflow_video_providers.sensors.video import VideoJobSensor
from airflow_video_providers.simulator import running
from airflow_video_providers.triggers.from_start import VideoJobStartTrigger
from airflow_video_providers.vendors.pixazo import Pixazo
from tests.support.airflow import MemoryAirflow

pytest_plugins = ["tests.support.stats"]

MODEL = "pixazo:pixverse-v6-text-to-video"
TAGS = {"vendor": "pixazo", "model": "pixverse-v6-text-to-video"}


@pytest.fixture(scope="module")
def server():
    with running(queue_seconds=(0, 0), run_seconds=(0, 0)) as handle:
        yield handle


@pytest.fixture
def airflow(server, monkeypatch):
    server.reset()
    monkeypatch.setattr(Pixazo, "poll_seconds", (0.01, 0.05))
    monkeypatch.setattr(timing, "SHORTEST_INTERVAL", 0.01)
    return MemoryAirflow({"pixazo_default": server.connection("pixazo")})


def bought(airflow, prompt="a fox", **how):
    """A sensor behind a submit that has bought."""
    with DAG("dag", schedule=None):
        submit = SubmitVideoOperator(task_id="submit", model=MODEL, request={"prompt": prompt})
        wait = VideoJobSensor(task_id="wait", job=submit.output, poke_interval=0.02, start_from_trigger=True, **how)
    assert airflow.run(submit).state == "success"
    return wait


def sensor(**arguments):
    with DAG("dag", schedule=None):
        return VideoJobSensor(task_id="wait", poke_interval=0.02, **arguments)


def test_it_leaves_the_finished_job_the_button_and_the_metrics(airflow, recorded):
    assert isinstance(airflow.start_in_trigger(bought(airflow)), TaskSuccessEvent)
    assert airflow.xcom("wait")["status"] == "succeeded"
    assert airflow.xcom("wait", ModelDocumentationLink.xcom_key) == documentation_of(MODEL)
    assert recorded.of(metrics.SUCCEEDED) == [(1, TAGS)]
    assert recorded.total(metrics.POLLS) >= 1
    assert recorded.of(metrics.FAILED) == []


def test_a_button_that_cannot_be_stored_does_not_end_the_wait(airflow, mocker):
    real = XCom.set.__func__

    def refuse_the_link(cls, key, value, **where):
        if key == ModelDocumentationLink.xcom_key:
            raise OSError("the API server is away")
        return real(cls, key, value, **where)

    wait = bought(airflow)
    mocker.patch.object(XCom, "set", classmethod(refuse_the_link))
    assert isinstance(airflow.start_in_trigger(wait), TaskSuccessEvent)
    assert airflow.xcom("wait")["status"] == "succeeded"


def test_a_skip_counts_as_a_failed_wait_as_in_a_worker(airflow, recorded):
    event = airflow.start_in_trigger(bought(airflow, prompt="[[fault:job_failed]] a fox", soft_fail=True))
    assert isinstance(event, TaskSkippedEvent)
    assert recorded.of(metrics.FAILED) == [(1, {**TAGS, "error": "JobFailedError"})]


def test_a_throttled_look_in_the_triggerer_counts(airflow, server, recorded):
    wait = bought(airflow)
    server.fault("error_429:0", on="status")
    assert isinstance(airflow.start_in_trigger(wait), TaskSuccessEvent)
    assert recorded.of(metrics.THROTTLED) == [(1, TAGS)]
    assert recorded.total(metrics.POLLS) >= 2


def test_after_a_restart_of_the_triggerer_the_time_out_counts_from_the_first_start(airflow, server):
    server.configure(run_seconds=[600, 600])
    try:
        event = airflow.start_in_trigger(bought(airflow, timeout=timedelta(seconds=100)), ago=99.9)
    finally:
        server.configure(run_seconds=[0, 0])
    assert event.payload["status"] == "timeout"
    assert "after 100 s of waiting" in event.payload["message"]


def test_a_finished_job_that_cannot_be_stored_from_here_is_read_and_stored_by_a_worker(airflow, mocker):
    wait = bought(airflow)
    real = XCom.set.__func__

    def refuse_the_job(cls, key, value, **where):
        if key == "return_value":
            raise OSError("the backend is away")
        return real(cls, key, value, **where)

    mocker.patch.object(XCom, "set", classmethod(refuse_the_job))
    event = airflow.start_in_trigger(wait)
    mocker.stopall()
    assert event.payload["status"] == "success"
    awake = sensor(job=airflow.xcom("submit"))
    airflow.resume_with("execute_complete", event.payload)
    assert airflow.run(awake).state == "success"
    assert airflow.xcom("wait")["outputs"]


def test_an_error_of_our_own_leaves_the_retries_alone(airflow, mocker):
    wait = bought(airflow)
    mocker.patch.object(XCom, "get_one", side_effect=OSError("the backend is away"))
    event = airflow.start_in_trigger(wait)
    mocker.stopall()
    assert event.payload["status"] == "unknown"
    airflow.resume_with("execute_complete", event.payload)
    assert airflow.run(sensor(job=airflow.xcom("submit")), retries=1).state == "up_for_retry"


def test_what_an_earlier_try_has_left_is_taken_away_first(airflow):
    wait = bought(airflow, prompt="[[fault:job_failed]] a fox", soft_fail=True)
    airflow.xcoms["wait", "return_value", -1] = {"status": "succeeded", "of": "an earlier try"}
    assert isinstance(airflow.start_in_trigger(wait, try_number=2), TaskSkippedEvent)
    assert airflow.xcom("wait") is None


def test_a_request_id_that_a_function_returns_is_not_taken_for_a_job(airflow):
    bought(airflow)
    airflow.xcoms["pick", "return_value", -1] = airflow.xcom("submit", "request_id")
    with DAG("dag", schedule=None):
        pick = EmptyOperator(task_id="pick")
        wait = VideoJobSensor(
            task_id="wait", model=MODEL, request_id=pick.output, start_from_trigger=True, poke_interval=0.02
        )
    assert isinstance(airflow.start_in_trigger(wait), TaskSuccessEvent)


def test_a_job_under_a_key_of_its_own_is_not_taken_for_a_request_id(airflow):
    bought(airflow)
    airflow.xcoms["pick", "job", -1] = airflow.xcom("submit")
    with DAG("dag", schedule=None):
        pick = EmptyOperator(task_id="pick")
        wait = VideoJobSensor(task_id="wait", job=pick.output["job"], start_from_trigger=True, poke_interval=0.02)
    assert isinstance(airflow.start_in_trigger(wait), TaskSuccessEvent)


@pytest.mark.parametrize("field", ["model", "conn_id", "request_id"])
def test_a_template_that_would_hang_in_the_triggerer_is_refused_at_parse(field):
    given = {"model": MODEL, "request_id": "r"} | {field: "{{ ti.xcom_pull(task_ids='pick') }}"}
    with pytest.raises(InvalidRequestError, match=field):
        sensor(**given, start_from_trigger=True)


@pytest.mark.parametrize(("execution_timeout", "waited"), [(100, 90), (4000, 3600), (None, 3600)])
def test_an_execution_timeout_shortens_the_wait_and_the_text_says_how_long_it_was(
    airflow, server, execution_timeout, waited
):
    limit = None if execution_timeout is None else timedelta(seconds=execution_timeout)
    server.configure(run_seconds=[10**6, 10**6])
    try:
        wait = bought(airflow, execution_timeout=limit)
        if limit is not None and limit < wait.start_trigger_args.timeout:
            wait.start_trigger_args.timeout = limit  # what Airflow makes of it
        event = airflow.start_in_trigger(wait, ago=waited - 0.1)
    finally:
        server.configure(run_seconds=[0, 0])
    assert event.payload["status"] == "timeout"
    assert f"after {waited} s of waiting" in event.payload["message"]


def test_a_mapped_sensor_takes_durations_as_the_class_does():
    with DAG("dag", schedule=None):
        pick = EmptyOperator(task_id="pick")
    arguments = VideoJobSensor.partial_from_trigger(
        pick.output, timeout=timedelta(minutes=5), poke_interval=timedelta(seconds=7), never_fail=True, conn_id="mine"
    )
    told = arguments["start_trigger_args"].trigger_kwargs
    assert (told["timeout"], told["poll_interval"], told["skip"], told["conn_id"]) == (300, 7, True, "mine")


def test_its_arguments_round_trip():
    kwargs = {
        "job": "{}", "poll_interval": 5.0, "end_time": 2.0, "started_at": 1.0, "source_task_id": "submit",
        "source_key": "request_id", "model": MODEL, "request_id": "r", "conn_id": "mine", "skip": True, "timeout": 60.0,
        "source_holds": "job", "execution_timeout": 30.0,
    }  # fmt: skip
    path, arguments = VideoJobStartTrigger(**kwargs).serialize()
    assert path.endswith("from_start.VideoJobStartTrigger")
    assert arguments == kwargs
    assert VideoJobStartTrigger(**arguments).serialize() == (path, arguments)
    assert VideoJobStartTrigger(of_a_newer_version=1).serialize()[1]["started_at"] > 0
