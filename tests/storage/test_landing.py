"""Landing on real storages: whole, once, described, and never over something else."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_video_providers.core.errors import DownloadError, LandingError
from airflow_video_providers.core.jobs import JobStatus, VideoJob, VideoOutput
from airflow_video_providers.core.landing import commit
from airflow_video_providers.integration.object_storage import AirflowFilesystems
from airflow_video_providers.landing import land
from tests.faults.landing.clips import mp4, webm
from tests.storage.emulators import Backend, free_port

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.landing.server import Exchange, FaultServer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning"),  # how gcsfs speaks to aiohttp
]

SMALL = mp4()
LARGE = mp4(20 * 1024 * 1024, seed=3)  # several parts on each storage
KEY = "provider=pixazo/model=mochi-v1/dt=unknown/req-1"


def job_for(*urls: str) -> VideoJob:
    return VideoJob(
        model="pixazo:mochi-v1", request_id="req-1", status=JobStatus.SUCCEEDED,
        outputs=tuple(VideoOutput(url=url) for url in urls),
    )  # fmt: skip


def whole(data: bytes) -> Any:
    return lambda exchange: exchange.whole(data)


def put(job: VideoJob, where: str, **options: Any) -> dict[str, Any]:
    return land(job, where, allow_private_hosts=["127.0.0.1"], **options)


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "in parts"])
def test_a_landed_clip_has_its_bytes_type_and_digest_and_a_retry_asks_nobody(
    data: bytes, backend: Backend, prefix: str, server: FaultServer
) -> None:
    job = job_for(server.serve(prefix, whole(data)))
    where = f"{backend.root}/{prefix}"
    first = put(job, where)
    stored = backend.objects(prefix)
    assert set(stored) == {f"{KEY}/0.mp4", f"{KEY}/manifest.json"}
    assert stored[f"{KEY}/0.mp4"] == data
    digest = hashlib.sha256(data).hexdigest()
    if details := backend.details(f"{prefix}/{KEY}/0.mp4"):
        assert details["content_type"] == "video/mp4"
        if backend.name != "abfs":
            assert details["metadata"]["sha256"] == digest
        assert backend.details(f"{prefix}/{KEY}/manifest.json")["content_type"] == "application/json"

    server.answers[prefix] = lambda exchange: exchange.head(403, Content_Length=0)  # the address expires
    again = put(job, where)
    assert len(server.asked(prefix)) == 1
    assert again == {**first, "skipped": True}
    assert first["outputs"][0]["sha256"] == digest
    assert first["outputs"][0]["path"] == f"{where}/{KEY}/0.mp4"
    assert "_emu@" not in first["outputs"][0]["uri"]


def test_an_object_from_a_landing_that_died_before_its_manifest_is_adopted(
    backend: Backend, prefix: str, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.store(f"{prefix}/{KEY}/0.mp4", SMALL)
    job = job_for(server.serve(prefix, whole(SMALL)))
    manifest = put(job, f"{backend.root}/{prefix}")
    assert not manifest["skipped"]
    assert backend.objects(prefix)[f"{KEY}/0.mp4"] == SMALL
    assert f"{KEY}/manifest.json" in backend.objects(prefix)


@pytest.mark.parametrize("foreign", [mp4(seed=9), b"short"], ids=["equal size", "other size"])
def test_something_else_under_the_name_is_an_error_and_stays(
    foreign: bytes, backend: Backend, prefix: str, server: FaultServer
) -> None:
    backend.store(f"{prefix}/{KEY}/0.mp4", foreign)
    with pytest.raises(LandingError, match="holds something else") as raised:
        put(job_for(server.serve(prefix, whole(SMALL))), f"{backend.root}/{prefix}")
    assert (raised.value.reason, raised.value.retryable) == ("conflict", False)
    assert backend.objects(prefix) == {f"{KEY}/0.mp4": foreign}


def test_overwrite_replaces_and_the_manifest_says_so(backend: Backend, prefix: str, server: FaultServer) -> None:
    where = f"{backend.root}/{prefix}"
    job = job_for(server.serve(prefix, whole(SMALL)))
    put(job, where)
    server.serve(prefix, whole(mp4(seed=5)))
    manifest = put(job, where, overwrite=True)
    stored = backend.objects(prefix)
    assert stored[f"{KEY}/0.mp4"] == mp4(seed=5)
    assert json.loads(stored[f"{KEY}/manifest.json"])["outputs"][0]["sha256"] == manifest["outputs"][0]["sha256"]
    assert manifest["outputs"][0]["sha256"] == hashlib.sha256(mp4(seed=5)).hexdigest()


# Google's emulator ignores the precondition; the next test looks at what is sent
@pytest.mark.parametrize("backend", ["file", "s3", "abfs"], indirect=True)
def test_one_who_lands_between_our_look_and_our_write_is_not_overwritten(
    backend: Backend, prefix: str, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []
    look = commit.is_there

    def late(store: Any, verified: Any, key: str) -> bool:
        looks.append(key)
        found = look(store, verified, key)
        if len(looks) == 1:
            backend.store(f"{prefix}/{key}", b"theirs")
        return found

    monkeypatch.setattr(commit, "is_there", late)
    with pytest.raises(LandingError) as raised:
        put(job_for(server.serve(prefix, whole(SMALL))), f"{backend.root}/{prefix}")
    assert raised.value.reason == "conflict"
    assert backend.objects(prefix) == {f"{KEY}/0.mp4": b"theirs"}


class Spoiling:
    """A filesystem whose first clip arrives otherwise than it was sent."""

    def __init__(self, real: Any, spoil: Callable[[bytes], bytes], done: list[str], aside: Path) -> None:
        self._real, self._spoil, self._done, self._aside = real, spoil, done, aside

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def put_file(self, local: str, remote: str, **options: Any) -> None:
        if not self._done:
            self._done.append(remote)
            self._aside.write_bytes(self._spoil(Path(local).read_bytes()))
            local = str(self._aside)
        self._real.put_file(local, remote, **options)


@pytest.mark.parametrize(
    ("backend", "spoil"),
    [
        *[(name, lambda data: data[:-1]) for name in ("s3", "gs")],  # Azure refuses on arrival: it is told the digest
        *[(name, lambda data: data[:-1] + bytes([data[-1] ^ 1])) for name in ("s3", "gs")],
    ],
    ids=["s3 shorter", "gs shorter", "s3 one bit", "gs one bit"],
    indirect=["backend"],
)
def test_an_upload_that_arrives_spoilt_is_removed_and_the_retry_lands(
    spoil: Callable[[bytes], bytes], backend: Backend, prefix: str, server: FaultServer,
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
) -> None:  # fmt: skip
    done: list[str] = []
    real = AirflowFilesystems().open
    monkeypatch.setattr(
        AirflowFilesystems, "open", lambda self, where: Spoiling(real(where), spoil, done, tmp_path / "spoilt")
    )
    job, where = job_for(server.serve(prefix, whole(SMALL))), f"{backend.root}/{prefix}"
    with pytest.raises(LandingError, match="does not hold what was sent") as raised:
        put(job, where)
    assert (raised.value.reason, raised.value.retryable) == ("stored", True)
    assert backend.objects(prefix) == {}
    assert len(done) == 1
    put(job, where)
    assert backend.objects(prefix)[f"{KEY}/0.mp4"] == SMALL


def test_google_is_told_to_write_only_where_nothing_is(
    emulators: dict[str, Backend], prefix: str, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gcsfs import GCSFileSystem

    backend = emulators["gs"]
    sent: list[tuple[Any, ...]] = []
    call = GCSFileSystem._call

    async def listening(self: Any, method: str, path: str, *args: Any, **kwargs: Any) -> Any:
        sent.append((method, path, args, kwargs))
        return await call(self, method, path, *args, **kwargs)

    monkeypatch.setattr(GCSFileSystem, "_call", listening)
    for data in (SMALL, LARGE):
        sent.clear()
        place = f"{prefix}-{len(data)}"
        put(job_for(server.serve(place, whole(data))), f"{backend.root}/{place}")
        uploads = [str(entry) for entry in sent if entry[0] == "POST" and "0.mp4" in str(entry)]
        assert uploads
        assert "ifGenerationMatch" in uploads[0]


def test_outputs_of_several_kinds_land_together_or_not_at_all(
    backend: Backend, prefix: str, server: FaultServer
) -> None:
    urls = [server.serve(f"{prefix}-{n}", whole(data)) for n, data in enumerate((SMALL, webm(), mp4(seed=7)))]
    put(job_for(*urls), f"{backend.root}/{prefix}")
    assert {key.removeprefix(f"{KEY}/") for key in backend.objects(prefix)} == {
        "0.mp4", "1.webm", "2.mp4", "manifest.json",
    }  # fmt: skip
    gone = server.serve(f"{prefix}-gone", lambda exchange: exchange.head(410, Content_Length=0))
    with pytest.raises(DownloadError, match="not there yet"):
        put(job_for(*urls, gone), f"{backend.root}/{prefix}-other", patience=0.0)
    assert backend.objects(f"{prefix}-other") == {}


def _never(exchange: Exchange) -> None:
    raise AssertionError("a byte was asked for before the storage was known to work")


BROKEN: list[tuple[str, dict[str, object] | None, str]] = [
    ("s3://no_such_connection@lab/x", None, "has no connection"),
    ("gs://no_such_connection@lab/x", None, "has no connection"),
    ("abfs://no_such_connection@lab/x", None, "has no connection"),
    ("s3://broken@lab/x", {"conn_type": "http", "host": "example.invalid"}, "is of type 'http'"),
    ("s3://s3_emu@no-such-bucket/x", None, "does not exist"),
    ("gs://gcs_emu@no-such-bucket/x", None, "does not exist"),
    ("abfs://az_emu@no-such-bucket/x", None, "does not exist"),
]


@pytest.mark.parametrize(("where", "connection", "says"), BROKEN, ids=[entry[0] for entry in BROKEN])
def test_a_storage_that_does_not_work_is_known_before_the_first_byte(
    where: str,
    connection: dict[str, object] | None,
    says: str,
    emulators: dict[str, Backend],
    prefix: str,
    server: FaultServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for scheme in ("s3", "gs", "abfs"):
        if where.startswith(scheme):
            emulators[scheme]
    if connection is not None:
        monkeypatch.setenv("AIRFLOW_CONN_BROKEN", json.dumps(connection))
    with pytest.raises(LandingError, match=says) as raised:
        put(job_for(server.serve(prefix, _never)), where)
    assert raised.value.reason in ("connection", "storage")
    assert server.asked(prefix) == []


def test_a_storage_that_is_not_there_is_known_before_the_first_byte(
    s3: Backend, prefix: str, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = json.loads(os.environ["AIRFLOW_CONN_S3_EMU"])
    connection["extra"]["endpoint_url"] = f"http://127.0.0.1:{free_port()}"
    connection["extra"]["config_kwargs"] = {"retries": {"max_attempts": 1}}
    monkeypatch.setenv("AIRFLOW_CONN_BROKEN", json.dumps(connection))
    with pytest.raises(LandingError, match="cannot be reached"):
        put(job_for(server.serve(prefix, _never)), "s3://broken@lab/x")
    assert server.asked(prefix) == []


async def test_the_connection_survives_a_running_event_loop(s3: Backend, prefix: str, server: FaultServer) -> None:
    job = job_for(server.serve(prefix, whole(SMALL)))
    manifest = put(job, f"{s3.root}/{prefix}")
    assert asyncio.get_running_loop()
    assert s3.objects(prefix)[manifest["outputs"][0]["key"]] == SMALL


def test_any_other_scheme_of_fsspec_works_too(prefix: str, server: FaultServer) -> None:
    import fsspec

    manifest = put(job_for(server.serve(prefix, whole(SMALL))), f"memory://{prefix}/clips")
    held = fsspec.filesystem("memory")
    assert held.cat_file(f"/{prefix}/clips/{KEY}/0.mp4") == SMALL
    assert manifest["outputs"][0]["uri"] == f"memory://{prefix}/clips/{KEY}/0.mp4"
    assert put(job_for(), f"memory://{prefix}/clips")["skipped"]
