"""The catalogue and the simulator were written from the documents by different hands: they must say the same.

Requests are made from the catalogue's own JSON Schema, valid ones and ones with a single mistake.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.testing.simulator.handle import KEYS
from tests.support.vendors import IMAGE, SMALLEST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MODELS = sorted(SMALLEST)
HEADERS = {"pixazo": "Ocp-Apim-Subscription-Key", "appypie": "Ocp-Apim-Subscription-Key", "segmind": "x-api-key"}
_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@pytest.fixture
def submit(video_simulator) -> Iterator[Callable[[str, Any], httpx.Response]]:
    """Post a body as it is, past the client and its checks."""
    with httpx.Client(trust_env=False) as http:

        def post(model: str, body: Any) -> httpx.Response:
            vendor = model.partition(":")[0]
            url = video_simulator.base_url(vendor) + catalogue.find(model).path
            return http.post(url, json=body, headers={HEADERS[vendor]: KEYS[vendor]})

        video_simulator.configure(credits=1e9)
        yield post


def values(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """What a field's JSON Schema allows."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema.get("format") == "uri":
        return st.sampled_from([IMAGE, "http://images.example/a.webp?sig=a%20b", "https://[::1]:8443/ü.png"])
    low, high = schema.get("minimum"), schema.get("maximum")
    match schema["type"]:
        case "string":
            return _TEXT.map(lambda text: f"{text}x") if "pattern" in schema else _TEXT
        case "boolean":
            return st.booleans()
        case "integer":
            return st.integers(low, high) if low is not None else st.integers()
        case "number":
            return st.integers(low, high) | st.floats(low, high)
    raise AssertionError(f"no strategy for {schema}")


def mistakes(schema: dict[str, Any]) -> list[Any]:
    """Values that the field's JSON Schema does not allow, and that no reading of text as a number turns into one."""
    wrong: list[Any] = [[], {}, ["a"], {"a": 1}]
    if "enum" in schema:
        return [*wrong, "", "nothing of the kind", max(schema["enum"]) * 2, True]
    if schema.get("format") == "uri":
        return [*wrong, "", "images.example/a.png", "ftp://images.example/a.png", "data:image/png;base64,AA", 7, True]
    if schema["type"] == "string":
        return [*wrong, 7, 1.5, True, *([""] if "pattern" in schema else [])]
    if schema["type"] == "boolean":
        return [*wrong, "loud", 2, 0.5]
    wrong += ["many", "", True, False, "1e999"]
    if "minimum" in schema:
        wrong += [schema["minimum"] - 1, schema["maximum"] + 1, -1, 10**30]
    return [*wrong, 10.5] if schema["type"] == "integer" else wrong


def meant(known: Any, name: str, wrong: Any) -> bool:
    """What a template can make of a right value: nothing of an optional field, a whole number of text."""
    schema = known.describe(name)
    optional = name not in known.json_schema()["required"]
    text = schema.get("type") == "string" and "enum" not in schema and schema.get("format") != "uri"
    return (wrong == "" and optional) or (text and isinstance(wrong, int | float) and not isinstance(wrong, bool))


def requests(model: str) -> st.SearchStrategy[dict[str, Any]]:
    known = catalogue.find(model)
    schema = known.json_schema()
    fields = {name: values(known.describe(name)) for name in schema["properties"]}
    needed = {name: fields.pop(name) for name in schema["required"]}
    return st.fixed_dictionaries(needed, optional=fields)


@pytest.mark.parametrize("model", MODELS)
def test_what_the_catalogue_allows_the_simulator_accepts_as_it_was_sent(model, submit, video_simulator):
    @settings(deadline=None, suppress_health_check=list(HealthCheck))
    @given(requests(model))
    def agree(fields: dict[str, Any]) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            sent = catalogue.find(model).parse(fields).body()
        response = submit(model, sent)
        assert response.is_success, (sent, response.text)

    agree()
    vendor = model.partition(":")[0]
    assert all(call["status"] in (200, 202) for call in video_simulator.requests(vendor))


CASES = [
    pytest.param(model, name, id=f"{model}-{name}")
    for model in MODELS
    for name in catalogue.find(model).json_schema()["properties"]
]


@pytest.mark.parametrize(("model", "name"), CASES)
def test_what_is_wrong_to_the_one_is_wrong_to_the_other(model, name, submit):
    known = catalogue.find(model)
    right = known.parse({"prompt": "a fox", **SMALLEST[model]}).body()
    assert submit(model, right).is_success
    for wrong in mistakes(known.describe(name)):
        body = {**right, name: wrong}
        response = submit(model, body)
        assert response.status_code == 400, (body, response.text)
        assert name in response.text or model.startswith("appypie"), "Appy Pie's documented error names no field"
        if meant(known, name, wrong):
            assert known.parse(body).body().get(name) in (None, str(wrong)), "made right, not passed on"
            continue
        with pytest.raises(InvalidRequestError) as caught:
            known.parse(body)
        assert caught.value.field == name, body


@pytest.mark.parametrize(
    ("model", "name"), [(model, name) for model in MODELS for name in catalogue.find(model).json_schema()["required"]]
)
def test_what_the_one_needs_the_other_needs(model, name, submit):
    known = catalogue.find(model)
    body = known.parse({"prompt": "a fox", **SMALLEST[model]}).body()
    del body[name]
    assert submit(model, body).status_code == 400
    with pytest.raises(InvalidRequestError, match=f"lacks the field '{name}'"):
        known.parse(body)


@pytest.mark.parametrize("model", MODELS)
def test_both_know_the_same_fields(model, submit):
    body = {**catalogue.find(model).parse({"prompt": "a fox", **SMALLEST[model]}).body(), "colour": "red"}
    # Segmind's own client forwards its own arguments too, so the simulated Segmind ignores what it does not know.
    assert submit(model, body).status_code == (200 if model.startswith("segmind") else 400)
    with pytest.raises(InvalidRequestError, match="has no field 'colour'"):
        catalogue.find(model).parse(body)
