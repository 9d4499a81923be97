"""Runway's file, written by a stranger after the guide alone: wrapped names, a version header, the real cost, a careful DELETE."""

from __future__ import annotations

import importlib
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_video_providers.core.jobs import JobStatus, VideoJob
from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.testing.conformance import CHECKS, Check, ConformanceError, Subject
from airflow_video_providers.testing.simulator import SimulatorHandle, running
from tests.testing.conformance.installed import forget

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatorHandle]:
    forget()
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parent))
        with running(importlib.import_module("runway_simulator").RunwayGateway, frozen_clock=True) as handle:
            yield handle
    forget()


@pytest.fixture
def subject(simulator: SimulatorHandle) -> Subject:
    simulator.reset()
    simulator.configure(queue_seconds=(1, 1), run_seconds=(60, 60))
    model = catalogue.find("runway:gen4.5")
    return Subject(
        vendor=catalogue.vendor_of(model.id),
        request=model.parse({"prompt_text": "a paper boat in the rain", "duration": 5}),
        failing=model.parse({"prompt_text": "[[fault:job_failed]] a paper boat"}),
        url=simulator.base_url("runway"),
        words={
            "PENDING": JobStatus.QUEUED,
            "THROTTLED": JobStatus.QUEUED,
            "RUNNING": JobStatus.RUNNING,
            "SUCCEEDED": JobStatus.SUCCEEDED,
            "FAILED": JobStatus.FAILED,
            "CANCELLED": JobStatus.CANCELLED,
        },
        finish=lambda: simulator.advance(600),
        run=lambda: simulator.advance(2),
        files=(("video", None),),
        says=("progress", "submitted_at"),
        cost=Decimal("0.60"),
    )


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_conforms(check: Check, subject: Subject) -> None:
    check(subject)


def test_names_are_camel_case_and_the_model_stands_in_the_body(subject: Subject, simulator: SimulatorHandle) -> None:
    subject.bought(subject.url)
    assert simulator.requests("runway")[-1]["body"] == {
        "model": "gen4.5", "promptText": "a paper boat in the rain", "duration": 5,
    }  # fmt: skip


def test_what_it_really_cost_stands_in_the_answer_and_says_whether_it_was_charged(subject: Subject) -> None:
    done, failed = subject.bought(subject.url), subject.bought(subject.url, subject.failing)
    subject.finish()
    seen = [subject.poll(subject.url, job) for job in (done, failed)]
    assert [(job.cost_usd, job.charged) for job in seen if isinstance(job, VideoJob)] == [
        (Decimal("0.600"), "yes"),
        (Decimal(0), "no"),
    ]


def test_in_a_pipeline_its_real_cost_stands_beside_the_estimate_on_the_job_in_the_manifest_and_in_the_ledger(
    simulator: SimulatorHandle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("airflow.sdk._shared.module_loading", reason="the tests' Airflow without a database is of 3.3")
    from airflow_video_providers.core.purchase.ledger import Ledger
    from airflow_video_providers.core.purchase.stores.object_directory import LocalDirectory
    from tests.support.pipeline import Pipeline

    simulator.reset()
    simulator.configure(queue_seconds=(0, 0), run_seconds=(0, 0))
    (tmp_path / "ledger").mkdir()
    monkeypatch.setenv("AIRFLOW__VIDEO_PROVIDERS__LEDGER_PATH", str(tmp_path / "ledger"))
    pipeline = Pipeline(simulator, tmp_path / "videos", "runway:gen4.5", {"prompt_text": "a fox", "duration": 5})
    prices = {"runway:gen4.5": {"usd": 0.15, "per": "second"}}
    pipeline.airflow.connections["runway_default"]["extra"]["prices"] = prices
    assert pipeline.run().state == "success"
    job, manifest = pipeline.xcom("wait"), pipeline.xcom("land")
    noted = Ledger(LocalDirectory(tmp_path / "ledger")).settlement(VideoJob.from_dict(job))
    assert noted is not None
    costs = [Decimal(job["cost_usd"]), Decimal(manifest["cost_usd"]), noted.cost]
    assert costs == [Decimal("0.6")] * 3
    assert [Decimal(one["estimated_cost_usd"]) for one in (job, manifest)] == [Decimal("0.75")] * 2


def test_a_job_that_runs_is_not_deleted_because_it_may_end_meanwhile(
    subject: Subject, simulator: SimulatorHandle
) -> None:
    job = subject.bought(subject.url)
    simulator.advance(2)
    seen = subject.cancel(subject.url, job)
    assert isinstance(seen, VideoJob)
    assert (seen.status, seen.progress) == (JobStatus.RUNNING, 0.5)
    assert not [call for call in simulator.requests("runway") if call["method"] == "DELETE"]


def test_a_file_that_deletes_after_the_end_is_found(subject: Subject) -> None:
    class Deletes(subject.vendor):  # type: ignore[misc, name-defined] # loaded by its entry point
        def cancel(self, job: Any) -> Any:
            yield from self.send_read(self.cancel_call(job), job)
            return (yield from self.status(job))

    check = next(check for check in CHECKS if check.__name__ == "a_cancel_asks_first_and_leaves_alone_what_has_ended")
    with pytest.raises(ConformanceError, match="DELETE"):
        check(replace(subject, vendor=Deletes))
