"""Hooks by themselves in a ``@task``, synchronous and asynchronous: real tasks, faults of the simulator's, and the money."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, task

from airflow_video_providers.core.polling import decision, timing
from airflow_video_providers.core.vendors.pixazo import Pixazo
from airflow_video_providers.hooks.pixazo import PixazoHook
from airflow_video_providers.hooks.task_ledger import task_ledger
from airflow_video_providers.testing.simulator import running
from tests.support.airflow import MemoryAirflow
from tests.support.versions import needs_state_store

pytestmark = pytest.mark.slow

MODEL = "pixazo:pixverse-v6-text-to-video"


@pytest.fixture(scope="module")
def simulator():
    with running(queue_seconds=(0, 0), run_seconds=(0, 0)) as handle:
        yield handle


@pytest.fixture(autouse=True)
def _impatient(monkeypatch, simulator):
    """The same decisions in milliseconds; no first poll waits for what is usual of the model."""
    simulator.reset()
    simulator.configure(run_seconds=[0, 0])
    brief = {name: decision.Trouble(limit.times, timedelta(0), 0.01) for name, limit in decision.TROUBLES.items()}
    monkeypatch.setattr(decision, "TROUBLES", brief)
    monkeypatch.setattr(Pixazo, "poll_seconds", (0.01, 0.05))
    monkeypatch.setattr(timing, "SHORTEST_INTERVAL", 0.01)
    monkeypatch.setattr(timing, "LONGEST_SILENCE", 0.02)


@pytest.fixture
def airflow(simulator, tmp_path):
    known = MemoryAirflow({"pixazo_default": simulator.connection("pixazo")})
    known.folder = tmp_path / "videos"
    return known


def in_a_task(folder: Path, prompt: str, timeout: float, *, recorded: bool) -> Any:
    with DAG("dag", schedule=None):

        @task
        def make() -> dict[str, Any]:
            hook = PixazoHook(ledger=task_ledger() if recorded else None)
            states: list[str] = []
            job = hook.submit(MODEL, {"prompt": prompt})
            job = hook.wait(job, timeout, 0.02, lambda seen: states.append(str(seen.status)))
            return {**hook.land(job, str(folder)), "states": states}

        return make().operator


def in_an_async_task(folder: Path, prompt: str, timeout: float, *, recorded: bool) -> Any:
    with DAG("dag", schedule=None):

        @task
        async def make() -> dict[str, Any]:
            hook = PixazoHook(ledger=task_ledger() if recorded else None)
            states: list[str] = []
            job = await hook.submit_async(MODEL, {"prompt": prompt})
            job = await hook.wait_async(job, timeout, 0.02, lambda seen: states.append(str(seen.status)))
            return {**await hook.land_async(job, str(folder)), "states": states}

        return make().operator


@pytest.fixture
def _ledger(monkeypatch, tmp_path):
    (tmp_path / "ledger").mkdir()
    monkeypatch.setenv("AIRFLOW__VIDEO_PROVIDERS__LEDGER_PATH", str(tmp_path / "ledger"))


WAYS = pytest.mark.parametrize("made", [in_a_task, in_an_async_task], ids=["sync", "async"])

FAULTS: dict[str, tuple[str | None, int, str, str | None]] = {
    "no fault": (None, 0, "", None),
    "a lagging 404": ("not_found", 6, "", None),
    "stray refusals": ("error_400", 2, "", None),
    "stray refused keys": ("error_401", 2, "", None),
    "finished without an address, at first": ("completed_without_url", 2, "", None),
    "rate limits": ("error_429", 2, "", None),
    "lost connections": ("drop_before_read", 3, "", None),
    "bad gateways": ("http_502", 4, "", None),
    "an unknown word": ("unknown_status", 5, "", None),
    "another job's answers": ("other_id", 3, "", None),
    "the vendor's error": (None, 0, "[[fault:job_error]]", "JobErroredError"),
    "a failure": (None, 0, "[[fault:job_failed]]", "JobFailedError"),
    "no address, ever": ("completed_without_url", 1000, "", "OutputMissingError"),
    "a refused key": ("error_401", 1000, "", "AuthenticationError"),
    "an unknown word for ever": ("unknown_status", 1000, "", "JobUnknownError"),
    "no answer for ever": ("drop_before_read", 1000, "", "JobTimeoutError"),
}


@WAYS
@pytest.mark.parametrize(("fault", "times", "prompt", "error"), FAULTS.values(), ids=FAULTS)
def test_a_hook_submits_waits_and_lands_in_a_task_with_the_patience_of_a_sensor(
    airflow, simulator, made, fault, times, prompt, error
):
    if fault:
        simulator.fault(fault, count=times, on="status")
    timeout = 1.0 if error in ("JobTimeoutError", "JobUnknownError") else 120.0
    outcome = airflow.run(made(airflow.folder, f"{prompt} a fox", timeout, recorded=False))
    assert len(simulator.ledger()["jobs"]) == 1
    if error is None:
        assert outcome.state == "success", outcome.error
        result = airflow.xcom("make")
        (output,) = result["outputs"]
        assert Path(output["uri"].removeprefix("file://")).stat().st_size == output["bytes"] > 0
        assert result["states"][-1] == "succeeded"
    else:
        assert (outcome.state, type(outcome.error).__name__) == ("failed", error)
        assert simulator.ledger()["jobs"][0]["request_id"] in str(outcome.error)
    assert simulator.connection("pixazo")["password"] not in str(outcome.error)


@WAYS
def test_a_job_that_is_lost_just_after_its_submit_is_not_given_up(airflow, simulator, made):
    """A vendor's status store may lag behind its submit: nothing is believed of a 404 for two minutes."""
    simulator.fault("not_found", count=1000, on="status")
    outcome = airflow.run(made(airflow.folder, "a fox", 0.5, recorded=False))
    assert type(outcome.error).__name__ == "JobTimeoutError"


