from __future__ import annotations

import asyncio
import base64
import gzip
import json
import logging
import time
from types import SimpleNamespace
from urllib.parse import quote

import httpx
import pytest

from airflow_video_providers.core.client import loop_session, transport
from airflow_video_providers.core.client.async_client import AsyncVideoClient
from airflow_video_providers.core.client.base import Session
from airflow_video_providers.core.client.client import VideoClient
from airflow_video_providers.core.errors import (
    AuthenticationError,
    InvalidRequestError,
    RequestRejectedError,
    SubmissionOutcomeUnknownError,
    VendorUnavailableError,
    VideoProviderError,
)
from airflow_video_providers.core.jobs import JobStatus
from airflow_video_providers.core.vendors import catalogue
from tests.support.vendors import KEY, MODELS, NOW, answer, job, request, scripted

VENDORS = sorted(MODELS)
A = "https://media.example/a.mp4"


def vendor_of(vendor, **options):
    return catalogue.vendor_of(MODELS[vendor])(**options)


# The key.


@pytest.mark.parametrize("key", ["", "   ", None, "two\nlines", "schlüssel", "nul\0byte"])
@pytest.mark.parametrize("kind", [VideoClient, AsyncVideoClient])
def test_a_key_that_cannot_be_sent_is_refused_before_anything_else_and_not_repeated(kind, key):
    with pytest.raises(InvalidRequestError) as caught:
        kind(vendor_of("pixazo"), key)
    assert "connection's password" in str(caught.value)
    assert not key or not key.strip() or key not in str(caught.value)


def test_white_space_around_a_key_is_a_slip_of_the_hand():
    script = scripted(answer(200, {"status": "QUEUED"}))
    script.client("segmind", key=f" {KEY}\n").status(job("segmind"))
    assert script.sent[0].headers["x-api-key"] == KEY


def test_the_key_is_in_no_repr():
    for client in (VideoClient(vendor_of("pixazo"), KEY), AsyncVideoClient(vendor_of("pixazo"), KEY)):
        assert KEY not in repr(client)
        assert "https://gateway.pixazo.ai" in repr(client)


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://elsewhere.example/v2/requests/status/r-1",
        "http://gateway.pixazo.ai/v2/requests/status/r-1",
        "https://gateway.pixazo.ai:8443/v2/requests/status/r-1",
        "https://gateway.pixazo.ai.elsewhere.example/v2/requests/status/r-1",
        "https://gateway.pixazo.ai@elsewhere.example/v2/requests/status/r-1",
    ],
)
def test_a_request_for_another_host_is_never_signed(elsewhere, monkeypatch):
    script = scripted(answer(200, {"status": "QUEUED"}))
    client = script.client("pixazo")
    monkeypatch.setattr(client.vendor, "status_call", lambda _job: httpx.Request("GET", elsewhere))
    with pytest.raises(VendorUnavailableError, match="another host") as refused:
        client.status(job("pixazo"))
    assert (script.sent, refused.value.request_id) == ([], "r-1")


async def test_nor_is_it_in_an_event_loop(monkeypatch):
    script, known = scripted(answer(200, {"status": "QUEUED"})), vendor_of("pixazo")
    monkeypatch.setattr(known, "status_call", lambda _job: httpx.Request("GET", "https://elsewhere.example/"))
    async with AsyncVideoClient(known, KEY, transport=httpx.MockTransport(script)) as client:
        with pytest.raises(VendorUnavailableError, match="another host"):
            await client.status(job("pixazo"))
    assert script.sent == []


def to_elsewhere(*calls):
    """A paid flow that makes these calls."""

    def flow(*_):
        for call in calls:  # noqa: UP028 # an iterator has no send
            yield call

    return flow


