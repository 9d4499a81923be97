"""Fields of the request that a connection's owner forces or forbids."""

from __future__ import annotations

import pytest

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.purchase.order import make_order
from airflow_video_providers.core.purchase.owner_fields import check_fields, read_fields
from airflow_video_providers.core.settings import Settings
from airflow_video_providers.core.vendors import catalogue
from tests.support.vendors import request

V6, MOCHI = "pixazo:pixverse-v6-text-to-video", "pixazo:mochi-v1"
THINKING = {"thinking_type": "disabled"}


def sent(fields, model=V6, extra_fields=None, extra=None, **given):
    connection = Settings("c", "key", extra={"fields": fields} | (extra or {}))
    vendor = catalogue.vendor_of(model)()
    return make_order(vendor, request(model, **given), extra_fields or {}, connection)


@pytest.mark.parametrize("fields", [THINKING, '{"thinking_type": "disabled"}', {"Thinking-Type": "disabled"}])
@pytest.mark.parametrize("given", [{}, THINKING])
def test_a_forced_field_is_sent_where_the_author_left_it_out(fields, given):
    order = sent(fields, **given)
    assert order.wire.body == {"prompt": "a fox", "thinking_type": "disabled"}
    assert "thinking_type" in order.intent.field_digests


def test_another_value_than_the_forced_one_is_refused_because_it_is_not_what_the_author_wrote():
    with pytest.raises(
        InvalidRequestError, match=r"'thinking_type' is 'enabled'; the connection's owner allows"
    ) as caught:
        sent(THINKING, thinking_type="enabled")
    assert (caught.value.field, caught.value.charged) == ("thinking_type", "no")


def test_a_field_holds_for_the_models_that_have_it():
    assert sent(THINKING, MOCHI).wire.body == {"prompt": "a fox"}


@pytest.mark.parametrize(
    ("given", "extra_fields"),
    [({"seed": 7}, {}), ({}, {"camera_move": "dolly"}), ({}, {"deep": {"Camera-Move": 1}})],
)
def test_a_forbidden_field_is_refused_however_it_is_spelt(given, extra_fields):
    with pytest.raises(InvalidRequestError, match="its owner forbids it"):
        sent({"seed": None, "camera_move": None}, extra_fields=extra_fields, **given)


def test_what_is_not_forbidden_is_sent():
    assert sent({"seed": None}, extra_fields={"other": 1}).wire.body == {"prompt": "a fox", "other": 1}


def test_the_price_is_that_of_what_is_sent():
    line = {"usd": 1, "when": {"resolution": "360p"}}
    order = sent({"resolution": "360p"}, extra={"prices": {V6: [line, {"usd": 9}]}})
    assert (order.wire.body["resolution"], order.cost.usd) == ("360p", 1)


def test_what_the_model_does_not_allow_cannot_be_forced():
    with pytest.raises(InvalidRequestError, match="resolution"):
        sent({"resolution": "8k"})


@pytest.mark.parametrize("odd", [7, [], ["seed"], "seed", "{", {7: 1}, {"": 1}, True])
def test_what_is_no_table_of_fields_is_refused(odd):
    with pytest.raises(InvalidRequestError, match="fields in the connection's extra"):
        read_fields(odd)


@pytest.mark.parametrize("nothing", [None, "", " ", {}, "null"])
def test_a_form_that_was_left_empty_forces_nothing(nothing):
    assert read_fields(nothing) == {}
    assert sent(nothing).wire.body == {"prompt": "a fox"}


def test_a_forced_field_that_no_model_has_is_refused_by_the_connections_test_and_by_a_submit():
    for refused in (lambda: check_fields({"thinkng_type": "disabled"}, "pixazo"), lambda: sent({"thinkng_type": "x"})):
        with pytest.raises(InvalidRequestError, match="no model of pixazo has"):
            refused()
    check_fields({"thinking_type": "disabled", "brand_new": None}, "pixazo")


@pytest.mark.parametrize(
    ("fields", "given", "body"),
    [
        ({"enhance": False}, {"enhance": False}, {"prompt": "a fox", "enhance": False}),
        ({"enhance": False}, {}, {"prompt": "a fox"}),
        ({"enhance": False}, {"enhance": True}, None),
        ({"seed": None}, {"seed": 7}, None),
    ],
)
def test_a_model_that_is_not_listed_has_the_fields_that_its_request_holds(fields, given, body):
    model = catalogue.find("fal:fal-ai/some/model", unchecked=True)
    wanted = model.parse({"prompt": "a fox", **given})
    vendor = catalogue.vendor_of("fal:fal-ai/some/model")()
    if body is None:
        with pytest.raises(InvalidRequestError, match="owner"):
            make_order(vendor, wanted, {}, Settings("c", "key", extra={"fields": fields}))
    else:
        assert make_order(vendor, wanted, {}, Settings("c", "key", extra={"fields": fields})).wire.body == body
