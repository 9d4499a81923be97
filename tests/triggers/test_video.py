"""The trigger as Airflow sees it: arguments in, one event out."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_video_providers.core.errors import (
    AuthenticationError,
    InvalidRequestError,
    JobCancelledError,
    JobErroredError,
    JobExpiredError,
    JobFailedError,
    JobTimeoutError,
    JobUnknownError,
    OutputMissingError,
    RequestRejectedError,
    VideoProviderError,
    rebuild,
)
from airflow_video_providers.core.jobs import JobStatus, VideoJob, VideoOutput, read_job
from airflow_video_providers.triggers import video
from airflow_video_providers.triggers.video import VideoJobTrigger
from tests.support.versions import calls_on_kill, deserialize, import_string, serialize

SECRET = "sk-live-0123456789"  # invented
JOB = VideoJob(model="segmind:mochi-1", request_id="r1", conn_id="segmind_default", submitted_at=datetime.now(UTC))
DONE = JOB.replace(
    status=JobStatus.SUCCEEDED, charged="yes", outputs=(VideoOutput(url="https://cdn.invalid/v.mp4?signature=x"),)
)


def text(job: VideoJob) -> str:
    return json.dumps(job.replace(outputs=()).to_dict())


def events(trigger: VideoJobTrigger) -> list[dict[str, Any]]:
    async def main() -> list[dict[str, Any]]:
        return [event.payload async for event in trigger.run()]

    return asyncio.run(main())


def ends_with(monkeypatch: pytest.MonkeyPatch, outcome: VideoJob | BaseException) -> dict[str, Any]:
    async def wait_for(self: VideoJobTrigger, job: VideoJob) -> VideoJob:
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    monkeypatch.setattr(VideoJobTrigger, "wait_for", wait_for)
    (payload,) = events(VideoJobTrigger(text(JOB)))
    return payload


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (JobFailedError("x", job=JOB), "failed"),
        (JobErroredError("x", job=JOB), "failed"),
        (JobCancelledError("x", job=JOB), "failed"),
        (OutputMissingError("x", job=JOB), "failed"),
        (JobTimeoutError("x", job=JOB), "timeout"),
        (JobUnknownError("x", job=JOB), "unknown"),
        (JobExpiredError("x", job=JOB), "unknown"),
        (AuthenticationError("x"), "unknown"),
        (RequestRejectedError("x"), "unknown"),
        (InvalidRequestError("x"), "unknown"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value,
)
def test_each_error_becomes_an_event_from_which_the_worker_rebuilds_it(
    error: VideoProviderError, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    payload = ends_with(monkeypatch, error)
    assert payload["status"] == status
    assert payload["message"] == str(error)
    assert payload["job"]["request_id"] == "r1"
    again = rebuild(json.loads(json.dumps(payload))["error"], JOB)
    assert type(again) is type(error)
    assert str(again) == str(error)


def test_success_carries_the_job_without_its_output_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    payload = ends_with(monkeypatch, DONE)
    assert payload["status"] == "success"
    assert payload["error"] is None
    assert VideoJob.from_dict(payload["job"]) == DONE.replace(outputs=())
    assert "cdn.invalid" not in json.dumps(payload)


def test_a_failed_job_is_told_as_it_was_last_seen_and_without_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    last = DONE.replace(status=JobStatus.FAILED, error="nsfw")
    payload = ends_with(monkeypatch, JobFailedError("x", job=last))
    assert payload["job"]["error"] == "nsfw"
    assert "cdn.invalid" not in json.dumps(payload)


def test_a_mistake_of_ours_is_an_event_of_unknown_fate_and_not_a_silent_death(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    payload = ends_with(monkeypatch, KeyError("a mistake"))
    assert payload["status"] == "unknown"
    assert "KeyError" in payload["message"]
    assert "not affected" in payload["message"]


def test_what_an_error_that_is_not_ours_says_is_short_printable_and_without_signatures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = f"https://cdn.invalid/v.mp4?sig=s3cret \x1b[2J\n{'x' * 10_000}"
    message = ends_with(monkeypatch, ValueError(text))["message"]
    assert "https://cdn.invalid/v.mp4" in message
    assert "s3cret" not in message
    assert message.isprintable()
    assert len(message) < 1000


def test_cancellation_is_not_an_event(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(asyncio.CancelledError):
        ends_with(monkeypatch, asyncio.CancelledError())


@pytest.mark.parametrize("job", ["", "null", "not json", "[]", '{"v": 1}', '{"model": "no:model", "request_id": "x"}'])
def test_a_job_that_cannot_be_read_is_an_event(job: str) -> None:
    (payload,) = events(VideoJobTrigger(job))
    assert payload["status"] == "unknown"
    assert payload["error"]


# Arguments.


def test_arguments_survive_airflows_serialization() -> None:
    trigger = VideoJobTrigger(text(JOB), poll_interval=7.5, end_time=1234.5, started_at=1000.25)
    path, arguments = trigger.serialize()
    assert all(value is None or isinstance(value, str | int | float | bool) for value in arguments.values())
    stored = json.loads(json.dumps(serialize(arguments)))
    again = import_string(path)(**deserialize(stored))
    assert type(again) is VideoJobTrigger
    assert again.serialize() == (path, arguments)


def test_every_argument_is_serialized_and_has_a_default() -> None:
    parameters = dict(inspect.signature(VideoJobTrigger.__init__).parameters)
    del parameters["self"]
    rest = [name for name, parameter in parameters.items() if parameter.kind is parameter.VAR_KEYWORD]
    named = {name: parameter for name, parameter in parameters.items() if name not in rest}
    assert all(parameter.default is not parameter.empty for parameter in named.values())
    assert set(VideoJobTrigger().serialize()[1]) == set(named)


@pytest.mark.parametrize(
    "stored",
    [
        {"job": text(JOB)},
        {"job": text(JOB), "poll_interval": None},
        {"job": text(JOB), "end_time": 5.0},
        {"job": text(JOB), "added_by_a_newer_version": 1},
    ],
)
def test_arguments_of_other_versions_load(stored: dict[str, Any]) -> None:
    assert VideoJobTrigger(**stored).job == stored["job"]


def test_a_stored_job_of_a_newer_version_loads() -> None:
    job = {**JOB.to_dict(), "added_later": {"x": 1}, "v": 2}
    assert read_job(VideoJobTrigger(json.dumps(job)).job).request_id == "r1"


def test_arguments_hold_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SEGMIND_DEFAULT", json.dumps({"conn_type": "segmind", "password": SECRET}))
    trigger = VideoJobTrigger(text(JOB))
    assert SECRET not in repr(trigger)
    assert SECRET not in json.dumps(trigger.serialize()[1])


# The deadline.


def deadline(**arguments: Any) -> datetime:
    trigger = VideoJobTrigger(**{"job": text(JOB), **arguments})
    return trigger._deadline(datetime.fromtimestamp(trigger.started_at, UTC))


def test_the_deadline_is_a_moment_and_survives_a_restart() -> None:
    ends = time.time() + 500
    first = VideoJobTrigger(text(JOB), end_time=ends)
    _, arguments = first.serialize()
    assert deadline(**arguments) == datetime.fromtimestamp(ends, UTC)


def test_without_one_it_is_an_hour_after_the_beginning_also_after_a_restart() -> None:
    _, arguments = VideoJobTrigger(text(JOB), started_at=1000.0).serialize()
    assert deadline(**arguments) == datetime.fromtimestamp(4600.0, UTC)


@pytest.mark.parametrize("zone", [UTC, None])
def test_where_a_task_started_in_the_triggerer_it_comes_before_airflows_own(zone: Any) -> None:
    airflows = datetime(2030, 1, 1, 12, tzinfo=zone)
    trigger = VideoJobTrigger(text(JOB))
    trigger.timeout_after = airflows  # type: ignore[attr-defined] # set by the triggerer
    ends = trigger._deadline(datetime.now(UTC))
    assert timedelta(seconds=30) <= datetime(2030, 1, 1, 12, tzinfo=UTC) - ends <= timedelta(minutes=5)


# on_kill.


class Ti:
    dag_id, run_id, task_id, map_index, id = "d", "r", "wait", -1, "ti"


class MappedTi(Ti):
    map_index = 3


def killed(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, state: Any, ti: Any = Ti) -> str:
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    def get_task_states(**asked: Any) -> dict[str, Any]:
        assert asked == {"dag_id": "d", "task_ids": ["wait"], "run_ids": ["r"], "map_index": ti.map_index}
        if isinstance(state, Exception):
            raise state
        return {"r": {"wait" if ti.map_index < 0 else f"wait_{ti.map_index}": state}}

    monkeypatch.setattr(RuntimeTaskInstance, "get_task_states", staticmethod(get_task_states))
    monkeypatch.setattr(VideoJobTrigger, "log", logging.getLogger("test.trigger"), raising=False)
    trigger = VideoJobTrigger(text(JOB))
    trigger._task_instance = ti
    with caplog.at_level(logging.INFO):
        asyncio.run(trigger.on_kill())
    return caplog.text


@calls_on_kill
def test_a_kill_says_what_still_runs_and_how_to_come_back_to_it(monkeypatch: Any, caplog: Any) -> None:
    said = killed(monkeypatch, caplog, "failed")
    assert "r1" in said
    assert "may still be charged" in said
    assert "request_id='r1'" in said
    assert "failed" in said


@calls_on_kill
@pytest.mark.parametrize("ti", [Ti, MappedTi])
def test_a_kill_that_is_none_because_another_triggerer_took_over_is_called_so(
    monkeypatch: Any, caplog: Any, ti: Any
) -> None:
    said = killed(monkeypatch, caplog, "deferred", ti)
    assert "not affected" in said
    assert "charged" not in said


@calls_on_kill
@pytest.mark.parametrize("state", ["scheduled", "queued", "running", "restarting", "deferred", "up_for_retry"])
def test_after_a_users_own_clear_nobody_is_told_to_do_what_the_task_does_by_itself(
    monkeypatch: Any, caplog: Any, state: str
) -> None:
    said = killed(monkeypatch, caplog, state)
    assert "it was cleared, or another triggerer waits" in said
    assert "request_id=" not in said
    assert "WARNING" not in said


@pytest.mark.parametrize(("state", "ti"), [(RuntimeError("no API server"), Ti), ("failed", None)])
def test_a_kill_without_knowledge_of_the_task_still_says_it(monkeypatch: Any, caplog: Any, state: Any, ti: Any) -> None:
    assert "request_id='r1'" in killed(monkeypatch, caplog, state, ti)


def test_a_kill_asks_no_vendor_for_anything(monkeypatch: Any, caplog: Any) -> None:
    monkeypatch.setattr(video, "VideoHook", None)
    killed(monkeypatch, caplog, "failed")


def test_a_wait_that_an_older_version_started_in_the_triggerer_ends_with_an_error_that_a_retry_clears() -> None:
    stored = {"source_task_id": "submit", "skip": True, "timeout": 3600.0, "poll_interval": None, "of_any_version": 1}
    trigger = import_string("airflow_video_providers.triggers.from_start.VideoJobStartTrigger")(**stored)
    (payload,) = events(trigger)
    error = rebuild(payload["error"])
    assert error.retryable
    assert "older version" in str(error)
    assert "The job is not affected." in str(error)
    path, arguments = trigger.serialize()
    assert import_string(path)(**arguments).serialize() == (path, {})
