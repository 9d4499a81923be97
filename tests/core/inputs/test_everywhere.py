"""A file that no vendor can fetch is lent or refused wherever in a purchase it stands: fields, lists, objects, extra_fields."""

from __future__ import annotations

import hashlib
import json
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar
from unittest import mock

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import AnyUrl, BaseModel

from airflow_video_providers.core.client.client import VideoClient
from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.hosts import is_private
from airflow_video_providers.core.inputs import read
from airflow_video_providers.core.inputs.checked import inputs_of, unreachable
from airflow_video_providers.core.jobs import VideoJob
from airflow_video_providers.core.purchase.order import make_order
from airflow_video_providers.core.settings import Settings
from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.core.vendors.fal import Fal
from airflow_video_providers.core.vendors.models import ImageAddress, Text, VideoModel, image
from airflow_video_providers.core.vendors.optional_verbs import OptionalVerbs
from airflow_video_providers.core.vendors.parameters import with_texts
from airflow_video_providers.core.vendors.pixazo import Pixazo, PixverseV6ImageToVideo

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)
DIGEST = hashlib.sha256(PNG).hexdigest()
SIGNED = "https://lab.s3.amazonaws.com/{}?X-Amz-Expires=60&X-Amz-Signature=s3cret"
LOG = logging.getLogger(__name__)
PUBLIC = "https://i.example/a.png"


class Signs(Fal):
    """fal as a vendor without an upload."""

    upload = OptionalVerbs.upload


class Bucket:
    def sign(self, path: str, **_: Any) -> str:
        return SIGNED.format(path)


class Part(BaseModel):
    picture: ImageAddress = image("A picture.", media_types=("image/gif",))
    note: Text = "none"


@pytest.fixture(autouse=True)
def bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "_remote", lambda *_: (Bucket(), PNG))


@pytest.fixture(scope="module")
def private_model() -> Iterator[type[VideoModel]]:
    class Private(VideoModel):
        """A model of a user's own, with inputs that are not at its top."""

        id: ClassVar[str] = "pixazo:private-of-a-test"
        path: ClassVar[str] = "/private"

        prompt: Text
        pictures: list[ImageAddress] = image("Pictures.", media_types=("image/png",), required=False)
        parts: list[Part] | None = None
        anything: dict[str, Any] | None = None
        page: AnyUrl | None = None

    yield Private
    del VideoModel.registry[Private.id]


def order(extra_fields: dict[str, Any] | None = None, *, extra: dict[str, Any] | None = None, **fields: Any) -> Any:
    request = PixverseV6ImageToVideo(**{"prompt": "x", "image_url": PUBLIC, **fields})
    return make_order(Pixazo(), request, extra_fields or {}, Settings("pixazo_default", "key", extra=extra or {}))


def sent(made: Any) -> dict[str, Any]:
    lent = made.lent(VideoClient(Pixazo(), "k" * 20), Settings("c", "key"), loan=timedelta(hours=6), log=LOG)
    body: dict[str, Any] = lent.wire.body
    return body


STORED = ["s3://lab/a.png", "s3://aws@lab/a.png", "S3://lab/a.png", "s3a://lab/a.png", "gs://lab/a.png", "GS://lab/a.png",
          "abfs://az@lab/a.png", "abfss://lab/a.png"]  # fmt: skip


@pytest.mark.parametrize("address", STORED)
def test_extra_fields_lend_what_lies_in_a_storage_at_any_depth(address: str) -> None:
    made = order({"mask": address, "layers": [[{"src": [address, PUBLIC]}]], "strength": 0.5})
    signed, placeholder = SIGNED.format("lab/a.png"), f"sha256:{DIGEST}"
    layers = [[{"src": [signed, PUBLIC]}]]
    assert sent(made) == {"prompt": "x", "image_url": PUBLIC, "mask": signed, "layers": layers, "strength": 0.5}
    assert made.wire.body["mask"] == placeholder
    assert made.wire.body["layers"] == [[{"src": [placeholder, PUBLIC]}]]
    assert "s3cret" not in repr(made)
    assert made.kept["parameters"]["mask_sha256"] == made.kept["parameters"]["layers.0.0.src.0_sha256"] == DIGEST


def test_a_fresh_signature_in_extra_fields_is_no_change_and_another_image_is_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, other = order({"mask": "s3://lab/a.png"}), order({"mask": "gs://elsewhere/b.png"})
    assert one.intent.request_sha256 == other.intent.request_sha256
    monkeypatch.setattr(read, "_remote", lambda *_: (Bucket(), PNG + b"x"))
    assert order({"mask": "s3://lab/a.png"}).intent.request_sha256 != one.intent.request_sha256


