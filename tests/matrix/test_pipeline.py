"""The pipeline on the real Airflow that is installed, of whichever version, against the simulator.

One process migrates a database and another runs every DAG: each start of Airflow costs more than the tests.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from airflow_video_providers.integration.retries import HAS_POLICIES
from airflow_video_providers.testing.simulator import running

HERE = Path(__file__).parent
#: Airflow 3.3 brought the task state store and retry policies together.
SINCE_3_3 = HAS_POLICIES
WARNING = "No ledger of purchases: a second try would send nothing."


@dataclass
class Run:
    """How one DAG ended.

    :param tasks: Each task's state and number of tries.
    :param log: What its tasks said.
    :param submits: What the vendor answered to each submit of this DAG, its HTTP codes.
    """

    state: str
    tasks: dict[str, dict[str, object]]
    log: str
    submits: list[int]


@pytest.fixture(scope="session")
def videos(tmp_path_factory):
    return tmp_path_factory.mktemp("videos")


@pytest.fixture(scope="session")
def run(tmp_path_factory, videos):
    home, ledger = tmp_path_factory.mktemp("airflow"), tmp_path_factory.mktemp("ledger")
    wanted = ["three_tasks", "one_task", f"lost_after_buying@{ledger}", "lost_after_buying", "refused"]
    with running(queue_seconds=(0.1, 0.1), run_seconds=(0.5, 0.5)) as simulator:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")} | {
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(HERE / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW_CONN_PIXAZO_BAD_KEY": json.dumps(simulator.connection("pixazo", key="bad-key")),
            "PYTHONPATH": str(HERE / "dags"),
            "TESTED_PATH": (videos / "tested").as_uri(),
            **simulator.environment(),
        }
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # every process would compile all of Airflow
        python(environment, "-m", "airflow", "db", "migrate")
        said = python(environment, str(HERE / "run_dags.py"), videos.as_uri(), *wanted)
        python(environment, "-m", "airflow", "tasks", "test", "tested", "generate")
        submits = [entry for entry in simulator.requests("pixazo") if entry["method"] == "POST"]
    runs = {}
    for name, (log, told) in zip(wanted, re.findall(r"(.*?)\nOUTCOME (.*?)\n", said, re.DOTALL), strict=True):
        outcome = json.loads(told)
        runs[name.replace(str(ledger), "ledger")] = Run(
            state=outcome["state"],
            tasks=outcome["tasks"],
            log=log,
            submits=[entry["status"] for entry in submits if outcome["run_id"] in entry["body"]["prompt"]],
        )
    return runs.__getitem__


def python(environment, *arguments):
    done = subprocess.run(
        [sys.executable, *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=420, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:]
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", ["three_tasks", "one_task"])
def test_a_video_is_bought_once_waited_for_and_landed(run, videos, name):
    found = run(name)
    assert (found.state, found.submits) == ("success", [202])
    assert {task["state"] for task in found.tasks.values()} == {"success"}
    manifest = json.loads(next((videos / name).rglob("manifest.json")).read_text())
    (output,) = manifest["outputs"]
    assert (videos / name / output["key"]).stat().st_size == output["bytes"] > 0


@pytest.mark.slow
def test_a_wait_without_a_worker_defers(run):
    assert "DEFERRED" in run("three_tasks").log


@pytest.mark.slow
def test_airflow_tasks_test_runs_a_task_to_its_end(run, videos):
    (manifest,) = (videos / "tested").rglob("manifest.json")
    assert json.loads(manifest.read_text())["outputs"]


@pytest.mark.slow
def test_a_retry_returns_to_the_job_in_the_directory_ledger_and_buys_nothing(run):
    found = run("lost_after_buying@ledger")
    assert (found.state, found.tasks["submit"]["tries"], found.submits) == ("success", 2, [202])
    assert "Re-attached to job" in found.log
    assert WARNING not in found.log


@pytest.mark.slow
@pytest.mark.skipif(not SINCE_3_3, reason="Airflow has a task state store since 3.3")
def test_since_3_3_a_retry_returns_to_the_job_without_any_configuration(run):
    found = run("lost_after_buying")
    assert (found.state, found.tasks["submit"]["tries"], found.submits) == ("success", 2, [202])
    assert WARNING not in found.log


@pytest.mark.slow
@pytest.mark.skipif(SINCE_3_3, reason="Airflow has a task state store since 3.3")
def test_before_3_3_a_retry_without_a_ledger_sends_nothing_and_fails_and_the_first_try_warned(run):
    found = run("lost_after_buying")
    assert (found.state, found.tasks["submit"]["tries"], found.submits) == ("failed", 2, [202])
    assert found.log.index(WARNING) < found.log.index("AirflowFailException")


@pytest.mark.slow
def test_a_refused_key_burns_no_retry(run):
    found = run("refused")
    assert (found.state, found.tasks["submit"]["tries"], found.submits) == ("failed", 1, [401])
    assert "AuthenticationError" in found.log
    assert ("AirflowFailException" in found.log) is not SINCE_3_3
