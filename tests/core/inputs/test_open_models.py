"""Files from storage in a request whose fields the catalogue does not know: found wherever they stand, lent as any other."""

from __future__ import annotations

import hashlib
import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_video_providers.core.client.client import VideoClient
from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.inputs import read
from airflow_video_providers.core.inputs.staged import stage
from airflow_video_providers.core.purchase.order import make_order
from airflow_video_providers.core.settings import Settings
from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.core.vendors.fal import Fal
from airflow_video_providers.core.vendors.optional_verbs import OptionalVerbs
from airflow_video_providers.core.vendors.schema_files import made

LOG = logging.getLogger(__name__)
MODEL = "fal:fal-ai/kling-video/v2.1/pro/image-to-video"
SOUND = b"ID3" + bytes(64)
DIGEST = hashlib.sha256(SOUND).hexdigest()
SIGNED = "https://lab.s3.amazonaws.com/{}?X-Amz-Expires=60&X-Amz-Signature=s3cret"
SCHEMA = {
    "type": "object",
    "properties": {
        "prompt": {"type": "string"},
        "image": {"anyOf": [{"type": "string", "format": "uri"}, {"type": "null"}]},
        "elements": {"type": "array", "items": {"$ref": "#/$defs/Element"}},
    },
    "$defs": {"Element": {"type": "object", "properties": {"url": {"type": "string", "format": "uri"}}}},
}


class Signs(Fal):
    """fal as a vendor without an upload."""

    upload = OptionalVerbs.upload


class Bucket:
    def sign(self, path: str, **_: Any) -> str:
        return SIGNED.format(path)


class PathObject:
    """What is read of an ObjectStoragePath."""

    def __init__(self, protocol: str, path: str) -> None:
        self.protocol, self.path = protocol, path

    def __str__(self) -> str:
        return f"{self.protocol}://{self.path}"

    def resolve(self) -> PathObject:
        return self


@pytest.fixture(autouse=True)
def bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "_remote", lambda *_: (Bucket(), SOUND))


def parsed(pinned: bool = False, **fields: Any) -> Any:
    schema = made(MODEL, SCHEMA, fetched="2026-11-26") if pinned else None
    return catalogue.find(MODEL, schema=schema, unchecked=not pinned).parse({"prompt": "a fox", **fields})


def order(**fields: Any) -> Any:
    return make_order(Signs(), parsed(**fields), {}, Settings("fal_default", "key"))


def sent(made_order: Any) -> dict[str, Any]:
    client = VideoClient(Signs(), "key-of-a-test")
    body: dict[str, Any] = made_order.lent(client, Settings("c", "key"), loan=timedelta(hours=6), log=LOG).wire.body
    return body


@pytest.mark.parametrize(
    "address",
    ["s3://lab/a.mp3", "s3a://aws@lab/a.mp3", "gs://lab/a.mp3", "gcs://lab/a.mp3", "abfs://az@lab/a.mp3",
     "abfss://lab/a.mp3", PathObject("s3", "aws@lab/a.mp3")],
)  # fmt: skip
def test_an_address_in_a_storage_is_lent_wherever_it_stands(address: Any) -> None:
    bought = order(audio_url=address, elements=[{"pictures": [address, "https://i.example/a.png"]}], strength=0.5)
    signed = SIGNED.format("lab/a.mp3")
    assert sent(bought) == {
        "prompt": "a fox", "audio_url": signed, "strength": 0.5,
        "elements": [{"pictures": [signed, "https://i.example/a.png"]}],
    }  # fmt: skip
    placeholder = f"sha256:{DIGEST}"
    assert bought.wire.body["audio_url"] == placeholder
    assert bought.wire.body["elements"] == [{"pictures": [placeholder, "https://i.example/a.png"]}]
    assert "s3cret" not in repr(bought)


def test_what_is_recorded_is_the_contents_digest_wherever_the_file_lies() -> None:
    one, other = order(elements=[{"url": "s3://lab/a.mp3"}]), order(elements=[{"url": "gs://other/b.mp3"}])
    assert one.intent.request_sha256 == other.intent.request_sha256
    assert one.kept["parameters"]["elements_sha256"] == other.kept["parameters"]["elements_sha256"]
    assert one.kept["parameters"]["elements.0.url_sha256"] == DIGEST


def test_a_field_whose_name_has_a_dot_is_not_taken_for_another() -> None:
    bought = order(**{"a.b": "s3://lab/dot.mp3", "a": {"b": "s3://lab/deep.mp3"}})
    assert sent(bought)["a.b"] == SIGNED.format("lab/dot.mp3")
    assert sent(bought)["a"] == {"b": SIGNED.format("lab/deep.mp3")}


