"""cancel_on_kill in a worker: the job goes with a task that somebody ended, and with no other."""

from __future__ import annotations

import tempfile

import pytest
from airflow.sdk import DAG, get_current_context

from airflow_video_providers.core.client.client import VideoClient
from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.jobs import JobStatus, VideoJob
from airflow_video_providers.core.polling import timing
from airflow_video_providers.core.vendors.fal import Fal
from airflow_video_providers.core.vendors.replicate import Replicate
from airflow_video_providers.integration.kills import ENDED, outcome
from airflow_video_providers.operators.video import GenerateVideoOperator, SubmitVideoOperator
from airflow_video_providers.sensors.video import VideoJobSensor
from airflow_video_providers.testing.simulator import running
from tests.support.airflow import MemoryAirflow

FAL = "fal:fal-ai/kling-video/v2.1/standard/text-to-video"
MODELS = [FAL, "replicate:studio/clips"]


@pytest.fixture(scope="module")
def server():
    with running(queue_seconds=(0, 0), run_seconds=(600, 600)) as handle:
        yield handle


@pytest.fixture
def simulator(server, monkeypatch, tmp_path):
    server.reset()
    monkeypatch.setattr(timing, "SHORTEST_INTERVAL", 0.01)
    for vendor in (Fal, Replicate):
        monkeypatch.setattr(vendor, "poll_seconds", (0.01, 0.05))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return server


@pytest.fixture
def airflow(simulator):
    return MemoryAirflow(
        {f"{vendor}_default": simulator.connection(vendor) for vendor in ("fal", "replicate", "pixazo")}
    )


def generate(tmp_path, model=FAL, **how):
    how = {"cancel_on_kill": True, "deferrable": False, "timeout": 3, "unchecked": True} | how
    with DAG("dag", schedule=None):
        return GenerateVideoOperator(
            task_id="video", model=model, request={"prompt": "a fox"}, output_path=str(tmp_path / "videos"), **how
        )


def kill():
    """As Airflow's signal handler does, in the main thread, wherever that stands; the task goes on behind it."""
    get_current_context()["ti"].task.on_kill()


def killed_in_the_first_pause(task, before=lambda: None):
    kills = []

    def sleep(_seconds):
        if not kills:
            kills.append(True)
            before()
            kill()

    task._sleep = sleep
    return task


def cancels(simulator):
    return [sent for sent in simulator.requests() if sent["path"].endswith("/cancel")]


@pytest.mark.parametrize("model", MODELS)
def test_a_task_that_somebody_failed_takes_its_job_along(airflow, simulator, tmp_path, model):
    airflow.task_state = "failed"
    outcome = airflow.run(killed_in_the_first_pause(generate(tmp_path, model)))
    assert len(cancels(simulator)) == 1
    assert type(outcome.error).__name__ in ("JobCancelledError", "JobErroredError"), (
        "the wait behind it finds what has become of it"
    )
    assert simulator.ledger()["charges"] == 0


@pytest.mark.parametrize("state", ["running", "restarting", "queued", "up_for_retry", "deferred", None])
def test_a_task_that_goes_on_keeps_its_job(airflow, simulator, tmp_path, state, capsys):
    airflow.task_state = state
    airflow.run(killed_in_the_first_pause(generate(tmp_path)))
    assert cancels(simulator) == []
    assert "is not cancelled, and may be charged" in capsys.readouterr().out


def test_without_the_option_nothing_is_cancelled(airflow, simulator, tmp_path, capsys):
    airflow.task_state = "failed"
    airflow.run(killed_in_the_first_pause(generate(tmp_path, cancel_on_kill=False)))
    assert cancels(simulator) == []
    assert "nothing is cancelled" in capsys.readouterr().out


def test_a_job_that_has_ended_meanwhile_is_left_alone(airflow, simulator, tmp_path, capsys):
    airflow.task_state = "failed"
    task = killed_in_the_first_pause(generate(tmp_path), before=lambda: simulator.advance(700))
    assert airflow.run(task).state == "success"
    assert cancels(simulator) == []
    assert "has ended (COMPLETED), and is left as it is. It is charged." in capsys.readouterr().out


