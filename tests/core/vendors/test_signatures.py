"""Signed calls: what is signed, by which key, and when."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from airflow_video_providers.core.client.public_keys import MOST_BYTES, fetch_keys
from airflow_video_providers.core.errors import VendorUnavailableError
from airflow_video_providers.core.vendors.fal import Fal
from airflow_video_providers.core.vendors.pixazo import Pixazo
from airflow_video_providers.core.vendors.replicate import Replicate
from airflow_video_providers.core.vendors.signatures import public_keys

# The example of the Standard Webhooks specification, of which Replicate's signatures are.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
STANDARD = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
BODY = b'{"test": 2432232314}'
THEN = datetime.fromtimestamp(1614265330, UTC)


def replicates(headers=STANDARD, body=BODY, keys=(SECRET,), now=THEN, **changed):
    changed = {name.replace("_", "-"): value for name, value in changed.items()}
    return Replicate.verify_callback({**headers, **changed}, body, keys, now)


def test_the_example_of_the_specification_is_believed():
    assert replicates()
    assert replicates(keys=["whsec_AAAA", SECRET]), "one of several, while the secret is changed"
    assert replicates(webhook_signature=f"v1,AAAA v2,AAAA {STANDARD['webhook-signature']}"), "one of several signatures"


@pytest.mark.parametrize(
    "changed",
    [
        {"body": BODY + b" "}, {"keys": []}, {"keys": ["whsec_AAAA"]}, {"keys": ["whsec_"]}, {"keys": ["not base64!"]},
        {"webhook_id": "another"}, {"webhook_id": ""}, {"webhook_timestamp": ""}, {"webhook_timestamp": "1614265331"},
        {"webhook_timestamp": "-1614265330"}, {"webhook_timestamp": "9" * 12}, {"webhook_timestamp": "soon"},
        {"webhook_signature": ""}, {"webhook_signature": "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="},
        {"webhook_signature": "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="}, {"webhook_signature": "v1,\u00e9"},
        {"webhook_signature": " ".join(["v1,AAAA"] * 8 + [STANDARD["webhook-signature"]])},
    ],
    ids=range(17),
)  # fmt: skip
def test_anything_else_is_not(changed):
    assert not replicates(**changed)


@pytest.mark.parametrize(("seconds", "believed"), [(300, True), (-300, True), (301, False), (-301, False)])
def test_a_call_holds_for_five_minutes(seconds, believed):
    assert replicates(now=THEN + timedelta(seconds=seconds)) is believed
    assert fals(now=THEN + timedelta(seconds=seconds)) is believed


PRIVATE = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"of this test").digest())
X = base64.urlsafe_b64encode(PRIVATE.public_key().public_bytes_raw()).rstrip(b"=").decode()


def fals(body=BODY, keys=(X,), now=THEN, sign=PRIVATE, **changed):
    lines = ["r-1", "u-1", "1614265330", hashlib.sha256(BODY).hexdigest()]
    headers = {
        "x-fal-webhook-request-id": "r-1",
        "x-fal-webhook-user-id": "u-1",
        "x-fal-webhook-timestamp": "1614265330",
        "x-fal-webhook-signature": sign.sign("\n".join(lines).encode()).hex(),
    } | {f"x-fal-webhook-{name.replace('_', '-')}": value for name, value in changed.items()}
    return Fal.verify_callback(headers, body, keys, now)


def test_fals_four_lines_are_believed_with_any_of_its_keys():
    assert fals()
    assert fals(keys=["A" * 43, X])


@pytest.mark.parametrize(
    "changed",
    [
        {"body": BODY + b" "}, {"keys": []}, {"keys": ["A" * 43]}, {"keys": ["short"]}, {"keys": ["\u00e9"]},
        {"sign": Ed25519PrivateKey.generate()}, {"request_id": "r-2"}, {"user_id": "u-2"}, {"user_id": ""},
        {"timestamp": "1614265331"}, {"timestamp": ""}, {"signature": ""}, {"signature": "zz"}, {"signature": "ab"},
        {"user_id": "\u00e9"},
    ],
    ids=range(15),
)  # fmt: skip
def test_any_other_is_not_fals(changed):
    assert not fals(**changed)


def test_only_who_signs_is_asked_for_a_signature():
    assert [vendor.signs_callbacks() for vendor in (Fal, Replicate, Pixazo)] == [True, True, False]
    assert Pixazo.verify_callback({}, b"", [], THEN)


@pytest.mark.parametrize(
    ("document", "keys"),
    [
        ({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "a"}, {"kty": "OKP", "x": "b"}]}, ["a", "b"]),
        ({"keys": [{"kty": "RSA", "n": "a"}, {"kty": "OKP", "crv": "X25519", "x": "b"}, {"kty": "OKP", "x": 1}, 7]}, []),
        ({"keys": {}}, []), ({}, []), ([], []), (None, []),
        ({"keys": [{"kty": "OKP", "x": str(number)} for number in range(50)]}, list("01234567")),
    ],
    ids=range(7),
)  # fmt: skip
def test_a_key_set_is_read_for_its_ed25519_keys(document, keys):
    assert public_keys(document) == keys


#: Some hundred bytes, which would be a set with a good key if all of it were read.
BOMB = gzip.compress(
    json.dumps({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": X}], "": " " * 2 * MOST_BYTES}).encode()
)


def fetched(*answers):
    sent = []

    def answer(request):
        sent.append(request)
        found = answers[0]
        if isinstance(found, Exception):
            raise found
        return found

    try:
        return fetch_keys("https://keys.example/jwks.json", transport=lambda _url: httpx.MockTransport(answer)), sent
    except VendorUnavailableError as error:
        return error, sent


def test_published_keys_are_fetched_without_an_api_key():
    keys, (request,) = fetched(httpx.Response(200, json={"keys": [{"kty": "OKP", "crv": "Ed25519", "x": X}]}))
    assert keys == [X]
    assert (str(request.url), request.method) == ("https://keys.example/jwks.json", "GET")
    assert "authorization" not in request.headers


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, json={"keys": []}), httpx.Response(200, text="<html>"), httpx.Response(503, text="away"),
        httpx.Response(302, headers={"location": "https://elsewhere.example/"}), httpx.ConnectError("no"),
        httpx.ReadTimeout("slow"), httpx.Response(200, content=b'{"keys": [' + b" " * (2 * MOST_BYTES) + b"]}"),
        httpx.Response(200, headers={"content-encoding": "gzip"}, stream=httpx.ByteStream(BOMB)),
        httpx.Response(200, headers={"content-encoding": "br"}, stream=httpx.ByteStream(b"{}")),
    ],
    ids=range(9),
)  # fmt: skip
def test_keys_that_cannot_be_had_are_one_error_and_no_redirect_is_followed(answer):
    error, sent = fetched(answer)
    assert isinstance(error, VendorUnavailableError)
    assert "keys.example" in str(error)
    assert "No job is affected" in str(error)
    assert len(sent) == 1
