"""A file that was paid for, came whole and is refused by our reading: kept, found again, and landed when it can be."""

from __future__ import annotations

import hashlib
import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from airflow_video_providers.core.errors import (
    DownloadError,
    InvalidRequestError,
    LandingError,
    OutputMissingError,
    OutputRejectedError,
)
from airflow_video_providers.core.jobs import JobStatus, VideoJob, VideoOutput
from airflow_video_providers.core.landing import download_outputs, fetch, quarantine
from airflow_video_providers.core.storage.local import LocalStore
from airflow_video_providers.landing import land
from tests.core.landing.test_land import film
from tests.faults.landing.clips import HTML, mp4, webm

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.faults.landing.server import Exchange, FaultServer

CLIP, QUICKTIME = mp4(), mp4(brand=b"qt  ")
CUT = CLIP[:-1000]
HOME = "_rejected/req-1"


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "_LONGEST_PAUSE", 0.0)


def job_for(*urls: str, **changes: Any) -> VideoJob:
    outputs = tuple(VideoOutput(url=url) for url in urls)
    return VideoJob(
        model="pixazo:mochi-v1", request_id="req-1", status=JobStatus.SUCCEEDED, charged="yes", outputs=outputs
    ).replace(**changes)


def whole(data: bytes) -> Callable[[Exchange], None]:
    return lambda exchange: exchange.whole(data)


def put(job: VideoJob, where: Path, **options: Any) -> dict[str, Any]:
    return land(job, str(where), allow_private_hosts=["127.0.0.1"], **options)


