from __future__ import annotations

import json
import warnings
from decimal import Decimal

import pytest

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.core.vendors.extra_fields import refuse_known
from airflow_video_providers.core.vendors.models import Price, Text, optional, required, rule_of
from airflow_video_providers.core.vendors.pixazo import (
    MochiV1,
    PixazoModel,
    PixverseV6ImageToVideo,
    PixverseV6TextToVideo,
    PixverseV56ImageToVideo,
    PixverseV56TextToVideo,
)
from airflow_video_providers.core.vendors.segmind import Mochi1 as SegmindMochi
from tests.support.vendors import IMAGE, SMALLEST, request


class Upstream:
    """Stands in for the output of another task."""

    def resolve(self, context):
        raise AssertionError("nothing is resolved when a DAG is parsed")


def refused(call, *args, **fields):
    with pytest.raises(InvalidRequestError) as caught:
        call(*args, **fields)
    error = caught.value
    assert error.charged == "no"
    assert "Nothing was charged." in str(error)
    return error


# What is sent.


@pytest.mark.parametrize("model", SMALLEST)
def test_fields_that_were_not_set_are_not_sent(model):
    sent = request(model).body()
    assert sent.keys() == {"prompt", *SMALLEST[model]}


def test_a_text_of_a_request_shows_its_image_without_the_signature_and_the_wire_keeps_it():
    address = "https://images.example/a.png?X-Amz-Signature=s1gned"
    made = request("pixazo:pixverse-v6-image-to-video", image_url=address)
    assert "image_url='https://images.example/a.png'" in repr(made)
    assert "s1gned" not in repr(made) + str(made)
    assert made.model_dump()["image_url"] == address


def test_none_counts_as_not_set():
    assert MochiV1.parse({"prompt": "a fox", "seed": None}).body() == {"prompt": "a fox"}
    assert MochiV1(prompt="a fox", seed=None).body() == {"prompt": "a fox"}


def test_a_field_that_is_set_to_the_vendors_default_is_sent():
    assert request("pixazo:pixverse-v6-text-to-video", duration=5, negative_prompt="").body() == {
        "prompt": "a fox", "duration": 5, "negative_prompt": "",
    }  # fmt: skip


@pytest.mark.parametrize("given", [5, "5", 5.0, " 5 "])
def test_a_duration_is_a_number_for_the_author_and_text_on_the_wire_of_v56_image_to_video(given):
    assert request("pixazo:pixverse-v5.6-image-to-video", duration=given).body()["duration"] == "5"
    sent = request("pixazo:pixverse-v5.6-text-to-video", duration=given).body()["duration"]
    assert sent == 5
    assert type(sent) is int


@pytest.mark.parametrize(("given", "sent"), [(52, 52), (52.0, 52), ("52", 52), (52.5, 52.5), ("52.5", 52.5)])
def test_a_number_is_sent_as_an_integer_where_it_is_one(given, sent):
    body = SegmindMochi.parse({"prompt": "a fox", "frames": given}).body()
    assert json.dumps(body["frames"]) == json.dumps(sent)


# What is refused.

T2V, I2V, V56T, V56I = (
    "pixazo:pixverse-v6-text-to-video",
    "pixazo:pixverse-v6-image-to-video",
    "pixazo:pixverse-v5.6-text-to-video",
    "pixazo:pixverse-v5.6-image-to-video",
)