@pytest.mark.parametrize(
    "text",
    ["a fox at s3://lab/a.mp3", "seed: 1", "http is a word", "/no/such/file", "data:image/png;base64,AAAA", "fox.png"],
)
def test_other_texts_go_to_the_vendor_as_they_are(text: str) -> None:
    assert sent(order(note=text))["note"] == text


@pytest.mark.parametrize(
    "address",
    ["s3://lab", "s3://key:secret@lab/x", "s3://lab/../x", "wasb://box@account.blob.core.windows.net/a.png",
     "wasbs://box/a.png", "az://box/a.png", "file:fox.png", "file://host/x", "S3://lab/"],
)  # fmt: skip
def test_an_address_that_no_storage_of_airflows_has_is_refused_when_the_request_is_made(address: str) -> None:
    with pytest.raises(InvalidRequestError, match="names a storage and is no address of a file") as caught:
        parsed(elements=[{"url": address}])
    assert caught.value.charged == "no"
    assert "secret" not in str(caught.value)


def test_a_local_file_is_not_sent_as_its_path(tmp_path: Path) -> None:
    (tmp_path / "fox 1.mp3").write_bytes(SOUND)
    path = tmp_path / "fox 1.mp3"
    for written in (str(path), path, path.as_uri(), PathObject("file", str(path))):
        bought = order(audio=[written])
        assert bought.staged.images[0].sha256 == DIGEST
        with pytest.raises(InvalidRequestError, match="lies on a worker, and fal has no upload") as caught:
            sent(bought)
        assert (caught.value.field, caught.value.charged) == ("audio.0", "no")


def test_a_path_object_of_no_known_storage_is_refused() -> None:
    for wrong in (PathObject("memory", "a/b"), Path("fox.png")):
        with pytest.raises(InvalidRequestError, match="which is no JSON"):
            parsed(audio=wrong)


@pytest.mark.parametrize("fields", [{"image": "/no/such/fox.png"}, {"elements": [{"url": "/no/such/fox.png"}]}])
def test_where_the_schema_asks_for_an_address_a_local_path_that_is_not_there_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(
        InvalidRequestError, match=r"The file '/no/such/fox.png' .* is not there on this worker"
    ) as caught:
        order(pinned=True, **fields)
    assert caught.value.charged == "no"


@pytest.mark.parametrize("fields", [{"image": "fox.png"}, {"elements": [{"url": "~/fox.png"}]}])
def test_where_the_schema_asks_for_an_address_a_relative_path_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError, match="its schema asks for an address"):
        parsed(pinned=True, **fields)
    assert parsed(pinned=True, image="data:image/png;base64,AA", elements=[{"url": "https://i.example/a"}])


def test_at_parse_what_holds_a_template_is_left_for_the_task() -> None:
    schema = made(MODEL, SCHEMA, fetched="2026-11-26")
    model = catalogue.find(MODEL, schema=schema)
    model.parse(
        {"prompt": "x", "image": "{{ params.i }}", "elements": [{"url": "s3://{{ params.b }}"}]}, rendered=False
    )
    with pytest.raises(InvalidRequestError, match="names a storage"):
        model.parse({"prompt": "x", "image": "s3://lab"}, rendered=False)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "10.1.2.3", "[::1]", "minio.local", "169.254.169.254"])
def test_literal_private_addresses_are_refused_at_any_depth(host: str) -> None:
    request = parsed(elements=[{"url": f"http://{host}:9000/a.png?token=t"}])
    with pytest.raises(InvalidRequestError, match="which the vendor cannot reach") as caught:
        stage(request, allowed_hosts=frozenset())
    assert (caught.value.field, caught.value.charged) == ("elements.0.url", "no")
    assert "token" not in str(caught.value)
    assert stage(request, allowed_hosts=frozenset({host.strip("[]")})).request is request


def test_any_file_is_taken_that_holds_something_and_is_not_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    assert order(audio_url="s3://lab/a.mp3").staged.images[0].media_type == "audio/mpeg"
    assert order(audio_url="s3://lab/a").staged.images[0].media_type == "application/octet-stream"
    monkeypatch.setattr(read, "MOST_FILE", len(SOUND) - 1)
    with pytest.raises(InvalidRequestError, match=r"The file 's3://lab/a.mp3' in 'audio_url' has more than"):
        order(audio_url="s3://lab/a.mp3")
    monkeypatch.setattr(read, "_remote", lambda *_: (Bucket(), b""))
    with pytest.raises(InvalidRequestError, match="is empty"):
        order(audio_url="s3://lab/a.mp3")


def test_the_bare_client_sends_no_address_that_no_vendor_can_fetch() -> None:
    with pytest.raises(InvalidRequestError, match="no vendor can fetch"):
        VideoClient(Fal(), "key-of-a-test").submit(parsed(elements=[{"url": "s3://lab/a.mp3"}]))
