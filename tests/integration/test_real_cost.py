"""What a job really cost, where its vendor's answer says so: on the job, in manifest, metrics and ledger, beside the estimate."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from airflow_video_providers.core.errors import JobFailedError, JobTimeoutError
from airflow_video_providers.core.jobs import JobStatus, VideoJob
from airflow_video_providers.core.purchase import resolve
from airflow_video_providers.core.purchase.ledger import Ledger
from airflow_video_providers.core.purchase.records import Identity
from airflow_video_providers.core.purchase.reservations import Reservations
from airflow_video_providers.core.purchase.settlements import Ending
from airflow_video_providers.core.purchase.stores.object_directory import LocalDirectory
from airflow_video_providers.core.vendors.pixazo import Pixazo
from airflow_video_providers.integration import metrics
from airflow_video_providers.integration.ledger_cli import main
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


def spend(capsys):
    capsys.readouterr()
    main(["spend", "--output", "json"])
    return json.loads(capsys.readouterr().out)["total"]["charged"]


def test_of_a_job_that_nothing_lands_it_is_in_the_ledger_and_in_its_sums_and_the_job_still_counts_as_bought(
    pipeline, ledger, capsys
):
    pipeline.airflow.run(pipeline.submit)
    assert pipeline.airflow.run(pipeline.wait).state == "success"
    job = VideoJob.from_dict(pipeline.xcom("wait"))
    assert (ledger.settlement(job).ending, ledger.settled(job)) == (Ending.FINISHED, False)
    assert [one.request_id for one in ledger.unfinished()] == [job.request_id]
    assert spend(capsys)["as_the_vendor_says"] == {"count": 1, "usd": "0.21"}
    main(["list", "--output", "json"])
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["state"], row["cost_usd"], row["estimated_cost_usd"]) == ("bought", "0.21", "0.225")
    assert pipeline.airflow.run(pipeline.land).state == "success"
    assert (ledger.settlement(job).ending, ledger.settlement(job).cost) == (Ending.LANDED, REAL)


def test_of_a_job_whose_landing_failed_too(pipeline, ledger, capsys):
    pipeline.simulator.fault("media_html", count=None)
    assert pipeline.airflow.run(pipeline.generate).state == "failed"
    assert spend(capsys)["as_the_vendor_says"] == {"count": 1, "usd": "0.21"}


def test_of_a_job_that_a_person_attached_and_a_wait_has_seen(pipeline, ledger, capsys):
    pipeline.airflow.run(pipeline.submit)
    job = VideoJob.from_dict(pipeline.xcom("submit"))
    who = Identity("dag", "elsewhere", "submit")
    bare = VideoJob(model=job.model, request_id=job.request_id, conn_id=job.conn_id)
    resolve.attach(ledger, who, bare, now=datetime.now(UTC))
    assert pipeline.airflow.run(pipeline.wait).state == "success"
    assert spend(capsys) == {
        "count": 1, "usd": "0.21", "without_price": 0, "as_the_vendor_says": {"count": 1, "usd": "0.21"},
    }  # fmt: skip


def test_of_a_job_that_had_ended_when_it_was_attached_the_attempt_itself_says_it(ledger, capsys):
    resolve.attach(ledger, Identity("dag", "run", "submit"), DONE, now=datetime.now(UTC))
    assert spend(capsys) == {
        "count": 1, "usd": "0.21", "without_price": 0, "as_the_vendor_says": {"count": 1, "usd": "0.21"},
    }  # fmt: skip


@pytest.mark.parametrize("real", ["0.01", "5"])
def test_limits_count_estimates_whatever_jobs_really_cost_and_a_dearer_one_is_warned_of(
    pipeline, ledger, monkeypatch, capsys, real
):
    monkeypatch.setattr(Pixazo, "cost_in", lambda *_: Decimal(real))
    pipeline.submit.max_run_cost_usd = "0.45"
    assert pipeline.run().state == "success"
    assert noted(ledger, pipeline.xcom("wait")) == Decimal(real)
    reserved = Reservations.of_run(ledger.store, "dag", pipeline.airflow.run_id).reserved()
    assert reserved == Decimal("0.225")
    assert ("cost more than was estimated" in capsys.readouterr().out) == (real == "5")


def test_a_hook_that_waits_and_lands_nothing_notes_it_in_either_way_of_waiting(pipeline, ledger):
    from airflow.sdk import DAG, task

    from airflow_video_providers.hooks.pixazo import PixazoHook
    from airflow_video_providers.hooks.task_ledger import task_ledger

    with DAG("dag", schedule=None):

        @task
        def make(in_a_loop):
            hook = PixazoHook(ledger=task_ledger())
            job = hook.submit(pipeline.model, pipeline.request)
            done = asyncio.run(hook.wait_async(job, 20, 0.05)) if in_a_loop else hook.wait(job, 20, 0.05)
            return done.to_dict()

        ways = [make.override(task_id=f"way{loop:d}")(loop).operator for loop in (False, True)]
    for way in ways:
        assert pipeline.airflow.run(way).state == "success"
        assert noted(ledger, pipeline.xcom(way.task_id)) == REAL


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
