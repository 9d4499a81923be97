"""Models, their prices and estimates from the command line."""

from __future__ import annotations

import json
import os
from decimal import Decimal

import pytest

from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.core.vendors.schema_files import made
from airflow_video_providers.integration.models_cli import get_commands, main

I2V = "pixazo:pixverse-v6-image-to-video"


@pytest.fixture
def connection(monkeypatch):
    def define(**extra):
        told = {"conn_type": "pixazo", "password": "sk-0123456789", "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_ACCOUNT", json.dumps(told))
        monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")

    return define


def told(capsys, *arguments):
    assert main([*arguments, "--output", "json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("size", "audio", "usd"),
    [
        ("360p", False, "0.125"), ("360p", True, "0.175"), ("540p", False, "0.175"), ("540p", True, "0.225"),
        ("720p", False, "0.225"), ("720p", True, "0.30"), ("1080p", False, "0.45"), ("1080p", True, "0.575"),
        ("480p", False, None), ("480p", True, None),
    ],
)  # fmt: skip
def test_the_printed_lines_are_estimated_without_a_connection(capsys, mocker, size, audio, usd):
    mocker.patch("airflow_video_providers.hooks.base.VideoHook.get_connection", side_effect=AssertionError)
    request = json.dumps({"resolution": size, "generate_audio_switch": audio})
    cost = told(capsys, "estimate", I2V, request)
    assert cost["usd"] is None if usd is None else Decimal(cost["usd"]) == Decimal(usd)
    assert cost["lacking"] == ["prompt", "image_url"]


def test_an_estimate_is_a_sentence(capsys):
    assert main(["estimate", I2V, '{"duration": 5}']) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{I2V}: $0.225 (documented per second")
    assert "A submit needs prompt, image_url, too." in out


def test_an_unknown_price_says_whose_list_has_none_and_is_never_zero(capsys, connection):
    connection(prices={I2V: [{"usd": 1, "when": {"duration": 4}}]})
    assert main(["estimate", I2V, '{"resolution": "480p"}']) == 0
    assert "an unknown price: the documents name none for this request. It is not 0" in capsys.readouterr().out
    assert main(["estimate", I2V, '{"duration": 5}', "--conn-id", "account"]) == 0
    assert "the connection's prices have none" in capsys.readouterr().out


def test_a_connection_has_its_own_prices_in_estimate_and_list(capsys, connection):
    rows = [{"usd": 0.02, "per": "second", "when": {"resolution": ["360p", "540p"]}}, {"usd": 0.5}]
    connection(prices={I2V: rows})
    assert told(capsys, "estimate", I2V, '{"resolution": "360p"}', "--conn-id", "account")["usd"] == "0.10"
    (shown,) = told(capsys, "list", I2V, "--conn-id", "account")
    assert [(line["usd"], line["when"]) for line in shown["prices"]] == [
        ("0.02", {"resolution": ["360p", "540p"]}), ("0.5", {}),
    ]  # fmt: skip
    every = told(capsys, "list", "--conn-id", "account")
    assert {one["model"] for one in every} == set(catalogue.models()), "other vendors' models are listed as documented"


def test_the_list_has_every_model_with_fields_and_prices(capsys):
    shown = {one["model"]: one for one in told(capsys, "list")}
    assert shown.keys() == catalogue.models().keys()
    for name, model in catalogue.models().items():
        assert shown[name]["fields"].keys() == model.model_fields.keys()
        assert len(shown[name]["prices"]) == len(model.prices)
    main(["list", "pixazo:mochi-v1", "segmind"])
    out = capsys.readouterr().out
    assert "$0.4 per generation" in out
    assert "segmind:mochi-1" in out
    assert "no price is documented" in out
    assert "appypie" not in out
    main(["list", I2V])
    assert '$0.115 per second where resolution="1080p", generate_audio_switch=true' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["estimate", "pixazo:mochi"], "pixazo:mochi-v1"),
        (["estimate", I2V, "[1"], "no JSON"),
        (["estimate", I2V, "[" * 100_000], "no JSON"),
        (["estimate", I2V, "[1]"], "a dict"),
        (["estimate", I2V, '{"duration": 16}'], "from 1 to 15"),
        (["estimate", I2V, '{"lenght": 5}'], "has no field 'lenght'"),
        (["list", "nobody"], "no model"),
        (["estimate", I2V, "{}", "--conn-id", "missing_account"], "missing_account"),
        (["list", I2V, "--conn-id", "missing_account"], "missing_account"),
    ],
)
def test_what_cannot_be_estimated_is_said_in_one_line(capsys, mocker, arguments, said):
    from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

    mocker.patch.dict(os.environ)
    mocker.patch.object(BaseHook, "get_connection", side_effect=AirflowNotFoundException("not defined"))
    assert main(arguments) == 1
    answered = capsys.readouterr()
    assert answered.out == ""
    assert said in answered.err
    assert len(answered.err.splitlines()) == 1