def files(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def refuse(job: VideoJob, where: Path, **options: Any) -> Any:
    with pytest.raises((OutputRejectedError, InvalidRequestError)) as raised:
        put(job, where, **options)
    return raised.value


@pytest.mark.parametrize(("data", "reason"), [(CUT, "truncated"), (QUICKTIME, "media_type")])
def test_it_is_kept_whole_with_its_reason_under_a_key_of_its_own(
    data: bytes, reason: str, tmp_path: Path, server: FaultServer
) -> None:
    error = refuse(job_for(server.serve("a", whole(data))), tmp_path)
    assert (error.reason, error.retryable) == (reason, False)
    stored = files(tmp_path)
    assert set(stored) == {f"{HOME}/pixazo.mochi-v1.0.rejected", f"{HOME}/pixazo.mochi-v1.json"}
    assert stored[f"{HOME}/pixazo.mochi-v1.0.rejected"] == data
    record = json.loads(stored[f"{HOME}/pixazo.mochi-v1.json"])
    assert (record["reason"], record["request_id"], record["files"][0]["sha256"]) == (
        reason, "req-1", hashlib.sha256(data).hexdigest(),
    )  # fmt: skip
    assert record["files"][0]["source"] == {"host": "127.0.0.1"}
    assert "secret-signature" not in json.dumps(record)
    assert f"{tmp_path}/{HOME}" in str(error)
    assert "a Clear buys nothing" in str(error)
    assert "has charged" in str(error)
    assert error.kept_at == f"file://{tmp_path}/{HOME}"


def test_what_is_kept_lands_without_the_vendor_when_the_cause_is_gone_and_leaves_nothing_behind(
    tmp_path: Path, server: FaultServer
) -> None:
    refuse(job_for(server.serve("a", whole(QUICKTIME))), tmp_path)

    def nobody(job: VideoJob) -> VideoJob:
        raise AssertionError("the vendor is not asked")

    forgotten = job_for()
    manifest = put(forgotten, tmp_path, media_types=["video/quicktime"], refresh=nobody)
    assert len(server.requests) == 1
    (output,) = manifest["outputs"]
    assert (tmp_path / output["key"]).read_bytes() == QUICKTIME
    assert output["source"] == {"host": "127.0.0.1"}
    assert not [name for name in files(tmp_path) if name.startswith("_rejected")]
    assert put(forgotten, tmp_path, media_types=["video/quicktime"])["skipped"]


def test_refused_again_it_stays_and_nobody_is_asked(tmp_path: Path, server: FaultServer) -> None:
    job = job_for(server.serve("a", whole(CUT)))
    refuse(job, tmp_path)
    asked, before = len(server.requests), files(tmp_path)
    error = refuse(job, tmp_path)
    assert error.kept_at
    assert (len(server.requests), files(tmp_path)) == (asked, before)


def test_it_is_asked_for_again_once_a_person_has_deleted_it(tmp_path: Path, server: FaultServer) -> None:
    job = job_for(server.serve("a", whole(CUT)))
    refuse(job, tmp_path)
    for name in files(tmp_path):
        (tmp_path / name).unlink()
    server.serve("a", whole(CLIP))
    assert put(job, tmp_path)["outputs"]
    with pytest.raises(OutputMissingError):
        put(job_for(), tmp_path / "elsewhere")


def test_it_can_be_turned_off(tmp_path: Path, server: FaultServer) -> None:
    error = refuse(job_for(server.serve("a", whole(CUT))), tmp_path, keep_rejected=False)
    assert (files(tmp_path), error.kept_at) == ({}, None)


@pytest.mark.parametrize("answer", ["html", "too large", "digest", "forbidden"])
def test_a_hostile_answer_is_not_kept(answer: str, tmp_path: Path, server: FaultServer) -> None:
    url = {
        "html": server.serve("a", whole(HTML)),
        "too large": server.serve("b", whole(CLIP)),
        "digest": server.serve("c", lambda exchange: exchange.whole(CLIP, Content_MD5="A" * 22 + "==")),
        "forbidden": server.serve("d", lambda exchange: exchange.head(302, Location="http://10.0.0.1/")),
    }[answer]
    error = refuse(job_for(url), tmp_path, **({"max_bytes": 1000} if answer == "too large" else {}))
    assert (files(tmp_path), error.kept_at) == ({}, None)


def test_a_missing_extra_fetches_and_keeps_and_lands_once_it_is_there(
    tmp_path: Path, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = film()
    job = job_for(server.serve("a", whole(data)))
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "av", None)
        error = refuse(job, tmp_path, verify="decode", poster=True)
        assert "airflow-video-providers[media]" in str(error)
        assert (type(error), error.reason, error.charged) == (OutputRejectedError, "decoder", "yes")
        assert error.kept_at
        assert refuse(job_for(), tmp_path, verify="decode").kept_at, "the vendor forgot it, and it is still there"
        assert len(server.requests) == 1
    server.answers.clear()
    manifest = put(job_for(), tmp_path, verify="decode", poster=True)
    assert (manifest["verified"], manifest["outputs"][0]["sha256"]) == ("decode", hashlib.sha256(data).hexdigest())
    assert len(server.requests) == 1


def test_frames_that_cannot_be_decoded_are_kept(tmp_path: Path, server: FaultServer) -> None:
    sound = film(frames=48)
    at = sound.index(b"mdat") + 40
    damaged = sound[:at] + bytes(len(sound) // 2) + sound[at + len(sound) // 2 :]
    error = refuse(job_for(server.serve("a", whole(damaged))), tmp_path, verify="decode")
    assert (error.reason, bool(error.kept_at)) == ("decode", True)
    assert put(job_for(), tmp_path)["outputs"][0]["bytes"] == len(damaged)


def test_the_sound_siblings_of_a_refused_output_are_kept_with_it(tmp_path: Path, server: FaultServer) -> None:
    urls = [server.serve("a", whole(CLIP)), server.serve("b", whole(QUICKTIME)), server.serve("c", whole(webm()))]
    refuse(job_for(*urls), tmp_path)
    assert {name for name in files(tmp_path) if name.endswith(".rejected")} == {
        f"{HOME}/pixazo.mochi-v1.{index}.rejected" for index in range(3)
    }
    manifest = put(job_for(), tmp_path, media_types=["video/mp4", "video/webm", "video/quicktime"])
    assert [output["container"] for output in manifest["outputs"]] == ["mp4", "mov", "webm"]


def test_an_output_that_did_not_come_is_fetched_by_the_next_try_beside_the_kept_one(
    tmp_path: Path, server: FaultServer
) -> None:
    late = server.serve("b", lambda exchange: exchange.head(404, Content_Length=0))
    job = job_for(server.serve("a", whole(QUICKTIME)), late)
    with pytest.raises(DownloadError) as raised:
        put(job, tmp_path)
    assert (raised.value.reason, raised.value.retryable) == ("not_there", True)
    with pytest.raises(OutputMissingError, match="Output 1 is not among"):
        put(job_for(), tmp_path, media_types=["video/mp4", "video/quicktime"])
    server.serve("b", whole(CLIP))
    asked = len(server.asked("a"))
    manifest = put(job, tmp_path, media_types=["video/mp4", "video/quicktime"])
    assert len(manifest["outputs"]) == 2
    assert len(server.asked("a")) == asked


def test_a_file_that_came_with_the_answer_is_kept_too(tmp_path: Path) -> None:
    from airflow_video_providers.landing import Landing

    brought = tmp_path / "answer"
    brought.write_bytes(CUT)
    with pytest.raises(OutputRejectedError):
        Landing(output_path=str(tmp_path / "out")).run(job_for(), file=brought)
    assert (tmp_path / "out" / HOME / "pixazo.mochi-v1.0.rejected").read_bytes() == CUT


def test_two_vendors_with_one_id_do_not_meet(tmp_path: Path, server: FaultServer) -> None:
    refuse(job_for(server.serve("a", whole(CUT))), tmp_path)
    other = job_for(server.serve("b", whole(CLIP)), model="segmind:mochi-1")
    assert put(other, tmp_path)["outputs"]
    assert len([name for name in files(tmp_path) if name.startswith("_rejected")]) == 2


def test_a_file_of_the_landing_itself_is_not_put_aside(tmp_path: Path, server: FaultServer) -> None:
    """What is landed stays landed: only a wish for more of it is refused."""
    sound = film(frames=48)
    at = sound.index(b"mdat") + 40
    damaged = sound[:at] + bytes(len(sound) // 2) + sound[at + len(sound) // 2 :]
    job = job_for(server.serve("a", whole(damaged)))
    put(job, tmp_path)
    before = files(tmp_path)
    assert refuse(job, tmp_path, verify="decode").kept_at is None
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    "planted",
    [
        b"", b"{}", b"null", b"[]", b"[" * 100_000, b"\xff\xfe", b'{"count": 1e400}', b'{"files": [{"index": "../x"}]}',
        None,
    ],
)  # fmt: skip
def test_an_odd_record_is_none(planted: bytes | None, tmp_path: Path, server: FaultServer) -> None:
    job = job_for(server.serve("a", whole(CUT)))
    refuse(job, tmp_path)
    record = tmp_path / HOME / "pixazo.mochi-v1.json"
    told = json.loads(record.read_text())
    told["files"][0] |= {"index": 7, "key": "../../etc/passwd"}
    record.write_bytes(json.dumps(told).encode() if planted is None else planted)
    assert quarantine.find_kept(str(tmp_path), job) is None
    server.serve("a", whole(CLIP))
    assert put(job, tmp_path)["outputs"]


def test_bytes_that_are_not_those_of_the_record_are_not_landed(tmp_path: Path, server: FaultServer) -> None:
    refuse(job_for(server.serve("a", whole(QUICKTIME))), tmp_path)
    (tmp_path / HOME / "pixazo.mochi-v1.0.rejected").write_bytes(mp4(brand=b"qt  ", seed=9))
    with pytest.raises(LandingError, match="another file than its record says"):
        put(job_for(), tmp_path, media_types=["video/quicktime"])


def test_a_storage_that_takes_nothing_is_said_and_the_try_may_be_repeated(
    tmp_path: Path, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: LocalStore, *rest: Any, **more: Any) -> None:
        raise LandingError("The disk is full.", reason="storage")

    monkeypatch.setattr(LocalStore, "put", full)
    error = refuse(job_for(server.serve("a", whole(CUT))), tmp_path)
    assert "could not be kept" in str(error)
    assert (error.kept_at, error.retryable) == (None, True)


def test_an_address_finds_what_it_names_from_the_id_alone(tmp_path: Path, server: FaultServer) -> None:
    error = refuse(job_for(server.serve("a", whole(CUT))), tmp_path, key_template="{vendor}/{index}/{request_id}")
    by_id = VideoJob(model="pixazo:mochi-v1", request_id="req-1", status=JobStatus.UNKNOWN)
    for place in (error.kept_at, str(tmp_path)):
        kept = quarantine.find_kept(place, by_id)
        assert kept is not None
        assert (kept.job.status, kept.job.outputs, kept.reason, kept.whole) == ("succeeded", (), "truncated", True)
    assert quarantine.find_kept(str(tmp_path), by_id.replace(request_id="req-2")) is None
    assert download_outputs._REMEDY in str(error)
