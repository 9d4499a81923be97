"""Every block of the README runs, every table is what the code says, every link leads somewhere."""

from __future__ import annotations

import configparser
import re
import shlex
import subprocess
import sys
import tomllib
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from airflow.sdk import DAG, Connection
from airflow.serialization.serialized_objects import DagSerialization

from airflow_video_providers.get_provider_info import get_provider_info
from airflow_video_providers.hooks.pixazo import PixazoHook
from airflow_video_providers.ledger.book import Ledger
from airflow_video_providers.ledger.cli import main as ledger_command
from airflow_video_providers.ledger.directory import LocalDirectory, ObjectDirectory
from airflow_video_providers.ledger.records import Attempt, AttemptState
from airflow_video_providers.settings import read_settings
from tests.support.airflow import MemoryAirflow

pytest_plugins = ["airflow_video_providers.simulator.pytest_plugin"]

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def blocks(language: str) -> list[str]:
    return [text for kind, text in BLOCKS if kind == language]


def run(text: str, names: dict) -> None:
    exec(compile(text, "README.md", "exec"), names)  # noqa: S102 # running the README is what this test is for


def test_every_block_is_of_a_kind_that_is_run_here():
    assert {kind for kind, _ in BLOCKS} <= {"python", "console", "bash", "json", "ini", "text"}
    by_hand = re.sub(r"<!-- generated: .*?<!-- end -->", "", README, flags=re.DOTALL)
    assert "```text" not in by_hand, "what a program prints is generated, see below"


def test_what_is_generated_is_what_the_code_says():
    # in a process of its own: other tests here add models to the catalogue
    ran = subprocess.run([sys.executable, ROOT / "scripts" / "readme.py", "--check"], capture_output=True, check=False)
    assert ran.returncode == 0, ran.stdout.decode()


@pytest.fixture
def namespace(video_simulator, monkeypatch, tmp_path):
    """All Python blocks, run in order, with their bucket in a temporary directory."""
    for name, value in video_simulator.environment().items():
        monkeypatch.setenv(name, value)
    names: dict = {}
    for text in blocks("python"):
        run(text.replace("s3://aws_default@bucket", str(tmp_path)), names)
    return names


def test_the_first_block_is_a_pipeline_that_lands_a_clip(namespace, video_simulator, monkeypatch):
    video_simulator.configure(queue_seconds=(0, 0), run_seconds=(0, 0))
    airflow = MemoryAirflow({"pixazo_default": video_simulator.connection("pixazo")})
    wait = namespace["wait"]
    assert airflow.run(namespace["submit"]).state == "success"
    wait.deferrable, wait.own_pace, wait.poke_interval = False, True, 0.02
    assert airflow.run(wait).state == "success"
    assert airflow.run(namespace["land"]).state == "success"
    (output,) = airflow.xcom("land")["outputs"]
    assert (output["width"], output["height"], output["duration_s"]) == (1280, 720, 5.0)
    assert Path(output["uri"].removeprefix("file://")).stat().st_size == output["bytes"]


def test_every_dag_of_the_readme_serializes(video_simulator, monkeypatch, tmp_path):
    found = 0
    names: dict = {}
    for text in blocks("python"):
        text = re.sub(r"^with (DAG\(.*?\)):", r"with (dag := \1):", text, flags=re.MULTILINE)
        names.pop("dag", None)
        run(text, names)
        if isinstance(names.get("dag"), DAG):
            assert DagSerialization.to_dict(names["dag"])["dag"]["tasks"]
            found += 1
    assert found == 2


@pytest.mark.parametrize("purchases", [1, 2])
def test_the_test_that_the_readme_shows_passes_where_a_pipeline_pays_once(
    namespace, video_simulator, monkeypatch, purchases
):
    def run_my_pipeline():
        hook = PixazoHook()
        for job in [hook.submit("pixazo:mochi-v1", {"prompt": "a fox"}) for _ in range(purchases)]:
            video_simulator.advance(60)
            assert hook.status(job).status == "succeeded"
        hook.close()

    video_simulator.reset()
    namespace["run_my_pipeline"] = run_my_pipeline
    with nullcontext() if purchases == 1 else pytest.raises(AssertionError):
        namespace["test_my_pipeline_pays_once"](video_simulator, monkeypatch)


