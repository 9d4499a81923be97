"""Files beside the video: each role is checked in its own way, and all of them land in one commit or none does."""

from __future__ import annotations

import io
import json
import struct
import wave
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from airflow_video_providers.core.errors import DownloadError, OutputRejectedError
from airflow_video_providers.core.jobs import JobStatus, OutputRole, VideoJob, VideoOutput
from airflow_video_providers.core.landing import fetch
from airflow_video_providers.core.landing.other_media import OtherInspector, kind_of
from airflow_video_providers.landing import land, manifest_schema
from tests.faults.landing.clips import HTML, mp4

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.faults.landing.server import Exchange, FaultServer

CLIP = mp4()
KEY = "provider=pixazo/model=mochi-v1/dt=unknown/req-1"


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int = 3, height: int = 2) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"".join(b"\0" + bytes(width) for _ in range(height)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def wav() -> bytes:
    target = io.BytesIO()
    with wave.open(target, "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(4000))
    return target.getvalue()


JPEG = (
    b"\xff\xd8\xff\xe0\x00\x10JFIF\0" + bytes(9) + b"\xff\xc0\x00\x0b\x08\x00\x02\x00\x03\x01\x01\x11\0\0" + b"\xff\xd9"
)
GIF = b"GIF89a\x03\x00\x02\x00" + bytes(20) + b";"
WEBP = b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + b"\x02\0\0\x01\0\0"
MP3 = b"ID3\x04" + bytes(400)


def read(data: bytes, role: OutputRole, said: str | None = None, step: int = 7) -> Any:
    inspector = OtherInspector(role, said)
    for at in range(0, len(data), step):
        inspector.feed(data[at : at + step])
    return inspector.close()


@pytest.mark.parametrize(
    ("data", "kind"), [(png(), "image/png"), (JPEG, "image/jpeg"), (GIF, "image/gif"), (WEBP, "image/webp")]
)
@pytest.mark.parametrize("role", [OutputRole.LAST_FRAME, OutputRole.POSTER])
def test_a_picture_is_known_by_its_signature_and_its_size(data: bytes, kind: str, role: OutputRole) -> None:
    found = read(data, role, "video/mp4")
    assert (found.media_type, found.width, found.height) == (kind, 3, 2)
    with pytest.raises(OutputRejectedError) as cut:
        read(data[:-8] if kind != "image/jpeg" else data[:-2], role)
    assert (cut.value.reason, cut.value.keep) == ("truncated", True)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (wav(), "audio/wav"), (MP3, "audio/mpeg"), (b"\xff\xfb" + bytes(50), "audio/mpeg"), (b"OggS" + bytes(50), "audio/ogg"),
        (b"fLaC" + bytes(50), "audio/flac"), (b"\xff\xf1" + bytes(50), "audio/aac"),
        (b"\0\0\0\x20ftypM4A " + bytes(50), "audio/mp4"),
    ],
)  # fmt: skip
def test_a_sound_is_known_by_its_signature(data: bytes, kind: str) -> None:
    assert read(data, OutputRole.AUDIO).media_type == kind


def test_a_sound_that_is_shorter_than_it_says_is_cut() -> None:
    with pytest.raises(OutputRejectedError, match="its end is missing"):
        read(wav()[:-100], OutputRole.AUDIO)
    streamed = wav()[:4] + b"\xff\xff\xff\xff" + wav()[8:]
    assert read(streamed, OutputRole.AUDIO).media_type == "audio/wav"


@pytest.mark.parametrize(
    ("data", "role", "keep"),
    [
        (GIF, OutputRole.AUDIO, True),
        (CLIP, OutputRole.LAST_FRAME, True),
        (wav(), OutputRole.POSTER, True),
        (png(), OutputRole.AUDIO, True),
        (HTML, OutputRole.POSTER, False),
        (HTML, OutputRole.AUDIO, False),
        (b"short", OutputRole.AUDIO, False),
        (b"", OutputRole.OTHER, False),
    ],
)
def test_what_is_not_what_its_role_promises_is_refused_and_kept_where_it_is_media(
    data: bytes, role: OutputRole, keep: bool
) -> None:
    with pytest.raises(OutputRejectedError) as refused:
        read(data, role)
    assert (refused.value.reason in ("not_a_video", "truncated"), refused.value.keep) == (True, keep)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("application/json; charset=utf-8", "application/json"),
        ("text/html", "application/octet-stream"),
        ("image/svg+xml", "application/octet-stream"),
        (None, "application/octet-stream"),
    ],
)
def test_any_other_file_is_its_bytes_and_never_called_a_page(said: str | None, kind: str) -> None:
    assert read(b'{"seed": 7}', OutputRole.OTHER, said).media_type == kind


