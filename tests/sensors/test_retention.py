"""A job that the vendor forgets soon: warned about in time, never outwaited in silence. And what a sensor's error says
about buying, which a sensor never does."""

from __future__ import annotations

import asyncio
import tempfile
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec

import pytest
import structlog
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG

from airflow_video_providers.core.client.client import VideoClient
from airflow_video_providers.core.errors import VendorUnavailableError
from airflow_video_providers.core.jobs import JobStatus, VideoJob, VideoOutput
from airflow_video_providers.core.polling import timing
from airflow_video_providers.core.polling.decision import PollState, after, timed_out
from airflow_video_providers.core.purchase.ledger import Ledger
from airflow_video_providers.core.purchase.stores.local_directory import LocalDirectory
from airflow_video_providers.core.vendors.pixazo import Pixazo
from airflow_video_providers.core.vendors.segmind import Mochi1, Segmind
from airflow_video_providers.hooks.segmind import SegmindHook
from airflow_video_providers.integration import warned
from airflow_video_providers.operators.video import DownloadVideoOperator, GenerateVideoOperator, SubmitVideoOperator
from airflow_video_providers.sensors import video
from airflow_video_providers.sensors.video import VideoJobSensor
from airflow_video_providers.testing.simulator import running
from tests.support.airflow import MemoryAirflow

HAS_STATE_STORE = find_spec("airflow.models.task_state_store") is not None
START = datetime(2026, 5, 22, 13, 0, tzinfo=UTC)
JOB = VideoJob(
    model="segmind:mochi-1", request_id="r-1", status=JobStatus.RUNNING, submitted_at=START,
    expires_at=START + Segmind.retention,
)  # fmt: skip
HOURS = timedelta(hours=1)


def warnings(job, *minutes, seen=None, hours=2):
    """What the wait says at each of these minutes after the submit."""
    state, said = PollState(job, started=START, deadline=START + hours * HOURS), {}
    for minute in minutes:
        state, verdict = after(state, seen or job, START + timedelta(minutes=minute))
        if verdict.warning:
            said[minute] = verdict.warning
    return said


def test_a_wait_warns_once_at_three_quarters_and_once_when_the_time_is_over():
    said = warnings(JOB, 1, 44, 45, 46, 59, 60, 61, 90)
    assert list(said) == [45, 60]
    assert "forgets job r-1 at 14:00 UTC, in 15 min" in said[45]
    assert "priority_weight" in said[45]
    assert "until 14:00 UTC only. The wait goes on until 15:00 UTC" in said[60]
    assert "paid for" in said[60]


def test_a_vendor_that_does_not_answer_does_not_silence_the_warning():
    assert list(warnings(JOB, 44, 50, seen=VendorUnavailableError("no answer"))) == [50]


def test_nothing_is_said_of_a_job_that_is_done_or_of_which_no_document_names_a_time():
    done = JOB.replace(status=JobStatus.SUCCEEDED, outputs=(VideoOutput(url="https://cdn.invalid/v.mp4"),))
    assert warnings(JOB, 50, seen=done) == {}
    assert warnings(JOB.replace(expires_at=None), 50, 5000, hours=100) == {}


def test_a_time_out_after_the_vendors_time_says_so():
    assert "until 14:00 UTC only" in str(timed_out(PollState(JOB, START, START + 2 * HOURS)))
    assert "until 14:00" not in str(timed_out(PollState(JOB, START, START + 0.5 * HOURS)))


@pytest.fixture(scope="module")
def simulator():
    with running(queue_seconds=(0, 0), run_seconds=(1.0, 1.0)) as handle:
        yield handle


@pytest.fixture
def airflow(simulator, monkeypatch):
    simulator.reset()
    monkeypatch.setattr(timing, "SHORTEST_INTERVAL", 0.01)
    for vendor in (Pixazo, Segmind):
        monkeypatch.setattr(vendor, "poll_seconds", (0.01, 0.05))
    return MemoryAirflow({f"{vendor}_default": simulator.connection(vendor) for vendor in ("pixazo", "segmind")})


def chain(model, prompt, **how):
    with DAG("dag", schedule=None):
        submit = SubmitVideoOperator(task_id="buy_it", model=model, request={"prompt": prompt})
        wait = VideoJobSensor(task_id="wait", job=submit.output, poke_interval=0.02, **how)
    return submit, wait


