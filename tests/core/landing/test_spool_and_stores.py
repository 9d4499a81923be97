"""Temporary files that nobody forgets, and stores that look at what they hold."""

from __future__ import annotations

import base64
import errno
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_video_providers.core.errors import DownloadError, InvalidRequestError, LandingError
from airflow_video_providers.core.landing.spool import Spool, private_directory, sweep
from airflow_video_providers.core.storage import stored
from airflow_video_providers.core.storage.base import VerifiedFile
from airflow_video_providers.core.storage.local import LocalStore
from airflow_video_providers.core.storage.object_store import ObjectStore
from airflow_video_providers.core.storage.open import open_store
from airflow_video_providers.core.storage.output_path import OutputPath

if TYPE_CHECKING:
    from pathlib import Path

DATA = b"twelve bytes"
LEFT_BEHIND = """
import os, sys
from airflow_video_providers.core.storage.output_path import OutputPath
from airflow_video_providers.core.landing.spool import Spool
spool = Spool(sys.argv[1])
spool.write(b"half a film")
print(spool.path, flush=True)
os.kill(os.getpid(), 9)
"""


def denied(*arguments: Any, **options: Any) -> Any:
    raise PermissionError(errno.EACCES, "Permission denied")


def tells_money_and_remedy(error: DownloadError, reason: str) -> None:
    assert (error.reason, error.retryable) == (reason, True)
    assert "has charged" in str(error)
    assert "un the download again: the job is paid for and is not bought again." in str(error)


