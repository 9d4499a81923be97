"""cancel_on_kill of a deferred task: which of Airflow's calls of on_kill gives a job up, and what is asked of the vendor then."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from datetime import UTC, datetime

import httpx
import pytest

from airflow_video_providers.core.client.async_client import AsyncVideoClient
from airflow_video_providers.core.jobs import VideoJob
from airflow_video_providers.integration import kills
from airflow_video_providers.triggers.video import VideoJobTrigger
from tests.support.versions import calls_on_kill

pytestmark = calls_on_kill

JOB = VideoJob(
    model="fal:fal-ai/kling-video/v2.1", request_id="r1", conn_id="fal_default", submitted_at=datetime.now(UTC)
)
WAITING, RUNNING = {"status": "IN_QUEUE", "request_id": "r1"}, {"status": "IN_PROGRESS", "request_id": "r1"}
DONE = {"status": "COMPLETED", "request_id": "r1"}
CANCELLED = DONE | {"error": "The request was cancelled.", "error_type": "client_cancelled"}


class Ti:
    dag_id, run_id, task_id, map_index, id = "d", "r", "wait", -1, "ti"


class Fals:
    """Answers statuses in turn, the last for ever; takes every cancel."""

    def __init__(self, *statuses):
        self.statuses, self.asked = list(statuses), []

    def __call__(self, sent):
        self.asked.append((sent.method, sent.url.path.rpartition("/")[2]))
        if sent.method == "PUT":
            return httpx.Response(202, json={"status": "CANCELLATION_REQUESTED"})
        if sent.url.path.endswith("/r1"):
            return httpx.Response(200, json={"video": {"url": "https://v.fal.media/a.mp4"}})
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return httpx.Response(status) if isinstance(status, int) else httpx.Response(200, json=status)

    @property
    def cancels(self):
        return self.asked.count(("PUT", "cancel"))


@pytest.fixture
def killed(monkeypatch, caplog):
    """One kill of one deferred task that Airflow calls by this state."""
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    monkeypatch.setenv("AIRFLOW_CONN_FAL_DEFAULT", json.dumps({"conn_type": "fal", "password": "k-0123456789abcdef"}))
    monkeypatch.setattr(kills, "PAUSE", 0.0)
    caplog.set_level(logging.INFO)

    def kill(state, fals, *, ti=Ti, **arguments):
        def get_task_states(**_asked):
            if isinstance(state, Exception):
                raise state
            return {"r": {"wait": state}}

        monkeypatch.setattr(RuntimeTaskInstance, "get_task_states", staticmethod(get_task_states))
        made = AsyncVideoClient.__init__
        monkeypatch.setattr(
            AsyncVideoClient, "__init__", lambda self, of, key: made(self, of, key, transport=httpx.MockTransport(fals))
        )
        trigger = VideoJobTrigger(json.dumps(JOB.to_dict()), **{"cancel_on_kill": True} | arguments)
        trigger._task_instance = ti
        monkeypatch.setattr(VideoJobTrigger, "log", logging.getLogger("test.trigger"), raising=False)
        asyncio.run(trigger.on_kill())
        return caplog.text

    return kill


@pytest.mark.parametrize("state", ["failed", "success", "skipped", "removed", "upstream_failed"])
def test_a_task_that_is_over_gives_its_job_up(killed, state):
    fals = Fals(RUNNING, CANCELLED)
    said = killed(state, fals)
    assert fals.asked == [("GET", "status"), ("PUT", "cancel"), ("GET", "status")], "it asks first"
    assert "Whether it is charged is not known" in said


@pytest.mark.parametrize(
    "state", ["deferred", "scheduled", "queued", "running", "restarting", "up_for_retry", "up_for_reschedule", None]
)
def test_a_task_that_comes_back_to_its_job_keeps_it(killed, state):
    fals = Fals(RUNNING)
    said = killed(state, fals)
    assert fals.asked == []
    assert "The job is not affected" in said


@pytest.mark.parametrize(("state", "ti"), [(RuntimeError("no API server"), Ti), ("failed", None)])
def test_nobody_gives_a_job_up_without_knowing_how_the_task_stands(killed, state, ti):
    fals = Fals(RUNNING)
    said = killed(state, fals, ti=ti)
    assert fals.asked == []
    assert "Airflow does not say how the task stands" in said


def test_a_task_whose_own_time_is_over_was_ended_by_nobody(killed):
    fals = Fals(RUNNING)
    killed("failed", fals, end_time=time.time() - 1)
    assert fals.asked == []


def test_without_the_option_nothing_is_asked(killed):
    fals = Fals(RUNNING)
    assert "may still be charged" in killed("failed", fals, cancel_on_kill=False)
    assert fals.asked == []


def test_a_job_that_has_ended_is_left_alone(killed):
    fals = Fals(DONE)
    said = killed("success", fals)
    assert fals.cancels == 0
    assert "is left as it is. It is charged." in said


def test_a_cancel_that_is_taken_for_a_wish_is_called_so(killed):
    assert "it may end all the same" in killed("failed", Fals(RUNNING))


@pytest.mark.parametrize("trouble", [503, 429])
def test_trouble_is_asked_about_again(killed, trouble):
    fals = Fals(trouble, trouble, WAITING, CANCELLED)
    killed("failed", fals)
    assert fals.cancels == 1


@pytest.mark.parametrize("trouble", [503, 429])
def test_trouble_without_an_end_ends_in_time_and_says_how_to_come_back(killed, trouble, monkeypatch):
    monkeypatch.setattr(kills, "PAUSE", 100.0)
    fals = Fals(trouble)
    assert "attaches to it and buys nothing" in killed("failed", fals)
    assert fals.cancels == 0


class Slow(Fals):
    """Answers after a while."""

    async def __call__(self, sent):
        await asyncio.sleep(0.02)
        return super().__call__(sent)


def test_airflow_that_cancels_the_trigger_again_and_again_meanwhile_ends_no_cancellation_half_way(killed, monkeypatch):
    async def on_kill_and_again():
        work = asyncio.ensure_future(original(trigger))
        for _ in range(5):
            await asyncio.sleep(0.005)
            work.cancel("user-action")
        await asyncio.wait({work}, timeout=5)
        assert not work.cancelled()

    original, trigger = VideoJobTrigger.on_kill, None

    def on_kill(self):
        nonlocal trigger
        trigger = self
        return on_kill_and_again()

    monkeypatch.setattr(VideoJobTrigger, "on_kill", on_kill)
    fals = Slow(RUNNING, CANCELLED)
    said = killed("failed", fals)
    assert fals.asked == [("GET", "status"), ("PUT", "cancel"), ("GET", "status")]
    assert "has ended at fal (COMPLETED: The request was cancelled. (client_cancelled)). Whether it is charged" in said


def test_what_takes_too_long_is_left_to_itself():
    async def never():
        await asyncio.sleep(60)

    async def left():
        await kills.undisturbed(never(), patience=0.01)
        return len(kills._UNDER_WAY)

    assert asyncio.run(left()) == 1
    assert set() == kills._UNDER_WAY


def test_an_older_versions_trigger_cancels_nothing():
    assert VideoJobTrigger(job=json.dumps(JOB.to_dict()), end_time=5.0).cancel_on_kill is False
