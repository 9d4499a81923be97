"""A transcript beside documents and simulator: what differs is named, field by field, and nothing is asked over a network."""

from __future__ import annotations

import json

import pytest

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.testing.certification.check import check
from airflow_video_providers.testing.certification.compare import differences, types_in
from airflow_video_providers.testing.certification.samples import simulated
from airflow_video_providers.testing.certification.transcript import (
    SHIPPED,
    Exchange,
    Pinned,
    Reply,
    Transcript,
    certified,
)

FAL = "fal:fal-ai/kling-video/v2.1/standard/text-to-video"
#: Other tests make models of their own.
OURS = [name for name, model in catalogue.models().items() if model.__module__.startswith("airflow_video_providers")]
MODELS = [*OURS, FAL, "replicate:studio/magica"]
SHIPPING = sorted(SHIPPED.glob("*.json"))


def transcript(model: str, prompt: str = "a fox", **request) -> Transcript:
    """What a purchase at the simulator would leave."""
    vendor = model.partition(":")[0]
    needed = {name: SMALLEST_VALUES[name] for name in required(model) if name in SMALLEST_VALUES}
    empty = Transcript(
        vendor=vendor, model=model, address=catalogue.vendors()[vendor].base_url, certified_on="2026-11-26", package="0",
        request={"prompt": prompt, **needed, **request}, complete=True,
    )  # fmt: skip
    return empty.model_copy(update={"exchanges": simulated(empty)})


SMALLEST_VALUES = {
    "image_url": "https://images.example/a.png",
    "aspect_ratio": "16:9",
    "resolution": "720p",
    "duration": 5,
}


def required(model: str) -> list[str]:
    kind = catalogue.find(model, unchecked=True)
    return kind.json_schema().get("required", [])


def changed(one: Transcript, place: tuple[str, int], change) -> Transcript:
    """With another answer to each call of this verb and step."""
    exchanges = [
        each.model_copy(update={"answer": change(each.answer)}) if (each.verb, each.step) == place else each
        for each in one.exchanges
    ]
    return one.model_copy(update={"exchanges": exchanges})


def with_field(answer: Reply, name: str, value: object) -> Reply:
    return answer.model_copy(update={"body": {**answer.body, name: value}})


def without(answer: Reply, name: str) -> Reply:
    return answer.model_copy(update={"body": {each: value for each, value in answer.body.items() if each != name}})


@pytest.mark.parametrize("model", MODELS)
def test_documents_and_simulator_differ_in_nothing_for_every_model(model):
    finding = check(transcript(model))
    assert finding.differences == []


@pytest.mark.parametrize("model", [FAL, "replicate:studio/magica", "segmind:mochi-1", "pixazo:mochi-v1"])
def test_a_job_that_failed_is_compared_too(model):
    one = transcript(model)
    failed = simulated(one.model_copy(update={"request": {**one.request, "prompt": "[[fault:job_failed]] a fox"}}))
    finding = check(one.model_copy(update={"exchanges": failed}))
    assert [str(found) for found in finding.differences if found.against != "this version"] == []


@pytest.mark.parametrize(
    ("place", "change", "said"),
    [
        (("submit", 0), lambda a: a.model_copy(update={"http": 201}), "submit, IN_QUEUE: http: 201 instead of 200"),
        (("submit", 0), lambda a: a.model_copy(update={"body": {"id": "{id}"}}), "submit: request_id: is missing"),
        (("status", 0), lambda a: a.model_copy(update={"body": {**a.body, "status": "DONE_WITH_IT"}}),
         "the status word 'DONE_WITH_IT', which nobody knows"),
        (("status", 0), lambda a: a.model_copy(update={"body": {"state": a.body["status"]}}), "with no status word"),
        (("status", 1), lambda a: a.model_copy(update={"body": {"videos": [a.body["video"]]}}), "status, call 2: video: is missing"),
        (("status", 1), lambda a: a.model_copy(update={"body": {**a.body, "video": "text"}}),
         "status, call 2: video: text instead of object"),
        (("status", 1), lambda a: a.model_copy(update={"body": {**a.body, "nsfw": [True]}}), "status, call 2: nsfw: no sample has it"),
        (("status", 1), lambda a: a.model_copy(update={"headers": {"content-type": "text/html"}}), "text/html instead of"),
        (("status", 1), lambda a: without(a, "seed"), "status, call 2: seed: is missing"),
        (("status", 1), lambda a: with_field(a, "seed", "42"), "status, call 2: seed: text instead of number"),
        (("status", 1), lambda a: with_field(a, "video", {**a.body["video"], "width": 640}), "status, call 2: video.width: no sample has it"),
        (("status", 1), lambda a: with_field(a, "video", [a.body["video"]]), "status, call 2: video: list instead of object"),
        (("status", 0), lambda a: with_field(a, "status_url", None), "status_url: null instead of text"),
    ],
)  # fmt: skip
def test_each_kind_of_difference_is_named_against_documents_or_simulator(place, change, said):
    found = [str(one) for one in check(changed(transcript(FAL), place, change)).differences]
    assert [one for one in found if said in one], found
    assert {one.partition(":")[0] for one in found} <= {"documents", "simulator"}