@pytest.mark.parametrize(
    ("model", "field", "value", "allowed"),
    [
        ("pixazo:mochi-v1", "seed", 0, "from 1 to 4294967296"),
        ("pixazo:mochi-v1", "seed", 4294967297, "from 1 to 4294967296"),
        ("pixazo:mochi-v1", "seed", True, "from 1 to 4294967296"),
        ("pixazo:mochi-v1", "seed", "many", "a whole number"),
        ("pixazo:mochi-v1", "seed", 1.5, "a whole number"),
        ("pixazo:mochi-v1", "prompt", "", "text"),
        ("pixazo:mochi-v1", "prompt", " \n", "text"),
        ("pixazo:mochi-v1", "prompt", True, "text"),
        ("pixazo:mochi-v1", "prompt", ["a fox"], "text"),
        ("pixazo:mochi-v1", "prompt", "half \ud800", "text"),
        ("appypie:mochi-1", "seed", 10_000_000_000, "from 1 to 9999999999"),
        ("segmind:mochi-1", "frames", 161, "from 1 to 160"),
        ("segmind:mochi-1", "fps", 6.9, "from 7 to 30"),
        ("segmind:mochi-1", "fps", float("nan"), "from 7 to 30"),
        ("segmind:mochi-1", "guidance_scale", False, "from 2 to 10"),
        ("segmind:mochi-1", "steps", 30.5, "from 10 to 75"),
        (T2V, "duration", 16, "from 1 to 15"),
        (T2V, "duration", 0, "from 1 to 15"),
        (T2V, "resolution", "480p", "360p, 540p, 720p, 1080p"),
        (T2V, "aspect_ratio", "5:4", "16:9, 4:3, 1:1, 3:4, 9:16, 2:3, 3:2, 21:9"),
        (T2V, "style", "noir", "anime, 3d_animation, clay, comic, cyberpunk"),
        (T2V, "thinking_type", "enabled (optimize)", "enabled, disabled, auto"),
        (T2V, "generate_audio_switch", "loud", "true or false"),
        (I2V, "image_url", "ftp://images.example/a.png", "an http or https address"),
        (I2V, "image_url", "tmp/a.png", "an http or https address"),
        (I2V, "image_url", "data:image/png;base64,AAAA", "an http or https address"),
        (I2V, "image_url", "https://", "an http or https address"),
        (I2V, "image_url", "https://[half", "an http or https address"),
        (I2V, "image_url", " https://images.example/a.png", "an http or https address"),
        (I2V, "image_url", "https://images.example/a b.png", "an http or https address"),
        (V56T, "duration", 4, "3, 5, 7, 10"),
        (V56T, "duration", "²", "3, 5, 7, 10"),
        (V56T, "aspect_ratio", "21:9", "16:9, 9:16, 1:1, 4:3, 3:4"),
        (V56I, "duration", "7", "5, 10"),
        (V56I, "resolution", "2160p", "720p, 1080p"),
    ],
)
@pytest.mark.parametrize("how", ["typed", "dict", "rendered"])
def test_a_wrong_value_is_refused_with_the_field_the_value_and_what_is_allowed(model, field, value, allowed, how):
    known = catalogue.find(model)
    fields = {"prompt": "a fox", **SMALLEST[model], field: value}
    error = refused(known, **fields) if how == "typed" else refused(known.parse, fields, rendered=how == "rendered")
    assert (error.field, error.model) == (field, model)
    assert error.value is value
    assert allowed in (error.allowed or "")
    for part in (repr(field), repr(value), allowed, "run the task again"):
        assert part in str(error)


@pytest.mark.parametrize(
    ("model", "field"), [(model, name) for model, needs in SMALLEST.items() for name in ("prompt", *needs)]
)
def test_a_missing_field_is_named_with_what_it_allows(model, field):
    fields = {"prompt": "a fox", **SMALLEST[model]}
    del fields[field]
    error = refused(catalogue.find(model).parse, fields)
    assert error.field == field
    assert f"lacks the field {field!r}" in str(error)
    assert rule_of(catalogue.find(model), field) in str(error)


@pytest.mark.parametrize("name", ["colour", "Prompt", "self", "id", "path", "", 7])
def test_an_unknown_field_is_refused_with_the_way_to_send_it_all_the_same(name):
    error = refused(MochiV1.parse, {"prompt": "a fox", name: 1})
    assert error.field == str(name)
    assert "prompt, seed" in str(error)
    assert "extra_fields" in str(error)


