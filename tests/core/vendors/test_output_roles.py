"""Outputs have a role and a media type of their own, and stand where the vendor says."""

from __future__ import annotations

import json

import httpx
import pytest

from airflow_video_providers.core.client.client import VideoClient
from airflow_video_providers.core.jobs import JobStatus, OutputRole, VideoJob, VideoOutput
from airflow_video_providers.core.vendors.pixazo import MochiV1, Pixazo

A, B, C, D, E = (f"https://m.example/{name}" for name in ("a.mp4", "b.mp4", "c.png", "d.mp3", "e.json"))
JOB = VideoJob(model=MochiV1.id, request_id="r-1")


class Rich(Pixazo):
    """Names more than a video."""

    output_paths = ("made.films",)
    further_outputs = {
        OutputRole.LAST_FRAME: ("made.last", "made.last_url"),
        OutputRole.AUDIO: ("made.sound",),
        OutputRole.OTHER: ("made.notes",),
    }
    media_type_names = ("type", "kind")
    media_type_paths = ()


def outputs(body, vendor=Rich):
    answered = httpx.MockTransport(lambda _: httpx.Response(200, json={"status": "COMPLETED", **body}))
    job = VideoClient(vendor(), "key-0123456789", transport=answered).status(JOB)
    assert job.status is JobStatus.SUCCEEDED
    assert VideoJob.from_dict(json.loads(json.dumps(job.to_dict()))) == job
    return [(output.url, output.role, output.media_type) for output in job.outputs]


def test_each_role_stands_where_the_vendor_says_with_the_type_beside_it_and_the_videos_come_first():
    made = {
        "sound": {"url": D, "kind": "audio/mpeg"},
        "last_url": C,
        "notes": [E],
        "films": [{"url": A, "type": "video/mp4"}, {"url": B}],
    }
    assert outputs({"made": made}) == [
        (A, "video", "video/mp4"),
        (B, "video", None),
        (C, "last_frame", None),
        (D, "audio", "audio/mpeg"),
        (E, "other", None),
    ]


def test_nothing_else_is_taken_for_a_file():
    assert outputs({"made": {"films": A, "poster": C, "input": D}, "thumbnail_url": C}) == [(A, "video", None)]


def test_a_job_without_a_video_names_no_output():
    assert outputs({"made": {"last": {"url": C}}}) == []


def test_a_file_of_another_role_is_not_found_again_as_a_video():
    class Confusing(Rich):
        further_outputs = {OutputRole.POSTER: ("output.video_url",)}

    assert outputs({"output": {"video_url": C}}, Confusing) == []


def test_an_address_counts_once_and_as_the_video_where_it_stands_as_both():
    assert outputs({"made": {"films": A, "last": A}}) == [(A, "video", None)]


def test_where_a_vendor_says_nothing_of_types_none_is_guessed():
    class Plain(Rich):
        media_type_names = ()

    told = {"films": {"url": A, "type": "video/mp4", "media_type": "video/webm"}}
    assert outputs({"made": told, "output": {"media_type": "video/mp4"}}, Plain) == [(A, "video", None)]


@pytest.mark.parametrize(
    ("written", "role"), [({}, "video"), ({"role": "poster"}, "poster"), ({"role": "hologram"}, "other")]
)
def test_a_job_of_an_older_or_newer_version_is_read(written, role):
    assert VideoOutput.model_validate({"url": A, **written}).role == role