def test_a_field_that_lacks_is_named_once_and_not_once_for_each_field_in_it():
    one = changed(transcript(FAL), ("status", 1), lambda a: Reply(http=200, headers=a.headers, body={"seed": 1}))
    places = [found.place for found in check(one).differences]
    assert set(places) == {"video"}


def test_a_call_without_an_answer_is_a_difference():
    one = transcript(FAL)
    broken = Exchange(verb="status", error="ReadError", request=one.exchanges[1].request)
    found, _ = differences(one.model_copy(update={"exchanges": [broken]}), simulated(one), "simulator")
    assert [each.what for each in found] == ["there was none (ReadError)"]


def test_a_header_that_has_another_name_is_named():
    one = transcript(FAL, prompt="[[fault:job_failed]] a fox")
    assert check(one).differences == []
    (renamed,) = check(changed(one, ("status", 1), lambda a: a.model_copy(update={"headers": {"content-type": "application/json", "x-error": "k"}}))).differences  # fmt: skip
    assert (renamed.place, renamed.what) == ("header x-fal-error-type", "is missing")


def test_an_output_of_another_type_is_named_in_the_answer_and_as_the_file_that_landed():
    magica = changed(
        transcript("replicate:studio/magica"),
        ("status", 0),
        lambda a: with_field(a, "output", {"video": a.body["output"]}) if a.body["output"] else a,
    )
    said = [str(each) for each in check(magica).differences]
    assert "simulator: status, succeeded: output: object instead of text" in said, "the documents show all forms"
    landed = transcript(FAL).model_copy(update={"files": [{"content_type": "video/mp4"}]})
    assert check(landed).differences == []
    (found,) = check(landed.model_copy(update={"files": [{"content_type": "video/webm"}]})).differences
    assert str(found) == "simulator: output: header content-type: video/webm instead of video/mp4"


def test_another_price_than_the_estimate_is_named_where_the_vendor_says_what_it_cost():
    one = transcript(FAL)
    for job, said in [
        ({"estimated_cost_usd": "0.25"}, []),
        ({"estimated_cost_usd": "0.25", "cost_usd": "0.250"}, []),
        ({"estimated_cost_usd": "0.25", "cost_usd": "0.3"}, ["estimate: job: cost: $0.3 instead of $0.25"]),
        ({"cost_usd": "0.3"}, ["estimate: job: cost: $0.3 instead of an unknown price"]),
    ]:
        assert [str(each) for each in check(one.model_copy(update={"job": job})).differences] == said


def test_a_pinned_schema_from_which_the_vendor_differs_is_named_without_network():
    pinned = Pinned(fetched="2026-11-01", changes=["field that changed: duration", "price line: {} then, null now"])
    one = transcript(FAL).model_copy(update={"pinned": pinned})
    assert [str(each) for each in check(one).differences] == [
        "pinned schema: fetched 2026-11-01: field that changed: duration",
        "pinned schema: fetched 2026-11-01: price line: {} then, null now",
    ]
    unread = check(transcript(FAL).model_copy(update={"pinned": Pinned(fetched="2026-11-01", unread="HTTP 500")}))
    assert unread.differences == []
    assert any("HTTP 500" in note for note in unread.notes)


