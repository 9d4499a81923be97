"""The cheapest request for a model: what one real clip is bought with."""

from __future__ import annotations

from decimal import Decimal

import pytest

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.purchase.cheapest import PROMPT, cheapest
from airflow_video_providers.core.purchase.pricing import estimate
from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.core.vendors.schema_files import made

IMAGE = {"image_url": "https://images.example/a.png"}
FAL = "fal:fal-ai/kling-video/v2.1/standard/text-to-video"


def test_of_every_choice_that_a_price_hangs_on_the_cheapest_is_taken():
    model = catalogue.find("pixazo:pixverse-v6-image-to-video")
    request, cost = cheapest(model, IMAGE)
    assert request.body() == {"prompt": PROMPT, **IMAGE, "duration": 1, "resolution": "360p"}
    assert cost.usd == Decimal("0.025")
    everything = [
        estimate(model.parse({"prompt": "a", **IMAGE, "duration": seconds, "resolution": size, "generate_audio_switch": audio})).usd
        for seconds in range(1, 16) for size in ("360p", "720p", "1080p") for audio in (True, False)
    ]  # fmt: skip
    assert cost.usd == min(everything)


def test_what_was_set_stays():
    request, cost = cheapest(
        catalogue.find("pixazo:pixverse-v6-image-to-video"),
        {**IMAGE, "prompt": "a fox", "duration": 5, "resolution": "1080p"},
    )
    assert (request.body()["prompt"], request.body()["resolution"], cost.usd) == ("a fox", "1080p", Decimal("0.45"))


def test_a_model_of_one_price_gets_the_plainest_request():
    request, cost = cheapest(catalogue.find("pixazo:mochi-v1"), {})
    assert (request.body(), cost.usd) == ({"prompt": PROMPT}, Decimal("0.40"))


def test_a_field_that_is_needed_and_lists_its_values_gets_one():
    request, cost = cheapest(catalogue.find("pixazo:pixverse-v5.6-text-to-video"), {})
    assert set(request.body()) == {"prompt", "aspect_ratio", "resolution", "duration"}
    assert cost.usd is None, "no document states a price, and an unknown one is not 0"


def test_the_connections_own_prices_decide():
    prices = {"pixazo:pixverse-v5.6-text-to-video": [
        {"usd": 0.2, "per": "generation", "when": {"resolution": "720p"}},
        {"usd": 0.1, "per": "generation", "when": {"resolution": "2160p"}},
    ]}  # fmt: skip
    request, cost = cheapest(catalogue.find("pixazo:pixverse-v5.6-text-to-video"), {}, prices)
    assert (request.body()["resolution"], cost.usd) == ("2160p", Decimal("0.1"))


def test_what_nobody_can_guess_is_asked_for():
    with pytest.raises(InvalidRequestError, match="image_url"):
        cheapest(catalogue.find("pixazo:pixverse-c1-image-to-video"), {})


def test_a_model_that_is_not_listed_is_reckoned_by_its_pinned_schema():
    schema = {"type": "object", "required": ["prompt"], "properties": {
        "prompt": {"type": "string"}, "duration": {"type": "string", "enum": ["10", "5"], "default": "10"}}}  # fmt: skip
    line = {"unit_price": 0.05, "unit": "seconds", "currency": "USD"}
    pinned = made(FAL, schema, fetched="2026-11-26", listed=line)
    request, cost = cheapest(catalogue.find(FAL, schema=pinned), {})
    assert (request.body(), cost.usd) == ({"prompt": PROMPT, "duration": "5"}, Decimal("0.25"))
    request, cost = cheapest(catalogue.find(FAL, unchecked=True), {"seed": 7})
    assert (request.body(), cost.usd) == ({"prompt": PROMPT, "seed": 7}, None)
