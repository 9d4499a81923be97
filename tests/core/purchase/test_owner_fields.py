"""Fields of the request that a connection's owner forces or forbids."""

from __future__ import annotations

import pytest

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.purchase.order import make_order
from airflow_video_providers.core.purchase.owner_fields import check_fields, read_fields
from airflow_video_providers.core.settings import Settings
from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.core.vendors.schema_files import made
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


SCHEMA = {
    "type": "object",
    "properties": {
        "prompt": {"type": "string"}, "seed": {"type": "integer"},
        "duration": {"type": "integer", "enum": [5, 10], "default": 5}, "resolution": {"type": "string", "default": "720p"},
    },
}  # fmt: skip
LISTED = {"unit_price": 0.1, "unit": "second", "currency": "USD"}


def order_of_an_open_model(given, extra_fields, extra, *, pinned=True):
    schema = made("fal:fal-ai/some/model", SCHEMA, fetched="2026-01-01", listed=LISTED) if pinned else None
    model = catalogue.find("fal:fal-ai/some/model", schema=schema, unchecked=not pinned)
    connection = Settings("c", "key", extra=extra)
    return make_order(
        catalogue.vendor_of(model.id)(), model.parse({"prompt": "a fox", **given}), extra_fields, connection
    )


BY_SOUND = {"prices": {"fal:fal-ai/some/model": [{"usd": 3, "when": {"sound": True}}, {"usd": 0.3}]}}


@pytest.mark.parametrize(
    ("given", "extra_fields", "extra", "pinned"),
    [
        ({"duration": 5}, {"duration": 600}, {"max_cost_usd": 0.6}, True),
        ({}, {"Dura-tion": 600}, {"max_cost_usd": 0.6}, True),
        ({}, {"options": {"duration": 600}}, {"max_cost_usd": 0.6}, True),
        ({}, {"resolution": "1080p"}, {}, True),
        ({}, {"prompt": "a cat"}, {}, True),
        ({"seed": 7}, {"seed": 8}, {"fields": {"seed": 7}}, True),
        ({}, {"duration": 60}, {}, False),
        ({"size": 1}, {"size": 2}, {}, False),
        ({}, {"sound": True}, BY_SOUND, False),
        ({}, {"input": {"sound": True}}, BY_SOUND, False),
        ({}, {"thinking_type": "enabled"}, {"fields": THINKING}, False),
    ],
)
def test_extra_fields_of_a_model_that_is_not_listed_are_no_way_past_its_price_its_schema_and_the_owner(
    given, extra_fields, extra, pinned
):
    with pytest.raises(InvalidRequestError, match="extra_fields holds") as caught:
        order_of_an_open_model(given, extra_fields, extra, pinned=pinned)
    assert caught.value.charged == "no"


@pytest.mark.parametrize("pinned", [True, False])
def test_what_nobody_knows_of_such_a_model_is_sent(pinned):
    order = order_of_an_open_model({}, {"camera": "dolly"}, BY_SOUND if not pinned else {}, pinned=pinned)
    assert order.wire.body == {"prompt": "a fox", "camera": "dolly"}


def test_a_forced_field_of_a_pinned_schema_is_sent_where_the_author_left_it_out():
    order = order_of_an_open_model({}, {}, {"fields": {"seed": 7}})
    assert order.wire.body == {"prompt": "a fox", "seed": 7}


def test_nor_are_they_for_a_field_that_this_model_has_not_and_the_owner_forces():
    with pytest.raises(InvalidRequestError, match="extra_fields holds 'thinking_type'"):
        sent(THINKING, MOCHI, extra_fields={"thinking_type": "enabled"})
