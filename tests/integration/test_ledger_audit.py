"""An audit: what it holds, what it finds, and that one changed byte of file, manifest or video fails it."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from airflow_video_providers.core.accounting.audit import encode
from airflow_video_providers.core.jobs import VideoJob
from airflow_video_providers.core.landing.manifest import encode as encode_manifest
from airflow_video_providers.core.landing.manifest import stored_sha256
from airflow_video_providers.core.purchase.ledger import Ledger
from airflow_video_providers.core.purchase.stores.object_directory import LocalDirectory
from airflow_video_providers.core.storage.local import LocalStore
from airflow_video_providers.integration.ledger_cli import main
from tests.support.accounts import MODEL

if TYPE_CHECKING:
    from pathlib import Path

FILM = b"\0\0\0\x18ftypmp42" + b"film" * 500


def record(root: Path, request_id: str, request_sha256: str = "ab" * 32) -> dict:
    """A manifest as it is stored."""
    key = f"provider=pixazo/dt=2026-11-20/{request_id}/0.mp4"
    return {
        "schema_version": 1, "vendor": "pixazo", "model": MODEL, "request_id": request_id, "request_sha256": request_sha256,
        "outputs": [{
            "index": 0, "key": key, "uri": f"{root.as_uri()}/{key}", "bytes": len(FILM), "sha256": hashlib.sha256(FILM).hexdigest(),
            "content_type": "video/mp4", "container": "mp4", "codecs": ["h264"],
        }],
        "verified": "container", "landed_at": "2026-11-20T13:00:00+00:00", "package": {"name": "airflow-video-providers", "version": "0"},
    }  # fmt: skip


@pytest.fixture
def videos(full_ledger, tmp_path):
    """Where the two landed jobs of the ledger lie, by id, with their manifests' digests in the ledger."""
    root, ledger, places = tmp_path / "landed here", Ledger(LocalDirectory(full_ledger)), {}
    for request_id in ("j-landed", "j-before-clear"):
        manifest = record(root, request_id)
        film = root / manifest["outputs"][0]["key"]
        film.parent.mkdir(parents=True)
        film.write_bytes(FILM)
        place = film.with_name("manifest.json")
        place.write_bytes(encode_manifest(manifest))
        uri = manifest["outputs"][0]["uri"].replace("0.mp4", "manifest.json")
        returned = {**manifest, "manifest_uri": uri, "skipped": False}
        ledger.mark_landed(VideoJob(model=MODEL, request_id=request_id, charged="yes"), uri,
                           manifest_sha256=stored_sha256(returned))  # fmt: skip
        places[request_id] = place
    return places


@pytest.fixture
def made(videos, tmp_path, capsys):
    """An audit's file, and the digest that was printed."""
    file = tmp_path / "audit.json"
    assert main(["audit", "--file", str(file)]) == 0
    return file, capsys.readouterr().err.rsplit(" ", 1)[1].strip()


def verified(capsys, file, *more):
    capsys.readouterr()
    status = main(["audit", "--verify", str(file), *more])
    said = capsys.readouterr()
    return status, said.out + said.err


def test_it_holds_every_try_with_id_charge_estimate_and_manifest(made, videos):
    audit = json.loads(made[0].read_text())
    tries = {
        (purchase["map_index"], purchase["purchase"], attempt["number"]): attempt
        for purchase in audit["purchases"]
        for attempt in purchase["attempts"]
    }
    assert len(tries) == 14
    assert [tries[3, 1, 1]["state"], tries[3, 1, 2]["request_id"]] == ["failed without charge", "j-after-void"]
    assert (tries[4, 1, 1]["request_id"], tries[4, 2, 2]["request_id"]) == ("j-before-clear", "j-after-clear")
    assert (tries[2, 1, 1]["counts"], tries[2, 1, 1]["request_id"]) == ("unknown", None)
    assert [tries[index, 1, 1]["charged"] for index in (0, 5, 6, 7, 8)] == ["yes", "no", "no", "unknown", "yes"]
    assert tries[10, 1, 1]["estimated_cost_usd"] is None
    assert tries[11, 1, 1]["attached_again"] is True
    landed = tries[0, 1, 1]["manifest"]
    assert landed["uri"].endswith("/landed%20here/provider=pixazo/dt=2026-11-20/j-landed/manifest.json")
    assert landed["sha256"] == hashlib.sha256(videos["j-landed"].read_bytes()).hexdigest()
    assert [file["sha256"] for file in landed["files"]] == [hashlib.sha256(FILM).hexdigest()]
    assert audit["totals"]["charged"] == {"count": 7, "usd": "2.40", "without_price": 1}


