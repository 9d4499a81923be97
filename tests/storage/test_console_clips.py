"""Clips in buckets, as the pages serve them: by an address that the storage signs, or in ranges through the server."""

from __future__ import annotations

import httpx
import pytest

from airflow_video_providers.core.jobs import JobStatus, VideoJob
from airflow_video_providers.core.landing.land import Landing
from airflow_video_providers.core.purchase.records import Identity
from airflow_video_providers.integration import object_storage  # noqa: F401 # through Airflow's connections
from airflow_video_providers.plugin.console.clip_files import PIECE, Files, StoredFile, pieces
from airflow_video_providers.plugin.console.clips import NoClipError, clip_of
from airflow_video_providers.plugin.console.media import shown
from airflow_video_providers.plugin.console.policy import policy
from tests.support.films import film

pytestmark = pytest.mark.slow

JOB = VideoJob(model="pixazo:mochi-v1", request_id="job-1", status=JobStatus.SUCCEEDED)
WHO = Identity("dag", "run", "land")


@pytest.fixture
def manifest(backend, prefix, tmp_path, monkeypatch):
    if backend.name == "file":
        pytest.skip("tests/plugin/test_clips.py has what lies on a disk")
    for name, value in backend.environment.items():
        monkeypatch.setenv(name, value)
    source = tmp_path / "film.mp4"
    source.write_bytes(film(seconds=1.0))
    return Landing(output_path=f"{backend.root}/{prefix}").run(JOB, file=source)


def test_a_clip_comes_through_the_server_in_ranges_and_a_page_shows_it(manifest):
    clip = clip_of(manifest, 0)
    file = Files().open(clip)
    data = film(seconds=1.0)
    assert b"".join(pieces(file, 0, clip.size)) == data
    assert b"".join(pieces(file, 4, 8)) == b"ftyp"
    assert clip.size < PIECE
    (one,) = shown(Files(), WHO, manifest, secure=True)
    assert one.source is not None
    assert one.origin is None  # emulators speak plain http, which a page that came by https may not play
    assert "through=server" in one.source


def test_a_clip_that_is_gone_is_said_to_be_gone(manifest, backend, prefix):
    clip = clip_of(manifest, 0)
    StoredFile(clip)._fs.rm_file(f"{clip.where.root}/{clip.key}")
    with pytest.raises(NoClipError, match=r"any more|does not give it"):
        Files().open(clip)


def test_on_s3_the_browser_is_sent_to_the_storage_which_serves_ranges_and_the_policy_names_it(
    s3, prefix, tmp_path, monkeypatch
):
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    source = tmp_path / "film.mp4"
    source.write_bytes(film(seconds=1.0))
    manifest = Landing(output_path=f"{s3.root}/{prefix}").run(JOB, file=source)
    address = Files().open(clip_of(manifest, 0)).signed()
    answer = httpx.get(address, headers={"Range": "bytes=4-7"}, trust_env=False)
    assert (answer.status_code, answer.content) == (206, b"ftyp")
    (one,) = shown(Files(), WHO, manifest, secure=False)
    assert one.origin == s3.endpoint
    assert "through=server" not in one.source
    assert f"media-src 'self' {s3.endpoint};" in policy([one.origin])["Content-Security-Policy"]
    assert "Signature" not in repr(one)
