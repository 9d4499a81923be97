"""Whatever a vendor answers: a transcript holds no key, no signed address and no id."""

from __future__ import annotations

import json
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.core.vendors.fal import Fal
from airflow_video_providers.testing.certification.recorder import Recorder
from airflow_video_providers.testing.certification.redaction import HEADERS, Reduction

KEY = "0f1e2d3c-key-4b5a:s3cr3t-69788796a5b4"
REQUEST_ID = "764cabcf-b745-4b3e-ae38-1200304cf45b"
OWN = ("https://queue.fal.run", "https://api.fal.ai")
#: What must be nowhere: a key and its halves, and what signs addresses.
SECRETS = (KEY, *KEY.split(":"), REQUEST_ID, "SIGNATURE-9b1c", "PATH-TOKEN-77aa")
REDUCTION = Reduction(KEY, OWN, [REQUEST_ID])

_PLAIN = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_ESCAPED = [lambda text: text, lambda text: text.replace("/", "\\/"), lambda text: quote(text, safe=""),
            lambda text: quote(quote(text, safe=""), safe=""), json.dumps]  # fmt: skip
_ADDRESSES = st.sampled_from([
    "https://cdn.example/PATH-TOKEN-77aa/out.mp4?sig=SIGNATURE-9b1c",
    "https://user:SIGNATURE-9b1c@cdn.example/PATH-TOKEN-77aa/a",
    "https://cdn.example/PATH-TOKEN-77aa#SIGNATURE-9b1c",
    "https://queue.fal.run/fal-ai/requests/" + REQUEST_ID + "?token=SIGNATURE-9b1c",
    "http://[::1]:8080/PATH-TOKEN-77aa?x=SIGNATURE-9b1c",
    "s3://bucket/PATH-TOKEN-77aa?versionId=SIGNATURE-9b1c",
    "runway://PATH-TOKEN-77aa",
    "//cdn.example/PATH-TOKEN-77aa?SIGNATURE-9b1c",
    "data:video/mp4;base64,PATH-TOKEN-77aa",
])  # fmt: skip
_SECRET = st.sampled_from([KEY, *KEY.split(":"), REQUEST_ID]) | st.builds(
    lambda address, spell: spell(address), _ADDRESSES, st.sampled_from(_ESCAPED)
)
_TEXTS = _PLAIN | st.builds(
    lambda a, b, c, gap: f"{a}{gap}{b}{gap}{c}", _PLAIN, _SECRET, _PLAIN, st.sampled_from(" \n\"'<")
)
_BODIES = st.recursive(
    _TEXTS | _SECRET | st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS, inner, max_size=4),
    max_leaves=12,
)


def clean(text: str) -> None:
    for secret in SECRETS:
        assert secret not in text, (secret, text)


@given(_BODIES)
def test_no_body_holds_a_key_a_signed_address_or_an_id(body):
    clean(json.dumps(REDUCTION.value(body), ensure_ascii=False))


@given(st.dictionaries(st.sampled_from([*sorted(HEADERS), "authorization", "set-cookie", "x-amz-signature"]), _SECRET))
def test_no_header_does(headers):
    kept = REDUCTION.headers(headers)
    clean(json.dumps(kept))
    assert kept.keys() <= HEADERS


@given(_BODIES, _BODIES, st.sampled_from([200, 202, 422, 500]))
def test_no_exchange_does_whatever_is_asked_and_answered(sent, answered, code):
    vendor = Fal()
    recorder = Recorder(vendor, catalogue.find("fal:a/b", unchecked=True).parse({"prompt": "a fox"}))
    headers = {"Authorization": f"Key {KEY}", "Content-Type": "application/json", "x-fal-no-retry": "1"}
    address = "https://queue.fal.run/a/b?fal_webhook=https%3A%2F%2Fhost%2FSIGNATURE-9b1c"
    answer = httpx.Response(
        code,
        json=answered,
        headers={"x-request": KEY, "location": "https://cdn.example/PATH-TOKEN-77aa?SIGNATURE-9b1c"},
    )
    recorder(httpx.Request("POST", address, headers=headers, json=sent), answer)
    recorder.verb = "status"
    recorder(httpx.Request("GET", f"https://queue.fal.run/a/b/requests/{REQUEST_ID}/status?logs=0"), answer)
    recorder(httpx.Request("GET", f"https://queue.fal.run/a/b/requests/{REQUEST_ID}"), httpx.ReadError(f"{KEY} broke"))
    found = recorder.exchanges(REDUCTION, REQUEST_ID)
    clean(json.dumps([one.model_dump() for one in found], ensure_ascii=False))
    assert [(one.verb, one.step) for one in found] == [("submit", 0), ("status", 0), ("status", 1)]
    assert found[1].request.path == "/a/b/requests/{id}/status"
    assert (found[1].request.query, found[2].error) == (["logs"], "ReadError")
    assert found[0].request.headers["x-fal-no-retry"] == "1"


def test_other_purchases_in_a_history_are_not_kept():
    recorder = Recorder(Fal(), catalogue.find("fal:a/b", unchecked=True).parse({"prompt": "a fox"}))
    recorder.verb = "history"
    items = [{"request_id": "other-1", "json_input": {"prompt": "somebody's secret film"}}, {"request_id": REQUEST_ID}]
    call = httpx.Request("GET", "https://api.fal.ai/v1/models/requests/by-endpoint")
    recorder(call, httpx.Response(200, json={"items": items, "has_more": False}))
    (found,) = recorder.exchanges(REDUCTION, REQUEST_ID)
    assert found.answer.body == {"items": [{"request_id": "{id}"}], "has_more": False}


@pytest.mark.parametrize(
    "name", ["token", "access_token", "apiKey", "Signature", "client_secret", "Authorization", "session_id"]
)
def test_a_value_that_is_named_like_a_secret_is_not_kept(name):
    assert REDUCTION.value({"a": [{name: "abc"}]}) == {"a": [{name: "***"}]}


def test_what_says_how_an_api_works_is_kept():
    body = {"status": "IN_QUEUE", "status_url": f"https://queue.fal.run/fal-ai/kling/requests/{REQUEST_ID}/status",
            "video": {"url": "https://v3.fal.media/files/lion/PATH-TOKEN-77aa.mp4", "file_size": 10}, "logs": None}  # fmt: skip
    assert REDUCTION.value(body) == {
        "status": "IN_QUEUE",
        "status_url": "https://queue.fal.run/fal-ai/kling/requests/{id}/status",
        "video": {"url": "https://v3.fal.media/reduced.mp4", "file_size": 10},
        "logs": None,
    }