def test_the_schema_that_the_readme_asks_for_is_one(namespace):
    assert namespace["schema"]["required"] == ["prompt"]


def connections() -> list[tuple[str, Connection]]:
    found = [("json", Connection.from_json(text, conn_id="from_readme")) for text in blocks("json")]
    for text in blocks("bash"):
        for name, value in re.findall(r"^export AIRFLOW_CONN_(\w+)='(.*)'$", text, re.MULTILINE):
            as_json = value.startswith("{")
            made = Connection.from_json(value, conn_id=name) if as_json else Connection.from_uri(value, conn_id=name)
            found.append((name, made))
    return found


def test_the_connections_of_the_readme_are_understood():
    read = {name: read_settings(connection, connection.conn_type) for name, connection in connections()}
    assert set(read) == {"json", "PIXAZO_DEFAULT", "SEGMIND_DEFAULT"}
    assert {settings.api_key for settings in read.values()} == {"YOUR_API_KEY"}
    assert {settings.base_url for settings in read.values()} == {None}
    assert [read[name].requests_per_minute for name in ("json", "SEGMIND_DEFAULT")] == [120, 120]


def test_the_extras_that_the_readme_installs_exist():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (installed,) = re.findall(r"pip install 'airflow-video-providers\[(\w+)\]'", README)
    named = re.search(r"Extras: (.*?)\.\n", README, re.DOTALL)[1]
    assert installed in extras
    assert set(re.findall(r"`(\w+)`", named)) == set(extras)


def test_the_configuration_of_the_readme_is_the_providers_own():
    options = get_provider_info()["config"]["video_providers"]["options"]
    (text,) = blocks("ini")
    parsed = configparser.ConfigParser()
    parsed.read_string(text)
    assert set(parsed["video_providers"]) == set(options)
    assert parsed["video_providers"]["on_clear"] in ("resubmit", "reattach")
    path = urlsplit(parsed["video_providers"]["ledger_path"])
    assert path.scheme in ObjectDirectory.EXCLUSIVE
    assert path.username, "a ledger on object storage names its connection"


def commands() -> list[str]:
    return [line[2:] for text in blocks("console") for line in text.splitlines() if line.startswith("$ ")]


@pytest.mark.parametrize("command", commands())
def test_a_command_of_the_readme_exists(command):
    words = shlex.split(command)
    if words[0] == "make":
        assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    elif words[:2] != ["airflow", "video-ledger"]:
        assert words[0] == "python"
        words = [sys.executable, *words[1:], "--help"]
        assert subprocess.run(words, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("command", [command for command in commands() if "video-ledger" in command])
def test_a_way_out_by_hand_works_as_the_readme_writes_it(command, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("AIRFLOW__VIDEO_PROVIDERS__LEDGER_PATH", str(tmp_path))
    ledger = Ledger(LocalDirectory(tmp_path))
    lost = Attempt(dag_id="DAG", run_id="RUN", task_id="TASK", number=1, purchase=1, state=AttemptState.UNKNOWN,
                   created_at=datetime.now(UTC), model="pixazo:mochi-v1")  # fmt: skip
    ledger.create(lost)
    assert ledger_command(shlex.split(command)[2:]) == 0
    told = capsys.readouterr().out
    (attempt,) = ledger.attempts(lost.identity)
    assert (attempt.state, told.splitlines()[-1][:14]) in {
        (AttemptState.UNKNOWN, "1 open, 0 boug"),
        (AttemptState.SUBMITTED, "DAG.TASK in RU"),
        (AttemptState.FORGOTTEN, "Clear the task"),
    }


def test_links_within_the_project_lead_somewhere():
    anchors = {re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-")
               for title in re.findall(r"^#+ (.*)$", README, re.MULTILINE)}  # fmt: skip
    for target in re.findall(r"\]\(([^)]+)\)", README):
        if target.startswith("#"):
            assert target[1:] in anchors
        elif "://" not in target:
            assert (ROOT / target).exists(), target
    for path in re.findall(r"`((?:example_dags|docs)/[^`]+)`", README):
        assert (ROOT / path).exists(), path
