"""``video-models fetch`` and ``check`` against the simulator, whose OpenAPI document is invented."""

from __future__ import annotations

import json

import pytest

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.core.vendors.openapi import changes, request_schema
from airflow_video_providers.core.vendors.schema_files import read_schema
from airflow_video_providers.integration.models_cli import main
from airflow_video_providers.testing.simulator.open_schema import OPENAPI

pytest_plugins = ["airflow_video_providers.testing.pytest_plugin"]

FAL = "fal:fal-ai/kling-video/v2.1/standard/text-to-video"


@pytest.fixture
def here(video_simulator, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, connection in video_simulator.environment().items():
        monkeypatch.setenv(name, connection)
    return tmp_path


@pytest.mark.parametrize(
    ("model", "place"),
    [
        (FAL, "schemas/fal-ai-kling-video-v2.1-standard-text-to-video.json"),
        ("replicate:studio/magica", "schemas/studio-magica.json"),
    ],
)
def test_what_was_fetched_checks_a_request_without_network(here, video_simulator, capsys, model, place):
    assert main(["fetch", model]) == 0
    assert place in capsys.readouterr().out
    asked = len(video_simulator.requests())
    pinned = catalogue.find(model, schema=read_schema(here / place))
    pinned.parse({"prompt": "a fox", "duration": "5", "seed": None, "elements": [{"image_url": "u", "weight": 0.5}]})
    for wrong in ({"duration": "7"}, {"elements": [{}]}, {"promt": "x"}, {"seed": 1.5}):
        with pytest.raises(InvalidRequestError):
            pinned.parse({"prompt": "a fox", **wrong})
    assert len(video_simulator.requests()) == asked
    assert video_simulator.violations() == []


def test_fals_price_line_is_in_the_file(here):
    assert main(["fetch", FAL, "--into", "kling.json"]) == 0
    request = catalogue.find(FAL, schema=read_schema("kling.json")).parse({"prompt": "a fox", "duration": "10"})
    assert str(request.price()[0]) == "0.50"


def test_a_file_that_is_there_is_replaced_only_on_purpose(here, capsys):
    assert main(["fetch", FAL, "--into", "kling.json"]) == 0
    assert main(["fetch", FAL, "--into", "kling.json"]) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert main(["fetch", FAL, "--into", "kling.json", "--overwrite"]) == 0


def test_check_says_what_has_changed_since(here, capsys, monkeypatch):
    assert main(["fetch", FAL, "--into", "kling.json"]) == 0
    assert main(["check", "kling.json"]) == 0
    assert "nothing has changed" in capsys.readouterr().out
    fields = OPENAPI["components"]["schemas"]["MagicaInput"]["properties"]
    monkeypatch.setitem(fields, "duration", {"type": "string", "enum": ["5"]})
    monkeypatch.setitem(fields, "camera", {"type": "object"})
    assert main(["check", "kling.json"]) == 1
    told = capsys.readouterr().out
    assert "new field: camera" in told
    assert "field that changed: duration" in told


def test_a_model_that_the_vendor_does_not_describe_is_an_error(here, capsys):
    assert main(["fetch", "replicate:deployments/studio/magica"]) == 1
    assert "gives no schema" in capsys.readouterr().err
    assert main(["fetch", "pixazo:mochi-v1"]) == 1
    assert "describes no models" in capsys.readouterr().err


@pytest.mark.parametrize("document", [None, [], {}, {"components": []}, {"components": {"schemas": {"Output": {}}}}])
def test_what_is_no_openapi_document_has_no_schema(document):
    assert request_schema(document) is None


def test_references_and_null_are_those_of_json_schema():
    schema = request_schema(OPENAPI)
    assert schema["properties"]["elements"]["items"] == {"$ref": "#/$defs/Element"}
    assert schema["properties"]["seed"] == {"anyOf": [{"type": "integer"}, {"type": "null"}]}
    assert set(schema["$defs"]) == {"Element"}
    assert "components" not in json.dumps(schema)


def test_changes_name_each_field():
    before = {"properties": {"a": {}, "b": {"type": "string"}}, "required": ["a"]}
    now = {"properties": {"b": {"type": "integer"}, "c": {}}, "required": ["c"], "additionalProperties": False}
    assert changes(before, before) == []
    assert changes(before, now) == [
        "new field: c", "field that is no more: a", "field that changed: b", "required now, or no longer: a",
        "required now, or no longer: c", "changed: additionalProperties",
    ]  # fmt: skip