@pytest.mark.slow
def test_what_a_killed_landing_leaves_is_swept_and_a_living_one_is_not(tmp_path: Path) -> None:
    (tmp_path / "film.mp4").write_bytes(b"somebody's")
    (tmp_path / ".airflow-video-notes.txt").write_bytes(b"somebody's")
    dead = subprocess.run(
        [sys.executable, "-c", LEFT_BEHIND, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert os.path.exists(dead.stdout.strip()), dead.stderr
    with Spool(str(tmp_path)) as living:
        sweep(str(tmp_path))
        assert os.path.exists(living.path)
        assert not os.path.exists(dead.stdout.strip())
    assert sorted(os.listdir(tmp_path)) == [".airflow-video-notes.txt", "film.mp4"]


def test_a_directory_that_cannot_be_swept_stops_no_landing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep(str(tmp_path / "nowhere"))
    (tmp_path / "file").write_bytes(b"")
    sweep(str(tmp_path / "file"))
    monkeypatch.setattr(os, "listdir", denied)
    sweep(str(tmp_path))


def test_another_machine_s_file_goes_after_a_day_because_its_lock_may_not_show(tmp_path: Path) -> None:
    foreign = tmp_path / ".airflow-video-00000000-abc.part"
    foreign.write_bytes(b"half")
    written = foreign.stat().st_mtime
    sweep(str(tmp_path), now=written + 86_000)
    assert foreign.exists()
    sweep(str(tmp_path), now=written + 87_000)
    assert not foreign.exists()


def test_a_file_that_is_swept_between_creation_and_lock_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept: list[str] = []
    lock = fcntl.flock

    def late(handle: int, how: int) -> None:
        if not swept:
            swept.append(os.listdir(tmp_path)[0])
            os.unlink(tmp_path / swept[0])
        lock(handle, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with Spool(str(tmp_path)) as spool:
        assert os.path.exists(spool.path)
        assert os.path.basename(spool.path) != swept[0]


def test_a_write_error_is_an_error_of_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int, data: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with Spool(str(tmp_path)) as spool:
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(DownloadError, match="No space left") as raised:
            spool.write(DATA)
    assert raised.value.reason == "disk_full"


def test_a_directory_that_cannot_be_written_or_looked_at_is_named_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DownloadError, match="cannot make a file in") as raised:
        Spool(str(tmp_path / "nowhere"))
    tells_money_and_remedy(raised.value, "storage")
    with Spool(str(tmp_path)) as spool, monkeypatch.context() as patched:
        patched.setattr(shutil, "disk_usage", denied)
        with pytest.raises(DownloadError, match="cannot read the free space") as raised:
            spool.require_room(1)
        tells_money_and_remedy(raised.value, "storage")
        patched.setattr(os, "ftruncate", denied)
        with pytest.raises(DownloadError, match="cannot write to") as raised:
            spool.restart()
        tells_money_and_remedy(raised.value, "storage")


def test_a_disk_without_locks_is_an_error_and_keeps_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(handle: int, how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with pytest.raises(DownloadError, match="No locks available") as raised:
        Spool(str(tmp_path))
    tells_money_and_remedy(raised.value, "storage")
    assert os.listdir(tmp_path) == []


def test_a_temporary_file_that_cannot_be_removed_undoes_no_landing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched, Spool(str(tmp_path)) as spool:
        patched.setattr(os, "unlink", denied)
    sweep(str(tmp_path))
    assert not os.path.exists(spool.path)


def test_a_worker_without_any_directory_for_temporary_files_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_usable() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", none_usable)
    with pytest.raises(LandingError, match="No usable temporary directory") as raised:
        store_on(Fake(), "s3", "bucket").spool_directory("a.mp4")
    tells_money_and_remedy(raised.value, "storage")


@pytest.mark.parametrize("kind", ["link", "file", "writable by others", "somebody else's"])
def test_a_directory_where_others_may_have_put_something_is_refused(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    place = tmp_path / "ours"
    if kind == "link":
        (tmp_path / "planted").mkdir()
        place.symlink_to(tmp_path / "planted")
    elif kind == "file":
        place.write_bytes(b"")
    else:
        place.mkdir()
        place.chmod(0o777 if kind == "writable by others" else 0o700)
    if kind == "somebody else's":
        monkeypatch.setattr(os, "getuid", lambda: place.stat().st_uid + 1)
    with pytest.raises(DownloadError, match="may be anybody's") as raised:
        private_directory("ours")
    assert raised.value.charged == "no"


def test_a_directory_of_our_own_is_made_and_closed_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "open").mkdir(mode=0o755)
    for name in ("new", "open", "new"):
        assert os.stat(private_directory(name)).st_mode & 0o777 == 0o700


def test_what_is_needed_on_the_disk_is_said_with_what_is_kept_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, 2_000_000))
    with Spool(str(tmp_path)) as spool, pytest.raises(DownloadError, match="16777216 more are kept free") as raised:
        spool.require_room(300_000)
    assert "Make room for 15077216 bytes" in str(raised.value)


def store_on(fake: Fake, scheme: str, root: str = "bucket") -> ObjectStore:
    container, _, prefix = root.partition("/")
    return ObjectStore(fake, OutputPath(scheme, None, container, prefix))


def parcel_in(directory: Path, data: bytes = DATA) -> VerifiedFile:
    path = directory / "spooled"
    path.write_bytes(data)
    return VerifiedFile(str(path), len(data), hashlib.sha256(data).hexdigest(), "video/mp4", {"sha256": "x"})


def test_a_local_file_appears_whole_is_never_replaced_unasked_and_has_normal_permissions(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path / "out"))
    before = os.umask(0o027)
    try:
        with Spool(store.spool_directory("a/b.mp4"), store.spool_mode()) as spool:
            spool.write(DATA)
            digest = hashlib.sha256(DATA).hexdigest()
            store.put(VerifiedFile(spool.path, len(DATA), digest, "video/mp4", {}), "a/b.mp4", overwrite=False)
    finally:
        os.umask(before)
    landed = tmp_path / "out" / "a" / "b.mp4"
    assert landed.read_bytes() == DATA
    assert landed.stat().st_mode & 0o777 == 0o640
    assert os.listdir(landed.parent) == ["b.mp4"]
    with pytest.raises(FileExistsError):
        store.put(parcel_in(tmp_path, b"other"), "a/b.mp4", overwrite=False)
    assert landed.read_bytes() == DATA
    store.put(parcel_in(tmp_path, b"other"), "a/b.mp4", overwrite=True)
    assert landed.read_bytes() == b"other"
    store.remove("a/b.mp4")
    store.remove("a/b.mp4")
    assert store.size("a/b.mp4") is None


