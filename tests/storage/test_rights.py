"""What each storage must allow, and what is said where it does not: filters answer as the store itself does."""

from __future__ import annotations

import json
import uuid
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_video_providers.core.errors import InvalidRequestError, LandingError
from airflow_video_providers.core.jobs import VideoJob
from airflow_video_providers.core.storage.object_store import ObjectStore
from airflow_video_providers.core.storage.open import open_store
from airflow_video_providers.core.storage.output_path import read_output_path
from airflow_video_providers.landing import land
from tests.faults.landing.clips import mp4
from tests.faults.landing.guarded import may_not_list
from tests.storage.emulators import AZURE_KEY, BUCKET, Backend
from tests.storage.filters import Answer, Asked, Rule, filtered, s3_error
from tests.storage.test_landing import KEY, LARGE, SMALL, job_for, put, whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.landing.server import FaultServer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning"),  # how gcsfs speaks to aiohttp
]


@contextmanager
def s3_behind(rule: Rule, s3: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The root of a bucket that a rule guards, through a connection that nobody used before."""
    with filtered(s3.endpoint, rule) as endpoint:
        name = f"s3_{uuid.uuid4().hex[:8]}"
        extra = {
            "region_name": "us-east-1", "endpoint_url": endpoint,
            "config_kwargs": {"retries": {"max_attempts": 1}, "s3": {"addressing_style": "path"}},
        }  # fmt: skip
        connection = {"conn_type": "aws", "login": "testing", "password": "testing", "extra": extra}
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(connection))
        yield f"s3://{name}@{BUCKET}"


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "in parts"])
def test_s3_without_the_right_to_list_lands_skips_and_refuses_what_is_foreign(
    data: bytes, s3: Backend, prefix: str, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with s3_behind(may_not_list, s3, monkeypatch) as root:
        job = job_for(server.serve(prefix, whole(data)))
        assert not put(job, f"{root}/{prefix}")["skipped"]
        assert s3.objects(prefix)[f"{KEY}/0.mp4"] == data
        assert put(job, f"{root}/{prefix}")["skipped"]
        s3.store(f"{prefix}-b/{KEY}/0.mp4", b"theirs")
        with pytest.raises(LandingError, match="holds something else"):
            put(job, f"{root}/{prefix}-b")
    assert s3.objects(f"{prefix}-b") == {f"{KEY}/0.mp4": b"theirs"}


def test_s3_without_the_right_to_delete_lands(
    s3: Backend, prefix: str, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = lambda asked: s3_error(403, "AccessDenied") if asked.method == "DELETE" else None
    with s3_behind(rule, s3, monkeypatch) as root:
        put(job_for(server.serve(prefix, whole(LARGE))), f"{root}/{prefix}")
    assert set(s3.objects(prefix)) == {f"{KEY}/0.mp4", f"{KEY}/manifest.json"}


def test_s3_without_the_right_to_write_says_so_and_is_not_tried_again(
    s3: Backend, prefix: str, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = lambda asked: s3_error(403, "AccessDenied") if asked.method == "PUT" else None
    with s3_behind(rule, s3, monkeypatch) as root, pytest.raises(LandingError, match="AccessDenied") as raised:
        put(job_for(server.serve(prefix, whole(SMALL))), f"{root}/{prefix}")
    assert not raised.value.retryable
    assert "Let the connection's account read and write there" in str(raised.value)
    assert s3.objects(prefix) == {}


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "in parts"])
def test_s3_without_the_right_to_read_says_so_and_leaves_what_it_wrote(
    data: bytes, s3: Backend, prefix: str, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = lambda asked: s3_error(403, "AccessDenied") if asked.key and asked.method in ("GET", "HEAD") else None
    with s3_behind(rule, s3, monkeypatch) as root, pytest.raises(LandingError, match="is not verified") as raised:
        put(job_for(server.serve(prefix, whole(data))), f"{root}/{prefix}")
    assert not raised.value.retryable
    assert "Let the connection's account read" in str(raised.value)
    assert s3.objects(prefix) == {f"{KEY}/0.mp4": data}
    assert not put(job_for(server.serve(prefix, whole(data))), f"{s3.root}/{prefix}")["skipped"]
    assert set(s3.objects(prefix)) == {f"{KEY}/0.mp4", f"{KEY}/manifest.json"}


@pytest.mark.parametrize("may_abort", [True, False])
def test_s3_keeps_the_parts_of_a_broken_upload_only_where_it_may_not_be_aborted(
    may_abort: bool, s3: Any, prefix: str, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rule(asked: Asked) -> Any:
        if asked.method == "PUT" and "partNumber=2" in asked.query and not asked.status:
            return s3_error(403, "AccessDenied")
        return s3_error(403, "AccessDenied") if asked.method == "DELETE" and not may_abort else None

    with s3_behind(rule, s3, monkeypatch) as root, pytest.raises(LandingError, match="AccessDenied"):
        put(job_for(server.serve(prefix, whole(LARGE))), f"{root}/{prefix}")
    uploads = s3.client.list_multipart_uploads(Bucket=BUCKET, Prefix=f"{prefix}/").get("Uploads", [])
    assert len(uploads) == (0 if may_abort else 1)
    assert s3.objects(prefix) == {}


def test_a_storage_without_create_only_writes_names_the_way_out_and_the_way_out_works(
    s3: Backend, prefix: str, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rule(asked: Asked) -> Any:
        return s3_error(501, "NotImplemented") if "if-none-match" in asked.headers else None

    with s3_behind(rule, s3, monkeypatch) as root:
        job = job_for(server.serve(prefix, whole(SMALL)))
        with pytest.raises(LandingError, match="overwrite=True") as raised:
            put(job, f"{root}/{prefix}")
        assert not raised.value.retryable
        put(job, f"{root}/{prefix}", overwrite=True)
    assert set(s3.objects(prefix)) == {f"{KEY}/0.mp4", f"{KEY}/manifest.json"}


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "in parts"])
def test_a_bucket_that_demands_encryption_gets_it_with_every_upload(
    data: bytes, s3: Backend, prefix: str, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rule(asked: Asked) -> Any:
        upload = (asked.method == "PUT" and "partNumber" not in asked.query) or "uploads" in asked.query.split("&")
        told = asked.headers.get("x-amz-server-side-encryption") == "aws:kms"
        return s3_error(403, "AccessDenied") if upload and not told else None

    encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "alias/videos", "BucketKeyEnabled": True}
    with s3_behind(rule, s3, monkeypatch) as root:
        job = job_for(server.serve(prefix, whole(data)))
        with pytest.raises(LandingError, match="AccessDenied"):
            put(job, f"{root}/{prefix}")
        put(job, f"{root}/{prefix}", encryption=encryption)
    for name in ("0.mp4", "manifest.json"):
        head = s3.client.head_object(Bucket=BUCKET, Key=f"{prefix}/{KEY}/{name}")  # type: ignore[attr-defined]
        assert (head["ServerSideEncryption"], head["SSEKMSKeyId"][-12:]) == ("aws:kms", "alias/videos")


@pytest.mark.parametrize(
    ("where", "encryption"),
    [("gs://b/x", {"ServerSideEncryption": "aws:kms"}), ("/tmp/x", {"SSEKMSKeyId": "k"}),
     ("s3://b/x", {"SSECustomerKey": "topsecret"}), ("s3://b/x", "aws:kms")],
)  # fmt: skip
def test_encryption_that_cannot_be_asked_for_is_refused(where: str, encryption: Any) -> None:
    with pytest.raises(InvalidRequestError) as raised:
        land(VideoJob(model="pixazo:mochi-v1", request_id="r", status="succeeded"), where, encryption=encryption)
    assert raised.value.field == "encryption"
    assert "topsecret" not in str(raised.value)


@pytest.mark.parametrize(
    ("status", "code", "remedy", "retried"),
    [
        (400, "ExpiredToken", "Renew the credentials", False),
        (403, "InvalidAccessKeyId", "Renew the credentials", False),
        (403, "SignatureDoesNotMatch", "Renew the credentials", False),
        (403, "RequestTimeTooSkewed", "Correct the worker's clock", False),
        (400, "AuthorizationHeaderMalformed", "own region", False),
        (503, "SlowDown", "", True),
    ],
)
def test_what_a_head_request_cannot_say_is_asked_once_more_and_said_before_the_first_byte(
    status: int, code: str, remedy: str, retried: bool, s3: Backend, prefix: str, server: FaultServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    guarded = s3_behind(lambda asked: s3_error(status, code), s3, monkeypatch)
    with guarded as root, pytest.raises(LandingError, match=code) as raised:
        put(job_for(server.serve(prefix, whole(SMALL))), f"{root}/{prefix}")
    assert remedy in str(raised.value)
    assert raised.value.retryable is retried
    assert server.asked(prefix) == []


def test_what_a_storage_says_is_cut_and_holds_no_signature(
    s3: Backend, prefix: str, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "X-Amz-Signature=topsecret&x" + "very " * 500
    with (
        s3_behind(
            lambda asked: s3_error(400, "Odd", said.replace("&", "&amp;").replace("\x1b", "")), s3, monkeypatch
        ) as root,
        pytest.raises(LandingError, match="Odd") as raised,
    ):
        put(job_for(server.serve(prefix, whole(SMALL))), f"{root}/{prefix}")
    assert "topsecret" not in str(raised.value)
    assert len(str(raised.value)) < 900


def test_google_without_the_right_to_list_lands_and_skips(
    emulators: dict[str, Any], prefix: str, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    gs = emulators["gs"]

    def rule(asked: Asked) -> Any:
        listing = asked.method == "GET" and asked.path.rstrip("/").endswith((f"/b/{BUCKET}/o", f"/b/{BUCKET}"))
        missing = asked.method == "GET" and asked.status == 404
        forbidden = json.dumps({"error": {"code": 403, "message": "does not have storage.objects.list access"}})
        return Answer(403, forbidden.encode(), "application/json") if listing or missing else None

    with filtered(gs.endpoint, rule) as endpoint:
        extra = {"project": "test-project", "is_anonymous": True, "gcs.endpoint": endpoint}
        connection = {"conn_type": "google_cloud_platform", "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_GS_NARROW", json.dumps(connection))
        job = job_for(server.serve(prefix, whole(SMALL)))
        assert not put(job, f"gs://gs_narrow@{BUCKET}/{prefix}")["skipped"]
        assert put(job, f"gs://gs_narrow@{BUCKET}/{prefix}")["skipped"]
    assert gs.objects(prefix)[f"{KEY}/0.mp4"] == SMALL


def gs_behind(rule: Rule, gs: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A filter before the emulator, and the connection through it."""
    guarded = filtered(gs.endpoint, rule)

    @contextmanager
    def opened() -> Iterator[str]:
        with guarded as endpoint:
            extra = {"project": "test-project", "is_anonymous": True, "gcs.endpoint": endpoint}
            connection = {"conn_type": "google_cloud_platform", "extra": extra}
            monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(connection))
            yield f"gs://{name}@{BUCKET}"

    return opened()


