"""What the vendors' documents print goes over the wire as it stands there, and comes back as what it means.

The package holds, below ``testing/certification/documents``, the documented requests and answers as facts: names, types and values, each with the document
and the line it stands on, or of a vendor's own client the place in it; texts are our own. Where the documents themselves are at hand, every example in them is
sent too.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import warnings
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_video_providers.core.client.client import VideoClient
from airflow_video_providers.core.errors import VideoProviderError
from airflow_video_providers.core.jobs import VideoJob
from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.core.vendors.wire import compose
from airflow_video_providers.testing.certification.samples import DOCUMENTS
from airflow_video_providers.testing.simulator.handle import KEYS
from tests.support.vendors import answer, job, request, scripted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_video_providers.testing.simulator import SimulatorHandle

FACTS = DOCUMENTS


def facts(name: str) -> list[Any]:
    return [
        pytest.param(fact, id=f"{folder.name}-{number}-{fact.get('place') or 'line-' + str(fact['lines'][0])}")
        for folder in sorted(FACTS.iterdir())
        for number, fact in enumerate(json.loads((folder / f"{name}.json").read_text(encoding="utf-8")))
    ]


REQUESTS, ANSWERS = facts("requests"), facts("answers")


def as_text(value: Any) -> str:
    """JSON in one spelling: 5 and 5.0 and "5" are three."""
    return json.dumps(value, sort_keys=True)


# Requests.


def bought_over_the_wire(simulator: SimulatorHandle, model: str, body: dict[str, Any]) -> Any:
    """Submit a documented body with the client; returns what arrived."""
    vendor = model.partition(":")[0]
    client = VideoClient(catalogue.vendor_of(model)(simulator.base_url(vendor)), KEYS[vendor])
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # no documented example holds a value that the documents dispute
        typed = catalogue.find(model, unchecked=True).parse(body)
    assert client.submit(typed).request_id
    arrived = simulator.requests(vendor)[-1]
    assert arrived["path"].endswith(typed.path)
    return arrived["body"]


@pytest.mark.parametrize("fact", [fact for fact in REQUESTS if "request" in fact.values[0]])
def test_every_documented_request_is_valid_and_arrives_as_equal_json(fact, video_simulator):
    arrived = bought_over_the_wire(video_simulator, fact["model"], fact["request"])
    assert as_text(arrived) == as_text(fact.get("wire", fact["request"]))
    assert video_simulator.violations() == []


@pytest.mark.parametrize("fact", [fact for fact in REQUESTS if "status_request" in fact.values[0]])
def test_every_documented_question_about_a_job_is_asked_in_its_form(fact):
    route = fact.get("status_route", "default")
    vendor = catalogue.vendor_of(fact["model"])(status_route=route)
    known = VideoJob(model=fact["model"], request_id=fact["request_id"], status_route=route)
    assert json.loads(vendor.status_call(known).content) == fact["status_request"]


#: Of method, address, headers and body of each documented model's requests, as they were sent before any aggregator was built.
ON_THE_WIRE = {
    "appypie:mochi-1": "0c9ab3994a0dfe9a",
    "pixazo:mochi-v1": "f6401eb06b9aab9c",
    "pixazo:pixverse-c1-image-to-video": "8ca4e195dc4896c1",
    "pixazo:pixverse-c1-text-to-video": "10567acc81332ade",
    "pixazo:pixverse-v5.6-image-to-video": "8e627a565bab3f23",
    "pixazo:pixverse-v5.6-text-to-video": "a5d240bc8398effd",
    "pixazo:pixverse-v6-image-to-video": "6c5d9d36a9a94d98",
    "pixazo:pixverse-v6-text-to-video": "fdc56c92bd959702",
    "segmind:mochi-1": "e5e754b0d001b609",
}


@pytest.mark.parametrize("model", ON_THE_WIRE)
def test_the_nine_documented_models_are_byte_equal_on_the_wire_to_what_they_always_were(model):
    vendor = catalogue.vendor_of(model)()
    sent = []
    for fact in (param.values[0] for param in REQUESTS):
        if "request" in fact and fact["model"] == model:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                request = catalogue.find(model).parse(fact["request"])
            call = vendor.submit_call(request, compose(vendor, request))
            sent.append([call.method, str(call.url), call.content.decode(), sorted(call.headers.items())])
    assert hashlib.sha256(json.dumps(sent, sort_keys=True).encode()).hexdigest()[:16] == ON_THE_WIRE[model]


# Answers.


def response(fact: dict[str, Any]) -> Any:
    return answer(
        fact["http"],
        fact.get("text", fact.get("body")),
        **{k.replace("-", "_"): v for k, v in fact.get("headers", {}).items()},
    )


def outcome(fact: dict[str, Any]) -> VideoJob | VideoProviderError:
    """What a documented answer becomes."""
    model = fact["model"]
    vendor = model.partition(":")[0]
    script = scripted(response(fact), *map(response, fact.get("then", [])))
    client = script.client(vendor, status_route=fact.get("status_route", "default"))
    try:
        if fact["to"] == "submit":
            return client.submit(request(model))
        body = fact.get("body") or {}
        named = body.get("request_id") or body.get("id", "r-1")
        route = fact.get("status_route", "default")
        return client.status(job(vendor, model=model, request_id=named, status_route=route))
    except VideoProviderError as error:
        return error


@pytest.mark.parametrize("fact", ANSWERS)
def test_every_documented_answer_becomes_the_state_or_the_error_that_it_means(fact):
    seen = outcome(fact)
    if "error" in fact:
        assert type(seen).__name__ == fact["error"]["type"]
        assert seen.charged == fact["error"]["charged"]
        assert seen.remedy
        return
    assert isinstance(seen, VideoJob), seen
    expected = dict(fact["job"])
    assert len(seen.outputs) == expected.pop("outputs", 0)
    if "completed_at" in expected:
        assert seen.completed_at == datetime.fromisoformat(expected.pop("completed_at"))
    told = seen.to_dict()
    assert {name: told.get(name) for name in expected} == expected


def test_the_facts_cover_every_vendor_and_all_47_places_of_a_request():
    assert {folder.name for folder in FACTS.iterdir()} == set(catalogue.vendors()) - {"lanterna", "private"}
    places = [place for fact in REQUESTS if "request" in fact.values[0] for place in fact.values[0].get("lines", ())]
    assert len(places) == 47
    ours = {
        name for name, model in catalogue.models().items() if model.__module__.startswith("airflow_video_providers")
    }
    assert {fact.values[0]["model"] for fact in REQUESTS} >= ours  # other tests make models of their own


# The documents themselves, where they are at hand.


def documents() -> Path | None:
    named = os.environ.get("VIDEO_DOCUMENTS")
    folder = Path(named) if named else Path(__file__).parents[3] / "shared" / "seeds"
    return folder if list(folder.glob("*.txt")) else None


needs_documents = pytest.mark.skipif(
    documents() is None,
    reason="the vendors' documents are not part of this repository; VIDEO_DOCUMENTS names their folder",
)
_OBJECT = re.compile(r"\{[^{}]*\}")
_ROUTE = re.compile(r"(?:gateway\.pixazo\.ai|gateway\.appypie\.com|api\.segmind\.com|POST)/? ?/?([\w./-]+)")


def from_any_language(source: str) -> dict[str, Any]:
    """An object that is written in JSON, in JavaScript, inside of a quoted string, or with line numbers."""
    plain = re.sub(r"(?m)^\d+ ?", "", source).replace('\\"', '"')
    plain = re.sub(r"(?m)^(\s*)(\w+):", r'\1"\2":', plain)
    plain = re.sub(r"'([^'\n]*)'", r'"\1"', plain)
    found: dict[str, Any] = json.loads(re.sub(r",\s*\}", "}", plain))
    return found


def model_before(text: str) -> str:
    """The model whose address stands nearest above an example."""
    if "segmind" in text.lower():
        return "segmind:mochi-1"
    gateways = [kind for model, kind in catalogue.models().items() if not model.startswith("segmind")]
    by_prefix = {kind.path.split("/")[1]: kind.id for kind in gateways}
    for path in reversed(_ROUTE.findall(text)):
        if model := by_prefix.get(path.strip("/").split("/")[0]):
            return model
    raise AssertionError("no address above the example")


def examples(about: str) -> Iterator[tuple[str, str, dict[str, Any], bool]]:
    """Where it stands, its model, the example, and whether it is JSON as printed; ``about`` a field that it holds."""
    for path in sorted((documents() or Path()).glob("*.txt")):
        text = path.read_text(encoding="utf-8")
        for found in _OBJECT.finditer(text):
            source = found.group()
            if not re.search(rf"\b{about}\b", source):
                continue
            try:
                body, strict = json.loads(source), True
            except ValueError:
                body, strict = from_any_language(source), False
            line = text.count("\n", 0, found.start()) + 1
            yield f"{path.stem[:3]}:{line}", model_before(text[: found.start()]), body, strict


@needs_documents
def test_all_39_json_examples_and_the_8_in_other_languages_arrive_as_equal_json(video_simulator):
    found = list(examples("prompt"))
    assert [len([one for one in found if one[3] is strict]) for strict in (True, False)] == [39, 8]
    assert {model for _, model, _, _ in found} == set(catalogue.models())
    for place, model, body, _ in found:
        assert as_text(bought_over_the_wire(video_simulator, model, body)) == as_text(body), place
    bought = video_simulator.ledger()
    assert bought["accepted"] == 47
    assert video_simulator.violations() == []


@needs_documents
def test_every_example_stands_where_the_facts_say_and_has_the_same_shape():
    def shape(body: dict[str, Any]) -> dict[str, Any]:
        free = ("prompt", "negative_prompt", "image_url")  # texts and addresses are our own
        return {name: type(value).__name__ if name in free else value for name, value in body.items()}

    printed = {(model, place.partition(":")[2], as_text(shape(body))) for place, model, body, _ in examples("prompt")}
    noted = {
        (fact["model"], str(line), as_text(shape(fact["request"])))
        for (fact,) in (param.values for param in REQUESTS)
        if "request" in fact
        for line in fact.get("lines", ())
    }
    assert noted == printed


@needs_documents
def test_every_printed_question_about_a_job_is_asked_in_that_form():
    asked = list(examples("requestId"))
    named = [(model, body) for _, model, body, _ in asked if body["requestId"]]
    assert (len(asked), len(named)) == (12, 11), "one sample leaves the id empty"
    for model, body in named:
        route = "default" if model.startswith("appypie") else "legacy"
        vendor = catalogue.vendor_of(model)(status_route=route)
        known = VideoJob(model=model, request_id=body["requestId"], status_route=route)
        assert json.loads(vendor.status_call(known).content) == body