@pytest.mark.parametrize("how", [{}, {"deferrable": False}, {"deferrable": False, "mode": "reschedule"}])
def test_every_way_of_waiting_warns_and_a_late_landing_does_too(airflow, tmp_path, how):
    submit, wait = chain("segmind:mochi-1", "a fox", **how)
    assert airflow.run(submit).state == "success"
    job = airflow.xcom("buy_it")
    old = datetime.now(UTC) - timedelta(minutes=50)
    airflow.xcoms["buy_it", "return_value", -1] = job | {
        "submitted_at": old.isoformat(), "expires_at": (old + HOURS).isoformat(),
    }  # fmt: skip
    with structlog.testing.capture_logs() as lines:
        outcome = airflow.run_to_end(wait)
        while outcome.state == "up_for_reschedule":
            airflow.first_reschedule = datetime.now(UTC).isoformat()
            outcome = airflow.run_to_end(wait)
        assert outcome.state == "success"
        with DAG("dag2", schedule=None):
            land = DownloadVideoOperator(task_id="land", job=airflow.xcom("wait"), output_path=str(tmp_path))
        assert airflow.run(land).state == "success"
    log = "\n".join(str(line) for line in lines if line["log_level"] == "warning")
    assert "The vendor forgets job" in log
    assert "late: the vendor's documents promise it until" in log


def waited(route, airflow, simulator, tmp_path):
    """One job of a vendor that forgets it while it is made, waited for on this route."""
    request = {"prompt": "a fox"}
    if route.startswith("generate"):
        with DAG("dag", schedule=None):
            task = GenerateVideoOperator(
                task_id="generate", model="segmind:mochi-1", request=request, output_path=str(tmp_path), poll_interval=0.02,
                deferrable="deferred" in route, timeout=20,
            )  # fmt: skip
        assert airflow.run_to_end(task).state == "success"
        return
    with DAG("dag", schedule=None):
        task = PythonOperator(task_id="task", python_callable=lambda: alone(route, simulator, request))
    outcome = airflow.run(task)
    assert outcome.state == "success", outcome.error


def alone(route, simulator, request):
    if route == "client":
        connection = simulator.connection("segmind")
        with VideoClient(Segmind(connection["host"]), connection["password"]) as client:
            return client.wait(client.submit(Mochi1(**request)), 20, 0.1).request_id
    hook = SegmindHook()
    job = hook.submit("segmind:mochi-1", request)
    try:
        waiting = hook.wait(job, 20, 0.1) if route == "hook" else asyncio.run(hook.wait_async(job, 20, 0.1))
    finally:
        hook.close()
    return waiting.request_id


@pytest.mark.parametrize("route", ["generate", "generate deferred", "hook", "hook in a loop", "client"])
def test_no_other_route_waits_past_the_vendors_time_in_silence(airflow, monkeypatch, tmp_path, caplog, route):
    monkeypatch.setattr(Segmind, "retention", timedelta(seconds=4))
    with running(queue_seconds=(0, 0), run_seconds=(5.2, 5.2)) as slow:
        airflow.connections["segmind_default"] = slow.connection("segmind")
        with structlog.testing.capture_logs() as lines:
            waited(route, airflow, slow, tmp_path)
    said = [str(line) for line in lines if line["log_level"] == "warning"] + [
        line.getMessage() for line in caplog.records
    ]
    assert sum("The vendor forgets job" in line for line in said) == 1
    assert sum("UTC only. The wait goes on" in line for line in said) == 1


@pytest.mark.parametrize("how", [{}, {"deferrable": False}])
def test_a_sensors_error_says_that_the_error_was_not_charged_and_names_the_two_tasks_to_clear(airflow, simulator, how):
    submit, wait = chain("pixazo:pixverse-v6-text-to-video", "[[fault:job_error]] a fox", **how)
    assert airflow.run(submit).state == "success"
    outcome = airflow.run_to_end(wait, retries=3)
    assert outcome.state == "failed"  # no retry of the wait can help: it buys nothing
    text = str(outcome.error)
    assert "ended with ERROR" in text
    assert "Nothing was charged." in text
    assert "Clear the tasks 'buy_it' and 'wait' to buy it again" in text
    assert simulator.ledger()["accepted"] == 1


