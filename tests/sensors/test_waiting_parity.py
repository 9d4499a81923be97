"""Every outcome in every way of waiting: the same state, the same error, the same XCom."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_video_providers.core.polling import decision, timing
from airflow_video_providers.core.vendors.pixazo import Pixazo
from airflow_video_providers.hooks.base import VideoHook
from airflow_video_providers.operators.video import GenerateVideoOperator, SubmitVideoOperator
from airflow_video_providers.sensors.video import VideoJobSensor
from airflow_video_providers.testing.simulator import running
from tests.support.airflow import MemoryAirflow, Outcome

pytestmark = pytest.mark.slow

MODEL = "pixazo:pixverse-v6-text-to-video"


@dataclass(frozen=True)
class Case:
    """What the vendor does, and what must come of it."""

    name: str
    error: str | None
    charged: str = "unknown"
    prompt: str = ""
    status_fault: tuple[str, int] | None = None
    runs_for_ever: bool = False
    remedy: str = ""


CASES = [
    Case("success", None, "yes"),
    Case("failed", "JobFailedError", "unknown", prompt="[[fault:job_failed]]", remedy="vendor's reason"),
    Case("error", "JobErroredError", "no", prompt="[[fault:job_error]]", remedy="Clear the submit task"),
    Case("expired", "JobExpiredError", status_fault=("not_found", 1000), remedy="in the vendor's console"),
    Case("unknown word", "JobUnknownError", status_fault=("unknown_status", 1000), remedy="vendor's console"),
    Case("no output", "OutputMissingError", "yes", status_fault=("completed_without_url", 1000), remedy="again later"),
    Case("key refused", "AuthenticationError", status_fault=("error_401", 1000), remedy="Check the API key"),
    Case("refused", "RequestRejectedError", status_fault=("error_409", 1000), remedy="Check the request_id"),
    Case("locked account", "InsufficientCreditsError", status_fault=("locked", 1000), remedy="then run the task again"),
    Case("two refusals, then success", None, "yes", status_fault=("error_400", 2)),
    Case("two refused keys, then success", None, "yes", status_fault=("error_401", 2)),
    Case("a quota, then success", None, "yes", status_fault=("quota:0", 1)),
    Case("a firewall's page, then success", None, "yes", status_fault=("http_403", 3)),
    Case("another job's answers, then success", None, "yes", status_fault=("other_id", 3)),
    Case("an unknown word, then success", None, "yes", status_fault=("unknown_status", 5)),
    Case("poll errors, then success", None, "yes", status_fault=("http_502", 4)),
    Case("lost answers, then success", None, "yes", status_fault=("drop_before_read", 3)),
    Case("timeout", "JobTimeoutError", runs_for_ever=True, remedy="Run the sensor again"),
]


@pytest.fixture(scope="module")
def simulator():
    with running(queue_seconds=(0, 0), run_seconds=(0, 0)) as handle:
        yield handle


@pytest.fixture(autouse=True)
def _impatient(monkeypatch, simulator):
    """The same decisions in milliseconds."""
    simulator.reset()
    monkeypatch.setattr(decision, "GRACE", timedelta(0))
    brief = {name: decision.Trouble(limit.times if limit.times < 5 else 3, timedelta(0), 0.01)
             for name, limit in decision.TROUBLES.items()}  # fmt: skip
    monkeypatch.setattr(decision, "TROUBLES", brief)
    monkeypatch.setattr(Pixazo, "poll_seconds", (0.01, 0.05))
    monkeypatch.setattr(timing, "SHORTEST_INTERVAL", 0.01)
    monkeypatch.setattr(timing, "LONGEST_SILENCE", 0.02)


@dataclass
class Bench:
    """One case set up: a bought job (or the request for it) in an Airflow without database."""

    airflow: MemoryAirflow
    case: Case
    how: dict[str, Any]

    def request(self) -> dict[str, Any]:
        return {"prompt": f"{self.case.prompt} a fox"}

    @property
    def timeout(self) -> float:
        if "execution_timeout" in self.how:
            return 3600.0
        return 0.4 if self.case.error in ("JobTimeoutError", "JobUnknownError") else 120.0

    def submitted(self) -> dict[str, Any]:
        with DAG("dag", schedule=None):
            task = SubmitVideoOperator(task_id="submit", model=MODEL, request=self.request())
        assert self.airflow.run(task).state == "success"
        return self.airflow.xcom("submit")

    def sensor(self, job: dict[str, Any], **how: Any) -> VideoJobSensor:
        with DAG("dag", schedule=None):
            return VideoJobSensor(task_id="wait", job=job, timeout=self.timeout, poke_interval=0.02, **self.how, **how)


def deferrable(bench: Bench) -> Outcome:
    return bench.airflow.run_to_end(bench.sensor(bench.submitted()))


def poke(bench: Bench) -> Outcome:
    return bench.airflow.run(bench.sensor(bench.submitted(), deferrable=False))


def reschedule(bench: Bench) -> Outcome:
    job = bench.submitted()
    bench.airflow.first_reschedule = datetime.now(UTC).isoformat()
    while True:
        outcome = bench.airflow.run(bench.sensor(job, deferrable=False, mode="reschedule"))
        if outcome.state != "up_for_reschedule":
            return outcome


def one_task(bench: Bench, **how: Any) -> Outcome:
    with DAG("dag", schedule=None):
        task = GenerateVideoOperator(
            task_id="wait", model=MODEL, request=bench.request(), output_path=str(bench.airflow.folder),
            timeout=bench.timeout, poll_interval=0.02, **bench.how, **how,
        )  # fmt: skip
    outcome = bench.airflow.run_to_end(task)
    if outcome.state == "success":
        assert bench.airflow.xcom("wait")["outputs"][0]["bytes"] > 0
        bench.airflow.xcoms["wait", "return_value", -1] = bench.airflow.xcom("wait", "job")
    return outcome


def one_task_in_worker(bench: Bench) -> Outcome:
    return one_task(bench, deferrable=False)


def in_words_of(mode: Any, remedy: str) -> str:
    """One task is the submit and the sensor of the texts, and has a name."""
    if mode not in (one_task, one_task_in_worker):
        return remedy
    return remedy.replace("the submit task", "the task 'wait'").replace("the sensor", "the task 'wait'")


MODES = [deferrable, poke, reschedule, one_task, one_task_in_worker]


@pytest.fixture
def bench(simulator, tmp_path, request):
    airflow = MemoryAirflow({"pixazo_default": simulator.connection("pixazo")})
    airflow.folder = tmp_path
    case, how = request.param
    if case.status_fault:
        name, count = case.status_fault
        simulator.fault(name, count=count, on="status")
    if case.runs_for_ever:
        simulator.configure(run_seconds=[600, 600])
    yield Bench(airflow, case, dict(how))
    if case.runs_for_ever:
        simulator.configure(run_seconds=[0, 0])


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.__name__)
@pytest.mark.parametrize("bench", [(case, {}) for case in CASES], ids=[case.name for case in CASES], indirect=True)
def test_an_outcome_is_the_same_in_every_mode(mode, bench, simulator):
    outcome = mode(bench)
    case = bench.case
    if case.error is None:
        assert outcome.state == "success"
        job = bench.airflow.xcom("wait")
        assert (job["status"], job["charged"], len(job["outputs"])) == ("succeeded", "yes", 1)
    else:
        assert outcome.state == "failed"
        error = outcome.error
        assert (type(error).__name__, error.charged) == (case.error, case.charged)
        assert error.request_id == simulator.ledger()["jobs"][0]["request_id"]
        assert error.request_id in str(error)
        assert in_words_of(mode, case.remedy) in str(error)
    assert len(simulator.ledger()["jobs"]) == 1
    logged = repr(bench.airflow.events)
    assert "output.mp4" not in logged
    assert simulator.connection("pixazo")["password"] not in logged + str(outcome.error)


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.__name__)
@pytest.mark.parametrize(
    "bench",
    [(case, {flag: True}) for case in CASES if case.error for flag in ("soft_fail", "never_fail")],
    ids=[f"{case.name}-{flag}" for case in CASES if case.error for flag in ("soft_fail", "never_fail")],
    indirect=True,
)
def test_soft_fail_and_never_fail_skip_in_every_mode(mode, bench):
    assert mode(bench).state == "skipped"


LIMIT = {"execution_timeout": timedelta(seconds=1)}


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.__name__)
@pytest.mark.parametrize("bench", [(CASES[-1], LIMIT)], ids=["runs for ever"], indirect=True)
def test_execution_timeout_ends_a_wait_as_a_time_out_does_in_every_mode(mode, bench, simulator):
    outcome = mode(bench)
    assert (outcome.state, type(outcome.error).__name__) == ("failed", "JobTimeoutError")
    error = outcome.error
    assert error.what.startswith("The job was not finished after 1 s of waiting; it was last seen ")
    assert error.money == "It is still running at the vendor and may still be charged."
    assert in_words_of(mode, CASES[-1].remedy) in error.remedy
    assert error.request_id == simulator.ledger()["jobs"][0]["request_id"]


@pytest.mark.parametrize("flag", ["soft_fail", "never_fail"])
@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.__name__)
@pytest.mark.parametrize("bench", [(CASES[-1], dict(LIMIT))], ids=["runs for ever"], indirect=True)
def test_execution_timeout_skips_in_every_mode_where_a_time_out_does(mode, bench, flag):
    bench.how[flag] = True
    assert mode(bench).state == "skipped"


@pytest.mark.parametrize("mode", [poke, one_task_in_worker], ids=lambda mode: mode.__name__)
@pytest.mark.parametrize("bench", [(CASES[-1], LIMIT)], ids=["runs for ever"], indirect=True)
def test_airflows_own_alarm_in_a_worker_has_the_text_of_a_time_out(mode, bench, simulator):
    simulator.fault("hang", on="status", count=None)  # the last poll has no answer when the alarm rings
    outcome = mode(bench)
    assert (outcome.state, type(outcome.error).__name__) == ("failed", "JobTimeoutError")
    assert "after 1 s of waiting" in str(outcome.error)


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.__name__)
@pytest.mark.parametrize(
    "bench", [(CASES[0], {"execution_timeout": timedelta(minutes=5)})], ids=["success"], indirect=True
)
def test_an_execution_timeout_that_is_not_over_changes_nothing(mode, bench):
    assert mode(bench).state == "success"


@pytest.mark.parametrize("how", [{"mode": "reschedule"}, {"mode": "poke", "timeout": 0.3}], ids=["reschedule", "poke"])
@pytest.mark.parametrize("bench", [(CASES[-1], {})], ids=["runs for ever"], indirect=True)
def test_a_worker_that_stops_looking_keeps_no_connection_open(bench, how, mocker):
    with DAG("dag", schedule=None):
        wait = VideoJobSensor(task_id="wait", job=bench.submitted(), deferrable=False, poke_interval=0.02, **how)
    closed = mocker.spy(VideoHook, "close")
    bench.airflow.run(wait)
    assert closed.called