def test_a_disk_without_hard_links_still_refuses_to_overwrite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(source: str, target: str) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    store = LocalStore(str(tmp_path))
    store.put(parcel_in(tmp_path), "a.mp4", overwrite=False)
    assert (tmp_path / "a.mp4").read_bytes() == DATA
    with pytest.raises(FileExistsError):
        store.put(parcel_in(tmp_path, b"other"), "a.mp4", overwrite=False)


def test_a_directory_that_cannot_be_made_is_a_landing_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(LandingError, match="cannot be used"):
        LocalStore(str(tmp_path / "file")).spool_directory("a/b.mp4")


def test_a_local_file_that_cannot_be_read_or_removed_is_a_landing_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").mkdir()
    store = LocalStore(str(tmp_path))
    for use in (store.remove, lambda key: list(store.read(key))):
        with pytest.raises(LandingError, match="cannot be used") as raised:
            use("a")
        tells_money_and_remedy(raised.value, "storage")


def test_a_local_file_of_another_size_than_was_written_does_not_keep_its_name(tmp_path: Path) -> None:
    whole = parcel_in(tmp_path)
    store = LocalStore(str(tmp_path))
    with pytest.raises(LandingError) as raised:
        store.put(replace(whole, size=whole.size + 1), "a.mp4", overwrite=False)
    assert raised.value.reason == "stored"
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "path", ["relative/path", "file://data/videos", "s3://", "s3:///key", "s3://bucket/../other", "s3://b/x?y=1", ""]
)
def test_a_path_that_is_none_is_refused(path: str) -> None:
    with pytest.raises(InvalidRequestError) as raised:
        open_store(path)
    assert raised.value.field == "output_path"


@pytest.mark.parametrize("path", ["/data/v", "file:///data/v", "file://localhost/data/v", "local:///data/v"])
def test_local_paths_have_one_uri(path: str) -> None:
    assert open_store(path).uri == "file:///data/v"


class Fake:
    """A filesystem that lies about what it holds."""

    def __init__(self, **lies: Any) -> None:
        self.lies = lies
        self.held: dict[str, bytes] = {}
        self.options: dict[str, dict[str, Any]] = {}
        self.sent: dict[str, Any] = {}

    def _strip_protocol(self, path: str) -> str:
        return path.partition("://")[2]

    def invalidate_cache(self) -> None: ...

    def makedirs(self, path: str, exist_ok: bool) -> None: ...

    def put_file(self, local: str, remote: str, **options: Any) -> None:
        if "fails" in self.lies:
            self.held[remote] = b"half"
            raise self.lies["fails"] if isinstance(self.lies["fails"], Exception) else OSError("connection reset")
        if options.get("mode") == "create" and remote in self.held:
            raise FileExistsError(remote)
        with open(local, "rb") as file:
            self.held[remote] = file.read()
        self.sent = self.options[remote] = options
        if "then" in self.lies:  # somebody else is quick
            self.held[remote] = self.lies["then"]
            self.options[remote] = {}

    def exists(self, path: str) -> bool:
        return path in self.held

    def mv(self, source: str, target: str) -> None:
        self.held[target] = self.held.pop(source)

    def info(self, path: str) -> dict[str, Any]:
        if path not in self.held:
            raise FileNotFoundError(path)
        options = self.options.get(path, {})
        kept = {name: options[name] for name in ("metadata", "content_settings") if name in options}
        lies = {} if path.endswith(".part") else self.lies.get("info", {})
        return {"size": len(self.held[path]), "type": "file", **kept, **lies}

    def rm_file(self, path: str) -> None:
        if "stays" in self.lies:
            raise PermissionError("no DELETE for you")
        del self.held[path]

    def call_s3(self, verb: str, **where: str) -> dict[str, Any]:
        if "mute" in self.lies:
            raise OSError("connection reset")
        path = f"{where['Bucket']}/{where['Key']}"
        if path not in self.held:
            raise FileNotFoundError(path)
        data, lies = self.held[path], self.lies.get("head", {})
        size = self.lies.get("info", {}).get("size", len(data))
        etag = f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'
        return {"ContentLength": size, "Metadata": self.options.get(path, {}).get("Metadata"), "ETag": etag, **lies}


