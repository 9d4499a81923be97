"""Images from storage without any storage: what may be lent, how, and for how long."""

from __future__ import annotations

import hashlib
import logging
import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from airflow_video_providers.core.client.client import VideoClient
from airflow_video_providers.core.errors import InvalidRequestError, VendorUnavailableError
from airflow_video_providers.core.inputs import read
from airflow_video_providers.core.inputs.checked import unreachable
from airflow_video_providers.core.inputs.lend import LONGEST_LOAN, SHORTEST_LOAN, lend, loan_for
from airflow_video_providers.core.inputs.read import StoredImage, read_image, type_of
from airflow_video_providers.core.inputs.staged import stage
from airflow_video_providers.core.purchase.order import make_order
from airflow_video_providers.core.settings import Settings
from airflow_video_providers.core.storage.output_path import read_output_path
from airflow_video_providers.core.vendors.fields import is_stored
from airflow_video_providers.core.vendors.pixazo import Pixazo, PixverseV6ImageToVideo

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_video_providers.core.vendors.base import Flow

PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)
LOG = logging.getLogger(__name__)
SIGNED = "https://lab.s3.amazonaws.com/fox.png?X-Amz-Date=20260101T000000Z&X-Amz-Expires=60&X-Amz-Signature=s3cret"


class Bucket:
    """A filesystem of one object."""

    def __init__(self, url: str | Exception = SIGNED) -> None:
        self.url = url
        self.asked: list[tuple[str, int]] = []

    def sign(self, path: str, expiration: int, **_: Any) -> str:
        self.asked.append((path, expiration))
        if isinstance(self.url, Exception):
            raise self.url
        return self.url


class Taker(Pixazo):
    """A vendor as no other here: it takes images."""

    id = "taker"

    def upload(self, name: str, media_type: str, data: bytes) -> Flow[str]:
        call = self.call("PUT", f"/inputs/{name}")
        answer = yield from self.send_read(
            httpx.Request("PUT", call.url, headers={"Content-Type": media_type}, content=data)
        )
        if not answer.ok or answer.body is None:
            raise VendorUnavailableError("The image was not taken.")
        return str(answer.body["uri"])


def image(bucket: Bucket | None = None, address: str = "s3://aws@lab/in/fox.png") -> StoredImage:
    where = read_output_path(address)
    return StoredImage("image_url", address, where, "image/png", hashlib.sha256(PNG).hexdigest(), PNG, bucket)


def client(vendor: type[Pixazo] = Pixazo, answer: httpx.Response | None = None) -> VideoClient:
    transport = httpx.MockTransport(lambda _: answer or httpx.Response(500))
    return VideoClient(vendor(), "key-of-a-test", transport=transport)


def lent(stored: StoredImage, to: VideoClient | None = None, hosts: frozenset[str] = frozenset()) -> str:
    return lend(stored, to or client(), loan=timedelta(hours=6), allowed_hosts=hosts, log=LOG)


def test_a_bucket_signs_its_own_address_for_as_long_as_was_wished(caplog: pytest.LogCaptureFixture) -> None:
    bucket = Bucket()
    with caplog.at_level(logging.INFO):
        assert lent(image(bucket)) == SIGNED
    assert bucket.asked == [("lab/in/fox.png", 6 * 3600)]
    assert "s3cret" not in caplog.text
    assert "s3://aws@lab/in/fox.png" in caplog.text


def test_an_upload_of_the_vendors_comes_before_signing_and_gets_no_path_of_the_authors() -> None:
    seen: list[httpx.Request] = []

    def take(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"uri": "taker://inputs/1"})

    bucket = Bucket()
    to = VideoClient(Taker(), "key-of-a-test", transport=httpx.MockTransport(take))
    assert lent(image(bucket), to) == "taker://inputs/1"
    assert lent(image(None, "/data/fox.png"), to) == "taker://inputs/1"
    assert bucket.asked == []
    assert [(call.method, call.content, call.headers["content-type"]) for call in seen] == [
        ("PUT", PNG, "image/png")
    ] * 2
    assert "fox" not in str(seen[0].url)


def test_an_upload_that_fails_buys_nothing() -> None:
    with pytest.raises(VendorUnavailableError):
        lent(image(Bucket()), client(Taker))


@pytest.mark.parametrize(
    "url", [AttributeError("you need a private key"), "https://lab.s3.amazonaws.com/fox.png", ValueError()]
)
def test_a_connection_that_may_not_sign_is_said(url: str | Exception) -> None:
    with pytest.raises(InvalidRequestError, match="may not sign addresses") as caught:
        lent(image(Bucket(url)))
    assert caught.value.charged == "no"


def test_temporary_credentials_are_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    lent(image(Bucket(f"{SIGNED}&X-Amz-Security-Token=t0ken")))
    assert "credentials that end by themselves" in caplog.text
    assert "t0ken" not in caplog.text


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "10.1.2.3", "192.168.0.9", "169.254.169.254", "[::1]", "[fd00::1]", "2130706433", "0x7f.1",
     "127.1", "minio.local", "a.localhost", "[::ffff:10.0.0.1]", "100.64.0.1", "0.0.0.0"],
)  # fmt: skip
def test_literal_private_and_loopback_addresses_are_refused_before_the_purchase(host: str) -> None:
    request = PixverseV6ImageToVideo(prompt="x", image_url=f"http://{host}:9000/fox.png?token=t")
    with pytest.raises(InvalidRequestError, match="which the vendor cannot reach") as caught:
        stage(request, allowed_hosts=frozenset())
    assert (caught.value.field, caught.value.charged) == ("image_url", "no")
    assert "token" not in str(caught.value)
    bare = host.strip("[]")
    assert stage(request, allowed_hosts=frozenset({bare})).request == request