def forbidden(right: str) -> Answer:
    """As Google says it."""
    message = f"does not have {right} access to the Google Cloud Storage object."
    return Answer(403, json.dumps({"error": {"code": 403, "message": message}}).encode(), "application/json")


def test_google_without_the_right_to_create_says_so_and_is_not_tried_again(
    emulators: dict[str, Any], prefix: str, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = lambda asked: forbidden("storage.objects.create") if asked.method == "POST" else None
    guarded = gs_behind(rule, emulators["gs"], "gs_no_create", monkeypatch)
    with guarded as root, pytest.raises(LandingError, match=r"storage\.objects\.create") as raised:
        put(job_for(server.serve(prefix, whole(SMALL))), f"{root}/{prefix}")
    assert not raised.value.retryable
    assert emulators["gs"].objects(prefix) == {}


def test_google_without_the_right_to_read_says_so_and_leaves_what_it_wrote(
    emulators: dict[str, Any], prefix: str, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = lambda asked: forbidden("storage.objects.get") if asked.method == "GET" and asked.status else None
    guarded = gs_behind(rule, emulators["gs"], "gs_no_get", monkeypatch)
    with guarded as root, pytest.raises(LandingError, match="is not verified") as raised:
        put(job_for(server.serve(prefix, whole(SMALL))), f"{root}/{prefix}")
    assert not raised.value.retryable
    assert emulators["gs"].objects(prefix) == {f"{KEY}/0.mp4": SMALL}


def test_google_without_the_right_to_delete_lands_and_does_not_replace(
    emulators: dict[str, Any], prefix: str, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    gs = emulators["gs"]

    def rule(asked: Asked) -> Any:
        """Google asks for this right where an upload would replace something."""
        replaces = asked.method == "POST" and not asked.status and gs.objects(prefix)
        return forbidden("storage.objects.delete") if replaces and "manifest" not in asked.query else None

    with gs_behind(lambda asked: None, gs, "gs_first", monkeypatch) as root:
        put(job_for(server.serve(prefix, whole(SMALL))), f"{root}/{prefix}")
    guarded = gs_behind(rule, gs, "gs_no_delete", monkeypatch)
    with guarded as root, pytest.raises(LandingError, match=r"storage\.objects\.delete") as raised:
        put(job_for(server.serve(prefix, whole(mp4(seed=5)))), f"{root}/{prefix}", overwrite=True)
    assert not raised.value.retryable
    assert gs.objects(prefix)[f"{KEY}/0.mp4"] == SMALL


@pytest.mark.parametrize("permission", ["rcw", "rcwl"])
def test_azure_with_a_signature_for_the_container_alone_lands_and_skips(
    permission: str, emulators: dict[str, Any], prefix: str, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = pytest.importorskip("azure.storage.blob")
    az = emulators["abfs"]
    token = blobs.generate_container_sas(
        "devstoreaccount1", BUCKET, account_key=AZURE_KEY, permission=permission,
        expiry=datetime.now(UTC) + timedelta(hours=1),
    )  # fmt: skip
    text = f"BlobEndpoint={az.endpoint};SharedAccessSignature={token}"
    name = f"az_{permission}"
    monkeypatch.setenv(
        f"AIRFLOW_CONN_{name.upper()}", json.dumps({"conn_type": "wasb", "extra": {"connection_string": text}})
    )
    job = job_for(server.serve(prefix, whole(SMALL)))
    assert not put(job, f"abfss://{name}@{BUCKET}/{prefix}")["skipped"]
    assert put(job, f"adl://{name}@{BUCKET}/{prefix}")["skipped"]
    assert az.details(f"{prefix}/{KEY}/0.mp4")["content_type"] == "video/mp4"
    az.store(f"{prefix}-b/{KEY}/0.mp4", mp4(seed=9))
    with pytest.raises(LandingError, match="holds something else"):
        put(job, f"abfs://{name}@{BUCKET}/{prefix}-b")


def test_azure_says_with_every_answer_why_it_refuses(
    emulators: dict[str, Any], prefix: str, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with filtered(emulators["abfs"].endpoint, lambda asked: Answer(403, error_code="AuthenticationFailed")) as endpoint:
        text = f"BlobEndpoint={endpoint}/devstoreaccount1;SharedAccessSignature=sv=2021-06-08&sig=topsecret"
        monkeypatch.setenv(
            "AIRFLOW_CONN_AZ_OVER", json.dumps({"conn_type": "wasb", "extra": {"connection_string": text}})
        )
        with pytest.raises(LandingError, match="AuthenticationFailed") as raised:
            put(job_for(server.serve(prefix, whole(SMALL))), f"abfs://az_over@{BUCKET}/{prefix}")
    assert not raised.value.retryable
    assert "Renew the credentials" in str(raised.value)
    assert "topsecret" not in str(raised.value)
    assert server.asked(prefix) == []


def test_an_access_point_is_asked_for_by_its_whole_name(s3: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    arn = "arn:aws:s3:us-east-1:123456789012:accesspoint/point"
    with s3_behind(lambda asked: None, s3, monkeypatch) as root:
        store = open_store(f"{root}/x")
        through = ObjectStore(store._fs, read_output_path(f"s3://{arn}/a/b"))  # type: ignore[attr-defined]
        assert through._name("k.mp4") == "a/b/k.mp4"
        assert store._fs.split_path(through._at("k.mp4"))[:2] == (arn, "a/b/k.mp4")  # type: ignore[attr-defined]