def test_the_authors_own_dict_is_not_changed() -> None:
    fields = {"layers": [{"src": "s3://lab/a.png"}]}
    sent(order(fields))
    assert fields == {"layers": [{"src": "s3://lab/a.png"}]}


class PathObject:
    protocol, path = "s3", "aws@lab/a.png"

    def __str__(self) -> str:
        return "s3://aws@lab/a.png"


def test_path_objects_in_extra_fields_are_addresses(tmp_path: Path) -> None:
    assert sent(order({"masks": [PathObject()]}))["masks"] == [SIGNED.format("lab/a.png")]
    (tmp_path / "a").write_bytes(PNG)
    with pytest.raises(InvalidRequestError, match="lies on a worker"):
        sent(order({"masks": [tmp_path / "a"]}))


@pytest.mark.parametrize("name", ["/no/such/fox.png", "/no/such/a b.JPEG", "file:///no/such/x"])
def test_a_local_path_in_extra_fields_is_never_sent(name: str) -> None:
    with pytest.raises(InvalidRequestError, match="is not there on this worker") as caught:
        order({"mask": {"src": name}})
    assert (caught.value.field, caught.value.charged) == ("mask.src", "no")


@pytest.mark.parametrize(
    "address",
    ["./fox.png", "../fox.png", "~/fox.png", "~me/fox.png", "C:\\fox.png", "s3://lab", "s3://lab/", "s3:lab/x", "gs:///x",
     "s3://key:secret@lab/x", "s3://lab/../x", "s3://lab/x?y", "wasb://box@acc.blob.core.windows.net/a.png",
     "az://box/a.png", "file:fox.png", "FILE:///x", "file://host/x", "hdfs://node/x", "sftp://me@host/x", "memory://x/y",
     "s3://lab/x ", " s3://lab/x", "s3://lab/x\n", "\ts3://lab/x", "\ufeffs3://lab/x", "\xa0gs://lab/x", "/no/fox.png ",
     "https://i.example/a.png ", "\nhttps://i.example/a.png"],
)  # fmt: skip
@pytest.mark.parametrize("depth", [0, 2])
def test_an_address_that_nobody_can_fetch_is_refused_before_the_purchase(address: str, depth: int) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        order({"mask": [{"src": address}] if depth else address})
    assert (caught.value.charged, caught.value.field) == ("no", "mask.0.src" if depth else "mask")
    assert "secret" not in str(caught.value)
    assert "Nothing was bought" in str(caught.value)


LOCAL = [
    "127.0.0.1", "127.9.9.9", "127.1", "2130706433", "0177.0.0.1", "017700000001", "0x7f.0.0.1", "0x7f000001", "0X7F.1", "10.1.2.3",
    "172.16.0.1", "192.168.0.9", "100.64.0.1", "169.254.169.254", "0.0.0.0", "0", "224.0.0.1", "255.255.255.255", "192.0.0.192",
    "168.63.129.16", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]", "[2001:0:1::]", "[fe80::1]", "[fe80::1%25eth0]", "[fec0::1]", "[fd00::1]", "[ff02::1]", "[2001:db8::1]",
    "localhost", "LOCALHOST", "localhost.", "a.localhost", "a.localhost.", "minio.local", "box.%6cocal", "box.\u24dbocal", "host.docker.internal",
    "box.localdomain", "minio", "127.0.0.1.", "10.0.0.1..", "127%2e0%2e0%2e1", "%6cocalhost", "\uff11\uff12\uff17.0.0.1",
    "127\u30020\u30020\u30021", "\u24db\u24de\u24d2\u24d0\u24db\u24d7\u24de\u24e2\u24e3", "me@127.0.0.1", "me:pw@127.0.0.1", "i.example@127.0.0.1",
    "127.0.0.1:9000", "me@[::1]:9000", "localhost:443", "127.0.0.1:", "i.example\\@127.0.0.1", "127.0.0.1\\@i.example",
]  # fmt: skip


@pytest.mark.parametrize("host", LOCAL)
def test_literal_private_addresses_are_refused_however_they_are_written(host: str) -> None:
    for address in (f"http://{host}/a.png?token=t0ken", f"HTTPS://{host}", f"ftp://{host}/a", f"http://{host}/a b.png"):
        for fields in ({"mask": address}, {"layers": [[{"src": address}]]}):
            with pytest.raises(InvalidRequestError, match=r"cannot reach|cannot be read") as caught:
                order(fields)
            assert (caught.value.charged, str(caught.value.field)[0]) == ("no", next(iter(fields))[0])
            assert "t0ken" not in str(caught.value)
            assert "pw@" not in str(caught.value)


