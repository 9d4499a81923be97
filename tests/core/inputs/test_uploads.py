"""Files that go to a vendor by its own upload: which call holds what, who gets the key, and what an error says."""

from __future__ import annotations

import hashlib
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from airflow_video_providers.core.client.client import VideoClient
from airflow_video_providers.core.errors import (
    AuthenticationError,
    InvalidRequestError,
    RequestRejectedError,
    VendorError,
    VendorUnavailableError,
)
from airflow_video_providers.core.inputs.lend import lend
from airflow_video_providers.core.inputs.read import StoredImage
from airflow_video_providers.core.storage.output_path import read_output_path
from airflow_video_providers.core.vendors.fal import Fal
from airflow_video_providers.core.vendors.replicate import Replicate

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_video_providers.core.vendors.base import Vendor

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
KEY, TOKEN = "key-0123456789-of-a-test", "token-that-was-given-for-one-upload"
LOG = logging.getLogger(__name__)
SIGNED = "https://lab.s3.amazonaws.com/fox.png?X-Amz-Signature=s3cret"


class Bucket:
    def sign(self, _path: str, **_: Any) -> str:
        return SIGNED


class Host:
    """Both vendors' hosts, which remember what they were sent.

    :param instead: What a call to a path is answered with instead.
    """

    def __init__(self, **instead: httpx.Response) -> None:
        self.instead = instead
        self.calls: list[httpx.Request] = []

    def __call__(self, call: httpx.Request) -> httpx.Response:
        self.calls.append(call)
        name = call.url.path.rpartition("/")[2]
        if name in self.instead:
            return self.instead[name]
        given = {"token": TOKEN, "token_type": "Bearer", "base_url": "https://evil.example", "expires_at": "2030-01-01"}
        return httpx.Response(200, json={
            "token": given,
            "upload": {"access_url": "https://v3.fal.media/files/b/fox.png"},
            "files": {"id": "f1", "urls": {"get": "https://api.replicate.com/v1/files/f1"}},
        }[name])  # fmt: skip


def image(data: bytes = PNG, bucket: Any = None, address: str = "s3://aws@lab/in/fox.png") -> StoredImage:
    digest = hashlib.sha256(data).hexdigest()
    return StoredImage("image_url", address, read_output_path(address), "image/png", digest, data, bucket)


def lent(
    stored: StoredImage, vendor: type[Vendor], host: Callable[[httpx.Request], httpx.Response], url: str | None = None
) -> str:
    to = VideoClient(vendor(url), KEY, transport=httpx.MockTransport(host))
    return lend(stored, to, loan=timedelta(hours=6), allowed_hosts=(), log=LOG)


def test_fal_gives_a_token_to_the_key_and_the_file_goes_to_its_file_host_without_the_key() -> None:
    host = Host()
    assert lent(image(), Fal, host) == "https://v3.fal.media/files/b/fox.png"
    asked, sent = host.calls
    assert (asked.method, str(asked.url)) == (
        "POST",
        "https://rest.fal.ai/storage/auth/token?storage_type=fal-cdn-v3",
    )
    assert asked.headers["authorization"] == f"Key {KEY}"
    assert (sent.method, str(sent.url)) == ("POST", "https://v3.fal.media/files/upload"), "and not where it was told to"
    assert (sent.headers["authorization"], sent.headers["content-type"]) == (f"Bearer {TOKEN}", "image/png")
    assert sent.headers["x-fal-file-name"] == f"{hashlib.sha256(PNG).hexdigest()[:32]}.png"
    assert sent.content == PNG
    assert KEY not in repr(sent.headers.raw)


def test_replicate_takes_a_form_with_the_file_in_it() -> None:
    host = Host()
    assert lent(image(), Replicate, host) == "https://api.replicate.com/v1/files/f1"
    (sent,) = host.calls
    assert (sent.method, str(sent.url)) == ("POST", "https://api.replicate.com/v1/files")
    assert sent.headers["authorization"] == f"Bearer {KEY}"
    body = sent.read()
    assert PNG in body
    assert b'name="content"' in body
    assert b"Content-Type: image/png" in body
    assert b"fox" not in body, "no path of the author's"


