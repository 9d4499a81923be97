"""A trigger fires when Airflow's scheduler has had time to hear of the deferral, however early there is something to say."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import airflow
import pytest

from airflow_video_providers.core.errors import AuthenticationError
from airflow_video_providers.core.jobs import JobStatus, VideoJob
from airflow_video_providers.triggers.callback import CallbackTrigger
from airflow_video_providers.triggers.video import VideoJobTrigger
from tests.support.virtual import run_virtually

#: Seconds within which schedulers have been seen to hear of a deferral, busy ones included, and some more.
HEARD_AFTER = 10.0
JOB = VideoJob(model="pixazo:mochi-1", request_id="mochi_1", conn_id="pixazo_default", submitted_at=datetime.now(UTC))


def video(seconds, error=None):
    class Waits(VideoJobTrigger):
        async def wait_for(self, job):
            await asyncio.sleep(seconds)
            if error is not None:
                raise error
            return job.replace(status=JobStatus.SUCCEEDED)

    return Waits(json.dumps(JOB.to_dict()))


def call(seconds, error=None):
    class Waits(CallbackTrigger):
        async def _named(self):
            await asyncio.sleep(seconds)
            if error is not None:
                raise error
            return ["mochi_1"]

    return Waits("pixazo_default", json.dumps(["dag", "run", "submit", -1, 1]))


def fired(trigger):
    """Its one event, and after how many seconds it came."""

    async def main():
        began = asyncio.get_running_loop().time()
        (event,) = [event async for event in trigger.run()]
        return event.payload["status"], asyncio.get_running_loop().time() - began

    return run_virtually(main())


@pytest.mark.parametrize("seconds", [0.0, 4.0, HEARD_AFTER, 60.0])
@pytest.mark.parametrize(("waits", "status"), [(video, "success"), (call, "named")], ids=["job", "call"])
def test_in_a_triggerer_it_fires_no_sooner_than_the_scheduler_has_heard(waits, status, seconds):
    trigger = waits(seconds)
    trigger.trigger_id = 7
    assert fired(trigger) == (status, pytest.approx(max(seconds, HEARD_AFTER)))


@pytest.mark.parametrize(
    ("waits", "status"),
    [(lambda: video(1.0, AuthenticationError("x")), "unknown"), (lambda: call(1.0, OSError("x")), "timeout")],
    ids=["job", "call"],
)
def test_an_error_is_no_reason_to_be_early(waits, status):
    trigger = waits()
    trigger.trigger_id = 7
    assert fired(trigger) == (status, pytest.approx(HEARD_AFTER))


@pytest.mark.parametrize("waits", [video, call])
def test_where_no_scheduler_is_nobody_waits_for_it(waits):
    assert fired(waits(0.0))[1] == pytest.approx(0.0)


def test_a_triggerer_gives_a_trigger_its_id_before_it_runs_it():
    code = (Path(airflow.__file__).parent / "jobs" / "triggerer_job_runner.py").read_text()
    assert 0 < code.index("trigger_instance.trigger_id = ") < code.index("self.run_trigger(")
