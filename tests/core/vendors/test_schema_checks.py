"""A pinned schema asks nobody: what it refers to stands in it, and whatever it is, a request gets an answer of the package."""

from __future__ import annotations

import json
import socket

import pytest

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.core.vendors.openapi import request_schema
from airflow_video_providers.core.vendors.schema_checks import errors_of, validator_of
from airflow_video_providers.core.vendors.schema_files import SchemaFile, made, read_schema
from airflow_video_providers.core.vendors.wire import body_digest

MODEL = "fal:studio/magica"


@pytest.fixture(autouse=True)
def _alone(monkeypatch):
    """Nobody is asked."""

    def refuse(*_args, **_more):
        raise AssertionError("a schema has asked the network")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def described(prompt, **defs):
    """The schema of a vendor's document with this field."""
    return request_schema({"components": {"schemas": {"XInput": {"properties": {"prompt": prompt}}, **defs}}})


def deep(levels):
    schema = {}
    for _ in range(levels):
        schema = {"properties": {"a": schema}}
    return schema


REFUSED = {
    "elsewhere": described({"$ref": "http://schemas.example/x.json"}),
    "a file": described({"$ref": "other.json"}),
    "a file's part": described({"$ref": "other.json#/$defs/X"}),
    "a file on this machine": described({"$ref": "file:///etc/passwd"}),
    "dynamic, elsewhere": described({"$dynamicRef": "http://schemas.example/x.json#meta"}),
    "missing": described({"$ref": "#/$defs/Missing"}),
    "missing component": described({"$ref": "#/components/schemas/Missing"}),
    "missing anchor": described({"$ref": "#nowhere"}),
    "no schema": described({"$ref": "#/type"}),
    "no pointer": {"anyOf": [{"$ref": "#/anyOf/x"}]},
    "itself": described({"$ref": "#/properties/prompt"}),
    "in a circle": described({"$ref": "#/components/schemas/A"}, A={"allOf": [{"$ref": "#/components/schemas/A"}]}),
    "the whole, at once": {"anyOf": [{"$ref": "#"}, {"type": "object"}]},
    "below an address of its own": described({"$id": "http://schemas.example/", "$ref": "x.json"}),
    "an address of its own": described({"$id": "http://schemas.example/x"}),
    "another dialect": described({"$schema": "http://json-schema.org/draft-03/schema#", "disallow": 5}),
    "deep": deep(5000),
    "none": {"type": 5},
}


@pytest.mark.parametrize("schema", REFUSED.values(), ids=REFUSED)
def test_a_schema_that_cannot_be_followed_is_no_schema_and_nobody_is_asked(schema):
    with pytest.raises(InvalidRequestError, match=r"What is called the schema of fal:studio/magica is none"):
        made(MODEL, schema, fetched="2026-01-02")


@pytest.mark.parametrize("schema", [REFUSED["elsewhere"], REFUSED["itself"], REFUSED["missing"]])
def test_nor_is_one_in_a_file(tmp_path, schema):
    place = tmp_path / "schema.json"
    content = {"format": 1, "model": MODEL, "fetched": "2026-01-02", "sha256": body_digest(schema), "schema": schema}
    place.write_text(json.dumps(content))
    with pytest.raises(InvalidRequestError):
        read_schema(place)


def nested(levels):
    value = {}
    for _ in range(levels):
        value = {"a": value}
    return value


UNCHECKED = ("elsewhere", "a file", "missing", "missing anchor", "no pointer", "itself", "in a circle")


@pytest.mark.parametrize("schema", [*map(REFUSED.get, UNCHECKED), described({"pattern": "("})])
def test_a_request_that_cannot_be_held_to_a_schema_is_refused_as_an_error_of_the_package(schema):
    file = SchemaFile(MODEL, "0", "2026-01-02", schema)
    with pytest.raises(InvalidRequestError, match="No request can be held to the schema"):
        file.check({"prompt": "a"}, model=MODEL, later=False)


def test_so_is_one_that_is_nested_too_deep():
    file = made(MODEL, {"additionalProperties": {"$ref": "#"}}, fetched="2026-01-02")
    with pytest.raises(InvalidRequestError, match="nested too deep"):
        file.check(nested(5000), model=MODEL, later=False)


def test_what_cannot_be_followed_is_a_value_error_where_prices_are_looked_up():
    with pytest.raises(ValueError, match="leads nowhere"):
        list(errors_of(validator_of(REFUSED["elsewhere"]), {"prompt": "a"}))


ACCEPTED = {
    "a part": described({"$ref": "#/components/schemas/Text"}, Text={"type": "string"}),
    "an anchor": {"properties": {"prompt": {"$ref": "#text"}}, "$defs": {"T": {"$anchor": "text", "type": "string"}}},
    "a tree": {
        "properties": {"prompt": {"type": "string"}, "scene": {"$ref": "#/$defs/Scene"}},
        "$defs": {"Scene": {"properties": {"parts": {"type": "array", "items": {"$ref": "#/$defs/Scene"}}}}},
    },
    "twice the same": {
        "properties": {"prompt": {"allOf": [{"$ref": "#/$defs/T"}, {"$ref": "#/$defs/T"}]}},
        "$defs": {"T": {"type": "string"}},
    },
    "an address of the whole": {"$id": "http://schemas.example/x", **described({"type": "string"})},
    "an older dialect": {"$schema": "http://json-schema.org/draft-07/schema#", **described({"type": "string"})},
    "fields of these names": {"properties": {"prompt": {"type": "string"}, "$ref": {}, "$id": {}}},
}


@pytest.mark.parametrize("schema", ACCEPTED.values(), ids=ACCEPTED)
def test_a_schema_that_refers_to_itself_alone_is_held_to(schema):
    model = catalogue.find(MODEL, schema=made(MODEL, schema, fetched="2026-01-02"))
    model.parse({"prompt": "a fox"})
    with pytest.raises(InvalidRequestError, match="so says the schema"):
        model.parse({"prompt": 5})