def test_no_beginning_of_a_file_raises() -> None:
    for data in (
        b"",
        b"\xff",
        b"RIFF",
        b"\xff\xd8\xff",
        b"\x89PNG\r\n\x1a\n",
        b"GIF89a",
        *(bytes([n]) * 40 for n in range(256)),
    ):
        kind_of(data)
        for role in (OutputRole.POSTER, OutputRole.AUDIO, OutputRole.OTHER):
            with suppress(OutputRejectedError):
                read(data, role)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "_LONGEST_PAUSE", 0.0)


def whole(data: bytes) -> Callable[[Exchange], None]:
    return lambda exchange: exchange.whole(data)


def job_for(*outputs: VideoOutput) -> VideoJob:
    return VideoJob(model="pixazo:mochi-v1", request_id="req-1", status=JobStatus.SUCCEEDED, outputs=outputs)


def put(job: VideoJob, where: Path, **options: Any) -> dict[str, Any]:
    return land(job, str(where), allow_private_hosts=["127.0.0.1"], **options)


def files(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def every_role(server: FaultServer, **instead: bytes) -> VideoJob:
    data = {"video": CLIP, "last_frame": png(), "audio": wav(), "other": b"{}", **instead}
    kinds = {"other": "application/json"}
    return job_for(
        *(
            VideoOutput(url=server.serve(name, whole(data[name])), role=OutputRole(name), media_type=kinds.get(name))
            for name in ("video", "last_frame", "audio", "other")
        )
    )


def test_every_role_lands_with_its_type_in_one_manifest_and_the_video_keeps_its_name(
    tmp_path: Path, server: FaultServer
) -> None:
    manifest = put(every_role(server), tmp_path)
    assert [(one["role"], one["key"].removeprefix(KEY), one["content_type"]) for one in manifest["outputs"]] == [
        ("video", "/0.mp4", "video/mp4"),
        ("last_frame", "/1-last-frame.png", "image/png"),
        ("audio", "/2-audio.wav", "audio/wav"),
        ("other", "/3-other.json", "application/json"),
    ]
    jsonschema.Draft202012Validator(manifest_schema()).validate(manifest)
    assert (manifest["outputs"][1]["width"], manifest["outputs"][1]["height"]) == (3, 2)
    assert "container" not in manifest["outputs"][1]
    stored = files(tmp_path)
    assert stored[f"{KEY}/1-last-frame.png"] == png()
    assert set(stored) == {f"{KEY}/{name}" for name in (
        "0.mp4", "1-last-frame.png", "2-audio.wav", "3-other.json", "manifest.json")}  # fmt: skip
    again = put(every_role(server), tmp_path)
    assert (again["skipped"], again["outputs"]) == (True, manifest["outputs"])


@pytest.mark.parametrize("broken", ["last_frame", "audio"])
def test_one_file_that_is_not_what_it_should_be_is_a_loud_failure_and_nothing_has_its_final_name(
    tmp_path: Path, server: FaultServer, broken: str
) -> None:
    with pytest.raises(OutputRejectedError, match=broken.replace("_", " ")):
        put(every_role(server, **{broken: CLIP}), tmp_path)
    assert all(name.startswith("_rejected/") for name in files(tmp_path))


def test_one_file_that_does_not_come_is_a_loud_failure_too(tmp_path: Path, server: FaultServer) -> None:
    job = every_role(server)
    lost = VideoOutput(
        url=server.serve("lost", lambda exchange: exchange.head(404, Content_Length=0)), role=OutputRole.POSTER
    )
    with pytest.raises(DownloadError):
        put(job.replace(outputs=(*job.outputs, lost)), tmp_path, patience=0)
    assert files(tmp_path) == {}


def test_a_kept_file_is_held_against_its_role_again_without_the_vendor(tmp_path: Path, server: FaultServer) -> None:
    job = every_role(server, last_frame=CLIP)
    with pytest.raises(OutputRejectedError):
        put(job, tmp_path)
    record = json.loads(files(tmp_path)["_rejected/req-1/pixazo.mochi-v1.json"])
    assert [one["role"] for one in record["files"]] == ["video", "last_frame", "audio", "other"]
    with pytest.raises(OutputRejectedError, match="last frame"):
        put(job.replace(outputs=()), tmp_path)


def test_a_manifest_of_an_older_release_still_says_that_the_videos_landed(tmp_path: Path, server: FaultServer) -> None:
    job = every_role(server)
    put(job.replace(outputs=job.outputs[:1]), tmp_path)
    place = tmp_path / KEY / "manifest.json"
    record = json.loads(place.read_text())
    del record["outputs"][0]["role"]
    place.write_text(json.dumps(record))
    assert put(job, tmp_path)["skipped"]
    assert put(job.replace(outputs=()), tmp_path)["skipped"]


def test_what_was_asked_for_is_held_against_the_video_alone(tmp_path: Path, server: FaultServer) -> None:
    job = every_role(server).replace(expected={"resolution": "720p", "aspect_ratio": "1:1"})
    assert {one["index"] for one in put(job, tmp_path).get("differences", [])} <= {0}