def test_extra_fields_cannot_bypass_the_catalogue():
    refuse_known(MochiV1(prompt="a fox"), {"camera": "dolly"})
    error = refused(refuse_known, MochiV1(prompt="a fox"), {"camera": "dolly", "seed": -1})
    assert (error.field, error.value) == ("seed", -1)
    assert "Move it into request" in str(error)


def smuggled(extra_fields, model="pixazo:pixverse-v6-text-to-video"):
    return refused(refuse_known, request(model), extra_fields)


@pytest.mark.parametrize(
    "name",
    ["duration", "Duration", "DURATION", " duration", "duration\t", "\uff44uration", "duration\u200b", "dura_tion", "dura-tion",
     "\u00a0duration"],
)  # fmt: skip
def test_a_known_field_is_known_however_it_is_spelt(name):
    error = smuggled({name: 15})
    assert "'duration'" in str(error)
    assert error.value == 15


@pytest.mark.parametrize("name", ["aspectRatio", "aspect-ratio", "AspectRatio", "generateAudioSwitch"])
def test_another_style_of_writing_names_is_no_way_past_it_either(name):
    smuggled({name: 1})


@pytest.mark.parametrize(
    "extra_fields",
    [
        {"input": {"duration": 15}},
        {"a": [{"b": {"Duration": 15}}]},
        {"options": {"resolution": "1080p"}},
        {"_": ({"seed": 1},)},
    ],
)
def test_nor_is_a_wrapper_around_what_a_price_may_hang_on(extra_fields):
    smuggled(extra_fields)


def test_text_of_the_same_name_deeper_inside_is_the_vendors_own():
    refuse_known(request("pixazo:pixverse-v6-text-to-video"), {"sound": {"prompt": "rain"}})


@pytest.mark.parametrize("extra_fields", ["duration", 7, ["duration"], object()])
def test_extra_fields_that_are_no_dict_are_refused(extra_fields):
    assert smuggled(extra_fields).field == "extra_fields"


def test_extra_fields_that_hold_themselves_are_walked_once():
    endless: dict[str, object] = {"camera": "dolly"}
    endless["again"] = endless
    refuse_known(request("pixazo:pixverse-v6-text-to-video"), endless)


class Studio(PixazoModel):
    """A private model that renames its fields, wraps them, and takes words for a length."""

    id = "pixazo:studio-of-this-test"
    path = "/studio"
    prices = (Price(Decimal("0.1"), "second", "ours"),)

    prompt: Text = required("What is to be seen.")
    duration: str | None = optional("Seconds, or auto.", vendor_default="auto")
    steps: int | None = optional("Steps, in tens.", multiple_of=10, ge=10)
    title: str | None = optional("A title.", max_length=5)
    guidance: float | None = optional("Guidance.", gt=0, alias="cfgScale")

    def body(self):
        inside = {"text_prompt": self.prompt, "lengthSeconds": self.duration, "n": 1}
        return {"payload": {name: value for name, value in inside.items() if value is not None}}


del Studio.registry[Studio.id]  # the catalogue that other tests of this process read is the package's own


@pytest.mark.parametrize(
    "extra_fields",
    [{"payload": {"x": 1}}, {"length_seconds": 15}, {"text_prompt": "x"}, {"cfg_scale": 3}, {"guidance": 3}],
)
def test_a_private_models_names_on_the_wire_are_known_too(extra_fields):
    refused(refuse_known, Studio(prompt="a fox"), extra_fields)


@pytest.mark.parametrize("duration", [None, "auto", "a while", "9e999999", "nan", "-5", "0"])
def test_a_length_in_words_is_no_length_and_has_no_price_per_second(duration):
    asked = Studio.parse({"prompt": "a fox", "duration": duration})
    assert (asked.seconds(), asked.price()) == (None, None)
    assert Studio.parse({"prompt": "a fox", "duration": "5"}).price() == (Decimal("0.5"), "ours")


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("steps", 15, "'steps' is 15: allowed is a whole number of at least 10 that is a multiple of 10."),
        ("title", "too long", "'title' is 'too long': allowed is text of at most 5 characters."),
        ("cfgScale", 0, "'cfgScale' is 0: allowed is a number above 0."),
    ],
)
def test_a_private_models_rule_is_told_once(field, value, said):
    assert said in str(refused(Studio.parse, {"prompt": "a fox", field: value}))