@pytest.mark.parametrize(
    "url", ["https://pictures.example/fox.png", "http://8.8.8.8/fox.png", "https://[2606:4700::1]/f.png"]
)
def test_public_addresses_pass_as_they_are(url: str) -> None:
    assert unreachable(url, frozenset()) is None
    assert stage(PixverseV6ImageToVideo(prompt="x", image_url=url), allowed_hosts=()).images == ()


def test_what_is_recorded_has_the_contents_digest_in_place_of_the_address(tmp_path: Path) -> None:
    (tmp_path / "fox.png").write_bytes(PNG)
    (tmp_path / "same.png").write_bytes(PNG)
    connection = Settings("pixazo_default", "key")

    def order(name: str) -> Any:
        request = PixverseV6ImageToVideo(prompt="x", image_url=str(tmp_path / name), duration=5)
        return make_order(Pixazo(), request, {}, connection)

    first, same = order("fox.png"), order("same.png")
    digest = hashlib.sha256(PNG).hexdigest()
    assert first.wire.body["image_url"] == f"sha256:{digest}"
    assert first.kept["parameters"]["image_url_sha256"] == digest
    assert first.intent.request_sha256 == same.intent.request_sha256
    (tmp_path / "fox.png").write_bytes(PNG + b"x")
    assert order("fox.png").intent.request_sha256 != same.intent.request_sha256


def test_the_order_that_is_sent_has_the_lent_address_and_records_the_same_as_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(read, "_remote", lambda *_: (Bucket(), PNG))
    order = make_order(
        Pixazo(), PixverseV6ImageToVideo(prompt="x", image_url="s3://lab/fox.png"), {}, Settings("c", "key")
    )
    sent = order.lent(client(), Settings("c", "key"), loan=timedelta(hours=6), log=LOG)
    assert sent.wire.body == {"prompt": "x", "image_url": SIGNED}
    assert order.wire.body["image_url"].startswith("sha256:")
    assert sent.intent.request_sha256 == order.intent.request_sha256
    assert sent.intent.sent_sha256 == sent.wire.sha256() != order.intent.sent_sha256
    assert "s3cret" not in repr(order)


def test_the_bare_client_sends_no_address_that_no_vendor_can_fetch() -> None:
    request = PixverseV6ImageToVideo(prompt="x", image_url="s3://lab/fox.png")
    with pytest.raises(InvalidRequestError, match="no vendor can fetch"):
        client(answer=httpx.Response(202, json={"request_id": "r"})).submit(request)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"\xff\xd8\xff\xe1rest", "image/jpeg"), (PNG, "image/png"), (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (b"GIF89a..", "image/gif"), (b"\0\0\0\x1cftypavif", "image/avif"), (b"\0\0\0\x1cftypisom", None), (b"", None),
        (b"<svg/>", None), (b"RIFF\0\0\0\0WAVE", None),
    ],
)  # fmt: skip
def test_an_images_bytes_say_what_it_is(data: bytes, kind: str | None) -> None:
    assert type_of(data) == kind


def test_what_is_no_regular_file_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, "/dev/zero"):
        with pytest.raises(InvalidRequestError, match=r"is no regular file|Is a directory"):
            read_image("image_url", str(path), ("image/png",))


def test_a_name_that_lies_about_the_type_does_not_help(tmp_path: Path) -> None:
    (tmp_path / "fox.png").write_bytes(b"GIF89a....")
    with pytest.raises(InvalidRequestError, match="is image/gif"):
        read_image("image_url", str(tmp_path / "fox.png"), ["image/png"])
    assert read_image("image_url", str(tmp_path / "fox.png"), []).media_type == "image/gif"  # the documents name none


@pytest.mark.parametrize(
    "address",
    ["s3://lab/fox.png", "s3://aws_default@lab/in/fox.png", "gs://lab/a b.png", "abfs://az@lab/x", "/data/fox.png",
     "file:///data/fox.png", "s3a://lab/x"],
)  # fmt: skip
def test_addresses_in_storage_are_taken(address: str) -> None:
    assert is_stored(address)
    assert PixverseV6ImageToVideo(prompt="x", image_url=address).image_url == address


@pytest.mark.parametrize(
    "address",
    ["s3://lab", "s3://lab/", "s3://key:secret@lab/x", "s3://lab/../x", "s3://lab/x?y", "fox.png", "~/fox.png", "ftp://h/x",
     "file://host/x", "/data/", "s3://lab/x\n", "az://lab/x"],
)  # fmt: skip
def test_other_addresses_are_refused_when_the_request_is_made(address: str) -> None:
    with pytest.raises(InvalidRequestError, match="image_url"):
        PixverseV6ImageToVideo(prompt="x", image_url=address)


def test_a_loan_is_twice_the_wait_within_bounds() -> None:
    assert loan_for(None) == loan_for(60) == SHORTEST_LOAN
    assert loan_for(10 * 3600) == timedelta(hours=20)
    assert loan_for(1e9) == LONGEST_LOAN