def test_what_this_version_sends_otherwise_is_named():
    one = transcript(FAL)
    first = one.exchanges[0].request.model_copy(update={"headers": {}, "path": "/other"})
    exchanges = [one.exchanges[0].model_copy(update={"request": first}), *one.exchanges[1:]]
    found = check(one.model_copy(update={"exchanges": exchanges})).differences
    assert {(each.against, each.place) for each in found} == {("this version", "headers"), ("this version", "path")}


def test_a_request_that_this_version_refuses_is_a_difference_and_no_error():
    found = check(transcript("pixazo:mochi-v1").model_copy(update={"request": {"promt": "a fox"}})).differences
    assert [each.against for each in found if each.place == "request"] == ["this version"]


def test_a_certification_that_came_to_no_end_says_so():
    assert any("came to no end" in note for note in check(transcript(FAL).model_copy(update={"complete": False})).notes)


def test_a_transcript_is_read_as_it_was_written_and_another_file_is_refused(tmp_path):
    one = transcript(FAL)
    place = tmp_path / "t.json"
    place.write_text(one.text())
    assert Transcript.read(place) == one
    for text in (
        "",
        "[]",
        '{"format": 2}',
        one.text()[:-9],
        json.dumps({**json.loads(one.text()), "certified_on": "soon"}),
    ):
        place.write_text(text)
        with pytest.raises(InvalidRequestError, match="no transcript"):
            Transcript.read(place)
    with pytest.raises(InvalidRequestError, match="no transcript"):
        Transcript.read(tmp_path)


def test_the_elements_of_a_list_share_one_place():
    assert types_in({"a": [1, {"b": None}], "c": True}) == {
        "body": {"object"}, "a": {"list"}, "a[]": {"number", "object"}, "a[].b": {"null"}, "c": {"boolean"},
    }  # fmt: skip


# What ships.


def test_every_transcript_that_ships_is_of_the_vendor_itself_and_differs_in_nothing():
    for path in SHIPPING:
        one = Transcript.read(path)
        assert one.certifies, path
        assert check(one).differences == [], path
        assert "?" not in path.read_text(), path


def test_a_vendor_is_certified_by_its_newest_transcript_and_by_none_of_another_host(tmp_path):
    one = transcript(FAL)
    for name, change in {
        "a": {"certified_on": "2026-11-01"},
        "b": {"certified_on": "2026-11-20"},
        "c": {"certified_on": "2026-12-24", "address": "http://127.0.0.1:8099/fal"},
        "d": {"certified_on": "2026-12-25", "complete": False},
        "e": {"certified_on": "2026-12-26", "vendor": "nobody"},
    }.items():
        (tmp_path / f"{name}.json").write_text(one.model_copy(update=change).text())
    assert certified(tmp_path) == {"fal": "2026-11-20"}
    assert certified(tmp_path / "nothing") == {}


def test_a_transcript_that_is_added_turns_documented_into_certified_in_the_vendors_table(tmp_path, monkeypatch):
    from scripts import docs

    monkeypatch.setattr(docs, "certified", lambda: certified(tmp_path))
    assert "certified" not in docs.vendors()
    (tmp_path / "fal.json").write_text(transcript(FAL).text())
    rows = {line.split("](")[0].strip("| ["): line for line in docs.vendors().splitlines() if "](" in line}
    assert rows["fal"].endswith("| certified on 2026-11-26 |")
    assert all(row.endswith("| documented |") for name, row in rows.items() if name != "fal")


def test_the_vendors_table_says_of_each_what_it_is_known_from():
    from scripts import docs

    assert docs.vendors({}).count("documented") == len(catalogue.vendors())
    assert "| certified on 2026-12-01 |" in next(
        line for line in docs.vendors({"fal": "2026-12-01"}).splitlines() if "fal.run" in line
    )
    assert docs.standing("fal", {"fal": "2026-12-01"}) == "certified on 2026-12-01"
    assert docs.standing("pixazo", {"fal": "2026-12-01"}) == "documented"
