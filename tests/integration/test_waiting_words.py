"""What a wait says to people, where it is about what they wrote or what they did."""

from __future__ import annotations

import pytest
from airflow.sdk import DAG

from airflow_video_providers.core.errors import LandingError
from airflow_video_providers.operators.video import DownloadVideoOperator, GenerateVideoOperator, SubmitVideoOperator
from airflow_video_providers.sensors.video import VideoJobSensor
from tests.support.submitting import ONE_OF_EACH, V6, Desk

pytest_plugins = ["airflow_video_providers.testing.pytest_plugin"]


@pytest.fixture
def desk(video_simulator):
    video_simulator.configure(queue_seconds=[0, 0], run_seconds=[0, 0])
    return Desk(video_simulator)


def told(desk):
    return [line for line in desk.logs if "the documents of" in line]


def sensor(desk, vendor="pixazo", **how):
    assert desk.run(desk.submit(ONE_OF_EACH[vendor])).state == "success"
    with DAG("dag", schedule=None):
        return VideoJobSensor(task_id="wait", job=desk.airflow.xcom("submit"), **how)


@pytest.mark.parametrize("how", [{}, {"deferrable": False}])
def test_an_interval_below_the_documented_one_is_taken_and_said_once(desk, how):
    desk.run(sensor(desk, poke_interval=1, **how))
    (line,) = told(desk)
    for part in ("1 s", "5 s", "Pixazo"):
        assert part in line


def test_the_one_task_says_it_once_over_both_of_its_processes(desk, tmp_path):
    with DAG("dag", schedule=None):
        task = GenerateVideoOperator(
            task_id="clip", model=V6, request={"prompt": "a fox"}, output_path=str(tmp_path), poll_interval=1
        )
    outcome = desk.run(task)
    assert outcome.message.trigger_kwargs["poll_interval"] == 1
    desk.airflow.fire(outcome.message)
    assert desk.run(task).state == "success"
    assert len(told(desk)) == 1


@pytest.mark.parametrize(
    ("vendor", "how"), [("pixazo", {"poke_interval": 5}), ("pixazo", {}), ("appypie", {"poke_interval": 1})]
)
def test_nothing_is_said_where_no_document_asks_for_more(desk, vendor, how):
    desk.run(sensor(desk, vendor, **how))
    assert told(desk) == []


@pytest.mark.parametrize("task_id", ["clip", "submit"])
def test_a_remedy_that_speaks_of_the_submit_names_the_one_task(desk, tmp_path, task_id):
    with DAG("dag", schedule=None):
        task = GenerateVideoOperator(
            task_id=task_id, model=V6, request={"prompt": "[[fault:job_error]] a fox"}, output_path=str(tmp_path),
            deferrable=False,
        )  # fmt: skip
    assert desk.run(task).error.remedy == f"Clear the task '{task_id}' to buy it again."


def test_a_wait_behind_a_skipped_branch_names_the_job_that_it_was_given(desk):
    with DAG("dag", schedule=None):
        skipped = SubmitVideoOperator(task_id="skipped", model=V6, request={"prompt": "a fox"})
        wait = VideoJobSensor(task_id="wait", job=skipped.output)
    error = desk.run(wait).error
    assert error.field == "job"
    assert "The job is" in error.what
    assert "request_id" not in error.what
    assert "Nothing was charged." not in str(error)


@pytest.mark.parametrize("empty", ["model", "request_id"])
def test_a_wait_by_id_names_which_of_the_two_is_empty(desk, empty):
    given = {"model": V6, "request_id": "r-1"} | {empty: "{{ '' }}"}
    with DAG("dag", schedule=None):
        wait = VideoJobSensor(task_id="wait", **given)
    error = desk.run(wait).error
    assert error.field == empty
    assert error.what == f"The {empty} is empty after rendering."


def test_a_landing_behind_a_wait_that_a_person_marked_says_what_is_true_and_what_to_clear(desk, tmp_path):
    job = desk.airflow.xcom("submit") if desk.run(desk.submit()).state == "success" else None
    with DAG("dag", schedule=None):
        wait = VideoJobSensor(task_id="wait", job=job)  # it never runs: somebody marks it as success
        land = DownloadVideoOperator(task_id="land", job=wait.output, output_path=str(tmp_path))
    error = desk.run(land).error
    text = str(error)
    assert "marked" in text
    assert "clear" in text.lower()
    assert "Nothing was charged." not in text
    assert "stays paid for" in text


@pytest.mark.parametrize("what", ["No room", "No room.", "No room!", "No room: `df -h`"])
def test_every_sentence_of_an_error_ends(what):
    text = str(LandingError(what, money="It is paid for", remedy="Mount it on this worker", request_id="r-1"))
    assert "  " not in text
    assert "It is paid for. Mount it on this worker. [request_id=r-1]" in text
    assert text.startswith(what if what[-1] in ".!" else f"{what}.")


def test_an_attempt_to_buy_that_is_not_the_number_of_the_try_is_explained(desk):
    connections = dict(desk.airflow.connections)
    desk.airflow.connections.clear()
    desk.run(desk.submit(), retries=1)
    desk.airflow.connections.update(connections)
    desk.run(desk.submit(), try_number=2, retries=1)
    (line,) = [line for line in desk.logs if line.startswith("Buying ")]
    assert "attempt 1 of dag.submit in run-1; this is try 2, and not every try sends a request" in line
