"""A request's parameters on their way: job, finished job, manifest, asset event; never in ledger or trigger as text."""

from __future__ import annotations

import hashlib
import json

import pytest
from airflow.sdk import DAG, Asset

from airflow_video_providers.core.errors import OutputRejectedError
from airflow_video_providers.core.polling import timing
from airflow_video_providers.core.vendors.pixazo import Pixazo
from airflow_video_providers.hooks.pixazo import PixazoHook
from airflow_video_providers.integration.lineage import event_extra
from airflow_video_providers.operators.video import DownloadVideoOperator, GenerateVideoOperator, SubmitVideoOperator
from airflow_video_providers.sensors.video import VideoJobSensor
from airflow_video_providers.testing.simulator import running
from tests.support.airflow import MemoryAirflow

V6 = "pixazo:pixverse-v6-text-to-video"
PROMPT = "A lantern swings in the fog"
DIGEST = hashlib.sha256(PROMPT.encode()).hexdigest()
REQUEST = {"prompt": "{{ params.prompt }}", "duration": 5, "seed": 11, "generate_audio_switch": True}


@pytest.fixture(scope="module")
def server():
    with running(queue_seconds=(0, 0), run_seconds=(0, 0)) as handle:
        yield handle


@pytest.fixture
def airflow(server, monkeypatch):
    server.reset()
    monkeypatch.setattr(timing, "SHORTEST_INTERVAL", 0.01)
    monkeypatch.setattr(Pixazo, "poll_seconds", (0.01, 0.05))
    return MemoryAirflow({"pixazo_default": server.connection("pixazo")})


def chain(tmp_path, **how):
    with DAG("dag", schedule=None, params={"prompt": PROMPT}):
        submit = SubmitVideoOperator(task_id="submit", model=V6, request=REQUEST, **how)
        wait = VideoJobSensor(task_id="wait", job=submit.output, poke_interval=0.05)
        land = DownloadVideoOperator(
            task_id="land", job=wait.output, output_path=str(tmp_path / "out"), outlets=[Asset("clips")]
        )
    return submit, wait, land


def run(airflow, *tasks):
    for task in tasks:
        outcome = airflow.run_to_end(task)
        assert outcome.state == "success", outcome.message
    return airflow.xcom(tasks[-1].task_id)


@pytest.mark.parametrize("keep", [False, True])
def test_job_finished_job_manifest_and_asset_event_hold_what_was_asked_for(airflow, tmp_path, keep):
    manifest = run(airflow, *chain(tmp_path, keep_prompt=keep))
    event = event_extra(manifest, manifest["outputs"][0])
    for kept in (airflow.xcom("submit"), airflow.xcom("wait"), manifest, event):
        assert kept["parameters"]["seed"] == 11
        assert kept["parameters"]["duration"] == 5
        assert kept["parameters"]["resolution"] == "720p"
        assert "resolution" in kept["vendor_defaults"]
        assert kept["parameters"]["prompt_sha256"] == DIGEST
        assert kept["parameters"].get("prompt") == (PROMPT if keep else None)


@pytest.mark.parametrize("keep", [False, True])
def test_the_one_task_keeps_the_same(airflow, tmp_path, keep):
    with DAG("dag", schedule=None, params={"prompt": PROMPT}):
        task = GenerateVideoOperator(
            task_id="video", model=V6, request=REQUEST, output_path=str(tmp_path), poll_interval=0.05, keep_prompt=keep
        )
    manifest = run(airflow, task)
    assert manifest["parameters"]["seed"] == 11
    assert manifest["parameters"].get("prompt") == airflow.xcom("video", "job")["parameters"].get("prompt")
    assert manifest["parameters"].get("prompt") == (PROMPT if keep else None)


