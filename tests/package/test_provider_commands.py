"""What Airflow's own commands show of the provider, in an Airflow home of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

from airflow_video_providers.integration.provider_info import get_provider_info

pytestmark = pytest.mark.slow

INFO = get_provider_info()
#: Airflow 3.1 asks no provider for commands, and lists widgets only beside the form library of its old interface; the
#: form itself is tested on every version in test_connection_form.py.
since_3_2 = pytest.mark.skipif(find_spec("airflow.sdk.serde") is None, reason="Airflow 3.1 has no such command")
SCRIPT = """
import contextlib, io, json, sys
from airflow.cli import cli_parser
shown = {}
for name in ("hooks", "links", "triggers", "widgets", "behaviours"):
    args = cli_parser.get_parser().parse_args(["providers", name, "--output", "json"])
    with contextlib.redirect_stdout(io.StringIO()) as out:
        args.func(args)
    shown[name] = [row for row in json.loads(out.getvalue()[out.getvalue().index("["):]) if "airflow-video-providers" in row.values()
                   or any(kind in str(row) for kind in ("airflow_video_providers", "pixazo", "appypie", "segmind"))]
for arguments in (["config", "get-value", "video_providers", "on_clear"], ["config", "get-value", "video_providers", "ledger_path"],
                  ["providers", "configs", "--output", "json"]):
    args = cli_parser.get_parser().parse_args(arguments)
    with contextlib.redirect_stdout(io.StringIO()) as out:
        args.func(args)
    shown[" ".join(arguments[:4])] = out.getvalue().strip()
for words in (["video-ledger", "list"], ["video-ledger", "spend"],
              ["video-models", "estimate", "pixazo:pixverse-v6-image-to-video", '{"duration": 5}']):
    try:
        args = cli_parser.get_parser().parse_args(words)
    except SystemExit:  # Airflow 3.1 asks no provider for commands
        shown[" ".join(words[:2])] = None
    else:
        with contextlib.redirect_stdout(io.StringIO()) as out:
            args.func(args)
        shown[" ".join(words[:2])] = out.getvalue()
print(">", json.dumps(shown))
"""


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    home = tmp_path_factory.mktemp("airflow")
    (home / "ledger").mkdir()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")},
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__VIDEO_PROVIDERS__LEDGER_PATH": str(home / "ledger"),
    }
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(next(line for line in done.stdout.splitlines() if line.startswith("> "))[2:])


def test_the_hooks_are_there_without_a_warning(shown):
    assert {row["connection_type"]: row["class"] for row in shown["hooks"]} == {
        entry["connection-type"]: entry["hook-class-name"] for entry in INFO["connection-types"]
    }


def test_the_links_are_there(shown):
    assert {row["extra_link_class_name"] for row in shown["links"]} == set(INFO["extra-links"])


def test_the_triggers_are_there(shown):
    assert "airflow_video_providers.triggers.video" in json.dumps(shown["triggers"])


@since_3_2
def test_the_form_has_every_field_of_every_connection_type(shown):
    assert {row["connection_parameter_name"] for row in shown["widgets"]} == {
        f"extra__{entry['connection-type']}__{name}"
        for entry in INFO["connection-types"]
        for name in entry["conn-fields"]
    }


@since_3_2
def test_each_connection_type_has_its_behaviour(shown):
    assert {row["field_behaviours"] for row in shown["behaviours"]} >= {"pixazo", "appypie", "segmind"}


def test_the_options_are_there_with_their_defaults(shown):
    assert "video_providers" in shown["providers configs --output json"]
    assert shown["config get-value video_providers on_clear"] == "resubmit"
    assert shown["config get-value video_providers ledger_path"].endswith("/ledger")


@since_3_2
def test_the_ledger_is_a_command_of_airflows(shown):
    assert shown["video-ledger list"].strip() == "0 open, 0 bought and not landed."
    assert shown["video-ledger spend"].strip() == "all  charged 0; unknown 0; not charged 0"


@since_3_2
def test_the_models_are_a_command_of_airflows(shown):
    assert "$0.225 (documented per second" in shown["video-models estimate"]
