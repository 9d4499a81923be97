"""Any model of an aggregator by its id: checked against a pinned schema, or on purpose by nobody."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.core.vendors.fal import Fal
from airflow_video_providers.core.vendors.schema_files import made, read_schema

MODEL = "fal:fal-ai/kling-video/v2.1/standard/text-to-video"
SCHEMA = {
    "type": "object",
    "properties": {
        "prompt": {"type": "string", "maxLength": 100},
        "duration": {"type": "string", "enum": ["5", "10"], "default": "5"},
        "elements": {"type": "array", "items": {"$ref": "#/$defs/Element"}, "maxItems": 4},
        "camera": {"type": "object", "properties": {"pan": {"type": "integer"}}, "additionalProperties": False},
    },
    "required": ["prompt"],
    "additionalProperties": False,
    "$defs": {
        "Element": {"type": "object", "properties": {"image_url": {"type": "string"}}, "required": ["image_url"]}
    },
}
GOOD = {"prompt": "a fox", "elements": [{"image_url": "https://i.example/a.png"}], "camera": {"pan": 1}}


def pinned(listed=None):
    return made(MODEL, SCHEMA, fetched="2026-11-26", listed=listed)


def checked(**options):
    return catalogue.find(MODEL, schema=pinned(**options))


def test_an_id_with_slashes_names_a_model_of_fals_and_the_catalogues_list_does_not_grow():
    before = set(catalogue.models())
    assert catalogue.find(MODEL).id == MODEL
    assert catalogue.vendor_of(MODEL) is Fal
    assert catalogue.find(MODEL).path == "/fal-ai/kling-video/v2.1/standard/text-to-video"
    assert catalogue.find(MODEL).documentation == "https://fal.ai/models/fal-ai/kling-video/v2.1/standard/text-to-video"
    assert set(catalogue.models()) == before


@pytest.mark.parametrize(
    "model",
    [
        "fal:",
        "fal:mochi",
        "fal:/a/b",
        "fal:a/../b",
        "fal:a//b",
        "fal:a/b?x=1",
        "fal:a/b#c",
        "fal:a/b c",
        "fal:a/" + "b" * 300,
    ],
)
def test_what_is_no_endpoint_is_refused(model):
    with pytest.raises(InvalidRequestError, match=r"an id of fal is an endpoint such as"):
        catalogue.find(model)


def test_without_a_schema_a_request_is_accepted_only_on_purpose():
    with pytest.raises(InvalidRequestError, match=r"unchecked=True") as refused:
        catalogue.find(MODEL).parse({"prompt": "a fox"})
    assert (refused.value.charged, refused.value.field) == ("no", "schema")
    with pytest.raises(InvalidRequestError):
        catalogue.find(MODEL)(prompt="a fox")
    assert catalogue.find(MODEL, unchecked=True).parse({"prompt": "a fox"}).body() == {"prompt": "a fox"}


def test_a_request_with_lists_and_objects_goes_over_the_wire_as_it_was_written():
    request = catalogue.find(MODEL, unchecked=True).parse({**GOOD, "seed": None, "cfg_scale": 0.5, "loop": False})
    assert request.body() == {**GOOD, "cfg_scale": 0.5, "loop": False}
    assert Fal().wire(request, {"x": [1]}).body == {**GOOD, "cfg_scale": 0.5, "loop": False, "x": [1]}
    assert request.price() is None


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (float("nan"), "a number that JSON has not"),
        ([{"a": float("inf")}], "a number that JSON has not"),
        ({"a": {1: 2}}, "a name that is no text"),
        (["\ud800"], "half a character"),
        (datetime(2026, 1, 1, tzinfo=UTC), "which is no JSON"),
        ({"a": {2, 3}}, "which is no JSON"),
    ],
)
def test_what_is_no_json_is_refused_however_deep_it_stands(value, why):
    with pytest.raises(InvalidRequestError, match=why):
        catalogue.find(MODEL, unchecked=True).parse({"field": value})


def test_what_holds_itself_is_refused():
    around: list[object] = []
    around.append(around)
    with pytest.raises(InvalidRequestError, match="nested deeper"):
        catalogue.find(MODEL, unchecked=True).parse({"field": around})


def test_a_request_that_fits_the_pinned_schema_passes():
    assert checked().parse(GOOD).body() == GOOD


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"prompt": 7}, "prompt"),
        ({"prompt": "x" * 101}, "prompt"),
        ({"duration": "7"}, "duration"),
        ({"elements": [{}]}, "elements.0"),
        ({"elements": [{"image_url": 1}]}, "elements.0.image_url"),
        ({"camera": {"tilt": 1}}, "camera"),
        ({"promt": "a fox"}, None),
    ],
)
def test_what_the_pinned_schema_does_not_allow_is_refused_with_its_place(wrong, field):
    with pytest.raises(InvalidRequestError, match="fetched 2026-11-26") as refused:
        checked().parse({**GOOD, **wrong})
    assert (refused.value.field, refused.value.charged) == (field, "no")


def test_at_parse_what_holds_a_template_is_left_for_the_task_and_the_rest_is_checked():
    model = checked()
    model.parse(
        {"prompt": "{{ params.p }}", "duration": "{{ params.d }}", "elements": "{{ params.e }}"}, rendered=False
    )
    model.parse(
        {"prompt": "a", "elements": [{"image_url": "{{ params.i }}"}], "camera": {"pan": "{{ 1 }}"}}, rendered=False
    )
    with pytest.raises(InvalidRequestError, match="duration"):
        model.parse({"prompt": "{{ params.p }}", "duration": "7"}, rendered=False)
    with pytest.raises(InvalidRequestError, match="duration"):
        model.parse({"prompt": "a fox", "duration": "{{ params.d }}"})


@pytest.mark.parametrize(
    ("listed", "request_", "price"),
    [
        (None, {}, None),
        ({"unit_price": 0.05, "unit": "seconds", "currency": "USD"}, {}, Decimal("0.25")),
        ({"unit_price": 0.05, "unit": "seconds", "currency": "USD"}, {"duration": "10"}, Decimal("0.50")),
        ({"unit_price": 0.4, "unit": "videos", "currency": "USD"}, {}, Decimal("0.4")),
        ({"unit_price": 0.4, "unit": "megapixels", "currency": "USD"}, {}, None),
        ({"unit_price": 0.4, "unit": "videos", "currency": "EUR"}, {}, None),
        ({"unit_price": "dear", "unit": "videos", "currency": "USD"}, {}, None),
    ],
)
def test_a_price_line_is_used_where_it_can_be_reckoned_with_and_no_other(listed, request_, price):
    found = checked(listed=listed).parse({**GOOD, **request_}).price()
    assert (found and found[0]) == price
    assert found is None or found[1] == "the vendor's price list, fetched 2026-11-26"


def test_a_file_is_what_was_fetched_or_is_refused(tmp_path):
    place = tmp_path / "kling.json"
    place.write_text(json.dumps(pinned(listed={"unit_price": 1, "unit": "videos"}).to_dict()))
    assert read_schema(place).to_dict() == pinned(listed={"unit_price": 1, "unit": "videos"}).to_dict()
    assert read_schema(place) is read_schema(place)
    content = pinned().to_dict()
    content["schema"]["properties"]["prompt"]["maxLength"] = 1000
    place.write_text(json.dumps(content))
    with pytest.raises(InvalidRequestError, match="was changed after it was fetched"):
        read_schema(place)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": 1, "schema": []}', '{"format": 1, "schema": {"type": 7}}', "[" * 100_000]
)
def test_what_is_no_schema_file_is_refused(tmp_path, text):
    place = tmp_path / "kling.json"
    place.write_text(text)
    with pytest.raises(InvalidRequestError, match="schema"):
        read_schema(place)
    with pytest.raises(InvalidRequestError, match="cannot be read"):
        read_schema(tmp_path / "nowhere.json")


def test_a_schema_of_another_model_and_one_for_a_listed_model_are_refused():
    with pytest.raises(InvalidRequestError, match="one of fal:fal-ai/kling"):
        catalogue.find("fal:fal-ai/veo3", schema=pinned()).parse(GOOD)
    with pytest.raises(InvalidRequestError, match="is not asked"):
        catalogue.find("pixazo:mochi-v1", schema=pinned())