def test_an_unchanged_audit_is_checked_without_ledger_and_without_airflow(made, capsys, monkeypatch, mocker):
    monkeypatch.setenv("AIRFLOW__VIDEO_PROVIDERS__LEDGER_PATH", "/nowhere")
    mocker.patch("airflow_video_providers.integration.commands.ledger_audit.read_accounts", side_effect=AssertionError)
    status, said = verified(capsys, made[0], "--sha256", made[1])
    assert (status, said) == (0, "3 manifests and 3 files compared, 0 problems.\n")


def test_every_changed_byte_of_the_file_fails(made, capsys):
    file, _ = made
    whole = file.read_bytes()
    places = [
        *range(0, len(whole), max(1, len(whole) // 150)),
        len(whole) - 1,
        whole.index(b'"sha256": "', len(whole) - 90) + 12,
    ]
    for place in places:
        changed = bytearray(whole)
        changed[place] ^= 1
        file.write_bytes(changed)
        status, said = verified(capsys, file)
        assert status == 1, (place, whole[place - 20 : place + 20])
        assert "was changed since it was made" in said or "is no audit" in said
    for text in (whole + b" ", whole[:-1], whole.replace(b"\n", b"\r\n"), b"", b"[]", b"{}", b"[" * 100_000):
        file.write_bytes(text)
        assert verified(capsys, file)[0] == 1
    file.write_bytes(whole)
    assert verified(capsys, file)[0] == 0


@pytest.mark.parametrize("place", [0, 700, -1])
@pytest.mark.parametrize("what", ["manifest.json", "0.mp4"])
def test_one_changed_byte_in_the_storage_fails(made, videos, capsys, what, place):
    file = videos["j-landed"].with_name(what)
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)
    status, said = verified(capsys, made[0])
    assert status == 1
    assert "films.submit[0] in r, attempt 1: " in said
    assert f"j-landed/{what}" in said


@pytest.mark.parametrize("what", ["manifest.json", "0.mp4"])
def test_what_is_gone_from_the_storage_fails(made, videos, capsys, what):
    videos["j-landed"].with_name(what).unlink()
    status, said = verified(capsys, made[0])
    assert status == 1
    assert "is missing" in said


def forge(place, **changes):
    manifest = json.loads(place.read_text())
    manifest["outputs"][0] |= changes.pop("output", {})
    place.write_bytes(encode_manifest(manifest | changes))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"request_id": "j-stranger"}, "the manifest's request_id is not that of the purchase"),
        ({"model": "pixazo:other"}, "the manifest's model is not that of the purchase"),
        ({"request_sha256": "cd" * 32}, "the manifest's request_sha256 is not that of the purchase"),
        ({"output": {"sha256": "0" * 64}}, "holds other bytes than those that landed"),
        ({"output": {"bytes": 7}}, "bytes, and 7 landed"),
        ({"output": {"key": "../../secret/0.mp4"}}, "does not lie beside it"),
        ({"output": {"uri": "file:///etc/hostname"}}, "does not lie beside it"),
        ({"extra": {"note": "harmless"}}, "is not the one that was written when the video landed"),
        ({"schema_version": 2}, "no record of this package"),
        ({"outputs": []}, "no record of this package"),
        ({"surprise": 1}, "no record of this package"),
    ],
)
def test_a_forged_manifest_is_found_when_the_audit_is_made_and_the_audit_never_verifies(
    videos, tmp_path, capsys, changes, said
):
    forge(videos["j-landed"], **dict(changes))
    file = tmp_path / "audit.json"
    assert main(["audit", "--file", str(file)]) == 1
    reported = capsys.readouterr().err
    assert "films.submit[0] in r, attempt 1: " in reported
    assert said in reported
    status, again = verified(capsys, file)
    assert status == 1
    assert said in again


