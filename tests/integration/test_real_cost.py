"""What a job really cost, where its vendor's answer says so: on the job, in manifest, metrics and ledger, beside the estimate."""

from __future__ import annotations

from decimal import Decimal

import pytest

from airflow_video_providers.core.errors import JobFailedError, JobTimeoutError
from airflow_video_providers.core.jobs import JobStatus, VideoJob
from airflow_video_providers.core.purchase.ledger import Ledger
from airflow_video_providers.core.purchase.stores.object_directory import LocalDirectory
from airflow_video_providers.core.vendors.pixazo import Pixazo
from airflow_video_providers.integration import metrics
from airflow_video_providers.testing.simulator import running
from tests.support.pipeline import Pipeline

pytest_plugins = ["tests.support.stats"]

REAL = Decimal("0.21")
DONE = VideoJob(model="pixazo:mochi-v1", request_id="r", status=JobStatus.SUCCEEDED, cost_usd=REAL)


@pytest.fixture(scope="module")
def simulator():
    with running(queue_seconds=(0, 0), run_seconds=(0, 0)) as handle:
        yield handle


@pytest.fixture
def ledger(tmp_path, monkeypatch):
    (tmp_path / "ledger").mkdir()
    monkeypatch.setenv("AIRFLOW__VIDEO_PROVIDERS__LEDGER_PATH", str(tmp_path / "ledger"))
    return Ledger(LocalDirectory(tmp_path / "ledger"))


@pytest.fixture
def pipeline(simulator, ledger, tmp_path, monkeypatch):
    monkeypatch.setattr(
        Pixazo, "cost_in", lambda _self, body: REAL if body.get("status") in ("COMPLETED", "FAILED") else None
    )
    simulator.reset()
    return Pipeline(simulator, tmp_path / "videos")


def noted(ledger, job):
    return ledger.settlement(VideoJob.from_dict(job)).cost


def test_from_submit_over_sensor_to_landing_it_stands_beside_the_estimate(recorded, pipeline, ledger):
    assert pipeline.run().state == "success"
    for found in (pipeline.xcom("wait"), pipeline.xcom("land")):
        assert (found["cost_usd"], found["estimated_cost_usd"]) == ("0.21", "0.225")
    assert noted(ledger, pipeline.xcom("wait")) == REAL
    assert [count for count, _ in recorded.of(metrics.COST)] == [210_000]
    assert [count for count, _ in recorded.of(metrics.ESTIMATED_COST)] == [225_000]


def test_in_one_task_too(recorded, pipeline, ledger):
    assert pipeline.airflow.run(pipeline.generate).state == "success"
    assert pipeline.xcom("generate")["cost_usd"] == "0.21"
    assert noted(ledger, pipeline.xcom("generate", "job")) == REAL
    assert [count for count, _ in recorded.of(metrics.COST)] == [210_000]


def test_of_a_job_that_failed_as_well(recorded, pipeline, ledger):
    pipeline.submit.request = {**pipeline.submit.request, "prompt": "[[fault:job_failed]] a fox"}
    pipeline.airflow.run(pipeline.submit)
    assert pipeline.airflow.run(pipeline.wait).state == "failed"
    settled = ledger.settlement(VideoJob.from_dict(pipeline.xcom("submit")))
    assert (settled.cost, settled.charged) == (REAL, "yes")
    assert [count for count, _ in recorded.of(metrics.COST)] == [210_000]


def test_a_hook_counts_it_and_notes_it_in_its_ledger(recorded, pipeline, ledger, tmp_path):
    from airflow.sdk import DAG, task

    from airflow_video_providers.hooks.pixazo import PixazoHook
    from airflow_video_providers.hooks.task_ledger import task_ledger

    with DAG("dag", schedule=None):

        @task
        def make():
            hook = PixazoHook(ledger=task_ledger())
            job = hook.wait(hook.submit(pipeline.model, pipeline.request), 20, 0.05)
            return {"job": job.to_dict(), "manifest": hook.land(job, str(tmp_path / "videos"))}

        made = make().operator
    assert pipeline.airflow.run(made).state == "success"
    pushed = pipeline.xcom("make")
    assert (pushed["job"]["cost_usd"], pushed["manifest"]["cost_usd"]) == ("0.21", "0.21")
    assert noted(ledger, pushed["job"]) == REAL
    assert [count for count, _ in recorded.of(metrics.COST)] == [210_000]


def test_what_is_not_known_is_counted_as_nothing(recorded):
    metrics.succeeded(DONE.replace(cost_usd=None))
    metrics.failed(JobTimeoutError("It runs.", job=DONE.replace(status=JobStatus.RUNNING)))
    assert recorded.of(metrics.COST) == []
    metrics.failed(JobFailedError("It failed.", job=DONE.replace(status=JobStatus.FAILED)))
    assert [count for count, _ in recorded.of(metrics.COST)] == [210_000]