@pytest.mark.parametrize(
    ("own", "error", "money"),
    [
        (0, InvalidRequestError, "Nothing was charged"),
        (1, SubmissionOutcomeUnknownError, "Whether it was charged is not known"),
    ],
)
@pytest.mark.parametrize("loop", [False, True])
async def test_a_purchase_that_strays_says_what_that_means_for_the_money(monkeypatch, own, error, money, loop):
    """Before anything is sent nothing is charged; after a call to the vendor itself nobody knows."""
    script, known = scripted(answer(200, {"request_id": "r-1"})), vendor_of("pixazo")
    asked = request("pixazo:mochi-v1")
    calls = [httpx.Request("POST", known.url)] * own + [httpx.Request("POST", "https://elsewhere.example/")]
    monkeypatch.setattr(type(known), "submit", to_elsewhere(*calls))

    async def bought():
        if not loop:
            return VideoClient(known, KEY, transport=httpx.MockTransport(script)).submit(asked)
        async with AsyncVideoClient(known, KEY, transport=httpx.MockTransport(script)) as client:
            return await client.submit(asked)

    with pytest.raises(error, match="another host") as raised:
        await bought()
    assert len(script.sent) == own
    assert money in str(raised.value)


async def test_a_call_that_waits_for_room_loses_none_of_its_seconds(monkeypatch):
    """They begin when it goes: behind calls that hang it would have none left."""
    clock, left = SimpleNamespace(now=0.0), []
    monkeypatch.setattr(transport, "time", SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setattr(loop_session, "MOST_CONNECTIONS", 1)
    arrived, go = asyncio.Event(), asyncio.Event()

    async def answered(call):
        left.append(call.extensions["call"].ends - clock.now)
        arrived.set()
        await go.wait()
        return httpx.Response(200, json={"status": "QUEUED"})

    async with AsyncVideoClient(vendor_of("pixazo"), KEY, transport=httpx.MockTransport(answered)) as client:
        polls = [asyncio.create_task(client.status(job("pixazo"))) for _ in range(2)]
        await arrived.wait()
        clock.now = 1000.0
        go.set()
        await asyncio.gather(*polls)
    assert len(left) == 2
    assert left[0] == left[1] > 0


@pytest.mark.parametrize("signed", [True, False])
async def test_the_key_is_on_every_request_and_one_place_puts_it_there(monkeypatch, tmp_path, signed):
    if not signed:
        monkeypatch.setattr(Session, "_sign", lambda _self, call, _timeout: call)
    script = scripted(
        answer(200, {"request_id": "r-1", "status": "QUEUED", "video": A}, content_type="application/json")
    )
    client = script.client("segmind")
    client.submit(request("segmind:mochi-1"))
    client.status(job("segmind"))
    client.check()
    client.generate_to_file(request("segmind:mochi-1"), tmp_path / "a.mp4")
    await looked(script, "segmind")
    assert len(script.sent) == 6, "the check asks twice"
    assert {KEY in repr(call.headers.raw) for call in script.sent} == {signed}


@pytest.mark.parametrize("vendor", VENDORS)
def test_addresses_in_an_answer_are_never_followed(vendor):
    evil = "https://evil.example/take-it"
    script = scripted(
        answer(
            200,
            {"request_id": "r-1", "status": "QUEUED", "polling_url": evil, "status_url": evil, "response_url": evil},
        ),
        answer(200, {"status": "COMPLETED", "video_url": evil, "output": {"media_url": [evil]}, "response_url": evil}),
    )
    client = script.client(vendor)
    seen = client.status(client.submit(request(MODELS[vendor])))
    assert {call.url.host for call in script.sent} == {client._home.host}
    assert seen.status is JobStatus.SUCCEEDED


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", ["https://evil.example/", "/elsewhere"])
def test_redirects_are_not_followed(code, location):
    script = scripted(answer(code, "", location=location))
    client = script.client("segmind")
    for call in (lambda: client.submit(request("segmind:mochi-1")), lambda: client.status(job("segmind"))):
        with pytest.raises(VideoProviderError):
            call()
    assert len(script.sent) == 2
    assert {call.url.host for call in script.sent} == {"api.segmind.com"}


ODD_KEY = 'sk/live+0123"456789=abc'


def echoes(key):
    """How a vendor may echo a key."""
    yield {"error": f"invalid key {key}"}
    yield {"message": {"detail": [f"key={key}, again {key}"]}}
    yield f"<html>{key}</html>"
    yield json.dumps({"error": key}).replace("/", "\\/")
    yield {"error": f"see https://docs.example/?key={quote(key, safe='')}"}
    yield {"error": "x" * 185 + key}  # the excerpt ends within the key


@pytest.mark.parametrize("key", [KEY, ODD_KEY], ids=["plain", "odd"])
@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("code", [400, 401, 429, 500, 200])
def test_a_key_that_a_vendor_echoes_is_in_no_error(vendor, code, key):
    for body in echoes(key):
        script = scripted(answer(code, body))
        client = script.client(vendor, key=key)
        for call in (lambda: client.submit(request(MODELS[vendor])), lambda: client.status(job(vendor)), client.check):  # noqa: B023 # called at once
            try:
                text = repr(call())
            except VideoProviderError as error:
                text = f"{error} {error.args} {error!r}"
            for piece in (key, key[:9], quote(key, safe=""), quote(key, safe="")[:9], json.dumps(key)[1:-1]):
                assert piece not in text, body


def test_a_key_that_a_vendor_echoes_is_nowhere_in_a_job():
    body = {
        "status": "COMPLETED", "output": {"media_url": [f"{A}?key={KEY}"], "media_type": KEY}, "error": KEY, "created_at": KEY,
    }  # fmt: skip
    for word in ("COMPLETED", "FAILED", KEY):
        seen = scripted(answer(200, {**body, "status": word})).client("pixazo").status(job("pixazo"))
        assert KEY not in json.dumps(seen.to_dict())


def test_an_echo_in_a_compressed_answer_is_found_too():
    packed = gzip.compress(json.dumps({"status": "FAILED", "error": f"bad {KEY}"}).encode())
    transport = httpx.MockTransport(lambda _: httpx.Response(200, headers={"content-encoding": "gzip"}, content=packed))
    assert VideoClient(vendor_of("pixazo"), KEY, transport=transport).status(job("pixazo")).error == "bad ***"


def test_a_key_that_could_be_a_word_of_the_answer_leaves_the_answer_alone():
    seen = (
        scripted(answer(200, {"status": "COMPLETED", "video_url": A}))
        .client("appypie", key="video")
        .status(job("appypie"))
    )
    assert seen.outputs[0].url == A


def test_the_key_is_in_no_log(caplog):
    caplog.set_level(logging.DEBUG)
    script = scripted(answer(200, {"request_id": "r-1"}))
    script.client("pixazo").submit(request("pixazo:mochi-v1"))
    assert KEY not in caplog.text
    assert base64.b64encode(KEY.encode()).decode() not in caplog.text


# The address.


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("base", ["http://127.0.0.1:8099/prefix", "http://127.0.0.1:8099/prefix/"])
def test_another_address_replaces_the_vendors_own_for_every_call(vendor, base):
    script = scripted(answer(200, {"request_id": "r-1", "status": "COMPLETED", "video_url": A}))
    client = script.client(vendor, base_url=base)
    client.status(client.submit(request(MODELS[vendor])))
    client.check()
    assert all(str(call.url).startswith("http://127.0.0.1:8099/prefix/") for call in script.sent)


@pytest.mark.parametrize(
    "base", ["https://host:port", "https://", "gateway.example", "ftp://gateway.example", "https://xn--"]
)
def test_an_address_that_cannot_be_called_is_refused(base):
    with pytest.raises(InvalidRequestError, match="https://host"):
        scripted().client("pixazo", base_url=base)


def test_a_client_serves_its_own_vendor_only():
    script = scripted(answer(200, {"request_id": "r-1"}))
    client = script.client("pixazo")
    for call in (lambda: client.submit(request("segmind:mochi-1")), lambda: client.status(job("segmind"))):
        with pytest.raises(InvalidRequestError, match="Pixazo does not serve segmind:mochi-1"):
            call()
    assert script.sent == []


async def test_so_does_the_asynchronous_one():
    with pytest.raises(InvalidRequestError, match="Pixazo does not serve"):
        await AsyncVideoClient(vendor_of("pixazo"), KEY).status(job("segmind"))


# How calls are made.


def test_a_paid_call_is_waited_for_longer_than_a_poll():
    script = scripted(answer(200, {"request_id": "r-1", "status": "QUEUED"}))
    known = script.client("pixazo")
    began = time.monotonic()
    known.submit(request("pixazo:mochi-v1"))
    known.status(job("pixazo"))
    took = time.monotonic() - began
    assert [call.extensions["timeout"]["read"] for call in script.sent] == [90.0, 30.0]
    in_all = [call.extensions["call"].ends - began for call in script.sent]
    assert 180 <= in_all[0] <= 180 + took
    assert 60 <= in_all[1] <= 60 + took


async def test_every_call_says_who_it_is_and_what_it_takes():
    script = scripted(answer(200, {"status": "QUEUED"}))
    script.client("pixazo").status(job("pixazo"))
    await looked(script, "pixazo")
    for call in script.sent:
        assert call.headers["user-agent"].startswith("airflow-video-providers/")
        assert (call.headers["accept"], call.headers["cache-control"]) == ("application/json", "no-cache")
        assert call.headers["ocp-apim-subscription-key"] == KEY
        assert call.extensions["timeout"]["read"] == 30.0
        assert call.headers["accept-encoding"] == "identity"
    names = {"host", "accept", "cache-control", "user-agent", "ocp-apim-subscription-key", "accept-encoding"}
    assert [set(call.headers) - names for call in script.sent] == [set(), set()]


def test_extra_fields_are_sent_beside_the_request():
    script = scripted(answer(200, {"request_id": "r-1"}))
    script.client("pixazo").submit(request("pixazo:mochi-v1", seed=7), {"camera": {"move": "dolly"}})
    assert json.loads(script.sent[0].content) == {"prompt": "a fox", "seed": 7, "camera": {"move": "dolly"}}


def test_a_prompt_is_sent_as_it_was_written():
    script = scripted(answer(200, {"request_id": "r-1"}))
    prompt = 'Füchse 🦊 "im\\Schnee"\n\t{{ no template }}'
    script.client("pixazo").submit(request("pixazo:mochi-v1", prompt=prompt))
    assert json.loads(script.sent[0].content) == {"prompt": prompt}


def test_a_client_can_be_closed_twice_and_used_again():
    script = scripted(answer(200, {"status": "QUEUED"}))
    with script.client("pixazo") as client:
        client.status(job("pixazo"))
        client.close()
        client.status(job("pixazo"))
    client.close()
    assert len(script.sent) == 2


# In an event loop.


async def looked(script, vendor):
    known = vendor_of(vendor, now=lambda: NOW)
    async with AsyncVideoClient(known, KEY, transport=httpx.MockTransport(script)) as client:
        return await client.status(job(vendor))


ANSWERS = [
    answer(200, {"status": "COMPLETED", "video_url": A}),
    answer(200, {"status": "FAILED", "error": f"no {KEY}"}),
    answer(200, {"status": "HALTED"}),
    answer(404, {"error": "Endpoint not found"}),
    answer(422, {"status": "FAILED", "error": "blocked"}),
    answer(401, {"error": f"no {KEY}"}),
    answer(429, {}, retry_after="3"),
    answer(500, {"status": "error"}),
    answer(200, "<html>"),
    httpx.ReadTimeout("slow"),
]


async def test_a_key_stays_with_its_own_request():
    known, script = vendor_of("pixazo"), scripted(answer(200, {"status": "QUEUED"}))
    keys = [KEY, "another-key-0123456789"]
    for key in keys:
        async with AsyncVideoClient(known, key, transport=httpx.MockTransport(script)) as client:
            await client.status(job("pixazo"))
    assert [call.headers["ocp-apim-subscription-key"] for call in script.sent] == keys
    assert "ocp-apim-subscription-key" not in known.status_call(job("pixazo")).headers


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("number", range(len(ANSWERS)))
async def test_a_look_in_an_event_loop_ends_as_one_in_a_worker(vendor, number):
    outcomes = []
    for run in ("worker", "loop"):
        script = scripted(ANSWERS[number])
        try:
            outcomes.append(
                script.client(vendor).status(job(vendor)) if run == "worker" else await looked(script, vendor)
            )
        except VideoProviderError as error:
            outcomes.append((type(error), str(error), error.retry_after))
        outcomes.append([(call.method, call.url, call.content) for call in script.sent])
    assert outcomes[:2] == outcomes[2:]
    assert KEY not in repr(outcomes)


async def test_every_request_of_a_look_is_counted():
    script, counted = scripted(answer(200, {"status": "COMPLETED", "output": A})), []
    async with AsyncVideoClient(vendor_of("segmind"), KEY, transport=httpx.MockTransport(script)) as client:
        await client.status(job("segmind"), on_request=lambda: counted.append(1))
    assert len(counted) == len(script.sent) == 2


# The route that answers with the video itself.


def generated(script, path, **fields):
    return script.client("segmind").generate_to_file(request("segmind:mochi-1", **fields), path)


def test_the_video_is_written_under_its_name_when_it_is_whole(tmp_path):
    script = scripted(answer(200, b"a video", content_type="video/mp4", x_request_id="r-5", x_remaining_credits="3.5"))
    made = generated(script, tmp_path / "fox.mp4", seed=7)
    assert (tmp_path / "fox.mp4").read_bytes() == b"a video"
    assert [path.name for path in tmp_path.iterdir()] == ["fox.mp4"]
    assert script.sent[0].url.path == "/v1/mochi-1"
    assert json.loads(script.sent[0].content) == {"prompt": "a fox", "seed": 7}
    assert (made.request_id, made.status, made.charged, made.remaining_credits) == ("r-5", "succeeded", "yes", "3.5")


def test_extra_fields_are_sent_on_that_route_too(tmp_path):
    script = scripted(answer(200, b"a video", content_type="video/mp4"))
    wanted = request("segmind:mochi-1", seed=7)
    script.client("segmind").generate_to_file(wanted, tmp_path / "a", extra_fields={"camera": {"move": "dolly"}})
    assert json.loads(script.sent[0].content) == {"prompt": "a fox", "seed": 7, "camera": {"move": "dolly"}}


@pytest.mark.parametrize("kind", ["video/mp4", "image/jpeg", "application/octet-stream", "Video/MP4"])
def test_the_bytes_count_and_not_what_the_document_calls_them(tmp_path, kind):
    assert generated(scripted(answer(200, b"a video", content_type=kind)), tmp_path / "a").request_id.startswith("v1-")


def test_an_answer_in_json_names_the_outputs_and_writes_nothing(tmp_path):
    made = generated(scripted(answer(200, {"video": {"url": A}}, content_type="application/json")), tmp_path / "a")
    assert [output.url for output in made.outputs] == [A]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "what",
    [
        answer(200, "<html>", content_type="text/html"),
        answer(200, {"hello": "world"}, content_type="application/json"),
        answer(500, {"error": "x"}),
        httpx.ReadTimeout("slow"),
        httpx.RemoteProtocolError("closed in the middle"),
    ],
)
def test_an_interrupted_call_leaves_nothing_and_is_of_unknown_outcome(tmp_path, what):
    (tmp_path / "fox.mp4").write_bytes(b"before")
    script = scripted(what)
    with pytest.raises(SubmissionOutcomeUnknownError):
        generated(script, tmp_path / "fox.mp4")
    assert len(script.sent) == 1
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("fox.mp4", b"before")]