@pytest.mark.usefixtures("_ledger")
@WAYS
def test_a_retry_buys_again_without_a_ledger_and_never_with_one(airflow, simulator, made):
    for recorded, jobs in ((False, 2), (True, 1)):
        simulator.reset()
        airflow.run_id = f"run-{recorded}"
        for number in (1, 2):
            outcome = airflow.run(made(airflow.folder, "a fox", 30, recorded=recorded), try_number=number, retries=1)
            assert outcome.state == "success", outcome.error
        assert len(simulator.ledger()["jobs"]) == jobs


@needs_state_store
@WAYS
def test_airflows_own_state_store_is_a_ledger_too(airflow, simulator, made):
    for number in (1, 2):
        outcome = airflow.run(made(airflow.folder, "a fox", 30, recorded=True), try_number=number, retries=1)
        assert outcome.state == "success", outcome.error
    assert len(simulator.ledger()["jobs"]) == 1


@needs_state_store
@WAYS
def test_a_lost_answer_to_a_recorded_submit_is_never_repeated(airflow, simulator, made):
    prompt = "[[fault:drop_after_accept@submit]] a fox"
    for number in (1, 2):
        outcome = airflow.run(made(airflow.folder, prompt, 30, recorded=True), try_number=number, retries=1)
        assert type(outcome.error).__name__ == "SubmissionOutcomeUnknownError"
    assert len(simulator.ledger()["jobs"]) == 1


LIMITED = {"budget": {"usd": 1, "per": "day"}, "prices": {MODEL: 0.4}}


@pytest.mark.usefixtures("_ledger")
@WAYS
def test_a_budget_of_the_connection_is_refused_without_a_ledger_and_exact_with_one(airflow, simulator, made):
    connection = simulator.connection("pixazo")
    connection["extra"] = {**connection["extra"], **LIMITED}
    airflow.connections["pixazo_default"] = connection
    outcome = airflow.run(made(airflow.folder, "a fox", 30, recorded=False))
    assert "without a ledger" in str(outcome.error)
    states = []
    for number in range(3):
        airflow.run_id = f"run-{number}"
        states.append(airflow.run(made(airflow.folder, "a fox", 30, recorded=True)).state)
    assert states == ["success", "success", "failed"]
    assert len(simulator.ledger()["jobs"]) == 2
