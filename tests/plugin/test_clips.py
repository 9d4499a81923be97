"""A clip is served from where its landing put it, in ranges, and from nowhere else."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from airflow_video_providers.core.jobs import JobStatus, VideoJob
from airflow_video_providers.core.landing.keys import DEFAULT_KEY_TEMPLATE, Keys
from airflow_video_providers.core.landing.land import Landing
from airflow_video_providers.core.purchase.records import Identity
from airflow_video_providers.plugin.console import clip_files, media
from airflow_video_providers.plugin.console.clip_files import Files, pieces
from airflow_video_providers.plugin.console.clips import NoClipError, asked_range, clip_of

FILM = b"\x00\x00\x00\x18ftypmp42" + bytes(range(256)) * 8
JOB = VideoJob(model="pixazo:mochi-v1", request_id="job-1", status=JobStatus.SUCCEEDED)


def landed(root, *, template: str = DEFAULT_KEY_TEMPLATE, film: bytes = FILM) -> dict[str, Any]:
    """What a landing leaves: a file and the record beside it; what it returns is the record with addresses."""
    keys = Keys(JOB, template)

    def entry(key: str, data: bytes, kind: str) -> dict[str, Any]:
        (root / key).parent.mkdir(parents=True, exist_ok=True)
        (root / key).write_bytes(data)
        return {"key": key, "bytes": len(data), "sha256": "a" * 64, "content_type": kind}

    output = {"index": 0, **entry(keys.output(0, "mp4"), film, "video/mp4")}
    output["poster"] = entry(keys.output(0, "jpg"), b"\xff\xd8\xff" + b"picture", "image/jpeg")
    record = {"model": JOB.model, "request_id": JOB.request_id, "outputs": [output]}
    (root / keys.manifest).parent.mkdir(exist_ok=True)
    (root / keys.manifest).write_text(json.dumps(record))

    def located(one: dict[str, Any]) -> dict[str, Any]:
        more = {"poster": located(one["poster"])} if "poster" in one else {}
        return {**one, "uri": f"{root.as_uri()}/{one['key']}", "path": f"{root}/{one['key']}", **more}

    return {**record, "outputs": [located(output)], "manifest_uri": f"{root.as_uri()}/{keys.manifest}"}


def read(manifest, **which) -> bytes:
    clip = clip_of(manifest, 0, **which)
    return b"".join(pieces(Files().open(clip), 0, clip.size))


@pytest.mark.parametrize(
    "template", [DEFAULT_KEY_TEMPLATE, "{request_id}-{index}", "v0/{index}/{request_id}", "10/{request_id}.{index}"]
)
def test_what_was_landed_is_served_with_its_poster_whatever_the_layout(tmp_path, template):
    manifest = landed(tmp_path, template=template)
    assert read(manifest) == FILM
    assert read(manifest, poster=True).startswith(b"\xff\xd8\xff")


@pytest.mark.slow  # serves the clip
@pytest.mark.parametrize("poster", [False, True])
def test_what_the_landing_of_this_package_returns_is_served(tmp_path, poster):
    pytest.importorskip("av")
    from tests.support.films import film as a_film

    film = tmp_path / "film.mp4"
    film.write_bytes(a_film())
    manifest = Landing(output_path=str(tmp_path / "videos"), poster=poster).run(JOB, file=film)
    assert read(manifest)[4:8] == b"ftyp"
    if poster:
        assert read(manifest, poster=True)[:3] == b"\xff\xd8\xff"


PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)


def with_file(root, manifest, role: str, data: bytes, kind: str, extension: str) -> dict[str, Any]:
    """The manifest with one more output, landed beside the video."""
    key = f"{manifest['outputs'][0]['key'].rpartition('/')[0]}/1-{role.replace('_', '-')}.{extension}"
    (root / key).write_bytes(data)
    entry = {"index": 1, "role": role, "key": key, "bytes": len(data), "sha256": "b" * 64, "content_type": kind}
    record = root / manifest["manifest_uri"].removeprefix(f"{root.as_uri()}/")
    stored = json.loads(record.read_text())
    record.write_text(json.dumps({**stored, "outputs": [*stored["outputs"], entry]}))
    located = {**entry, "uri": f"{root.as_uri()}/{key}", "path": f"{root}/{key}"}
    return {**manifest, "outputs": [*manifest["outputs"], located]}


@pytest.mark.parametrize(
    ("role", "data", "kind", "extension"),
    [
        ("last_frame", PNG, "image/png", "png"),
        ("audio", b"ID3" + bytes(64), "audio/mpeg", "mp3"),
        ("other", PNG, "image/png", "png"),
    ],
)
def test_what_has_landed_beside_the_video_is_served_as_what_it_is(tmp_path, role, data, kind, extension):
    manifest = with_file(tmp_path, landed(tmp_path), role, data, kind, extension)
    clip = clip_of(manifest, 1)
    assert b"".join(pieces(Files().open(clip), 0, clip.size)) == data
    assert clip.content_type == kind
    assert read(manifest) == FILM


def test_a_page_calls_each_file_what_it_is_and_plays_a_video_from_its_own_address(tmp_path):
    manifest = with_file(tmp_path, landed(tmp_path), "last_frame", PNG, "image/png", "png")
    video, frame = media.shown(Files(), Identity("dag", "run", "task", 2), manifest, secure=True)
    assert (video.label, frame.label) == ("The clip of task[2]", "The last frame of task[2]")
    assert "output=0" in video.source
    assert "poster=1" in video.poster
    assert ("output=1" in frame.source, "through=server" in frame.source, frame.poster) == (True, True, None)
    assert (frame.content_type, frame.why) == ("image/png", None)


def test_of_a_bucket_videos_come_from_itself_and_pictures_through_the_server_as_the_policy_says(tmp_path, monkeypatch):
    manifest = with_file(tmp_path, landed(tmp_path), "last_frame", PNG, "image/png", "png")
    monkeypatch.setattr(media, "_origin_of", lambda *_: "https://store.example")
    video, frame = media.shown(Files(), Identity("dag", "run", "task"), manifest, secure=True)
    assert ["through=server" in one.source for one in (video, frame)] == [False, True]


@pytest.mark.parametrize(
    ("role", "data", "kind", "extension"),
    [
        ("other", b'{"a": 1}' * 9, "application/json", "json"), ("other", b"<script>alert(1)</script>", "text/plain", "txt"),
        ("last_frame", b"<svg onload=alert(1)>", "image/png", "png"), ("audio", PNG, "audio/mpeg", "mp3"),
    ],
)  # fmt: skip
def test_a_file_that_is_neither_film_nor_picture_nor_sound_is_not_served(tmp_path, role, data, kind, extension):
    manifest = with_file(tmp_path, landed(tmp_path), role, data, kind, extension)
    with pytest.raises(NoClipError, match="does not begin"):
        Files().open(clip_of(manifest, 1))


@pytest.mark.parametrize(
    ("role", "kind"),
    [("last_frame", "image/svg+xml"), ("audio", "image/png"), ("video", "image/png"), ("boss", "image/png")],
)
def test_a_role_that_does_not_let_a_file_be_such_is_refused(tmp_path, role, kind):
    manifest = with_file(tmp_path, landed(tmp_path), role, PNG, kind, "png")
    with pytest.raises(NoClipError):
        clip_of(manifest, 1)


def changed(manifest: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**manifest, "outputs": [{**manifest["outputs"][0], **changes}]}


@pytest.mark.parametrize(
    "changes",
    [
        {"path": "/etc/passwd", "key": "passwd", "uri": "file:///etc/passwd"},
        {"key": "../../etc/passwd", "path": "/videos/../../etc/passwd", "uri": "file:///videos/../../etc/passwd"},
        {"key": "..%2f..%2fetc%2fpasswd.mp4", "path": "/v/..%2f..%2fetc%2fpasswd.mp4", "uri": "file:///v/..%2f..%2fetc%2fpasswd.mp4"},
        {"key": ".hidden/0.mp4", "path": "/v/.hidden/0.mp4", "uri": "file:///v/.hidden/0.mp4"},
        {"path": "http://169.254.169.254/latest/meta-data/0.mp4"},
        {"path": "https://elsewhere.example/0.mp4"},
        {"content_type": "text/html"},
        {"content_type": "video/webm"},
        {"bytes": 0},
        {"bytes": "many"},
        {"index": 1},
        {"key": None},
    ],
)  # fmt: skip
def test_a_manifest_that_names_a_foreign_path_is_refused_by_its_text_alone(tmp_path, changes):
    with pytest.raises(NoClipError):
        clip_of(changed(landed(tmp_path), **changes), 0)


@pytest.mark.parametrize(
    "root", ["http://169.254.169.254/latest", "https://elsewhere.example", "ftp://elsewhere.example/x"]
)
def test_a_root_that_is_no_storage_of_a_landing_is_refused_before_anything_is_asked(tmp_path, root):
    manifest = landed(tmp_path)
    key = manifest["outputs"][0]["key"]
    with pytest.raises(NoClipError, match="no landing of this package"):
        clip_of(changed(manifest, path=f"{root}/{key}"), 0)


@pytest.mark.parametrize(
    "record",
    ["somebody/else/manifest.json", "manifest.json", "{folder}/notes.json", "{folder}/manifest.txt", "{folder}/0.json"],
)
def test_a_record_that_no_landing_leaves_beside_a_file_is_no_word_for_it(tmp_path, record):
    manifest = landed(tmp_path)
    folder = manifest["outputs"][0]["key"].rpartition("/")[0]
    place = tmp_path / record.format(folder=folder)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(manifest))
    with pytest.raises(NoClipError, match="no landing of this package"):
        read({**manifest, "manifest_uri": place.as_uri()})


def test_a_poster_is_that_of_its_own_clip(tmp_path):
    manifest = landed(tmp_path)
    poster = manifest["outputs"][0]["poster"]
    other = {
        name: str(value).replace("/0.jpg", "/1.jpg") if name != "bytes" else value for name, value in poster.items()
    }
    with pytest.raises(NoClipError, match="no landing of this package"):
        clip_of(changed(manifest, poster=other), 0, poster=True)


def test_a_file_without_the_record_of_a_landing_beside_it_is_not_served_though_a_task_says_so(tmp_path):
    manifest = landed(tmp_path / "real")
    other = tmp_path / "other"
    planted = json.loads(json.dumps(manifest).replace(str(tmp_path / "real"), str(other)))
    key = manifest["outputs"][0]["key"]
    (other / key).parent.mkdir(parents=True)
    (other / key).write_bytes(FILM)
    with pytest.raises(NoClipError, match="does not see"):
        read(planted)


def test_a_record_that_speaks_of_another_file_is_no_word_for_this_one(tmp_path):
    manifest = landed(tmp_path)
    with pytest.raises(NoClipError, match="something else"):
        read(changed(manifest, sha256="b" * 64))


def test_a_file_that_is_no_film_is_not_served_under_a_film_s_name(tmp_path):
    with pytest.raises(NoClipError, match="does not begin"):
        read(landed(tmp_path, film=b"root:x:0:0:root:/root:/bin/bash"))


@pytest.mark.parametrize("of", ["file", "folder"])
def test_a_link_that_leads_out_of_the_root_is_not_followed(tmp_path, of):
    manifest = landed(tmp_path / "root")
    outside = landed(tmp_path / "outside")
    name = tmp_path / "root" / manifest["outputs"][0]["key"]
    target = tmp_path / "outside" / outside["outputs"][0]["key"]
    if of == "folder":
        for one in name.parent.iterdir():
            one.unlink()
        name.parent.rmdir()
        name, target = name.parent, target.parent
    else:
        name.unlink()
    name.symlink_to(target)
    with pytest.raises(NoClipError, match="outside"):
        read(manifest)


def test_a_pipe_in_a_film_s_place_holds_nobody_up(tmp_path):
    manifest = landed(tmp_path)
    name = tmp_path / manifest["outputs"][0]["key"]
    name.unlink()
    os.mkfifo(name)
    with pytest.raises(NoClipError, match="regular"):
        read(manifest)


def test_a_file_that_another_machine_holds_is_said_to_lie_on_a_worker_s_disk(tmp_path):
    manifest = landed(tmp_path)
    (tmp_path / manifest["outputs"][0]["key"]).unlink()
    with pytest.raises(NoClipError, match="worker's own disk"):
        read(manifest)


def test_never_more_than_a_piece_is_in_memory_and_the_file_is_let_go(tmp_path, monkeypatch):
    monkeypatch.setattr(clip_files, "PIECE", 100)
    manifest = landed(tmp_path)
    clip = clip_of(manifest, 0)
    file = Files().open(clip)
    parts = list(pieces(file, 10, 1010))
    assert {len(part) for part in parts} == {100}
    assert b"".join(parts) == FILM[10:1010]
    with pytest.raises(OSError, match="Bad file descriptor"):
        file.read(0, 1)


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (None, None), ("bytes=0-0", (0, 1)), ("bytes=10-", (10, 100)), ("bytes=-5", (95, 100)), ("bytes=0-999", (0, 100)),
        ("bytes=-500", (0, 100)), ("bytes=0-1,5-6", None), ("bytes=-", None), ("lines=1-2", None), ("bytes=x-", None),
    ],
)  # fmt: skip
def test_one_range_is_read_and_what_is_none_asks_for_everything(header, found):
    assert asked_range(header, 100) == found


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=5-4", "bytes=-0"])
def test_a_range_outside_of_the_file_is_refused(header):
    with pytest.raises(ValueError, match="range"):
        asked_range(header, 100)
