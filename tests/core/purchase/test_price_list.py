"""Prices: the documents' own, and a connection's, as vendors print them."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.purchase.price_list import MOST_ROWS, check_prices
from airflow_video_providers.core.purchase.pricing import Estimate, estimate
from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.core.vendors.models import Price, optional
from airflow_video_providers.core.vendors.pixazo import PixazoModel
from airflow_video_providers.core.vendors.schema_files import made
from tests.support.vendors import request

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

MODEL, I2V, SEGMIND = "pixazo:mochi-v1", "pixazo:pixverse-v6-image-to-video", "segmind:mochi-1"
#: What is no amount that can be reckoned with.
UNTOLD = [
    "much", "nan", "inf", -1, True, "9e999999", "1e-999999", float("nan"), float("inf"), 10**5000, 1e300, "0." + "1" * 5000,
    1_000_001, b"1", None, object(),
]  # fmt: skip

#: The vendor's page, line by line: size, price without audio, price with it.
PRINTED = [
    ("360p", "0.025", "0.035"),
    ("540p", "0.035", "0.045"),
    ("720p", "0.045", "0.06"),
    ("1080p", "0.09", "0.115"),
]
EIGHT = [(size, audio, usd) for size, *pair in PRINTED for audio, usd in zip((False, True), pair, strict=True)]
LIST = [
    {"usd": float(usd), "per": "second", "when": {"resolution": size, "generate_audio_switch": audio}}
    for size, audio, usd in EIGHT
]


def cost(prices, model=I2V, **fields):
    return estimate(request(model, **fields), prices)


@pytest.mark.parametrize("prices", [None, {I2V: LIST}, json.dumps({I2V: LIST})], ids=["documented", "list", "text"])
@pytest.mark.parametrize("seconds", [1, 5, 7, 15])
@pytest.mark.parametrize(("size", "audio", "usd"), EIGHT)
def test_the_eight_printed_lines_are_estimated_exactly(prices, seconds, size, audio, usd):
    told = cost(prices, resolution=size, generate_audio_switch=audio, duration=seconds)
    assert told.usd == Decimal(usd) * seconds


@pytest.mark.parametrize("prices", [None, {I2V: LIST}])
def test_what_is_not_sent_counts_with_the_vendors_default(prices):
    assert cost(prices).usd == Decimal("0.225")


@pytest.mark.parametrize("prices", [None, {I2V: LIST}])
@pytest.mark.parametrize("audio", [True, False])
def test_a_size_that_no_line_names_is_unknown(prices, audio):
    assert cost(prices, resolution="480p", generate_audio_switch=audio) == Estimate(None, None)


def test_a_gap_in_the_connections_list_is_never_filled_from_the_documents():
    assert cost({I2V: LIST[:2]}).usd is None
    assert cost({"another:model": 1}).usd == Decimal("0.225")


def test_an_estimate_names_its_row():
    assert cost({I2V: LIST}).basis == "the connection's prices, row 5: per second"


def test_of_rows_that_overlap_the_first_counts_and_the_last_may_stand_for_the_rest():
    rows = [{"usd": 3, "when": {"resolution": ["1080p", "720p"]}}, {"usd": 2, "when": {"duration": 5}}, {"usd": 1}]
    assert [cost({I2V: rows}, resolution=size, duration=seconds).usd for size, seconds in
            (("720p", 5), ("360p", 5), ("360p", 6))] == [3, 2, 1]  # fmt: skip


@pytest.mark.parametrize(
    "rows",
    [
        [{"usd": 0.025, "when": {"resolution": "360p"}}, {"usd": 0.035, "when": {"resolution": "360p"}}],
        [{"usd": 1}, {"usd": 2, "when": {"resolution": "360p"}}],
        [
            {"usd": 1, "when": {"resolution": ["360p", "720p"]}},
            {"usd": 2, "when": {"resolution": "720p", "duration": 5}},
        ],
        [{"usd": 1, "when": {"generate_audio_switch": "true"}}, {"usd": 2, "when": {"generate_audio_switch": True}}],
    ],
)
def test_a_row_that_can_never_hold_is_refused_as_where_a_page_prints_a_size_twice_without_saying_why(rows):
    with pytest.raises(InvalidRequestError, match=r"row 2, .* can never hold: row 1 comes first"):
        cost({I2V: rows})


def test_a_condition_may_be_that_a_field_is_not_set():
    rows = {I2V: [{"usd": 1, "when": {"style": None}}, {"usd": 2, "when": {"style": ["clay", "anime"]}}]}
    assert [cost(rows).usd, cost(rows, style="clay").usd, cost(rows, style="comic").usd] == [1, 2, None]


@pytest.mark.parametrize("price", ["0.25", 0.25, {"usd": "0.25"}, {"usd": 0.25, "per": "generation"}, [{"usd": 0.25}]])
def test_the_accounts_own_price_wins(price):
    told = cost({MODEL: price, "other": 1}, MODEL)
    assert told.usd == Decimal("0.25")
    assert told.basis.startswith("the connection's prices")
    assert told.basis.endswith(": per generation")


def test_without_a_price_of_its_own_the_documented_one_holds_and_nothing_is_never_zero():
    assert cost(None, MODEL).usd == Decimal("0.4")
    assert cost(" ", SEGMIND) == cost({}, SEGMIND) == Estimate(None, None)
    assert cost({MODEL: 0}, MODEL).usd == 0, "its owner says so"


MALFORMED = [
    *({MODEL: value} for value in UNTOLD), *({MODEL: {"usd": value}} for value in UNTOLD), *({MODEL: [{"usd": value}]} for value in UNTOLD),
    "[" * 100_000, 0.4, 7, [1], "not json", "0.4", {MODEL: {"usd": 1, "per": "frame"}}, {MODEL: {"usd": 1, "per": []}}, {MODEL: {}},
    {MODEL: []}, {MODEL: [0.4]}, {MODEL: [[]]}, {MODEL: [{"usd": 1, "wenn": {}}]}, {MODEL: [{"usd": 1, "when": "seed"}]},
    {MODEL: [{"usd": number, "when": {"seed": number + 1}} for number in range(MOST_ROWS + 1)]},
]  # fmt: skip


@pytest.mark.parametrize("prices", MALFORMED, ids=range(len(MALFORMED)))
def test_malformed_prices_are_refused_and_named(prices):
    with pytest.raises(InvalidRequestError, match="prices") as refused:
        cost(prices, MODEL)
    assert refused.value.allowed
    assert refused.value.field.startswith("prices")
    assert len(str(refused.value)) < 900


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ({"sise": "720p"}, "one of .*duration.*resolution"),
        ({"resolution": "721p"}, "resolution as 360p, 480p, 540p, 720p, 1080p"),
        ({"resolution": ["720p", None]}, "resolution as 360p"),
        ({"resolution": []}, "resolution as 360p"),
        ({"duration": 16}, "duration as a whole number from 1 to 15"),
        ({"duration": True}, "whole number"),
        ({"generate_audio_switch": "loud"}, "true or false"),
        ({"generate_audio_switch": None}, "true or false"),
        ({"style": {"a": 1}}, "anime"),
        ({"image_url": None}, "an http or https address"),
    ],
)
def test_a_condition_that_no_request_can_meet_is_refused_with_what_its_field_takes(when, said):
    with pytest.raises(InvalidRequestError, match=said) as refused:
        cost({I2V: [{"usd": 1, "when": when}]})
    assert refused.value.field == f"prices[{I2V!r}]"
    assert "row 1" in str(refused.value)


def test_text_of_a_form_means_the_value_that_the_field_has():
    assert cost({I2V: [{"usd": "1", "when": {"duration": "5", "generate_audio_switch": "false"}}]}).usd == 1


def test_all_of_a_connections_prices_are_read_when_it_is_tested():
    assert check_prices({I2V: LIST, MODEL: 0.4}, "pixazo") == {I2V: 8, MODEL: 1}
    assert check_prices(None, "pixazo") == {}
    for prices, said in [
        ({MODEL: 0.4, I2V: [{"usd": "cheap"}]}, "cheap"),
        ({"pixazo:mochi": 0.4}, "pixazo:mochi-v1"),
        ({SEGMIND: 0.4}, "another vendor"),
        (0.4, "model id"),
    ]:
        with pytest.raises(InvalidRequestError, match=said):
            check_prices(prices, "pixazo")


# --- models of one's own -----------------------------------------------------------------------------------------


@pytest.fixture
def odd_model():
    class Odd(PixazoModel):
        id = "pixazo:odd"
        path = "/odd"
        length: object = None
        told: object = None
        tags: list[str] | None = optional("Words.")

        def seconds(self):
            return self.length

        def price(self):
            return self.told

    yield lambda **values: Odd.model_construct(prompt="a fox", **values)
    Odd.registry.pop("pixazo:odd")


@pytest.mark.parametrize("seconds", [None, "auto", "9e999999", Decimal("nan"), -5, True, 0])
def test_a_length_that_is_none_gives_no_price_per_second(odd_model, seconds):
    assert estimate(odd_model(length=seconds), {"pixazo:odd": {"usd": 1_000_000, "per": "second"}}) == Estimate()


@pytest.mark.parametrize("usd", [Decimal("nan"), Decimal("9e999999"), Decimal(-1), "much", None])
def test_a_documented_price_that_is_no_amount_is_unknown(odd_model, usd):
    assert estimate(odd_model(told=(usd, "a private model's"))) == Estimate()


def test_a_field_of_lists_is_no_condition(odd_model):
    with pytest.raises(InvalidRequestError, match="tags"):
        estimate(odd_model(), {"pixazo:odd": [{"usd": 1, "when": {"tags": ["a"]}}]})


def test_a_documented_line_may_hold_for_several_values(odd_model):
    lines = [Price(Decimal(2), "generation", "documented", {"length": frozenset({1, 2})})]
    assert [odd_model(length=n).price_in(lines) for n in (1, 3)] == [(2, "documented"), None]


# --- models that the catalogue does not list ---------------------------------------------------------------------

VEO = "fal:fal-ai/veo3"
SCHEMA = {
    "type": "object",
    "required": ["prompt"],
    "properties": {
        "prompt": {"type": "string"},
        "duration": {"enum": ["4s", "8s"], "default": "8s"},
        "audio": {"type": "boolean"},
        "loras": {"type": "array"},
    },
}


def pinned(**fields):
    return catalogue.find(VEO, schema=made(VEO, SCHEMA, fetched="2026-11-26")).parse({"prompt": "a fox", **fields})


def unchecked(**fields):
    return catalogue.find(VEO, unchecked=True).parse({"prompt": "a fox", **fields})


ROWS = {
    VEO: [
        {"usd": 3, "when": {"duration": "8s", "audio": True}},
        {"usd": 2, "when": {"duration": "8s"}},
        {"usd": 1, "when": {"duration": "4s", "audio": None}},
    ]
}


def test_rows_of_a_model_that_is_not_listed_hold_by_the_fields_of_its_request():
    assert check_prices(ROWS, "fal") == {VEO: 3}
    for make in (pinned, unchecked):
        assert estimate(make(duration="8s", audio=True), ROWS).usd == 3
        assert estimate(make(duration="8s", audio=False), ROWS).usd == 2
        assert estimate(make(duration="4s"), ROWS).usd == 1
        assert estimate(make(duration="4s", audio=True), ROWS) == Estimate()
    assert estimate(pinned(), ROWS).usd == 2, "the schema says what the vendor assumes"
    assert estimate(unchecked(), ROWS) == Estimate()


def test_true_is_not_one_and_a_list_holds_for_no_row():
    rows = {VEO: [{"usd": 5, "when": {"audio": True}}]}
    assert estimate(unchecked(audio=1), rows) == Estimate()
    assert estimate(unchecked(audio=[True]), rows) == Estimate()
    assert estimate(unchecked(audio={"on": True}), rows) == Estimate()


@pytest.mark.parametrize(
    "when", [{"duration": "9s"}, {"duration": None}, {"loras": ["a"]}, {"size": 1}, {"audio": "yes"}, {"prompt": None}]
)
def test_a_condition_that_the_pinned_schema_does_not_allow_is_refused(when):
    with pytest.raises(InvalidRequestError, match="prices"):
        estimate(pinned(), {VEO: [{"usd": 1, "when": when}]})