@pytest.mark.parametrize(
    "address",
    ["http:/127.0.0.1/a.png", "http:\\\\127.0.0.1\\a.png", "https:////localhost/a", "localhost/a.png",
     "127.0.0.1:9000/a.png", "[::1]:9000/a.png", " http://127.0.0.1/a", "http://127.0.0.1\n/a.png",
     "http://i.example:99999/a", "http://[::1/a"],
)  # fmt: skip
def test_slips_that_some_programs_forgive_hide_no_private_address(address: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        order({"mask": {"src": address}})
    assert caught.value.charged == "no"


PASSING = [
    PUBLIC, "HTTPS://I.EXAMPLE/A.PNG", "http://8.8.8.8/a.png", "http://8.8.8.8:8080/a.png", "https://[2606:4700::1]/a.png",
    "https://1.example/a", "https://i.example./a", "https://me:pw@i.example/a.png", "https://10.example.com/a",
    "https://xn--bcher-kva.example/a", "https://b\xfccher.example/a",
]  # fmt: skip


@pytest.mark.parametrize("text", [
    *PASSING, "data:image/png;base64,AAAA", "fox.png", "a fox at s3://lab/a.png", "seed: 1", "http is a word",
    "/imagine a fox", "Local: a fox in its den", "gs: no storage", "local", "10.0.0.1 is a number", "see ./fox.png", "",
    "~ about 3", "and/or", "file of a fox", "asset:123", "I saw http://127.0.0.1/ on a screen",
])  # fmt: skip
def test_other_texts_go_to_the_vendor_as_they_are(text: str) -> None:
    assert sent(order({"note": {"a": [text]}}))["note"] == {"a": [text]}


@pytest.mark.parametrize(("host", "named"), [
    ("127.0.0.1", "127.0.0.1"), ("minio", "minio"), ("[::1]", "::1"), ("[::1]", "[::1]"), ("localhost.", "localhost"),
    ("MINIO.local", "Minio.Local."),
])  # fmt: skip
def test_a_host_that_the_connection_names_passes_everywhere(host: str, named: str) -> None:
    address = f"http://{host}:9000/a.png"
    made = order({"mask": [address]}, image_url=address, extra={"allow_private_hosts": [named]})
    assert sent(made)["mask"] == [address]


@given(st.ip_addresses())
def test_every_literal_address_that_python_calls_private_is_private(address: Any) -> None:
    host = f"[{address}]" if address.version == 6 else str(address)
    assert is_private(host) or address.is_global
    assert (unreachable(f"http://{host}/a", ()) is None) == (not is_private(host))


@given(st.ip_addresses(v=4), st.sampled_from(["decimal", "hex", "octal", "short", "mapped", "padded"]))
def test_no_odd_way_of_writing_makes_an_address_public(address: Any, way: str) -> None:
    number, parts = int(address), str(address).split(".")
    written = {
        "decimal": str(number), "hex": hex(number), "octal": f"0{number:o}", "mapped": f"[::ffff:{address}]",
        "short": f"{parts[0]}.{number & 0xFFFFFF}", "padded": ".".join(f"0{int(part):o}" for part in parts),
    }[way]  # fmt: skip
    if written != str(address):
        assert is_private(written)


def test_inputs_of_a_model_are_found_in_its_lists_and_objects(private_model: type[VideoModel]) -> None:
    gif = "s3://lab/a.gif"
    request = private_model(
        prompt="s3://lab/prompt-is-text.png", pictures=["s3://lab/a.png", PUBLIC], parts=[{"picture": gif, "note": gif}],
        anything={"deep": [gif]}, page="https://i.example/page",
    )  # fmt: skip
    found = inputs_of(request, {"more": ["gs://lab/b"]})
    assert {place: given.media_types for place, given in found.items()} == {
        "pictures.0": ["image/png"], "pictures.1": ["image/png"], "parts.0.picture": ["image/gif"], "anything.deep.0": None,
        "page": None, "more.0": None,
    }  # fmt: skip


def test_inputs_of_a_model_are_lent_where_they_stand(private_model: type[VideoModel]) -> None:
    pictures, anything = ["s3://lab/a.png", PUBLIC], {"deep": ["gs://lab/b"]}
    request = private_model(prompt="x", pictures=pictures, anything=anything)
    made = make_order(Pixazo(), request, {}, Settings("c", "key"))
    assert sent(made) == {
        "prompt": "x", "pictures": [SIGNED.format("lab/a.png"), PUBLIC], "anything": {"deep": [SIGNED.format("lab/b")]},
    }  # fmt: skip
    assert made.wire.body["pictures"] == [f"sha256:{DIGEST}", PUBLIC]


def test_the_type_that_a_model_names_holds_for_each_of_a_list_and_in_an_object(private_model: type[VideoModel]) -> None:
    with pytest.raises(InvalidRequestError, match="is image/png, and the model takes image/gif") as caught:
        make_order(Pixazo(), private_model(prompt="x", parts=[{"picture": "s3://lab/a.png"}]), {}, Settings("c", "key"))
    assert caught.value.field == "parts.0.picture"


@pytest.mark.parametrize("fields", [
    {"page": "http://10.0.0.1/"}, {"page": "s3://lab/"}, {"anything": {"a": [{"b": "http://[::1]/x"}]}},
    {"pictures": [PUBLIC, "http://localhost/x"]}, {"parts": [{"picture": "http://minio:9000/x"}]},
])  # fmt: skip
def test_addresses_that_nobody_can_fetch_are_refused_inside_of_a_model(
    private_model: type[VideoModel], fields: dict[str, Any]
) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        make_order(Pixazo(), private_model(prompt="x", **fields), {}, Settings("c", "key"))
    assert caught.value.charged == "no"


def test_what_holds_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(InvalidRequestError, match="nested too deeply, or holds itself"):
        order({"loop": loop})


@pytest.mark.parametrize("address", ["s3://lab/a.png", "http://10.0.0.1/a.png", "/no/such/fox.png"])
def test_the_bare_client_sends_none_of_it(address: str) -> None:
    calls: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        calls.append(request)
        return httpx.Response(202, json={"request_id": "r"})

    client = VideoClient(Pixazo(), "key-of-a-test", transport=httpx.MockTransport(answer))
    request = PixverseV6ImageToVideo(prompt="x", image_url=PUBLIC)
    with pytest.raises(InvalidRequestError):
        client.submit(request, {"mask": [address]})
    assert calls == []


def test_the_bare_client_of_a_vendor_in_a_private_network_reaches_others_there() -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(202, json={"request_id": "r", "status": "QUEUED"}))
    client = VideoClient(Pixazo("http://127.0.0.1:1"), "key-of-a-test", transport=transport)
    image_url = "http://minio:9000/a.png"
    assert client.submit(PixverseV6ImageToVideo(prompt="x", image_url=image_url)).request_id == "r"


