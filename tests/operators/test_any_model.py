"""Models that the catalogue does not list, in a task: pinned, or unchecked on purpose."""

from __future__ import annotations

import json

import pytest
from airflow.sdk import DAG

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.vendors.schema_files import made
from airflow_video_providers.operators.video import SubmitVideoOperator
from tests.support.submitting import Desk

pytest_plugins = ["airflow_video_providers.testing.pytest_plugin"]

MODEL = "fal:fal-ai/kling-video/v2.1/standard/text-to-video"
SCHEMA = {
    "type": "object",
    "properties": {
        "prompt": {"type": "string"},
        "duration": {"type": "string", "enum": ["5", "10"]},
        "elements": {"type": "array", "items": {"type": "object", "properties": {"weight": {"type": "number"}}}},
    },
    "required": ["prompt"],
    "additionalProperties": False,
}
PRICE = {"unit_price": 0.05, "unit": "second", "currency": "USD"}


@pytest.fixture
def desk(video_simulator):
    desk = Desk(video_simulator)
    desk.connect("fal")
    return desk


@pytest.fixture
def schema(tmp_path):
    place = tmp_path / "schemas" / "kling.json"
    place.parent.mkdir()
    place.write_text(json.dumps(made(MODEL, SCHEMA, fetched="2026-11-26", listed=PRICE).to_dict()))
    return place


def test_lists_and_objects_are_templated_and_arrive_as_json(desk):
    request = {
        "prompt": "on {{ ds }}",
        "elements": [{"weight": 0.5, "name": "{{ ti.task_id }}"}],
        "camera": {"pan": {"x": 1}},
    }
    outcome = desk.run(desk.submit(MODEL, request, unchecked=True))
    assert outcome.state == "success", outcome.error
    assert desk.bodies() == [
        {"prompt": "on 2026-01-01", "elements": [{"weight": 0.5, "name": "submit"}], "camera": {"pan": {"x": 1}}}
    ]
    assert desk.airflow.xcoms["submit", "return_value", -1]["model"] == MODEL


def test_without_a_schema_a_dag_is_refused_when_it_is_parsed_unless_that_is_meant(desk):
    with pytest.raises(InvalidRequestError, match="airflow video-models fetch"):
        desk.submit(MODEL, {"prompt": "a fox"})


def test_a_pinned_schema_checks_at_parse_without_network(desk, schema):
    with pytest.raises(InvalidRequestError, match="duration"):
        desk.submit(MODEL, {"prompt": "a fox", "duration": "7"}, schema=schema)
    assert desk.simulator.requests() == []


def test_a_pinned_schema_checks_what_templates_made_before_anything_is_sent(desk, schema):
    outcome = desk.run(desk.submit(MODEL, {"prompt": "a fox", "duration": "{{ 3 + 4 }}"}, schema=schema))
    assert (type(outcome.error).__name__, desk.accepted) == ("InvalidRequestError", 0)
    assert desk.run(desk.submit(MODEL, {"prompt": "a fox", "duration": "{{ 5 }}"}, schema=schema)).state == "success"


def test_a_relative_schema_starts_at_the_dags_file(desk, schema):
    with DAG("dag", schedule=None) as dag:
        dag.fileloc = str(schema.parent.parent / "dag.py")
        task = SubmitVideoOperator(task_id="submit", model=MODEL, request={"prompt": "a"}, schema="schemas/kling.json")
        with pytest.raises(InvalidRequestError, match="elements"):
            SubmitVideoOperator(
                task_id="wrong", model=MODEL, request={"prompt": "a", "elements": 7}, schema="schemas/kling.json"
            )
    assert desk.run(task).state == "success"


def test_a_limit_refuses_an_unknown_price_and_the_pinned_price_is_reckoned_with(desk, schema):
    refused = desk.run(desk.submit(MODEL, {"prompt": "a fox"}, unchecked=True, max_cost_usd=1))
    assert (type(refused.error).__name__, desk.accepted) == ("InvalidRequestError", 0)
    dear = desk.run(desk.submit(MODEL, {"prompt": "a", "duration": "10"}, schema=schema, max_cost_usd="0.40"))
    assert (type(dear.error).__name__, desk.accepted) == ("InvalidRequestError", 0)
    assert (
        desk.run(desk.submit(MODEL, {"prompt": "a", "duration": "5"}, schema=schema, max_cost_usd="0.40")).state
        == "success"
    )
    assert desk.airflow.xcoms["submit", "return_value", -1]["estimated_cost_usd"] == "0.25"


def test_a_price_of_the_account_is_found_by_an_id_with_slashes(desk):
    desk.connect("fal", extra={"prices": {MODEL: 0.35}})
    assert desk.run(desk.submit(MODEL, {"prompt": "a fox"}, unchecked=True, max_cost_usd=1)).state == "success"
    assert desk.airflow.xcoms["submit", "return_value", -1]["estimated_cost_usd"] == "0.35"
