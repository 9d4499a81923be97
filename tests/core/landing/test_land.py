"""The whole landing on the local disk: what it returns, what it refuses, what it never does twice."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import count
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from airflow_video_providers.core.errors import (
    DownloadError,
    InvalidRequestError,
    JobCancelledError,
    JobErroredError,
    JobExpiredError,
    JobFailedError,
    JobUnknownError,
    LandingError,
    OutputExpiredError,
    OutputMissingError,
    OutputRejectedError,
    VendorUnavailableError,
)
from airflow_video_providers.core.jobs import JobStatus, VideoJob, VideoOutput
from airflow_video_providers.core.landing import fetch, output_urls
from airflow_video_providers.core.landing.spool import Spool
from airflow_video_providers.landing import Landing, land, manifest_schema
from tests.faults.landing.clips import mp4, webm
from tests.support import films

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.faults.landing.server import Exchange, FaultServer

CLIP = mp4()
KEY = "provider=pixazo/model=mochi-v1/dt=unknown/req-1"
GIVEN_UP = (JobExpiredError, JobFailedError, JobErroredError, JobCancelledError)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "_LONGEST_PAUSE", 0.0)
    monkeypatch.setattr(output_urls, "SAID_FOR", 0.0)


def job_for(*urls: str, **changes: Any) -> VideoJob:
    outputs = tuple(VideoOutput(url=url) for url in urls)
    return VideoJob(model="pixazo:mochi-v1", request_id="req-1", status=JobStatus.SUCCEEDED, outputs=outputs).replace(
        **changes
    )


def whole(data: bytes = CLIP) -> Callable[[Exchange], None]:
    return lambda exchange: exchange.whole(data)


def gone(exchange: Exchange) -> None:
    exchange.head(403, Content_Length=0)


def put(job: VideoJob, where: object, **options: Any) -> dict[str, Any]:
    return land(job, str(where), allow_private_hosts=["127.0.0.1"], **options)


def files(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def film(codec: str = "mpeg4", kind: str = "mp4", frames: int = 24) -> bytes:
    """A real film: colours that change."""
    av = pytest.importorskip("av")
    target = io.BytesIO()
    with av.open(target, "w", format=kind) as container:
        stream = container.add_stream(codec, rate=24)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        stream.time_base = Fraction(1, 24)
        for number in range(frames):
            frame = av.VideoFrame(160, 96, "yuv420p")
            for index, plane in enumerate(frame.planes):
                plane.update(bytes((number * 7 + at * (index + 3)) % 256 for at in range(plane.buffer_size)))
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return target.getvalue()


def test_what_is_returned_fits_the_schema_and_survives_xcom(tmp_path: Path, server: FaultServer) -> None:
    manifest = put(
        job_for(server.serve("a", whole()), server.serve("b", whole(webm()))),
        tmp_path,
        task={"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": -1, "logical_date": None},
        extra_manifest={"seed": 7},
    )
    jsonschema.Draft202012Validator(manifest_schema()).validate(manifest)
    assert json.loads(json.dumps(manifest)) == manifest
    stored = files(tmp_path)
    assert set(stored) == {f"{KEY}/0.mp4", f"{KEY}/1.webm", f"{KEY}/manifest.json"}
    on_disk = json.loads(stored[f"{KEY}/manifest.json"])
    jsonschema.Draft202012Validator(manifest_schema()).validate(on_disk)
    assert "path" not in on_disk["outputs"][0]
    assert on_disk["extra"] == {"seed": 7}
    assert "secret-signature" not in json.dumps([manifest, on_disk])


def test_a_prompt_with_what_only_looks_like_an_address_does_not_stop_the_manifest(
    tmp_path: Path, server: FaultServer
) -> None:
    extra = {"prompt": "see http://[draft] and http://u:pw@[x]/y?secret=1"}
    manifest = put(job_for(server.serve("a", whole())), tmp_path, extra_manifest=extra)
    assert manifest["extra"] == {"prompt": "see http://[draft] and http://[x]/y"}


def test_the_manifest_is_written_last(tmp_path: Path, server: FaultServer, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_video_providers.core.storage.local import LocalStore

    order: list[str] = []
    store_it = LocalStore.put

    def noting(self: LocalStore, verified: Any, key: str, *, overwrite: bool) -> None:
        order.append(key.rpartition("/")[2])
        store_it(self, verified, key, overwrite=overwrite)

    monkeypatch.setattr(LocalStore, "put", noting)
    put(job_for(server.serve("a", whole()), server.serve("b", whole())), tmp_path)
    assert order[-1] == "manifest.json"
    assert sorted(order) == ["0.mp4", "1.mp4", "manifest.json"]


def test_a_video_that_came_with_the_answer_is_landed_from_its_file_with_the_same_checks(tmp_path: Path) -> None:
    brought = tmp_path / "answer"
    brought.write_bytes(CLIP)
    landed = Landing(output_path=str(tmp_path / "out")).run(job_for(), file=brought)
    assert (tmp_path / "out" / landed["outputs"][0]["key"]).read_bytes() == CLIP
    assert "source" not in landed["outputs"][0]
    assert Landing(output_path=str(tmp_path / "out")).run(job_for())["skipped"]
    brought.write_bytes(CLIP[:-1])
    with pytest.raises(OutputRejectedError, match="cut"):
        Landing(output_path=str(tmp_path / "other")).run(job_for(), file=brought)
    assert all(name.startswith("_rejected/") for name in files(tmp_path / "other"))


def test_landed_once_it_is_never_fetched_again_even_when_the_vendor_forgot_the_outputs(
    tmp_path: Path, server: FaultServer
) -> None:
    put(job_for(server.serve("a", whole())), tmp_path)
    assert put(job_for(), tmp_path)["skipped"]
    assert put(job_for(f"{server.base}/a/other"), f"file://{tmp_path}")["skipped"]
    assert len(server.requests) == 1


@pytest.mark.parametrize("damage", ["missing", "shorter", "manifest"])
def test_a_manifest_that_does_not_fit_what_is_stored_is_not_believed(
    damage: str, tmp_path: Path, server: FaultServer
) -> None:
    job = job_for(server.serve("a", whole()))
    put(job, tmp_path)
    clip, record = tmp_path / KEY / "0.mp4", tmp_path / KEY / "manifest.json"
    if damage == "missing":
        clip.unlink()
    elif damage == "manifest":
        record.write_text("{half a recor")
    else:
        clip.write_bytes(CLIP[:-1])
        with pytest.raises(LandingError, match="holds something else"):
            put(job, tmp_path)
        clip.unlink()
    assert not put(job, tmp_path)["skipped"]
    assert clip.read_bytes() == CLIP
    assert json.loads(record.read_text())["outputs"]


def test_equal_size_is_not_equal_bytes(tmp_path: Path, server: FaultServer) -> None:
    clip = tmp_path / KEY / "0.mp4"
    clip.parent.mkdir(parents=True)
    clip.write_bytes(mp4(seed=6))
    with pytest.raises(LandingError, match="holds something else"):
        put(job_for(server.serve("a", whole())), tmp_path)
    assert files(tmp_path) == {f"{KEY}/0.mp4": mp4(seed=6)}


def test_a_key_that_belongs_to_another_job_is_refused_before_any_request(tmp_path: Path, server: FaultServer) -> None:
    job = job_for(server.serve("a", whole()))
    put(job, tmp_path)
    record = tmp_path / KEY / "manifest.json"
    record.write_text(record.read_text().replace('"request_id": "req-1"', '"request_id": "req-2"'))
    with pytest.raises(LandingError, match="another job"):
        put(job, tmp_path)
    assert len(server.requests) == 1


def test_a_layout_may_put_each_output_into_a_directory_of_its_own(tmp_path: Path, server: FaultServer) -> None:
    job = job_for(server.serve("a", whole()), server.serve("b", whole()))
    put(job, tmp_path, key_template="{vendor}/{index}/{request_id}")
    assert set(files(tmp_path)) == {"pixazo/0/req-1.mp4", "pixazo/1/req-1.mp4", "pixazo/manifest/req-1.json"}


def test_what_a_dead_landing_left_is_swept_even_where_nothing_is_to_be_done(
    tmp_path: Path, server: FaultServer
) -> None:
    put(job_for(server.serve("a", whole())), tmp_path)
    machine = Spool(str(tmp_path))
    left = tmp_path / KEY / machine.path.rpartition("/")[2]
    machine.discard()
    left.write_bytes(b"half")
    assert put(job_for(), tmp_path)["skipped"]
    assert not left.exists()


def test_errors_name_the_job_and_the_money_and_hide_the_signature(tmp_path: Path, server: FaultServer) -> None:
    with pytest.raises(DownloadError) as raised:
        put(job_for(server.serve("a", gone)), tmp_path)
    error = raised.value
    assert (error.vendor, error.model, error.request_id) == ("pixazo", "pixazo:mochi-v1", "req-1")
    assert error.charged == "yes"
    assert "request_id=req-1" in str(error)
    assert "has charged" in str(error)
    assert "secret-signature" not in str(error)
    assert files(tmp_path) == {}


def test_the_vendor_is_asked_once_for_all_outputs_and_downloads_go_on(tmp_path: Path, server: FaultServer) -> None:
    asked: list[VideoJob] = []
    fresh = [server.serve(f"fresh{n}", whole(mp4(seed=n))) for n in range(3)]

    def refresh(job: VideoJob) -> VideoJob:
        asked.append(job)
        return job_for(*fresh)

    stale = [server.serve(f"stale{n}", gone) for n in range(3)]
    put(job_for(*stale), tmp_path, refresh=refresh)
    assert len(asked) == 1
    assert {name: data for name, data in files(tmp_path).items() if name.endswith("mp4")} == {
        f"{KEY}/{n}.mp4": mp4(seed=n) for n in range(3)
    }


def test_a_download_that_was_cut_by_expiry_goes_on_at_the_fresh_address(tmp_path: Path, server: FaultServer) -> None:
    def expires(exchange: Exchange) -> None:
        if exchange.number:
            return gone(exchange)
        exchange.head(200, Content_Length=len(CLIP), ETag='"same"')
        exchange.send(CLIP[:100_000])
        return exchange.reset()

    fresh = server.serve("fresh", lambda exchange: exchange.part(CLIP, exchange.start, ETag='"same"'))
    put(job_for(server.serve("stale", expires)), tmp_path, refresh=lambda job: job_for(fresh))
    (headers,) = server.asked("fresh")
    assert headers["range"] == "bytes=100000-"
    assert (tmp_path / KEY / "0.mp4").read_bytes() == CLIP


@pytest.mark.parametrize(
    ("refreshed", "expected", "reason"),
    [
        *[(error("the vendor says so"), OutputExpiredError, "expired") for error in GIVEN_UP],
        *[(status, OutputExpiredError, "expired") for status in ("expired", "failed", "error", "cancelled")],
        ("the same address", DownloadError, "not_there"),
        ("another address each time", DownloadError, "not_there"),
        ("one output less", DownloadError, "not_there"),
        *[(status, DownloadError, "not_there") for status in ("queued", "running", "unknown", "succeeded")],
        (VendorUnavailableError("503"), DownloadError, "refresh"),
        (JobUnknownError("an odd word"), DownloadError, "refresh"),
    ],
    ids=str,
)
def test_only_what_the_vendor_has_given_up_is_gone_and_anything_else_may_be_there_later(
    refreshed: object, expected: type[DownloadError], reason: str, tmp_path: Path, server: FaultServer
) -> None:
    job, numbers = job_for(server.serve("a", whole()), server.serve("b", gone)), count()

    def refresh(stale: VideoJob) -> VideoJob:
        if isinstance(refreshed, Exception):
            raise refreshed
        if refreshed == "the same address":
            return job
        if refreshed == "another address each time":
            return job_for(job.outputs[0].url, f"{job.outputs[1].url}{next(numbers)}")
        if refreshed == "one output less":
            return job_for(job.outputs[0].url)
        return job_for(status=JobStatus(refreshed))

    with pytest.raises(DownloadError) as raised:
        put(job, tmp_path, refresh=refresh)
    assert (type(raised.value), raised.value.reason) == (expected, reason)
    assert raised.value.retryable == (reason != "expired")
    assert files(tmp_path) == {}


@pytest.mark.parametrize("said", [1, 2])
def test_one_stray_word_that_the_job_is_gone_loses_nothing(said: int, tmp_path: Path, server: FaultServer) -> None:
    def late(exchange: Exchange) -> None:
        exchange.whole(CLIP) if exchange.number > 4 else gone(exchange)

    job = job_for(server.serve("a", late))
    words = iter([JobStatus.EXPIRED] * said + [JobStatus.SUCCEEDED] + [JobStatus.EXPIRED] * 2)
    put(job, tmp_path, refresh=lambda stale: job.replace(status=next(words, JobStatus.SUCCEEDED)))
    assert (tmp_path / KEY / "0.mp4").read_bytes() == CLIP


def ask(source: output_urls.OutputUrl, times: int) -> None:
    for _ in range(times):
        source.renew("answered 404")


NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)


def test_a_vendor_that_does_not_know_the_job_is_believed_only_after_a_while_and_past_its_grace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(output_urls, "SAID_FOR", 20.0)
    clock, now = [0.0], [NOON]
    job = job_for("https://cdn.example.com/a.mp4", submitted_at=NOON)

    def watched() -> output_urls.OutputUrl:
        forgets = lambda stale: job.replace(status=JobStatus.EXPIRED, outputs=())
        return output_urls.OutputUrls(job, forgets, clock=lambda: clock[0], now=lambda: now[0]).output(0)

    ask(watched(), 30)  # at once: nothing is lost
    asked = watched()
    ask(asked, 2)
    clock[0] = 60.0
    ask(asked, 1)  # within the grace after the submit
    now[0] = NOON + timedelta(minutes=10)
    with pytest.raises(OutputExpiredError, match="the vendor says"):
        ask(asked, 1)


@pytest.mark.parametrize(("hours", "lost"), [(0.5, False), (1.5, False), (2.1, True)])
def test_twice_its_documented_retention_loses_an_output_and_time_alone_does_not(hours: float, lost: bool) -> None:
    job = job_for("https://cdn.example.com/a.mp4", submitted_at=NOON, expires_at=NOON + timedelta(hours=1))
    for known, expected in ((job, lost), (job.replace(expires_at=None), False)):
        watched = output_urls.OutputUrls(known, lambda stale: stale, now=lambda: NOON + timedelta(hours=hours)).output(
            0
        )
        if expected:
            with pytest.raises(OutputExpiredError, match="long ago"):
                ask(watched, 1)
        else:
            ask(watched, 30)


def test_one_bad_output_stops_the_others_and_its_error_is_the_one_told(tmp_path: Path, server: FaultServer) -> None:
    finished: list[int] = []

    def slow(exchange: Exchange) -> None:
        exchange.head(200, Content_Length=len(CLIP))
        exchange.send(CLIP[:1000])
        for at in range(1000, len(CLIP)):
            time.sleep(0.01)  # half an hour in all, if nobody hangs up
            exchange.send(CLIP[at : at + 1])
        finished.append(exchange.number)

    urls = [server.serve(f"e{n}", slow) for n in range(3)] + [server.serve("bad", whole(b"<html>" * 100))]
    began = time.monotonic()
    with pytest.raises(OutputRejectedError) as raised:
        put(job_for(*urls), tmp_path)
    assert time.monotonic() - began < 40, "without progress a connection is left after a minute anyway"
    assert raised.value.reason == "not_a_video"
    assert files(tmp_path) == {}
    assert finished == []


def test_only_a_finished_job_with_outputs_is_landed(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequestError, match="running") as raised:
        put(job_for("https://x.example/a", status=JobStatus.RUNNING, charged="yes"), tmp_path)
    assert raised.value.charged == "yes"
    with pytest.raises(OutputMissingError):
        put(job_for(), tmp_path)


def test_options_are_checked_when_a_landing_is_built() -> None:
    for wrong in ({"verify": "frames"}, {"media_types": ("image/gif",)}, {"key_template": "{index}"}):
        with pytest.raises(InvalidRequestError):
            Landing(output_path="/x", **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("codec", "kind", "width"), [("mpeg4", "mp4", 160), ("libvpx-vp9", "webm", 160), ("mpeg4", "mov", 160)]
)
def test_a_real_film_is_decoded_and_gets_a_poster(
    codec: str, kind: str, width: int, tmp_path: Path, server: FaultServer
) -> None:
    types = ("video/mp4", "video/webm", "video/quicktime")
    job = job_for(server.serve("a", whole(film(codec, kind))))
    manifest = put(job, tmp_path, verify="decode", poster=True, media_types=types)
    (output,) = manifest["outputs"]
    assert (output["width"], output["fps"], output["duration_s"]) == (width, 24.0, 1.0)
    assert manifest["verified"] == "decode"
    image = (tmp_path / output["poster"]["key"]).read_bytes()
    assert image.startswith(b"\xff\xd8\xff")
    assert image.endswith(b"\xff\xd9")
    assert len(image) == output["poster"]["bytes"]
    jsonschema.Draft202012Validator(manifest_schema()).validate(manifest)


def test_a_whole_container_with_damaged_frames_is_found_by_decoding_only(tmp_path: Path, server: FaultServer) -> None:
    sound = film(frames=48)
    at = sound.index(b"mdat") + 40
    damaged = sound[:at] + bytes(len(sound) // 2) + sound[at + len(sound) // 2 :]
    job = job_for(server.serve("a", whole(damaged)))
    with pytest.raises(OutputRejectedError) as raised:
        put(job, tmp_path / "strict", verify="decode")
    assert raised.value.reason == "decode"
    assert all(name.startswith("strict/_rejected/") for name in files(tmp_path))
    put(job, tmp_path / "lenient")


def test_landing_never_changes_a_byte_and_says_whether_content_credentials_are_in_it(
    tmp_path: Path, server: FaultServer
) -> None:
    marked, plain = films.film(sound=1.0) + films.C2PA, films.film(sound=1.0)
    job = job_for(server.serve("a", whole(marked)), server.serve("b", whole(plain)))
    manifest = put(job, tmp_path, verify="decode", poster=True)
    assert [output["content_credentials"] for output in manifest["outputs"]] == [True, False]
    assert [(tmp_path / output["key"]).read_bytes() for output in manifest["outputs"]] == [marked, plain]
    jsonschema.Draft202012Validator(manifest_schema()).validate(manifest)


def test_a_turned_film_s_manifest_and_poster_have_the_size_that_players_show(
    tmp_path: Path, server: FaultServer
) -> None:
    job = job_for(server.serve("a", whole(films.rotated(films.film(), 90))))
    (output,) = put(job, tmp_path, poster=True)["outputs"]
    assert (output["width"], output["height"]) == (films.HEIGHT, films.WIDTH)
    assert (output["poster"]["width"], output["poster"]["height"]) == (films.HEIGHT, films.WIDTH)


def test_the_manifest_says_what_was_odd_about_a_film_that_plays(tmp_path: Path, server: FaultServer) -> None:
    odd = films.patched(films.film("mpeg4"), b"mp4v", 24, bytes(4))
    nowhere = films.patched(odd, b"tkhd", 76, bytes(8)) + b"behind"
    job = job_for(server.serve("a", whole(odd)), server.serve("b", whole(nowhere)), server.serve("c", whole()))
    manifest = put(job, tmp_path)
    first, second, third = manifest["outputs"]
    assert first["remarks"] == ["its sample entry has no size"]
    assert second["remarks"][0] == "6 bytes stand behind its last box"
    assert "width" not in second
    assert "remarks" not in third
    jsonschema.Draft202012Validator(manifest_schema()).validate(manifest)
    assert put(job, tmp_path)["skipped"]


def test_a_poster_wished_for_later_is_made_from_what_is_landed(tmp_path: Path, server: FaultServer) -> None:
    job = job_for(server.serve("a", whole(film())))
    plain = put(job, tmp_path)
    server.serve("a", gone)
    manifest = put(job, tmp_path, poster=True, verify="decode")
    assert manifest["outputs"][0]["poster"]["bytes"] > 100
    assert manifest["outputs"][0]["sha256"] == plain["outputs"][0]["sha256"]
    assert len(server.requests) == 1
    assert put(job, tmp_path, poster=True, verify="decode")["skipped"]

    clip = tmp_path / KEY / "0.mp4"
    other = film(frames=25)
    clip.write_bytes(other[: clip.stat().st_size].ljust(clip.stat().st_size, b"\0"))
    (tmp_path / KEY / "manifest.json").write_text(json.dumps({**plain, "skipped": False}))
    with pytest.raises(DownloadError):
        put(job, tmp_path, poster=True)


def test_without_pyav_the_file_comes_and_the_error_names_the_extra(
    tmp_path: Path, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(InvalidRequestError, match=r"airflow-video-providers\[media\]"):
        put(job_for(server.serve("a", whole())), tmp_path, poster=True, keep_rejected=False)
    assert server.requests == []
    put(job_for(server.serve("a", whole())), tmp_path)


@pytest.mark.slow
def test_naming_the_package_at_parse_time_loads_nothing_heavy() -> None:
    code = (
        "import sys; import airflow_video_providers.landing as landing; landing.__all__;"
        "print([m for m in ('httpcore', 'httpx', 'fsspec', 'av', 'boto3', 'airflow.sdk.io', 'ssl') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_exported_names_exist_and_others_do_not() -> None:
    import airflow_video_providers.landing as package

    for name in package.__all__:
        assert getattr(package, name)
    with pytest.raises(AttributeError):
        package.nothing  # noqa: B018 - the look itself is the test