def test_a_fields_rule_is_told_once():
    error = refused(MochiV1.parse, {"prompt": "a fox", "seed": 0})
    assert error.what == "The field 'seed' is 0: allowed is a whole number from 1 to 4294967296."


@pytest.mark.parametrize("value", [2024, 2024.5, 0, -1])
def test_a_number_where_text_is_wanted_is_its_text(value):
    assert MochiV1.parse({"prompt": value}).body() == {"prompt": str(value)}


@pytest.mark.parametrize("request_", [None, "a fox", 7, [("prompt", "a fox")], object()])
def test_a_request_that_is_no_dict_is_refused(request_):
    assert refused(MochiV1.parse, request_).field == "request"


class Hidden:
    def __repr__(self):
        raise RuntimeError("not shown")


ODD = [object(), Hidden(), {1}, b"\xff", 10**5000, float("inf"), [[]] * 9, {"a": Hidden()}, int]


@pytest.mark.parametrize("value", ODD, ids=range(len(ODD)))
@pytest.mark.parametrize("field", ["prompt", "duration", "seed", "resolution", "generate_audio_switch", "unheard of"])
def test_whatever_object_a_field_is_given_the_error_is_ours(field, value):
    error = refused(PixverseV6TextToVideo.parse, {"prompt": "a fox", field: value})
    assert len(str(error)) < 600


def test_a_very_long_value_does_not_flood_the_log():
    error = refused(PixverseV6TextToVideo.parse, {"prompt": "a fox", "style": "x" * 10_000})
    assert len(str(error)) < 500


def test_a_signed_address_is_refused_without_its_signature():
    signed = "ftp://x https://user:s3cret@images.example/a.png?X-Amz-Signature=s3cret"
    error = refused(PixverseV6ImageToVideo.parse, {"prompt": "a fox", "image_url": signed})
    assert "'ftp://x https://images.example/a.png'" in str(error)
    assert "s3cret" not in str(error)
    assert error.value is signed, "for the author's own code"


# What comes later.


def test_templates_and_outputs_of_other_tasks_wait_for_the_task():
    request = {"prompt": "{{ params.prompt }}", "duration": "{{ params.seconds }}", "resolution": Upstream()}
    PixverseV6TextToVideo.parse(request, rendered=False)


def test_a_literal_mistake_beside_a_template_is_found_at_parse():
    refused(PixverseV6TextToVideo.parse, {"prompt": "{{ params.prompt }}", "duration": 99}, rendered=False)


def test_what_a_template_became_is_checked_before_anything_is_sent():
    refused(PixverseV6TextToVideo.parse, {"prompt": "a fox", "duration": "{{ params.seconds }}"})


def test_a_typed_request_takes_templates_in_its_text():
    typed = PixverseV6ImageToVideo(prompt="{{ params.prompt }}", image_url="{{ params.url }}", resolution="{% x %}")
    assert typed.serialize() == {
        "prompt": "{{ params.prompt }}", "image_url": "{{ params.url }}", "resolution": "{% x %}",
    }  # fmt: skip


def test_a_templated_number_in_a_typed_request_is_refused_with_the_way_out():
    error = refused(PixverseV6TextToVideo, prompt="a fox", duration="{{ params.seconds }}")
    assert "write request as a dict" in str(error)


def test_how_a_request_is_checked_does_not_leak_into_the_next():
    refused(MochiV1.parse, {"prompt": ""}, rendered=False)
    refused(MochiV1, prompt="a fox", seed="{{ params.seed }}")


def test_a_typed_request_cannot_be_changed():
    from pydantic import ValidationError

    with pytest.raises(ValidationError):
        MochiV1(prompt="a fox").prompt = "a bear"


# Where the documents disagree.