class OtherProcess:
    """A rescheduled wait, each poke of it in a process of its own."""

    def __init__(self, airflow):
        self.airflow, self.said = airflow, []
        self.submit, self.wait = chain("segmind:mochi-1", "a fox", deferrable=False, mode="reschedule")
        assert airflow.run(self.submit).state == "success"

    def poke_at(self, age):
        """What the poke warns of, where the job is so old."""
        old = datetime.now(UTC) - age
        self.airflow.xcoms["buy_it", "return_value", -1] |= {
            "submitted_at": old.isoformat(), "expires_at": (old + HOURS).isoformat(),
        }  # fmt: skip
        self.wait._waiting = None
        with structlog.testing.capture_logs() as lines:
            outcome = self.airflow.run_to_end(self.wait)
        assert outcome.state == "up_for_reschedule", outcome.error
        self.airflow.first_reschedule = self.airflow.first_reschedule or datetime.now(UTC).isoformat()
        return [text for line in lines if (text := str(line)) and "The vendor" in text and "'warning'" in text]


@pytest.fixture
def slow_airflow(airflow):
    with running(queue_seconds=(0, 0), run_seconds=(600, 600)) as handle:
        airflow.connections["segmind_default"] = handle.connection("segmind")
        yield airflow


AGES = [timedelta(minutes=minutes) for minutes in (10, 46, 47, 50, 61, 62, 70)]


@pytest.mark.skipif(not HAS_STATE_STORE, reason="nothing of a task survives a reschedule before 3.3")
def test_a_rescheduled_wait_warns_once_at_three_quarters_and_once_when_the_time_is_over(slow_airflow):
    pokes = OtherProcess(slow_airflow)
    said = [pokes.poke_at(age) for age in AGES]
    assert [len(lines) for lines in said] == [0, 1, 0, 0, 1, 0, 0]
    assert "forgets job" in said[1][0]
    assert "UTC only. The wait goes on" in said[4][0]


@pytest.fixture(params=["a ledger's directory", "a file on the worker"])
def no_state_store(request, monkeypatch, tmp_path):
    """As before Airflow 3.3, where nothing of a task survives a reschedule."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    if request.param == "a ledger's directory":
        (tmp_path / "ledger").mkdir()
        monkeypatch.setenv("AIRFLOW__VIDEO_PROVIDERS__LEDGER_PATH", str(tmp_path / "ledger"))
    for name in ("warned_before", "remember_warned"):
        known = getattr(warned, name)
        monkeypatch.setattr(video, name, lambda *given, known=known: known(*given[:-2], {}, given[-1]))
    return tmp_path


def test_before_airflow_33_a_rescheduled_wait_warns_as_often(slow_airflow, no_state_store):
    pokes = OtherProcess(slow_airflow)
    said = [pokes.poke_at(age) for age in AGES]
    assert [len(lines) for lines in said] == [0, 1, 0, 0, 1, 0, 0]
    assert "forgets job" in said[1][0]
    assert "UTC only. The wait goes on" in said[4][0]
    late = JOB.replace(submitted_at=datetime.now(UTC) - AGES[1], expires_at=datetime.now(UTC) + AGES[0])
    log = structlog.get_logger()
    assert warned.warned_before(late, {}, log) == 0  # each job for itself
    for request_id in ("one", "other"):
        warned.remember_warned(late.replace(request_id=request_id), 1, {}, log)
    assert warned.warned_before(late.replace(request_id="one"), {}, log) == 1
    ledger = no_state_store / "ledger"
    assert not ledger.exists() or Ledger(LocalDirectory(ledger)).overview().flaws == []


def test_the_lists_of_a_ledger_do_not_read_what_a_wait_has_left_there(slow_airflow, no_state_store):
    pokes = OtherProcess(slow_airflow)
    pokes.poke_at(AGES[1])
    if (ledger := no_state_store / "ledger").exists():
        assert len(Ledger(LocalDirectory(ledger)).overview().attempts) == 1
        assert list(ledger.glob("warned/*.json"))
    else:
        folder = no_state_store / warned.DIRECTORY
        assert len(list(folder.glob("warned/*.json"))) == 1
        assert folder.stat().st_mode & 0o077 == 0


def test_a_store_that_does_not_answer_makes_a_warning_too_many_and_ends_no_wait(slow_airflow, monkeypatch):
    def away(*_, **__):
        raise RuntimeError("away")

    pokes = OtherProcess(slow_airflow)
    monkeypatch.setattr(MemoryAirflow, "_state", away)
    assert [len(pokes.poke_at(age)) for age in AGES[1:3]] == [1, 1]


def test_what_is_kept_of_another_job_silences_nothing(slow_airflow):
    pokes = OtherProcess(slow_airflow)
    assert len(pokes.poke_at(AGES[1])) == 1
    if warned.NAME in slow_airflow.store:
        slow_airflow.store[warned.NAME] = {"request_id": "another", "warned": 2}
    assert len(pokes.poke_at(AGES[2])) == 1
