"""What is recorded of an order is what is sent."""

from __future__ import annotations

import dataclasses
import json
import logging
from decimal import Decimal
from typing import TYPE_CHECKING

import httpx
import pytest

from airflow_video_providers.core.client.client import VideoClient
from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.jobs import VideoJob
from airflow_video_providers.core.purchase.decision import Try
from airflow_video_providers.core.purchase.ledger import Ledger
from airflow_video_providers.core.purchase.limits import Limits
from airflow_video_providers.core.purchase.order import Order, make_order
from airflow_video_providers.core.purchase.records import Identity, digest
from airflow_video_providers.core.purchase.stores.object_directory import LocalDirectory
from airflow_video_providers.core.purchase.submit_once import Outside, submit_once
from airflow_video_providers.core.settings import Settings
from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.core.vendors.pixazo import Pixazo
from airflow_video_providers.core.vendors.wire import Wire
from tests.support.vendors import SMALLEST, answer, request, scripted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_video_providers.core.vendors.models import VideoModel

ME = Identity("d", "r", "t")
EXTRAS = {"none": {}, "some": {"camera": {"move": "dolly", "speed": 0.5}, "füchse": [1, "zwei", True]}}


def full(model: str) -> VideoModel:
    """A request with every field that has a default of the vendor's, set."""
    known = catalogue.find(model)
    given = {name: known.describe(name).get("vendor_default") for name in known.model_fields}
    return request(model, **{name: value for name, value in given.items() if value is not None})


def order_for(request: VideoModel, extra_fields, extra=None, **limits) -> Order:
    vendor = catalogue.vendor_of(request.id)()
    return make_order(vendor, request, extra_fields, Settings("c", "key", extra=extra or {}), **limits)


def outside() -> Outside:
    return Outside(log=logging.getLogger("order-test"), poll=lambda job: job, sleep=lambda _: None)


def buy(order: Order, tmp_path, send):
    ledger = Ledger(LocalDirectory(tmp_path))
    job = submit_once(order, ledger, send, this=Try(ME), outside=outside())
    (attempt,) = ledger.attempts(ME)
    return job, attempt


@pytest.mark.parametrize("extra_fields", EXTRAS)
@pytest.mark.parametrize("of", [request, full], ids=["the smallest", "all that has a default"])
@pytest.mark.parametrize("model", SMALLEST)
def test_the_recorded_digest_is_the_digest_of_what_is_sent(tmp_path, model, of, extra_fields):
    script = scripted(answer(200, {"request_id": "r-1"}))
    order = order_for(of(model), EXTRAS[extra_fields], {})
    client = script.client(model.partition(":")[0])
    job, attempt = buy(order, tmp_path, lambda order: client.buy(order.request, order.wire))
    sent = json.loads(script.sent[0].content)
    assert attempt.request_sha256 == job.request_sha256 == digest(sent)
    assert attempt.field_digests.keys() == sent.keys()
    assert sent.keys() >= EXTRAS[extra_fields].keys()


@pytest.mark.parametrize("extra_fields", EXTRAS)
def test_so_it_is_on_the_route_that_answers_with_the_video(tmp_path, extra_fields):
    script = scripted(answer(200, b"a video", content_type="video/mp4", x_request_id="r-5"))
    order = order_for(full("segmind:mochi-1"), EXTRAS[extra_fields], {})
    client = script.client("segmind")
    film = tmp_path / "film"
    job, attempt = buy(order, tmp_path, lambda order: client.buy_to_file(order.request, order.wire, film))
    assert film.read_bytes() == b"a video"
    assert attempt.request_sha256 == job.request_sha256 == digest(json.loads(script.sent[0].content))


def test_every_model_of_the_package_is_among_them():
    assert {model for model in catalogue.models() if model.partition(":")[0] in catalogue.vendors()} >= SMALLEST.keys()
    assert {m for m in catalogue.models() if catalogue.find(m).__module__.startswith("airflow_video_providers.")} == (
        SMALLEST.keys()
    )


def test_an_order_is_not_changed(tmp_path):
    order = order_for(request("pixazo:mochi-v1"), {}, {})
    with pytest.raises(dataclasses.FrozenInstanceError):
        order.conn_id = "other"


def test_a_body_that_grows_after_it_was_composed_is_sent_as_it_was_recorded(tmp_path):
    deep = {"move": "dolly"}
    script = scripted(answer(200, {"request_id": "r-1"}))
    order = order_for(request("pixazo:mochi-v1"), {"camera": deep}, {})
    deep["move"] = "pan"
    client = script.client("pixazo")
    _, attempt = buy(order, tmp_path, lambda order: client.buy(order.request, order.wire))
    assert json.loads(script.sent[0].content)["camera"] == {"move": "dolly"}
    assert attempt.request_sha256 == digest(json.loads(script.sent[0].content))


class Wrapped(Pixazo):
    """A vendor with a form of its own."""

    def wire(self, request: VideoModel, extra_fields: Mapping[str, object]) -> Wire:
        return Wire({"input": {**request.body(), **extra_fields}}, {"X-Version": "2"})


def test_a_vendors_own_form_is_what_is_recorded(tmp_path):
    script = scripted(answer(200, {"request_id": "r-1"}))
    client = VideoClient(Wrapped(), "key", transport=httpx.MockTransport(script))
    order = make_order(client.vendor, request("pixazo:mochi-v1"), {"mood": "calm"}, Settings("c", "key"))
    _, attempt = buy(order, tmp_path, lambda order: client.buy(order.request, order.wire))
    assert json.loads(script.sent[0].content) == {"input": {"prompt": "a fox", "mood": "calm"}}
    assert attempt.request_sha256 == digest(json.loads(script.sent[0].content))
    assert script.sent[0].headers["x-version"] == "2"


def test_it_holds_the_price_the_account_pays_and_the_stricter_limit():
    extra = {"prices": {"pixazo:mochi-v1": "0.30"}, "max_cost_usd": 1}
    order = order_for(request("pixazo:mochi-v1"), {}, extra, max_cost_usd="0.50")
    assert (order.cost.usd, order.limits) == (Decimal("0.30"), Limits(Decimal("0.50")))
    job = order.noted_in(VideoJob(model="pixazo:mochi-v1", request_id="r-1"))
    assert (job.conn_id, job.estimated_cost_usd, job.request_sha256) == ("c", Decimal("0.30"), digest(order.wire.body))


@pytest.mark.parametrize("odd", [float("nan"), object(), "\ud800", {1: object()}])
def test_what_cannot_be_sent_makes_no_order(odd):
    with pytest.raises(InvalidRequestError, match="cannot be written as JSON"):
        order_for(request("pixazo:mochi-v1"), {"odd": odd}, {})