def test_a_failed_generation_costs_nothing_and_leaves_nothing(tmp_path):
    with pytest.raises(RequestRejectedError, match="blocked"):
        generated(scripted(answer(422, {"status": "FAILED", "error": "blocked"})), tmp_path / "fox.mp4")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("where", ["missing/fox.mp4", "."])
def test_nothing_is_bought_that_could_not_be_written(tmp_path, where):
    script = scripted(answer(200, b"a video", content_type="video/mp4"))
    with pytest.raises(InvalidRequestError, match="Name a file in a folder that exists") as caught:
        generated(script, tmp_path / where)
    assert script.sent == []
    assert caught.value.charged == "no"


def test_a_full_disk_after_the_purchase_is_told_as_what_it_is(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("airflow_video_providers.core.client.client.os.replace", full)
    with pytest.raises(SubmissionOutcomeUnknownError, match="No space left on device") as caught:
        generated(scripted(answer(200, b"a video", content_type="video/mp4")), tmp_path / "fox.mp4")
    assert caught.value.charged == "yes"
    assert not caught.value.retryable
    assert list(tmp_path.iterdir()) == []


def test_errors_of_a_look_name_the_job(tmp_path):
    for kind, code in [(AuthenticationError, 401), (VendorUnavailableError, 503)]:
        with pytest.raises(kind, match="request_id=r-1"):
            scripted(answer(code, {})).client("pixazo").status(job("pixazo"))