THEIRS = "https://me:their-password@b.example/k.png?X-Amz-Signature=their-signature"
OURS = "s3://aws@lab/a.png"
NAMES = st.text("ab.\\\\", min_size=1, max_size=3)
REQUESTS = st.recursive(
    st.sampled_from([OURS, THEIRS, "a fox", 5, None]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)


@example({"a": THEIRS, "b": [OURS, {"a.b": THEIRS}]}, {"xa": THEIRS, "xb": [[OURS]]})
@given(st.dictionaries(NAMES, REQUESTS, max_size=3), st.dictionaries(NAMES.map("x{}".format), REQUESTS, max_size=3))
def test_no_signature_is_recorded_wherever_the_address_stands(fields: dict[str, Any], extra: dict[str, Any]) -> None:
    request = catalogue.find("fal:fal-ai/any", unchecked=True).parse({"prompt": "It moves", **fields})
    with mock.patch.object(read, "_remote", return_value=(Bucket(), PNG)):
        made = make_order(Signs(), request, extra, Settings("fal_default", "key"))
    lent = made.lent(VideoClient(Signs(), "k" * 20), Settings("c", "key"), loan=timedelta(hours=6), log=LOG)
    written, sent = json.dumps([request.body(), extra]), json.dumps(lent.wire.body)
    assert sent.count("s3cret") == written.count(OURS)
    assert sent.count("their-signature") == written.count("their-signature")
    assert OURS not in sent
    job = made.noted_in(VideoJob(model=request.id, request_id="r"))
    kept = json.dumps(with_texts(job, {"prompt": "It moves", **fields}).to_dict())
    for recorded in (repr(made.staged), json.dumps(made.intent.__dict__, default=str), job.to_dict(), kept):
        assert "s3cret" not in str(recorded)
    assert "their-signature" not in kept
    assert "their-password" not in kept
    assert "their-signature" not in json.dumps(job.to_dict())
    assert lent.intent.request_sha256 == made.intent.request_sha256
