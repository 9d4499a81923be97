"""How jobs ended: landed, lost, kept as a refused file, failed; on both stores."""

from __future__ import annotations

import pytest

from airflow_video_providers.core.errors import LedgerError
from airflow_video_providers.core.jobs import JobStatus, VideoJob
from airflow_video_providers.core.purchase.records import digest
from airflow_video_providers.core.purchase.settlements import KIND, Ending

JOB = VideoJob(model="pixazo:mochi-v1", request_id="r-1")
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
