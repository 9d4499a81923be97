"""An author's own receiver: who can call it, and what is wrong with an address before anything is bought."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from airflow_video_providers.core.callbacks.webhook import LONGEST_ADDRESS, Callback, checked
from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.core.vendors.wire import Wire
from tests.support.vendors import answer, request, scripted

RECEIVER = "https://receiver.example/video?team=7"
PIXAZO = catalogue.vendors()["pixazo"]


@pytest.mark.parametrize(
    "url", [RECEIVER, "https://8.8.8.8/x", "https://[2a00:1450:4001:80e::200e]/x", "https://receiver.example:8443"]
)
def test_a_public_https_address_is_taken_as_it_is(url):
    assert checked(PIXAZO, url, "sync", allowed_hosts=()) == Callback(url, "sync")


def test_a_text_of_a_callback_names_its_host_and_not_its_signed_path():
    assert (
        repr(Callback("https://receiver.example/v1/t0ken.s1gned?x=1"))
        == "Callback(host='receiver.example', mode='terminal')"
    )


@pytest.mark.parametrize(
    "url",
    [
        "http://receiver.example/x", "ftp://receiver.example/x", "receiver.example/x", "https://", "https:///x", "https://a b.example",
        "https://user:secret@receiver.example/x", "https://receiver.example/x#part", "https://receiver.example:99999/",
        "https://receiver.example/\r\nX-Evil: 1", "https://receiver.example/ä", "https://[::1", "//receiver.example/x",
        "https://127.0.0.1/x", "https://localhost/x", "https://LOCALHOST./x", "https://api.localhost/x", "https://10.1.2.3/x",
        "https://192.168.1.1:8443/x", "https://169.254.169.254/latest", "https://0.0.0.0/", "https://2130706433/", "https://0x7f000001/",
        "https://127.1/", "https://0177.0.0.1/", "https://[::1]/x", "https://[fd00::1]/x", "https://[::ffff:10.0.0.1]/x", "https://[fe80::1%25eth0]/",
        "https://db.internal/x", "https://receiver.example/" + "x" * LONGEST_ADDRESS,
    ],
)  # fmt: skip
def test_an_address_that_nobody_outside_can_call_is_refused_and_not_repeated(url):
    with pytest.raises(InvalidRequestError) as refused:
        checked(PIXAZO, url, allowed_hosts=())
    assert refused.value.field == "webhook_url"
    assert refused.value.charged == "no"
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("url", ["https://10.1.2.3/x", "http://10.1.2.3/x"])
def test_a_host_that_the_connection_allows_may_be_private_and_speak_http(url):
    assert checked(PIXAZO, url, allowed_hosts={"10.1.2.3"}).url == url
    with pytest.raises(InvalidRequestError):
        checked(PIXAZO, url, allowed_hosts={"10.1.2.4"})


@pytest.mark.parametrize("vendor", ["appypie", "segmind"])
def test_a_vendor_without_webhooks_says_so(vendor):
    with pytest.raises(InvalidRequestError, match="has no webhooks"):
        checked(catalogue.vendors()[vendor], RECEIVER, allowed_hosts=())


@pytest.mark.parametrize("mode", ["always", "", None, 1])
def test_another_mode_is_refused_with_those_that_there_are(mode):
    with pytest.raises(InvalidRequestError, match="'terminal' or 'sync'"):
        checked(PIXAZO, RECEIVER, mode, allowed_hosts=())


@pytest.mark.parametrize("model", [model for model in sorted(catalogue.models()) if model.startswith("pixazo:")])
def test_pixazo_is_asked_in_two_headers_and_the_body_stays_as_it_was(model):
    bought = answer(202, {"request_id": "r-1", "status": "QUEUED"})
    plain, asked = scripted(bought), scripted(bought)
    plain.client("pixazo").submit(request(model))
    asked.client("pixazo").submit(request(model), callback=Callback(RECEIVER, "sync"))
    assert asked.sent[0].headers["X-Webhook-URL"] == RECEIVER
    assert asked.sent[0].headers["X-Webhook-Mode"] == "sync"
    assert not [name for name in plain.sent[0].headers if "webhook" in name]
    assert asked.sent[0].content == plain.sent[0].content


def test_which_vendors_have_webhooks_is_declared_on_their_class():
    declared = {name: kind.webhook_modes for name, kind in catalogue.vendors().items()}
    terminal = ("terminal",)
    assert declared == {
        "pixazo": ("terminal", "sync"), "fal": terminal, "replicate": terminal, "appypie": (), "segmind": (),
    }  # fmt: skip


def test_fal_is_asked_in_the_query_and_replicate_in_the_body():
    wire = Wire({"prompt": "a fox"})
    fal, replicate = catalogue.vendors()["fal"](), catalogue.vendors()["replicate"]()
    model = SimpleNamespace(id="x:y", path="/a/b")
    call = fal.submit_call(model, wire, Callback("https://r.example/x?token=a.b", "terminal"))
    assert call.url.params["fal_webhook"] == "https://r.example/x?token=a.b"
    assert json.loads(call.content) == wire.body
    call = replicate.submit_call(model, wire, Callback(RECEIVER))
    assert json.loads(call.content) == {"prompt": "a fox", "webhook": RECEIVER, "webhook_events_filter": ["completed"]}
    assert json.loads(replicate.submit_call(model, wire).content) == wire.body