def test_a_prompt_that_is_kept_stands_in_no_ledger_and_in_no_trigger(airflow, tmp_path):
    submit, wait, _ = chain(tmp_path, keep_prompt=True)
    run(airflow, submit)
    outcome = airflow.run(wait)
    assert outcome.state == "deferred"
    assert DIGEST in json.dumps(outcome.message.trigger_kwargs)
    assert PROMPT not in json.dumps(outcome.message.trigger_kwargs)
    airflow.fire(outcome.message)
    assert PROMPT not in json.dumps(airflow.events)
    assert PROMPT not in json.dumps(airflow.store)


def test_a_retry_keeps_the_prompt_too_and_a_request_that_has_changed_since_does_not_pass_for_it(airflow, tmp_path):
    submit, _, _ = chain(tmp_path, keep_prompt=True)
    run(airflow, submit)
    assert airflow.run(submit, try_number=2).state == "success"
    assert airflow.xcom("submit")["parameters"]["prompt"] == PROMPT
    submit.request = {"prompt": "Another one", "duration": 5}
    assert airflow.run(submit, try_number=3).state == "success"
    assert "prompt" not in airflow.xcom("submit")["parameters"]


def test_what_came_without_the_sound_that_was_asked_for_is_said_and_strict_fails_the_task(airflow, tmp_path):
    submit, wait, land = chain(tmp_path)
    manifest = run(airflow, submit, wait, land)  # the simulator's clips are silent
    assert manifest["differences"] == [{"index": 0, "what": "audio", "expected": True, "found": False}]
    with DAG("dag2", schedule=None):
        strict = DownloadVideoOperator(
            task_id="strict", job=airflow.xcom("wait"), output_path=str(tmp_path / "strict"), expect="strict"
        )
    outcome = airflow.run(strict)
    assert outcome.state == "failed"
    assert "asked for was True" in str(outcome.error)
    assert list((tmp_path / "strict").rglob("*.mp4")) == []
    assert len(list((tmp_path / "strict").rglob("*.rejected"))) == 1


def test_each_of_mapped_tasks_keeps_its_own_parameters_and_strict_fails_the_one_that_differs(airflow, tmp_path):
    for index, sound in enumerate((False, True)):  # the simulator's clips are silent
        with DAG("dag", schedule=None, params={"prompt": PROMPT}):
            task = GenerateVideoOperator(
                task_id="video", model=V6, request=REQUEST | {"seed": index + 1, "generate_audio_switch": sound},
                output_path=str(tmp_path), poll_interval=0.05, keep_prompt=True, expect="strict",
            )  # fmt: skip
        airflow.store.clear()  # Airflow keeps one per mapped task
        outcome = airflow.run_to_end(task, map_index=index)
        assert outcome.state == ("failed" if sound else "success"), outcome.error
    manifest = airflow.xcom("video", "return_value", 0)
    assert (manifest["parameters"]["seed"], manifest["parameters"]["prompt"]) == (1, PROMPT)
    assert "differences" not in manifest
    assert "audio" in str(outcome.error)
    assert outcome.error.charged == "yes"


@pytest.mark.parametrize("expect", ["report", "strict"])
def test_a_hook_keeps_the_parameters_and_expects_the_same(server, monkeypatch, tmp_path, expect):
    server.reset()
    monkeypatch.setenv("AIRFLOW_CONN_PIXAZO_DEFAULT", json.dumps(server.connection("pixazo")))
    hook = PixazoHook()
    job = hook.wait(hook.submit(V6, REQUEST | {"prompt": PROMPT}), 20, 0.05)
    assert (job.parameters["seed"], job.parameters["prompt_sha256"]) == (11, DIGEST)
    assert "prompt" not in job.parameters
    assert "resolution" in job.vendor_defaults
    if expect == "strict":
        with pytest.raises(OutputRejectedError, match="asked for was True"):
            hook.land(job, str(tmp_path), expect="strict")
    else:
        manifest = hook.land(job, str(tmp_path))
        assert manifest["parameters"] == job.parameters
        assert manifest["differences"] == [{"index": 0, "what": "audio", "expected": True, "found": False}]
    hook.close()
