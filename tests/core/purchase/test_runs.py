"""A DAG run that is deleted and made anew under the same id is a new wish, on both stores."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from airflow_video_providers.core.jobs import JobStatus
from airflow_video_providers.core.purchase.records import Run
from airflow_video_providers.core.purchase.resolve import attach

DUE = datetime(2026, 1, 1, tzinfo=UTC)
FIRST = Run(DUE, DUE + timedelta(hours=1, microseconds=7), 0)
BACKFILLED = Run(DUE, DUE + timedelta(days=3), 0)  # deleted and made again: the same id, the same date
TRIGGERED = Run(DUE + timedelta(days=3), DUE + timedelta(days=3), 0)


@pytest.fixture
def bought(task, vendor):
    """Bought by the run that was deleted since."""
    task.run(run=FIRST)
    task.tries = 0
    return task


@pytest.mark.parametrize("run", [BACKFILLED, TRIGGERED])
@pytest.mark.parametrize("prompt", ["a cat", "another prompt"])
@pytest.mark.parametrize("status", [JobStatus.RUNNING, JobStatus.SUCCEEDED])
def test_a_new_run_of_the_same_id_buys_for_the_same_prompt_and_for_another(bought, vendor, run, prompt, status, caplog):
    vendor.finish("job-1", status)
    assert bought.run(run=run, request={"prompt": prompt}).request_id == "job-2"
    assert "deleted" in caplog.text
    assert "job-1" in caplog.text
    assert [bought.run(run=run, request={"prompt": prompt}).request_id for _ in range(3)] == ["job-2"] * 3
    assert vendor.polled == []


@pytest.mark.parametrize("on_clear", ["resubmit", "reattach"])
def test_a_new_run_is_no_clear(bought, on_clear):
    assert bought.run(run=BACKFILLED, choices={"on_clear": on_clear}).request_id == "job-2"


def test_a_new_run_is_not_bound_by_the_unknown_outcome_of_the_deleted_one(task, vendor):
    task.run_unknown(run=FIRST)
    task.tries = 0
    assert task.run(run=BACKFILLED).request_id == "job-2"


def test_a_deleted_run_that_was_cleared_is_told_from_a_new_one_by_its_clears(task, vendor):
    task.run(run=FIRST)
    cleared = Run(DUE, FIRST.started_at, 1)
    vendor.finish("job-1")
    assert task.clear().run(run=cleared).request_id == "job-2"
    assert task.run(run=Run(DUE, None, 0)).request_id == "job-3", "clears never become fewer within a run"


def test_a_retry_within_the_run_keeps_the_job(task, vendor):
    task.run(run=FIRST)
    assert [task.run(run=FIRST).request_id for _ in range(3)] == ["job-1"] * 3


@pytest.mark.parametrize("clears", [0, 1])
def test_a_run_that_begins_again_counts_as_a_clear_and_never_as_a_new_one(task, vendor, clears):
    """Cleared after its end, or put back into the queue by hand while the submit waits for its retry."""
    task.run(run=FIRST)
    vendor.finish("job-1", JobStatus.RUNNING)
    again = Run(DUE, FIRST.started_at + timedelta(hours=5), clears)
    assert task.run(run=again).request_id == "job-1", "it still runs"
    assert vendor.polled == ["job-1"]
    vendor.finish("job-1")
    assert task.run(run=again).request_id == "job-1", "a retry of what was answered"


def test_another_prompt_in_a_run_that_cannot_be_told_from_a_cleared_one_is_never_silent(task, vendor, caplog):
    task.run(run=FIRST)
    vendor.finish("job-1", JobStatus.RUNNING)
    task.run(run=Run(DUE, FIRST.started_at + timedelta(hours=5), 0), request={"prompt": "another"})
    assert "The request changed since job job-1 was bought (prompt)" in caplog.text


@pytest.mark.parametrize("run", [None, Run(), Run(None, None, 0), Run(DUE, None, None)])
def test_what_is_not_known_of_a_run_makes_no_new_one(bought, run):
    assert bought.run(run=run).request_id == "job-1"


def test_a_record_of_an_older_version_makes_no_new_run(task):
    task.run()
    task.tries = 0
    assert task.run(run=BACKFILLED).request_id == "job-1"


def test_a_job_that_is_attached_by_hand_belongs_to_the_run_of_its_attempt(task, vendor):
    task.run_unknown(run=FIRST)
    attach(task.ledger, task.identity, vendor.jobs["job-1"], now=DUE)
    assert task.run(run=FIRST).request_id == "job-1"
    task.tries = 0
    assert task.run(run=BACKFILLED).request_id == "job-2"


def test_a_job_that_is_attached_by_hand_is_kept_by_the_clear_that_lets_the_run_begin_again(task, vendor):
    task.run_unknown(run=FIRST)
    attach(task.ledger, task.identity, vendor.finish("job-1"), now=DUE)
    again = Run(DUE, FIRST.started_at + timedelta(hours=5), 1)
    assert task.clear().run(run=again).request_id == "job-1"
    assert task.run(run=again).request_id == "job-1", "a retry of it"
    assert len(vendor.charges) == 1
    later = Run(DUE, FIRST.started_at + timedelta(hours=9), 2)
    assert task.clear().run(run=later).request_id == "job-2", "the next Clear is a new wish"


def test_request_id_in_a_new_run_answers_nothing_of_the_deleted_one(task):
    task.run_unknown(run=FIRST)
    task.tries = 0
    assert task.attach("found", run=BACKFILLED).request_id == "found"
    assert task.run(run=BACKFILLED).request_id == "found"