def test_a_kill_during_the_paid_call_is_made_up_for_when_its_answer_has_come(
    airflow, simulator, tmp_path, monkeypatch, capsys
):
    airflow.task_state = "failed"
    task, buy = generate(tmp_path), VideoClient.buy

    def killed(client, *order):
        kill()
        assert cancels(simulator) == []
        return buy(client, *order)

    monkeypatch.setattr(VideoClient, "buy", killed)
    airflow.run(task)
    assert len(cancels(simulator)) == 1
    assert simulator.ledger()["accepted"] == 1
    assert "the job is cancelled then" in capsys.readouterr().out


@pytest.mark.parametrize("mode", ["poke", "reschedule"])
def test_a_sensor_gives_up_the_job_that_it_waits_for(airflow, simulator, mode, monkeypatch):
    with DAG("dag", schedule=None):
        submit = SubmitVideoOperator(task_id="submit", model=FAL, request={"prompt": "a fox"}, unchecked=True)
        wait = VideoJobSensor(
            task_id="wait", job=submit.output, cancel_on_kill=True, deferrable=False, mode=mode, timeout=3
        )
    assert airflow.run(submit).state == "success"
    airflow.task_state = "failed"
    waits_for = VideoJobSensor.waits_for
    monkeypatch.setattr(VideoJobSensor, "waits_for", lambda *known: (waits_for(*known), kill()))
    airflow.run(wait)
    assert len(cancels(simulator)) == 1


def test_a_sensor_says_at_once_where_the_vendor_cannot_cancel(airflow, simulator, capsys):
    with DAG("dag", schedule=None):
        wait = VideoJobSensor(task_id="wait", model="pixazo:mochi-v1", request_id="nobodys", cancel_on_kill=True)
    airflow.run(wait)
    assert "cancel_on_kill has no effect" in capsys.readouterr().out


def test_a_vendor_without_a_cancel_is_refused_before_the_purchase(airflow, simulator, tmp_path):
    with pytest.raises(InvalidRequestError, match="no way to cancel"):
        generate(tmp_path, "pixazo:mochi-v1", unchecked=False)
    task = generate(tmp_path, "{{ 'pixazo:mochi-v1' }}", unchecked=False)
    assert isinstance(airflow.run(task).error, InvalidRequestError)
    assert simulator.ledger()["accepted"] == 0


def test_a_cancellation_that_nobody_answers_says_how_to_come_back(airflow, simulator, tmp_path, monkeypatch, capsys):
    airflow.task_state = "failed"
    task = killed_in_the_first_pause(generate(tmp_path), before=lambda: simulator.fault("http_503", on="status"))
    airflow.run(task)
    assert cancels(simulator) == []
    said = capsys.readouterr().out
    assert "could not be cancelled" in said
    assert "attaches to it and buys nothing" in said


def test_the_states_of_a_task_that_is_over_hold_none_of_one_that_goes_on():
    assert ENDED.isdisjoint(
        {"deferred", "scheduled", "queued", "running", "restarting", "up_for_retry", "up_for_reschedule"}
    )


@pytest.mark.parametrize(
    ("status", "charged", "said"),
    [
        (JobStatus.CANCELLED, "unknown", "is cancelled at fal. Whether it is charged is not known"),
        (JobStatus.CANCELLED, "no", "It is not charged."),
        (JobStatus.RUNNING, "unknown", "it may end all the same. Whether"),
        (JobStatus.SUCCEEDED, "yes", "is left as it is. It is charged."),
        (JobStatus.EXPIRED, "unknown", "does not know job r1"),
    ],
)
def test_what_came_of_it_says_what_it_means_for_the_bill(status, charged, said):
    assert said in outcome(VideoJob(model=FAL, request_id="r1", status=status, charged=charged), "fal")
