"""A DAG file pays for its imports each time it is parsed."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

PARSED = ["airflow_video_providers.operators.video", "airflow_video_providers.sensors.video"]
HEAVY = (
    "airflow_video_providers.landing", "airflow_video_providers.testing.simulator", "airflow_video_providers.ledger",
    "airflow_video_providers.core.client.client", "httpcore", "aiohttp", "av", "boto3", "botocore", "starlette", "uvicorn",
    "google.cloud", "azure", "fsspec", "s3fs", "sqlalchemy",
)  # fmt: skip

_REPORT = """
import json, sys
{first}
before = set(sys.modules)
{then}
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def loaded(then: str, tmp_path, first: str = "import airflow.sdk") -> list[str]:
    """The modules that some lines load in a fresh process."""
    done = subprocess.run(
        [sys.executable, "-c", _REPORT.format(first=first, then=then)],
        env={**os.environ, "AIRFLOW_HOME": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    names: list[str] = json.loads(done.stdout.splitlines()[-1])
    return names


def is_part_of(module: str, tree: str) -> bool:
    return module == tree or module.startswith(f"{tree}.")


@pytest.fixture(scope="module")
def parsed(tmp_path_factory):
    lines = "\n".join(f"import {name}" for name in PARSED)
    return loaded(lines, tmp_path_factory.mktemp("airflow"))


def test_operators_and_sensor_load_at_most_15_modules_of_others(parsed):
    others = [name for name in parsed if not is_part_of(name, "airflow_video_providers")]
    assert len(others) <= 15, others


def test_nothing_that_only_a_running_task_needs_is_loaded_at_parse(parsed):
    assert [name for name in parsed if any(is_part_of(name, tree) for tree in HEAVY)] == []


def test_making_an_operator_loads_the_one_vendor_it_asks_for(tmp_path):
    # Reading the entry points of all distributions costs more than everything else.
    no_entry_points = "import importlib.metadata; importlib.metadata.entry_points = None"
    operator = "SubmitVideoOperator(task_id='t', model='segmind:mochi-1', request={'prompt': 'a fox'})"
    made = f"{no_entry_points}\n{operator}"
    first = "from airflow_video_providers.operators.video import SubmitVideoOperator"
    names = [name for name in loaded(made, tmp_path, first) if ".vendors." in name]
    assert {name.rpartition(".")[2] for name in names} == {
        "base", "answers", "refusals", "output_shapes", "status_words", "segmind", "models", "fields", "field_errors", "catalogue", "wire", "reading", "description", "optional_verbs", "flow", "input_addresses",
    }  # fmt: skip


def test_the_version_costs_nothing(tmp_path):
    assert loaded("import airflow_video_providers", tmp_path, first="") == ["airflow_video_providers"]


@pytest.mark.parametrize(
    "lines",
    [
        "from airflow_video_providers.core.client.client import VideoClient",
        "from airflow_video_providers import catalogue; catalogue.models()",
        "from airflow_video_providers.core.polling.decision import after",
    ],
)
def test_the_client_works_where_there_is_no_airflow(tmp_path, lines):
    hide = "import sys; sys.modules['airflow'] = None"
    assert not [name for name in loaded(lines, tmp_path, first=hide) if is_part_of(name, "airflow")]


def test_errors_have_stand_ins_for_their_bases_where_there_is_no_airflow(tmp_path):
    check = (
        "from airflow_video_providers.core.errors import JobTimeoutError as E\n"
        "assert E.__mro__[-4].__module__ == 'airflow_video_providers.core.airflow_errors', E.__mro__\n"
        "assert 'may still be charged' in str(E('x', money='may still be charged'))"
    )
    loaded(check, tmp_path, first="import sys; sys.modules['airflow'] = None")