MD5_OF_NOTHING = "d41d8cd98f00b204e9800998ecf8427e"
MD5_OF_DATA = base64.b64encode(hashlib.md5(DATA, usedforsecurity=False).digest()).decode()


@pytest.mark.parametrize(
    ("scheme", "lies"),
    [
        ("s3", {"info": {"size": 5}}),
        ("s3", {"head": {"ETag": f'"{MD5_OF_NOTHING}"'}}),
        ("s3", {"head": {"ETag": f'"{MD5_OF_NOTHING}-2"'}}),
        ("gs", {"info": {"size": 5}}),
        ("gs", {"info": {"md5Hash": "1B2M2Y8AsgTpgAmY7PhCfg=="}}),
        ("abfs", {"info": {"size": 5}}),
        ("memory", {"info": {"size": 5}}),
    ],
)
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_storage_that_holds_something_else_than_was_sent_is_found_out_and_cleared_for_the_next_try(
    overwrite: bool, scheme: str, lies: dict[str, Any], tmp_path: Path
) -> None:
    fake = Fake(**lies)
    store = store_on(fake, scheme, "bucket/prefix")
    with pytest.raises(LandingError, match="does not hold what was sent") as raised:
        store.put(parcel_in(tmp_path), "a.mp4", overwrite=overwrite)
    tells_money_and_remedy(raised.value, "stored")
    assert fake.held == {}
    fake.lies.clear()
    store.put(parcel_in(tmp_path), "a.mp4", overwrite=False)
    assert fake.held == {"bucket/prefix/a.mp4": DATA}


def test_an_upload_that_cannot_be_looked_at_is_left_for_the_next_try_to_judge(tmp_path: Path) -> None:
    fake = Fake(mute=True)
    with pytest.raises(LandingError, match="is not verified, and is adopted if it is right") as raised:
        store_on(fake, "s3", "bucket").put(parcel_in(tmp_path), "a.mp4", overwrite=False)
    assert raised.value.retryable
    assert fake.held == {"bucket/a.mp4": DATA}