@pytest.mark.parametrize("vendor", [Fal, Replicate])
def test_where_the_connection_names_a_host_everything_goes_there(vendor: type[Vendor]) -> None:
    host = Host()
    lent(image(), vendor, host, "https://gateway.example/x")
    assert {call.url.host for call in host.calls} == {"gateway.example"}
    assert [KEY in call.headers["authorization"] for call in host.calls] == [True, False][: len(host.calls)]


@pytest.mark.parametrize("vendor", [Fal, Replicate])
@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (httpx.Response(503), VendorUnavailableError),
        (httpx.Response(413, text=f"too large for {TOKEN}"), RequestRejectedError),
        (httpx.Response(200, json={}), VendorUnavailableError),
        (httpx.Response(200, text="<html>"), VendorUnavailableError),
        (httpx.Response(200, json={"access_url": "ftp://x/y", "urls": {"get": 5}}), VendorUnavailableError),
    ],
    ids=["503", "413", "no address", "a page", "no address that can be fetched"],
)
def test_a_file_that_is_not_taken_buys_nothing_and_the_error_says_which(
    vendor: type[Vendor], answer: httpx.Response, kind: type[VendorError]
) -> None:
    with pytest.raises(kind) as caught:
        lent(image(), vendor, Host(upload=answer, files=answer))
    text = str(caught.value)
    assert "The image 's3://aws@lab/in/fox.png' in 'image_url' was not uploaded: " in text
    assert "Nothing was bought." in text
    assert "request_id" not in text, "nothing about a job"
    assert (caught.value.charged, caught.value.retryable) == ("no", kind is VendorUnavailableError)
    assert KEY not in text
    assert TOKEN not in text or vendor is Replicate, "which has given none"


@pytest.mark.parametrize("answer", [{}, {"token": TOKEN}, {"token": f"{TOKEN}\r\nX: y", "token_type": "Bearer"}, None])
def test_what_is_no_token_is_sent_nowhere(answer: Any) -> None:
    host = Host(token=httpx.Response(200, json=answer))
    with pytest.raises(VendorUnavailableError, match="no token"):
        lent(image(), Fal, host)
    assert len(host.calls) == 1


def test_a_key_that_is_refused_is_said() -> None:
    with pytest.raises(AuthenticationError):
        lent(image(), Fal, Host(token=httpx.Response(401)))


LARGE = b"\x89PNG\r\n\x1a\n" + bytes(100 * 1024 * 1024)


def test_what_is_too_large_for_an_upload_is_lent_by_its_bucket_and_refused_from_a_worker() -> None:
    host = Host()
    assert lent(image(LARGE, Bucket()), Fal, host) == SIGNED
    with pytest.raises(InvalidRequestError, match=r"too large for fal's upload \(100 MiB at most\)") as caught:
        lent(image(LARGE, None, "/data/fox.png"), Fal, host)
    assert (caught.value.field, caught.value.charged) == ("image_url", "no")
    with pytest.raises(InvalidRequestError, match="too large"):
        VideoClient(Fal(), KEY).upload("fox.png", "image/png", LARGE)
    assert host.calls == []
    assert lent(image(LARGE[: 100 * 1024 * 1024]), Fal, host).startswith("https://v3.fal.media/")


def test_the_address_stands_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        for vendor in (Fal, Replicate):
            lent(image(), vendor, Host())
    said = "\n".join(record.getMessage() for record in caplog.records if record.name == __name__)
    assert said == (
        "The image s3://aws@lab/in/fox.png was uploaded to fal.\n"
        "The image s3://aws@lab/in/fox.png was uploaded to Replicate."
    )