@pytest.mark.parametrize(
    ("model", "field", "value"),
    [
        (I2V, "resolution", "480p"),
        (I2V, "resolution", "540p"),
        ("pixazo:mochi-v1", "seed", 4294967296),
        ("pixazo:mochi-v1", "seed", "4294967296"),
    ],
)
def test_a_value_on_which_the_documents_disagree_is_accepted_with_a_warning(model, field, value):
    with pytest.warns(UserWarning, match=f"{field}=.*{value}"):
        typed = request(model, **{field: value})
    assert str(typed.body()[field]) == str(value)


def test_other_values_warn_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        request(I2V, resolution="720p")
        request("pixazo:mochi-v1", seed=4294967295)
        request(T2V, resolution="540p")


# Prices.


@pytest.mark.parametrize(
    ("fields", "usd"),
    [
        ({}, "0.225"),
        ({"duration": 1}, "0.045"),
        ({"resolution": "360p", "duration": 15}, "0.375"),
        ({"resolution": "360p", "duration": 15, "generate_audio_switch": True}, "0.525"),
        ({"resolution": "540p", "duration": 10}, "0.35"),
        ({"resolution": "540p", "duration": 10, "generate_audio_switch": True}, "0.45"),
        ({"resolution": "720p", "generate_audio_switch": True}, "0.30"),
        ({"resolution": "1080p", "generate_audio_switch": False}, "0.45"),
        ({"resolution": "1080p", "generate_audio_switch": True}, "0.575"),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_v6_image_to_video_costs_what_the_price_list_says(fields, usd):
    known = request(I2V, **fields).price()
    assert known is not None
    assert known[0] == Decimal(usd)
    assert "assumed" in known[1]


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_size_that_the_price_list_lacks_has_no_price_rather_than_none():
    assert request(I2V, resolution="480p").price() is None


def test_mochi_costs_the_same_for_every_request():
    known = request("pixazo:mochi-v1", seed=7).price()
    assert known is not None
    assert known[0] == Decimal("0.4")
    assert "documented" in known[1]


@pytest.mark.parametrize("model", [model for model in SMALLEST if model not in (I2V, "pixazo:mochi-v1")])
def test_where_the_documents_name_no_price_there_is_none(model):
    assert request(model).price() is None


@pytest.mark.parametrize(
    ("model", "fields", "seconds"),
    [
        (T2V, {}, "5"),
        (T2V, {"duration": 15}, "15"),
        (V56I, {"duration": "10"}, "10"),
        ("segmind:mochi-1", {}, "3.25"),
        ("segmind:mochi-1", {"frames": 160, "fps": 10}, "16"),
        ("pixazo:mochi-v1", {}, None),
        ("appypie:mochi-1", {}, None),
    ],
)
def test_the_length_of_a_video_follows_from_its_request(model, fields, seconds):
    assert request(model, **fields).seconds() == (None if seconds is None else Decimal(seconds))


def test_a_templated_request_has_no_price_yet():
    assert PixverseV6ImageToVideo(prompt="a fox", image_url=IMAGE, resolution="{{ params.size }}").price() is None


# JSON Schema.


@pytest.mark.parametrize("model", SMALLEST)
def test_the_json_schema_is_plain_json_and_names_every_field_with_its_meaning(model):
    known = catalogue.find(model)
    schema = known.json_schema()
    assert json.loads(json.dumps(schema)) == schema
    assert schema["$id"] == f"urn:airflow-video-providers:{model}"
    assert schema["additionalProperties"] is False
    assert set(schema["required"]) == {"prompt", *SMALLEST[model]}
    assert schema["properties"].keys() == known.model_fields.keys()
    assert all(field["description"].endswith((".", "?")) for field in schema["properties"].values())


def test_each_model_has_a_schema_of_its_own():
    assert PixverseV56TextToVideo.json_schema() != PixverseV56ImageToVideo.json_schema()
    assert "aspect_ratio" not in PixverseV6ImageToVideo.json_schema()["properties"]
