from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from pydantic import ValidationError

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.jobs import JobStatus, VideoJob, VideoOutput, read_job

FULL = VideoJob(
    model="segmind:mochi-1",
    request_id="r-1",
    conn_id="segmind_default",
    status=JobStatus.SUCCEEDED,
    vendor_status="COMPLETED",
    submitted_at=datetime(2026, 5, 22, 13, 17, 32, 110000, tzinfo=UTC),
    completed_at=datetime(2026, 5, 22, 13, 19, 23, tzinfo=UTC),
    expires_at=datetime(2026, 5, 22, 14, 17, 32, tzinfo=UTC),
    request_sha256="ab" * 32,
    estimated_cost_usd=Decimal("0.225"),
    cost_basis="documented",
    remaining_credits="12.5",
    charged="yes",
    outputs=(
        VideoOutput(url="https://media.example/a.mp4", media_type="video/mp4"),
        VideoOutput(url="https://b.example"),
    ),
)


def test_a_job_travels_as_plain_json_and_comes_back_equal():
    plain = FULL.to_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert VideoJob.from_dict(plain) == FULL
    assert read_job(json.dumps(plain)) == read_job(plain) == read_job(FULL) == FULL
    assert plain["estimated_cost_usd"] == "0.225", "money is never a float"


def test_a_text_of_a_job_shows_an_address_without_its_signature_and_what_travels_keeps_it():
    address = "https://media.example/a.mp4?Signature=s1gned&Expires=9#s1gned"
    job = FULL.replace(
        outputs=(VideoOutput(url=address, media_type="video/mp4"), VideoOutput(url="https://u:s1gned@b"))
    )
    for text in (repr(job), str(job), f"{job}", repr(job.outputs), str(job.outputs[0])):
        assert "url='https://media.example/a.mp4'" in text
        assert "s1gned" not in text
    assert read_job(job.to_dict()).outputs[0].url == address


def test_what_a_job_does_not_know_is_not_written():
    assert VideoJob(model="pixazo:mochi-v1", request_id="r").to_dict() == {
        "v": 1, "model": "pixazo:mochi-v1", "request_id": "r", "status": "queued", "status_route": "default",
        "charged": "unknown", "outputs": [],
    }  # fmt: skip


def test_fields_of_a_newer_version_are_ignored():
    assert read_job({**FULL.to_dict(), "v": 2, "colour": "red"}).request_id == "r-1"


def test_a_job_cannot_be_changed_only_copied():
    with pytest.raises(ValidationError):
        FULL.status = JobStatus.FAILED
    assert FULL.replace(status=JobStatus.FAILED).status is JobStatus.FAILED
    assert FULL.status is JobStatus.SUCCEEDED


@pytest.mark.parametrize("status", JobStatus)
def test_queued_running_and_unknown_go_on_and_everything_else_is_the_end(status):
    assert status.terminal is (status not in ("queued", "running", "unknown"))


@pytest.mark.parametrize(
    ("value", "remedy"),
    [
        (None, "skipped"),
        ([FULL.to_dict()], ".expand(job="),
        ("{'model': 'x'}", "job=<task>.output"),
        ("", "job=<task>.output"),
        ({}, "job=<task>.output"),
        ({"model": "pixazo:mochi-v1"}, "job=<task>.output"),
        ({"model": "pixazo:mochi-v1", "request_id": "r", "status": "odd"}, "job=<task>.output"),
        (7, "job=<task>.output"),
    ],
)
def test_what_is_no_job_is_refused_with_what_to_write_instead(value, remedy):
    with pytest.raises(InvalidRequestError) as caught:
        read_job(value)
    assert remedy in str(caught.value)
    assert caught.value.field == "job"
    assert caught.value.charged == "no"


@pytest.mark.parametrize("written", ["2026-05-22T13:00:00", "2026-05-22T13:00:00Z", "2026-05-22T15:00:00+02:00"])
def test_a_time_in_a_record_is_utc_whether_it_says_so_or_not(written):
    job = VideoJob.from_dict({"model": "m", "request_id": "r", "submitted_at": written, "expires_at": written})
    assert job.submitted_at == job.expires_at == datetime(2026, 5, 22, 13, tzinfo=UTC)


@pytest.mark.parametrize("written", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_time_that_is_none_in_utc_makes_no_job(written):
    with pytest.raises(InvalidRequestError):
        read_job({"model": "m", "request_id": "r", "submitted_at": written})