def test_prices_that_are_wrong_refuse_with_their_row(capsys, connection):
    connection(prices={I2V: [{"usd": 1, "when": {"resolution": "721p"}}]})
    assert main(["estimate", I2V, "{}", "--conn-id", "account"]) == 1
    assert "row 1, in the connection's extra holds when resolution is '721p'" in capsys.readouterr().err


def test_another_vendors_connection_is_refused(capsys, connection):
    connection()
    assert main(["estimate", "segmind:mochi-1", "{}", "--conn-id", "account"]) == 1
    assert "type 'pixazo'" in capsys.readouterr().err


def test_airflows_own_command_line_has_it(capsys):
    import argparse

    from airflow.cli.cli_parser import _add_command

    parser = argparse.ArgumentParser()
    groups = parser.add_subparsers(dest="group")
    for command in get_commands():
        _add_command(groups, command)
    args = parser.parse_args(["video-models", "estimate", "pixazo:mochi-v1"])
    args.func(args)
    assert "$0.4 (documented: per generation)" in capsys.readouterr().out
    args = parser.parse_args(["video-models", "estimate", "pixazo:mochi-v1", '{"seed": 0}'])
    with pytest.raises(SystemExit, match="seed"):
        args.func(args)


def test_a_model_that_is_not_listed_is_estimated_by_its_pinned_schema_or_by_a_connection(capsys, tmp_path, monkeypatch):
    veo = "fal:fal-ai/veo3"
    schema = {
        "type": "object",
        "required": ["prompt"],
        "properties": {"prompt": {"type": "string"}, "duration": {"type": "integer"}},
    }
    file = tmp_path / "veo.json"
    listed = {"unit_price": 0.5, "unit": "seconds", "currency": "USD"}
    file.write_text(json.dumps(made(veo, schema, fetched="2026-11-26", listed=listed).to_dict()))
    cost = told(capsys, "estimate", veo, '{"duration": 6}', "--schema", str(file))
    assert (cost["usd"], cost["lacking"]) == ("3.0", ["prompt"])
    assert main(["estimate", veo, '{"duration": "six"}', "--schema", str(file)]) == 1
    assert "duration" in capsys.readouterr().err
    account = {
        "conn_type": "fal",
        "password": "sk-0123456789",
        "extra": {"prices": {veo: [{"usd": 2, "when": {"duration": 6}}]}},
    }
    monkeypatch.setenv("AIRFLOW_CONN_FAL_ACCOUNT", json.dumps(account))
    assert told(capsys, "estimate", veo, '{"duration": 6}', "--conn-id", "fal_account")["usd"] == "2"
    assert told(capsys, "estimate", veo, '{"duration": 7}', "--conn-id", "fal_account")["usd"] is None
    (shown,) = told(capsys, "list", veo)
    assert (shown["fields"], shown["prices"]) == ({}, [])