def test_a_video_that_was_replaced_together_with_its_manifest_is_found_by_the_ledgers_digest(videos, capsys):
    place = videos["j-landed"]
    place.with_name("0.mp4").write_bytes(FILM[::-1])
    forge(place, output={"sha256": hashlib.sha256(FILM[::-1]).hexdigest()})
    assert main(["audit"]) == 1
    assert "is not the one that was written when the video landed" in capsys.readouterr().err


def test_landing_again_does_not_take_a_forged_manifest_for_the_noted_one(videos, full_ledger):
    ledger, job = Ledger(LocalDirectory(full_ledger)), VideoJob(model=MODEL, request_id="j-landed")
    noted, uri = ledger.settlement(job).manifest_sha256, ledger.settlement(job).manifest_uri
    ledger.mark_landed(job, uri, manifest_sha256="f" * 64, before=True)
    assert ledger.settlement(job).manifest_sha256 == noted
    ledger.mark_landed(job, uri, manifest_sha256="f" * 64)
    assert ledger.settlement(job).manifest_sha256 == "f" * 64, "one that was landed anew is"


def test_manifests_alone_are_faster_and_the_check_reads_the_videos_all_the_same(videos, tmp_path, capsys):
    film = videos["j-landed"].with_name("0.mp4")
    film.write_bytes(FILM[::-1])
    file = tmp_path / "audit.json"
    assert main(["audit", "--manifests-only", "--file", str(file)]) == 0
    status, said = verified(capsys, file)
    assert status == 1
    assert "holds other bytes" in said


def test_a_damaged_record_and_a_landing_without_a_place_are_problems_of_the_audit(
    videos, full_ledger, tmp_path, capsys
):
    Ledger(LocalDirectory(full_ledger)).mark_landed(VideoJob(model=MODEL, request_id="j-running"))
    next(full_ledger.rglob("submit/3/1.json")).write_text("{")
    file = tmp_path / "audit.json"
    assert main(["audit", "--file", str(file)]) == 1
    said = capsys.readouterr().err
    assert "submit/3/1.json" in said
    assert "the ledger does not know where it landed" in said
    assert verified(capsys, file)[0] == 1


@pytest.mark.parametrize("uri", ["s3://[", "file:///a\0b", "http://host/manifest.json", "/nowhere/manifest.json"])
def test_a_place_that_cannot_be_read_is_a_problem_and_no_error(videos, full_ledger, capsys, uri):
    Ledger(LocalDirectory(full_ledger)).mark_landed(VideoJob(model=MODEL, request_id="j-landed"), uri)
    assert main(["audit"]) == 1
    assert "films.submit[0] in r, attempt 1: " in capsys.readouterr().err


def test_a_period_takes_the_attempts_that_it_holds(videos, capsys):
    assert main(["audit", "--from", "2026-11-22", "--to", "2026-11-22"]) == 0
    audit = json.loads(capsys.readouterr().out)
    assert [attempt["request_id"] for one in audit["purchases"] for attempt in one["attempts"]] == ["j-after-clear"]
    assert (audit["from"], audit["to"]) == ("2026-11-22T00:00:00+00:00", "2026-11-23T00:00:00+00:00")


def test_an_audit_is_never_written_over_and_another_one_is_known_by_its_digest(made, capsys):
    file, _ = made
    before = file.read_bytes()
    assert main(["audit", "--file", str(file)]) == 1
    assert "is there already" in capsys.readouterr().err
    assert file.read_bytes() == before
    assert main(["audit", "--file", str(file / "below")]) == 1
    status, said = verified(capsys, file, "--sha256", "0" * 64)
    assert status == 1
    assert "is another audit" in said


