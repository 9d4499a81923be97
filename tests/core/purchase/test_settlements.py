"""How jobs ended: landed, lost, kept as a refused file, failed; on both stores."""

from __future__ import annotations

from decimal import Decimal

import pytest

from airflow_video_providers.core.errors import LedgerError
from airflow_video_providers.core.jobs import JobStatus, VideoJob
from airflow_video_providers.core.purchase.records import digest
from airflow_video_providers.core.purchase.settlements import KIND, Ending, Settlement, by_job, ending_of

JOB = VideoJob(model="pixazo:mochi-v1", request_id="r-1")
COST = JOB.replace(cost_usd=Decimal("0.21"))
SAME_ID = VideoJob(model="segmind:mochi-1", request_id="r-1")
KEPT = "s3://bucket/videos/_rejected/r-1/"


def test_two_vendors_that_issue_one_id_are_settled_apart(ledger):
    ledger.mark_landed(JOB, "s3://bucket/manifest.json")
    assert ledger.settled(JOB)
    assert not ledger.settled(SAME_ID)
    ledger.mark_lost(SAME_ID)
    assert ledger.settlement(JOB).ending is Ending.LANDED
    assert ledger.settlement(SAME_ID).ending is Ending.LOST


@pytest.mark.parametrize(
    ("old", "ending"),
    [({"manifest_uri": "s3://b/m.json"}, Ending.LANDED), ({"manifest_uri": None}, Ending.LANDED), ({"lost": True}, Ending.LOST)],
)  # fmt: skip
def test_a_record_of_an_old_version_is_still_read(ledger, old, ending):
    ledger.store.replace((KIND, digest("r-1")[:32]), {"request_id": "r-1", **old})
    assert ledger.settled(JOB)
    assert ledger.settlement(JOB).ending is ending


def test_a_refused_file_is_neither_landed_nor_lost_and_names_where_it_is_kept(ledger):
    ledger.mark_refused_file(JOB, KEPT, "container")
    assert not ledger.settled(JOB)
    kept = ledger.refused_file(JOB)
    assert (kept.kept_at, kept.reason, kept.ending) == (KEPT, "container", Ending.REJECTED)
    assert ledger.refused_file(SAME_ID) is None


def test_a_kept_file_is_not_lost_when_the_vendor_forgets_the_job(ledger):
    ledger.mark_refused_file(JOB, KEPT, "container")
    ledger.mark_lost(JOB)
    assert ledger.refused_file(JOB) is not None


def test_a_landing_ends_a_refusal_and_no_later_word_ends_a_landing(ledger):
    ledger.mark_refused_file(JOB, KEPT, "container")
    ledger.mark_landed(JOB)
    assert ledger.refused_file(JOB) is None
    ledger.mark_refused_file(JOB, KEPT, "container")
    ledger.mark_lost(JOB)
    ledger.mark_failed(JOB)
    assert ledger.settlement(JOB).ending is Ending.LANDED


def test_a_kept_file_that_a_person_removed_lets_a_clear_buy_again(ledger):
    ledger.drop_refused_file(JOB)
    assert ledger.settlement(JOB) is None
    ledger.mark_refused_file(JOB, KEPT, "container")
    ledger.drop_refused_file(JOB)
    assert ledger.settled(JOB)


def test_a_failed_job_says_whether_it_was_charged(ledger):
    ledger.mark_failed(JOB.replace(status=JobStatus.ERROR, charged="no"))
    ended = ledger.settlement(JOB)
    assert (ended.ending, ended.charged, ended.reason) == (Ending.FAILED, "no", "error")
    assert not ledger.settled(JOB)


def test_what_a_finished_job_cost_is_noted_and_ends_nothing(ledger):
    ledger.mark_finished(JOB)
    assert ledger.settlement(JOB) is None, "a vendor that does not say what a job cost is left alone"
    ledger.mark_finished(COST)
    noted = ledger.settlement(JOB)
    assert (noted.ending, noted.cost, ledger.settled(JOB)) == (Ending.FINISHED, Decimal("0.21"), False)
    ledger.mark_finished(JOB.replace(cost_usd=Decimal("0.30")))
    assert ledger.settlement(JOB).cost == Decimal("0.30"), "the vendor's last word counts"


@pytest.mark.parametrize(
    ("end", "ending"),
    [
        (lambda ledger: ledger.mark_lost(JOB), Ending.LOST),
        (lambda ledger: ledger.mark_failed(JOB), Ending.FAILED),
        (lambda ledger: ledger.mark_refused_file(JOB, KEPT, "container"), Ending.REJECTED),
        (lambda ledger: ledger.mark_landed(COST, "s3://b/m.json"), Ending.LANDED),
    ],
    ids=["lost", "failed", "rejected", "landed"],
)
def test_how_it_ends_is_written_over_that_and_keeps_the_cost_and_never_the_other_way_round(ledger, end, ending):
    ledger.mark_finished(COST)
    end(ledger)
    ledger.mark_finished(JOB.replace(cost_usd=Decimal(9)))
    assert (ledger.settlement(JOB).ending, ledger.settlement(JOB).cost) == (ending, Decimal("0.21"))


def test_a_kept_file_that_was_removed_keeps_the_cost(ledger):
    ledger.mark_refused_file(COST, KEPT, "container")
    ledger.drop_refused_file(JOB)
    assert ledger.settlement(JOB).cost == Decimal("0.21")


@pytest.mark.parametrize("turned", [False, True])
def test_of_one_jobs_records_in_several_tasks_the_end_counts_and_the_cost_of_either(turned):
    finished = Settlement("r-1", Ending.FINISHED, JOB.model, cost_usd="0.21")
    landed = Settlement("r-1", Ending.LANDED, JOB.model, manifest_uri="s3://b/m.json")
    found = ending_of(by_job([landed, finished] if turned else [finished, landed]), JOB.model, "r-1")
    assert (found.ending, found.manifest_uri, found.cost) == (Ending.LANDED, "s3://b/m.json", Decimal("0.21"))


@pytest.mark.parametrize("value", [{}, {"request_id": 1}, {"request_id": "r-1", "ending": "gone"}, {"request_id": "r-1", "kept_at": []}])  # fmt: skip
def test_a_settlement_that_is_none_is_a_ledger_error(ledger, value):
    ledger.store.replace((KIND, digest("r-1")[:32]), {"x": 1} | value)
    with pytest.raises(LedgerError):
        ledger.settled(JOB)


@pytest.mark.parametrize("status", [JobStatus.SUCCEEDED, JobStatus.EXPIRED, JobStatus.FAILED])
def test_while_a_refused_file_stands_a_clear_keeps_the_job_and_does_not_ask_the_vendor(task, vendor, status):
    job = task.run()
    vendor.finish("job-1", status)
    task.ledger.mark_refused_file(job, KEPT, "container")

    def stands(job):
        return job if task.ledger.refused_file(job) is not None else None

    assert task.clear().run(finished=stands).request_id == "job-1"
    assert task.run(finished=stands).request_id == "job-1", "its retry is a retry"
    assert vendor.polled == []
    task.ledger.drop_refused_file(job)
    assert task.clear().run(finished=stands).request_id == "job-2"
