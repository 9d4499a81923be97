"""Images from storage, bought with: a real purchase against the simulator, which fetches the image and says what it saw."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import threading
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from airflow.sdk import DAG, Asset, ObjectStoragePath

from airflow_video_providers.core.vendors.fal import Fal
from airflow_video_providers.core.vendors.input_addresses import texts_in
from airflow_video_providers.core.vendors.optional_verbs import OptionalVerbs
from airflow_video_providers.integration.openlineage import lineage_of
from airflow_video_providers.operators.video import DownloadVideoOperator, GenerateVideoOperator, SubmitVideoOperator
from airflow_video_providers.sensors.video import VideoJobSensor
from airflow_video_providers.testing.simulator import running
from airflow_video_providers.testing.simulator.images import seconds_left
from tests.support.airflow import MemoryAirflow

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airflow_video_providers.testing.simulator import SimulatorHandle
    from tests.storage.emulators import Backend

pytestmark = pytest.mark.slow

V6 = "pixazo:pixverse-v6-image-to-video"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8
JPEG = b"\xff\xd8\xff\xe0" + bytes(2000)
GIF = b"GIF89a" + bytes(2000)
SIGNING = ("s3", "abfs")
#: Where an upload asks for its token, and where files go.
UPLOADS = ("/storage/auth/token", "/files/upload", "/v1/files")
CLIPS = Asset(name="clips", uri="x-video://clips")


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatorHandle]:
    with running(queue_seconds=(0, 0), run_seconds=(0, 0)) as handle:
        yield handle


@pytest.fixture
def airflow(simulator: SimulatorHandle, monkeypatch: pytest.MonkeyPatch) -> MemoryAirflow:
    simulator.reset()
    return MemoryAirflow({"pixazo_default": simulator.connection("pixazo")})


def signing(backend: Backend) -> Backend:
    if backend.name not in SIGNING:
        pytest.skip("signs nothing: tested on its own")
    return backend


def connections(airflow: MemoryAirflow, backend: Backend) -> None:
    for name, text in backend.environment.items():
        airflow.connections[name.removeprefix("AIRFLOW_CONN_").lower()] = json.loads(text)


def submit(image: Any, **how: Any) -> SubmitVideoOperator:
    with DAG("dag", schedule=None):
        return SubmitVideoOperator(
            task_id="submit", model=how.pop("model", V6), request={"prompt": "It moves", "image_url": image, "duration": 5},
            **how,
        )  # fmt: skip


def run(airflow: MemoryAirflow, task: Any, **how: Any) -> tuple[Any, str]:
    """The outcome, and everything that was logged."""
    with structlog.testing.capture_logs() as lines:
        outcome = airflow.run_to_end(task, **how)
    return outcome, "\n".join(map(str, lines))


def spent(simulator: SimulatorHandle) -> int:
    return int(simulator.ledger()["submits"])


def bodies(simulator: SimulatorHandle) -> list[dict[str, Any]]:
    """Of the paid calls."""
    posted = [call for call in simulator.requests() if call["method"] == "POST"]
    return [call["body"] for call in posted if not call["path"].endswith(UPLOADS)]


def test_the_vendor_fetches_the_image_from_an_address_that_holds_for_hours(
    airflow: MemoryAirflow, simulator: SimulatorHandle, backend: Backend, prefix: str
) -> None:
    signing(backend).store(f"{prefix}/fox.png", PNG)
    connections(airflow, backend)
    outcome, _ = run(airflow, submit(f"{backend.root}/{prefix}/fox.png"))
    assert outcome.state == "success", outcome.error
    (seen,) = simulator.images()
    assert (seen["status"], seen["media_type"], seen["bytes"]) == (200, "image/png", len(PNG))
    assert 5.9 * 3600 < seen["seconds_left"] < 6.1 * 3600


def test_a_path_object_is_taken_as_its_address_is(
    airflow: MemoryAirflow, simulator: SimulatorHandle, backend: Backend, prefix: str
) -> None:
    signing(backend).store(f"{prefix}/fox.png", PNG)
    connections(airflow, backend)
    outcome, _ = run(airflow, submit(ObjectStoragePath(f"{backend.root}/{prefix}/fox.png")))
    assert outcome.state == "success", outcome.error
    assert simulator.images()[0]["bytes"] == len(PNG)


THEIRS = "https://me:authors-password@b.example/k.png?X-Amz-Signature=authors%2Bsignature&sig=another+signature&v=1"
OPEN = "fal:fal-ai/open-test"
PLACES: list[dict[str, Any]] = [
    {"request": {"image_url": "OURS"}},
    {"request": {"image_url": "THEIRS"}},
    {"model": OPEN, "request": {"image_url": "OURS"}, "extra_fields": {"mask": "THEIRS"}},
    {"model": OPEN, "request": {"image_url": "THEIRS"}, "extra_fields": {"layers": [[{"src": "OURS"}], "THEIRS"]}},
    {"model": OPEN, "request": {"elements": [{"pictures": ["OURS", "THEIRS"]}], "sound": "OURS"}},
]
#: The deepest two with a vendor that has no upload, too.
PLACES += [place | {"signs": True} for place in PLACES[-2:]]


def placed(value: Any, ours: Any) -> Any:
    """The places with addresses in them: one in our storage, and one that its author has signed."""
    if isinstance(value, dict):
        return {name: placed(inner, ours) for name, inner in value.items()}
    if isinstance(value, list):
        return [placed(inner, ours) for inner in value]
    return {"OURS": ours, "THEIRS": THEIRS}.get(value, value)


@pytest.mark.parametrize("as_object", [False, True])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", [SubmitVideoOperator, GenerateVideoOperator])
def test_no_signature_stands_in_xcom_log_ledger_field_lineage_manifest_or_event(
    airflow: MemoryAirflow, simulator: SimulatorHandle, backend: Backend, prefix: str, tmp_path: Path,
    place: dict[str, Any], kind: type[Any], as_object: bool, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    if "signs" in place:
        monkeypatch.setattr(Fal, "upload", OptionalVerbs.upload)
    uploads = "model" in place and "signs" not in place
    signing(backend).store(f"{prefix}/fox.png", PNG)
    connections(airflow, backend)
    airflow.connections["fal_default"] = simulator.connection("fal")
    address = f"{backend.root}/{prefix}/fox.png"
    given = placed(place, ObjectStoragePath(address) if as_object else address)
    model = given.get("model", V6)
    how = {"unchecked": True} if "model" in given else {}
    how |= (
        {"output_path": str(tmp_path), "outlets": [CLIPS], "deferrable": False} if kind is GenerateVideoOperator else {}
    )
    with DAG("dag", schedule=None):
        task = kind(
            task_id="submit", model=model, request={"prompt": "It moves", **given["request"]}, keep_prompt=True,
            extra_fields=given.get("extra_fields"), **how,
        )  # fmt: skip
    outcome, log = run(airflow, task)
    assert outcome.state == "success", outcome.error
    if kind is SubmitVideoOperator:
        with DAG("rest", schedule=None):
            wait = VideoJobSensor(task_id="wait", job=airflow.xcom("submit"), deferrable=False, poke_interval=0.05)
        log += run(airflow, wait)[1]
        with DAG("rest2", schedule=None):
            job = airflow.xcom("wait")
            land = DownloadVideoOperator(task_id="submit", job=job, output_path=str(tmp_path), outlets=[CLIPS])
        outcome, more = run(airflow, land)
        log += more
        assert outcome.state == "success", outcome.error
    manifest = airflow.xcom("submit")
    landed = "".join(path.read_text() for path in tmp_path.rglob("*.json"))
    everywhere = "\n".join([log, *airflow.received, repr(lineage_of(task)), json.dumps(manifest), landed])
    written = json.dumps(place)
    sent = [text for text in texts_in(bodies(simulator)[0]).values() if "://" in text]
    assert len(sent) == written.count("OURS") + written.count("THEIRS")
    assert (THEIRS in sent) == ("THEIRS" in written)
    for text in sent:
        assert ("?" in text) == (text == THEIRS or not uploads)
        for part in text.partition("?")[2].split("&") if "?" in text else [text]:
            assert part == "v=1" or part not in everywhere
    for secret in ("authors-password", "authors%2Bsignature", "authors+signature", "another+signature"):
        assert secret not in everywhere
    ours = [one.removesuffix("_address_sha256") for one in manifest["parameters"] if one.endswith("_address_sha256")]
    assert len(ours) == written.count("OURS")
    assert {manifest["parameters"][f"{one}_sha256"] for one in ours} <= {hashlib.sha256(PNG).hexdigest()}
    for one in ours:  # kept by choice, as it was written
        assert manifest["parameters"].get(one, address) == address
    datasets = {f"{one.namespace}/{one.name}" for one in lineage_of(task).inputs}
    public = f"{address.partition('://')[0]}://{address.rpartition('@')[2]}"
    assert datasets == ({public} if ours else set()) | ({"https://b.example/k.png"} if "THEIRS" in written else set())
    assert len([one for one in simulator.images() if one["bytes"] == len(PNG)]) == len(ours)
    if ours:
        assert ("was uploaded to fal" if uploads else "signed address holds for 6 h") in log
        assert address in "".join(airflow.received)  # the rendered field has what the author wrote
    fields = [
        known
        for text in airflow.received
        if text and "output_path" in (known := json.loads(text)) and "request" in known
    ]
    assert all(isinstance(known["request"], dict) for known in fields)  # and is no text, whatever objects stand in it
    assert fields
    (event,) = outcome.message.outlet_events
    assert event["extra"]["parameters"] == manifest["parameters"]


def test_a_fresh_signature_is_no_change_of_the_request_and_another_image_is_one(
    airflow: MemoryAirflow, simulator: SimulatorHandle, backend: Backend, prefix: str
) -> None:
    signing(backend).store(f"{prefix}/fox.png", PNG)
    connections(airflow, backend)
    task = submit(f"{backend.root}/{prefix}/fox.png")
    run(airflow, task)
    first = airflow.xcom("submit")["request_sha256"]
    outcome, log = run(airflow, task, try_number=2)
    assert outcome.state == "success"
    assert "The request changed" not in log
    backend.store(f"{prefix}/fox.png", JPEG)
    _, log = run(airflow, task, try_number=3)
    assert "The request changed since job" in log
    assert "image_url" in log
    assert spent(simulator) == 1
    airflow.store.clear()
    other = submit(f"{backend.root}/{prefix}/fox.png")
    assert run(airflow, other)[0].state == "success"
    assert airflow.xcom("submit")["request_sha256"] != first


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (None, "is not there"),
        (b"", "is empty"),
        (b"<html>not an image</html>", "is no image that is known here"),
        (GIF, "is image/gif, and the model takes image/jpeg, image/png, image/webp"),
        (PNG + bytes(33 * 1024 * 1024), "has more than 32 MiB"),
    ],
    ids=["missing", "empty", "a page", "another type", "too large"],
)
def test_an_image_that_no_vendor_would_take_costs_nothing(
    airflow: MemoryAirflow, simulator: SimulatorHandle, backend: Backend, prefix: str, data: bytes | None, why: str
) -> None:
    if (backend.name, data) == ("gs", b""):
        pytest.skip("this emulator hangs up on an empty upload")
    if data is not None:
        backend.store(f"{prefix}/fox.png", data)
    connections(airflow, backend)
    outcome, _ = run(airflow, submit(f"{backend.root}/{prefix}/fox.png"), retries=2)
    assert outcome.state == "failed"
    assert why in str(outcome.error)
    assert "Nothing was bought." in str(outcome.error)
    assert outcome.error.charged == "no"
    assert spent(simulator) == 0
    assert airflow.store == {}


def test_a_model_whose_documents_name_the_type_takes_it(
    airflow: MemoryAirflow, simulator: SimulatorHandle, backend: Backend, prefix: str
) -> None:
    signing(backend).store(f"{prefix}/fox.gif", GIF)
    connections(airflow, backend)
    with DAG("dag", schedule=None):
        task = SubmitVideoOperator(
            task_id="submit", model="pixazo:pixverse-c1-image-to-video",
            request={"prompt": "It moves", "image_url": f"{backend.root}/{prefix}/fox.gif"},
        )  # fmt: skip
    assert run(airflow, task)[0].state == "success"
    assert simulator.images()[0]["media_type"] == "image/gif"


def test_a_connection_that_may_not_sign_costs_nothing(
    airflow: MemoryAirflow, simulator: SimulatorHandle, emulators: dict[str, Backend], prefix: str
) -> None:
    backend = emulators["gs"]  # its connection is anonymous
    backend.store(f"{prefix}/fox.png", PNG)
    connections(airflow, backend)
    outcome, _ = run(airflow, submit(f"{backend.root}/{prefix}/fox.png"), retries=2)
    assert outcome.state == "failed"
    assert "its connection may not sign addresses" in str(outcome.error)
    assert (spent(simulator), airflow.store) == (0, {})


def test_an_anonymous_s3_gives_an_address_without_a_signature_which_is_refused(
    airflow: MemoryAirflow, simulator: SimulatorHandle, s3: Backend, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3.store(f"{prefix}/fox.png", PNG)
    s3.client.put_object_acl(Bucket="lab", Key=f"{prefix}/fox.png", ACL="public-read")  # type: ignore[attr-defined]
    endpoint = s3.endpoint  # type: ignore[attr-defined]
    nobody = {"conn_type": "aws", "extra": {
        "region_name": "us-east-1", "endpoint_url": endpoint, "config_kwargs": {"signature_version": "unsigned"},
    }}  # fmt: skip
    monkeypatch.setenv("AIRFLOW_CONN_S3_NOBODY", json.dumps(nobody))
    airflow.connections["s3_nobody"] = nobody
    outcome, _ = run(airflow, submit(f"s3://s3_nobody@lab/{prefix}/fox.png"), retries=2)
    assert outcome.state == "failed"
    assert "its connection may not sign addresses" in str(outcome.error)
    assert spent(simulator) == 0


def test_an_address_that_the_vendor_cannot_reach_is_refused_unless_its_connection_names_the_host(
    airflow: MemoryAirflow, simulator: SimulatorHandle, s3: Backend, prefix: str
) -> None:
    s3.store(f"{prefix}/fox.png", PNG)
    connections(airflow, s3)
    real = simulator.connection("pixazo")
    port = real["host"].rpartition(":")[2]
    airflow.connections["pixazo_default"] = real | {
        "host": f"http://localhost:{port}", "extra": {"allow_private_hosts": ["localhost"]},
    }  # fmt: skip
    outcome, _ = run(airflow, submit(f"{s3.root}/{prefix}/fox.png"))
    assert outcome.state == "failed"
    assert "names 127.0.0.1, which the vendor cannot reach" in str(outcome.error)
    assert "Signature" not in str(outcome.error)
    assert (spent(simulator), airflow.store) == (0, {})


def test_a_local_file_cannot_be_lent_to_a_vendor_without_upload(
    airflow: MemoryAirflow, simulator: SimulatorHandle, tmp_path: Path
) -> None:
    (tmp_path / "fox.png").write_bytes(PNG)
    outcome, _ = run(airflow, submit(str(tmp_path / "fox.png")))
    assert outcome.state == "failed"
    assert "Pixazo has no upload" in str(outcome.error)
    assert (spent(simulator), airflow.store) == (0, {})


def test_a_storage_that_is_away_is_asked_again_and_a_job_that_is_bought_comes_back_without_it(
    airflow: MemoryAirflow, simulator: SimulatorHandle, s3: Backend, prefix: str
) -> None:
    s3.store(f"{prefix}/fox.png", PNG)
    connections(airflow, s3)
    task = submit(f"{s3.root}/{prefix}/fox.png")
    assert run(airflow, task)[0].state == "success"
    bought = airflow.xcom("submit")["request_id"]
    task.request = {"prompt": "It moves", "image_url": f"s3://nobody_there@lab/{prefix}/fox.png", "duration": 5}
    assert run(airflow, task, try_number=2)[0].state == "success"
    assert airflow.xcom("submit")["request_id"] == bought
    airflow.store.clear()
    outcome, _ = run(airflow, task, retries=1)
    assert outcome.state == "up_for_retry"
    assert spent(simulator) == 1


@contextmanager
def token_server() -> Iterator[str]:
    """Gives any service account a token, so that gcsfs talks to the emulator with an account that holds a key."""

    class Tokens(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            answer = json.dumps({"access_token": "t", "expires_in": 3600, "token_type": "Bearer"}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Tokens)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/token"
    finally:
        server.shutdown()
        server.server_close()


def test_google_signs_with_a_service_accounts_key(
    airflow: MemoryAirflow, simulator: SimulatorHandle, emulators: dict[str, Backend], prefix: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
    from cryptography.hazmat.primitives.asymmetric import rsa

    backend = emulators["gs"]
    backend.store(f"{prefix}/fox.png", PNG)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with token_server() as tokens:
        account = {
            "type": "service_account", "project_id": "p", "private_key_id": "1", "private_key": key.decode(),
            "client_email": "clips@p.iam.gserviceaccount.com", "client_id": "1", "token_uri": tokens,
        }  # fmt: skip
        connection = {"conn_type": "google_cloud_platform", "extra": {
            "project": "p", "keyfile_dict": json.dumps(account), "gcs.endpoint": backend.endpoint,  # type: ignore[attr-defined]
        }}  # fmt: skip
        monkeypatch.setenv("AIRFLOW_CONN_GCS_ACCOUNT", json.dumps(connection))
        airflow.connections["gcs_account"] = connection
        outcome, _ = run(airflow, submit(f"gs://gcs_account@lab/{prefix}/fox.png"))
    assert outcome.state == "success", outcome.error
    sent = bodies(simulator)[0]["image_url"]
    assert "X-Goog-Signature=" in sent
    assert 5.9 * 3600 < (seconds_left(sent) or 0) < 6.1 * 3600


def test_what_an_address_says_of_its_end_is_read_for_each_storage() -> None:
    now = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
    end = (now + timedelta(hours=1)).timestamp()
    for query in (
        "X-Amz-Date=20260101T110000Z&X-Amz-Expires=7200", "X-Goog-Date=20260101T110000Z&X-Goog-Expires=7200",
        f"Signature=x&Expires={end:.0f}", "se=2026-01-01T13%3A00%3A00Z&sig=x",
    ):  # fmt: skip
        assert seconds_left(f"https://b.example/k?{query}", now) == 3600
    assert seconds_left("https://b.example/k", now) is None


@pytest.mark.parametrize("credential", ["nobody", "a token"])
def test_azure_without_the_accounts_key_may_not_sign_and_costs_nothing(
    airflow: MemoryAirflow, simulator: SimulatorHandle, emulators: dict[str, Backend], prefix: str, credential: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    backend = emulators["abfs"]
    backend.store(f"{prefix}/fox.png", PNG)
    container = backend.client  # type: ignore[attr-defined]
    account = f"BlobEndpoint={backend.endpoint};"  # type: ignore[attr-defined]
    container.set_container_access_policy(signed_identifiers={}, public_access="container")
    if credential == "a token":  # what a service principal's or a managed identity's connection makes: it has no key
        adlfs = pytest.importorskip("adlfs")
        monkeypatch.setattr(
            adlfs.AzureBlobFileSystem, "sign",
            lambda _, path, expiration: adlfs.AzureBlobFileSystem(account_name="lab", credential=object()).url(path, expiration),
        )  # fmt: skip
    connection = {"conn_type": "wasb", "extra": {"connection_string": account}}
    monkeypatch.setenv("AIRFLOW_CONN_AZ_KEYLESS", json.dumps(connection))
    airflow.connections["az_keyless"] = connection
    try:
        outcome, _ = run(airflow, submit(f"abfs://az_keyless@lab/{prefix}/fox.png"), retries=2)
    finally:
        container.set_container_access_policy(signed_identifiers={})
    assert outcome.state == "failed"
    assert "its connection may not sign addresses" in str(outcome.error)
    assert "Azure the account's key" in str(outcome.error)
    assert (outcome.error.charged, spent(simulator), airflow.store) == ("no", 0, {})