@pytest.mark.parametrize("scheme", ["s3", "gs", "abfs"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_what_somebody_else_has_written_since_our_upload_is_theirs_and_stays(
    overwrite: bool, scheme: str, tmp_path: Path
) -> None:
    lies: dict[str, Any] = {"then": b"theirs"}
    if scheme == "abfs":
        lies["info"] = {"content_settings": {"content_md5": bytearray(16)}}
    fake = Fake(**lies)
    with pytest.raises(LandingError, match="by another program at the same moment") as raised:
        store_on(fake, scheme).put(parcel_in(tmp_path), "a.mp4", overwrite=overwrite)
    assert (raised.value.reason, raised.value.retryable) == ("replaced", True)
    assert fake.held == {"bucket/a.mp4": b"theirs"}


def test_a_wrong_object_that_cannot_be_removed_is_named_beside_what_is_wrong_with_it(tmp_path: Path) -> None:
    fake = Fake(info={"size": 5}, stays=True)
    with pytest.raises(LandingError, match="5 bytes instead of 12") as raised:
        store_on(fake, "s3", "bucket").put(parcel_in(tmp_path), "a.mp4", overwrite=False)
    assert raised.value.reason == "stored"
    assert "no DELETE for you" in str(raised.value)
    assert "Remove s3://bucket/a.mp4, then" in str(raised.value)


@pytest.mark.parametrize("scheme", ["s3", "gs", "abfs", "memory"])
def test_somebody_else_s_object_is_never_removed(scheme: str, tmp_path: Path) -> None:
    fake = Fake(info={"size": 5})  # and it would not pass the checks either
    fake.held["bucket/a.mp4"] = b"theirs"
    with pytest.raises(FileExistsError):
        store_on(fake, scheme, "bucket").put(parcel_in(tmp_path), "a.mp4", overwrite=False)
    assert fake.held == {"bucket/a.mp4": b"theirs"}


@pytest.mark.parametrize("scheme", ["s3", "gs", "abfs"])
def test_after_an_upload_that_broke_nothing_is_removed_for_it_may_be_somebody_else_s(
    scheme: str, tmp_path: Path
) -> None:
    fake = Fake(fails=True)
    with pytest.raises(LandingError, match="connection reset"):
        store_on(fake, scheme, "bucket").put(parcel_in(tmp_path), "a.mp4", overwrite=False)
    assert list(fake.held) == ["bucket/a.mp4"]


@pytest.mark.parametrize(
    ("scheme", "truth"),
    [
        ("s3", {}),
        ("s3", {"head": {"ETag": f'"{MD5_OF_NOTHING}"', "ServerSideEncryption": "aws:kms"}}),
        ("s3", {"head": {"ETag": f'"{MD5_OF_NOTHING}"', "SSECustomerAlgorithm": "AES256"}}),
        ("s3", {"head": {"ETag": '"other-scheme"'}}),
        ("gs", {}),
        ("gs", {"info": {"md5Hash": MD5_OF_DATA}}),
        ("abfs", {}),
        ("memory", {}),
    ],
)
def test_a_digest_that_is_none_or_is_of_another_kind_is_no_reason_to_fail(
    scheme: str, truth: dict[str, Any], tmp_path: Path
) -> None:
    store_on(Fake(**truth), scheme, "bucket/prefix").put(parcel_in(tmp_path), "a.mp4", overwrite=False)


def test_parts_are_digested_as_s3_does_and_very_large_files_are_only_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = bytes(20 * 1024 * 1024)
    parts = [
        hashlib.md5(data[at : at + 8_388_608], usedforsecurity=False).digest() for at in range(0, len(data), 8_388_608)
    ]
    right = hashlib.md5(b"".join(parts), usedforsecurity=False).hexdigest()

    def put(etag: str) -> None:
        fake = Fake(head={"ETag": f'"{etag}"'})
        store_on(fake, "s3", "bucket").put(parcel_in(tmp_path, data), "a.mp4", overwrite=False)

    put(f"{right}-3")
    for wrong in (f"{MD5_OF_NOTHING}-3", f"{right}-2", right):
        with pytest.raises(LandingError):
            put(wrong)
    monkeypatch.setattr(stored, "_DIGEST_UP_TO", len(data) - 1)
    put(f"{MD5_OF_NOTHING}-3")
    with pytest.raises(LandingError, match="2 parts instead of 3"):
        put(f"{right}-2")


def test_each_storage_is_told_type_and_parts_in_its_own_words(tmp_path: Path) -> None:
    sent = {}
    for scheme in ("s3", "gs", "abfs", "memory"):
        fake = Fake()
        store_on(fake, scheme, "bucket").put(parcel_in(tmp_path), "a.mp4", overwrite=False)
        sent[scheme] = fake.sent
    assert sent["s3"]["ContentType"] == sent["gs"]["content_type"] == "video/mp4"
    assert sent["abfs"]["content_settings"]["content_type"] == "video/mp4"
    assert "metadata" not in sent["abfs"]
    assert sent["memory"] == {}
    assert sent["s3"]["chunksize"] * sent["s3"]["max_concurrency"] <= 32 * 1024 * 1024


def test_an_upload_that_breaks_leaves_nothing_where_the_library_would(tmp_path: Path) -> None:
    fake = Fake(fails=True)
    with pytest.raises(LandingError, match="connection reset"):
        store_on(fake, "memory", "bucket").put(parcel_in(tmp_path), "a.mp4", overwrite=False)
    assert fake.held == {}


class Plain(Fake):
    """A filesystem of any other kind, which breaks in the middle of a transfer."""

    def put_file(self, local: str, remote: str, **options: Any) -> None:
        with open(local, "rb") as file:
            self.held[remote] = file.read()[: 5 if "cut" in self.lies else None]
        if self.lies.get("cut") == "loudly":
            raise OSError("connection lost")


@pytest.mark.parametrize("cut", ["loudly", "silently"])
def test_on_any_other_filesystem_a_cut_transfer_leaves_nothing_under_the_final_name(cut: str, tmp_path: Path) -> None:
    fake = Plain(cut=cut)
    with pytest.raises(LandingError):
        store_on(fake, "sftp").put(parcel_in(tmp_path), "a.mp4", overwrite=False)
    assert fake.held == {}
    fake.lies.clear()
    store_on(fake, "sftp").put(parcel_in(tmp_path), "a.mp4", overwrite=False)
    assert fake.held == {"bucket/a.mp4": DATA}
    with pytest.raises(FileExistsError):
        store_on(fake, "sftp").put(parcel_in(tmp_path, b"other"), "a.mp4", overwrite=False)
    assert fake.held == {"bucket/a.mp4": DATA}


def test_a_filesystem_that_needs_its_host_gets_the_whole_address(monkeypatch: pytest.MonkeyPatch) -> None:
    import fsspec.core

    asked: list[str] = []
    monkeypatch.setattr(fsspec.core, "url_to_fs", lambda url: (asked.append(url), (Plain(), url))[1])
    store = open_store("ftp://files.example:2121/videos")
    assert asked == ["ftp://files.example:2121/videos"]
    assert store.uri == "ftp://files.example:2121/videos"


class Counting(Fake):
    """A filesystem for an account that may not list: HEAD of a missing key is a bare 403."""

    def __init__(self, **lies: Any) -> None:
        super().__init__(**lies)
        self.calls: list[str] = []

    def call_s3(self, verb: str, **where: str) -> dict[str, Any]:
        self.calls.append(verb)
        if f"{where['Bucket']}/{where['Key']}" in self.held:
            return super().call_s3(verb, **where)
        error = PermissionError("Forbidden")
        code = {"Code": "403"} if verb == "head_object" else {"Code": "AccessDenied"}
        error.response = {"Error": code, "ResponseMetadata": {"HTTPStatusCode": 403}}  # type: ignore[attr-defined] # botocore's
        raise error


def test_missing_keys_of_an_account_that_may_not_list_cost_one_request_each_and_one_more_in_all() -> None:
    fake = Counting()
    store = store_on(fake, "s3", "bucket")
    assert [store.size(f"{number}.mp4") for number in range(5)] == [None] * 5
    assert fake.calls == ["head_object", "get_object", *["head_object"] * 4]


def test_what_a_manifest_names_is_held_against_the_storage_in_one_request(tmp_path: Path) -> None:
    fake = Counting()
    store = store_on(fake, "s3", "bucket")
    store.put(parcel_in(tmp_path), "a.mp4", overwrite=False)
    fake.calls.clear()
    assert store.holds("a.mp4", len(DATA), "x")
    assert not store.holds("a.mp4", len(DATA), "y")
    assert not store.holds("a.mp4", len(DATA) + 1, "x")
    assert fake.calls == ["head_object"] * 3