@pytest.mark.parametrize(
    "content",
    [
        {}, {"purchases": 1}, {"purchases": [{}], "damaged": []}, {"purchases": [], "damaged": [1]}, {"purchases": [], "damaged": None},
        {"purchases": [{"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": 0, "attempts": [{"number": 1, "manifest": {}}]}], "damaged": []},
        {"purchases": [{"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": 0, "attempts": [
            {"number": 1, "manifest": {"sha256": "x", "uri": 1, "files": [], "problems": []}}]}], "damaged": []},
    ],
)  # fmt: skip
def test_a_file_that_only_calls_itself_an_audit_is_refused(full_ledger, tmp_path, capsys, content):
    content = {"kind": "audit of video purchases", "v": 1, **content}
    content["sha256"] = hashlib.sha256(encode(content)).hexdigest()
    file = tmp_path / "made-up.json"
    file.write_bytes(encode(content))
    status, said = verified(capsys, file)
    assert status == 1
    assert "is no audit" in said


def made_up(folder, *files):
    """An audit that somebody wrote by hand, with the digest that it has to have."""
    attempt = {
        "number": 1,
        "manifest": {"sha256": "a" * 64, "uri": "file:///nowhere/m.json", "files": list(files), "problems": []},
    }
    buyer = {"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": 0}
    content = {
        "kind": "audit of video purchases",
        "v": 1,
        "purchases": [{**buyer, "attempts": [attempt]}],
        "damaged": [],
    }
    content["sha256"] = hashlib.sha256(encode(content)).hexdigest()
    file = folder / "made-up.json"
    file.write_bytes(encode(content))
    return file


@pytest.mark.parametrize("size", [{}, {"bytes": "7"}, {"bytes": True}, {"bytes": None}, {"bytes": 7.0}])
def test_an_audit_that_does_not_say_how_long_a_file_is_is_refused(tmp_path, capsys, size):
    status, said = verified(capsys, made_up(tmp_path, {"uri": "file:///nowhere/0.mp4", "sha256": "b", **size}))
    assert status == 1
    assert "is no audit" in said


def in_time(*arguments):
    """The command in a process of its own, which a read that never ends would hold up: its status, and what it said."""
    code = "import sys; from airflow_video_providers.integration.ledger_cli import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow  # a process of its own
def test_a_pipe_in_the_place_of_a_manifest_holds_nobody_up(videos):
    videos["j-landed"].unlink()
    os.mkfifo(videos["j-landed"])
    status, said = in_time("audit")
    assert status == 1
    assert "manifest.json cannot be used: it is no regular file" in said


@pytest.mark.slow  # a process of its own
@pytest.mark.parametrize("name", ["pipe", "/dev/zero"])
def test_a_pipe_or_a_device_is_not_read_because_an_audit_names_it(tmp_path, name):
    place = tmp_path / name
    if name == "pipe":
        os.mkfifo(place)
    file = made_up(tmp_path, {"uri": place.as_uri(), "bytes": 0, "sha256": "b"})
    status, said = in_time("audit", "--verify", str(file))
    assert status == 1
    assert f"{name} cannot be used: it is no regular file" in said


def test_a_file_that_grows_while_it_is_read_is_not_read_to_its_end(made, videos, mocker, capsys):
    read, pieces = LocalStore.read, []

    def growing(store, key):
        yield from read(store, key)
        if key.endswith(".mp4"):
            while len(pieces) < 1000:
                pieces.append(key)
                yield b"more"

    mocker.patch.object(LocalStore, "read", growing)
    status, said = verified(capsys, made[0])
    assert status == 1
    assert "holds other bytes than those that landed" in said
    assert len(pieces) == 3, "one piece of each file that goes on"


def test_a_storage_with_a_connection_is_read_through_it(made, videos, mocker):
    from airflow_video_providers.core.accounting import landed_files

    opened = mocker.patch.object(landed_files, "open_store")
    storages = landed_files.Storages(["s3://aws_default@bucket/videos", "s3://other@bucket"])
    assert storages.place("s3://bucket/videos/a/manifest.json")[1] == "a/manifest.json"
    assert storages.place("s3://bucket/else/manifest.json")[1] == "else/manifest.json"
    assert storages.place("gs://plain/else/manifest.json")[1] == "else/manifest.json"
    asked = [call.args[0] for call in opened.call_args_list]
    assert asked == ["s3://aws_default@bucket/videos", "s3://other@bucket", "gs://plain"]
