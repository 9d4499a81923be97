"""The state store of a real Airflow 3.3: what a task writes there, the command finds, and answers."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

DAG = """
import logging
from datetime import UTC, datetime

from airflow.sdk import DAG, BaseOperator

from airflow_video_providers.exceptions import SubmissionOutcomeUnknownError
from airflow_video_providers.jobs import VideoJob
from airflow_video_providers.ledger.config import open_ledger
from airflow_video_providers.ledger.purchase import buy_once
from airflow_video_providers.ledger.records import Identity, Intent


class Submit(BaseOperator):
    def execute(self, context):
        ti = context["ti"]
        identity = Identity(ti.dag_id, ti.run_id, ti.task_id, ti.map_index)

        def buy():
            print("SOLD", ti.task_id, ti.map_index)
            if ti.map_index == 1:
                raise SubmissionOutcomeUnknownError("The answer was lost.")
            return VideoJob(model="pixazo:mochi-v1", request_id=f"job-{ti.task_id}{ti.map_index}")

        ledger = open_ledger(context)
        jobs = [buy_once(
            ledger=ledger, identity=identity, generation=ti.max_tries, try_number=ti.try_number,
            intent=Intent.of(model="pixazo:mochi-v1", request={"prompt": "a cat"}),
            buy=buy, look=lambda job: job, clock=lambda: datetime.now(UTC), log=logging.getLogger("test"),
        ) for _ in range(2)]
        if ti.task_id == "landed":
            ledger.mark_landed(jobs[0])
        return jobs[1].request_id


class Mapped(Submit):
    def __init__(self, number, **options):
        super().__init__(**options)


with DAG("videos", schedule=None) as dag:
    Submit(task_id="single")
    Submit(task_id="landed")
    Mapped.partial(task_id="mapped").expand(number=[0, 1])
"""

SCRIPT = """
import sys
from airflow.utils.db import initdb
initdb()
from airflow.dag_processing.bundles.manager import DagBundlesManager
DagBundlesManager().sync_bundles_to_db()
sys.path.insert(0, sys.argv[1])
from videos import dag
run = dag.test()
from airflow_video_providers.ledger.cli import main
print("RUN", run.run_id)
print("LIST"); main(["list"])
assert main(["attach", "videos", run.run_id, "mapped", "--map-index", "1", "found"]) == 0
print("AGAIN"); main(["list"])
"""


@pytest.mark.slow  # a real Airflow with a database
def test_a_command_lists_and_answers_what_tasks_wrote(tmp_path):
    pytest.importorskip("airflow.models.task_state_store", reason="Airflow's task state store came with 3.3")
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "videos.py").write_text(DAG)
    (tmp_path / "script.py").write_text(SCRIPT)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW__")} | {
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
    }
    done = subprocess.run(
        [sys.executable, str(tmp_path / "script.py"), str(tmp_path / "dags")],
        env=environment, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-6000:]
    out = done.stdout
    assert sorted(re.findall(r"SOLD (\S+ \S+)", out)) == ["landed -1", "mapped 0", "mapped 1", "single -1"]
    before, after = out.split("LIST\n")[1].split("AGAIN\n")
    assert "1 open, 2 bought and not landed." in before
    assert re.search(r"unknown .* mapped --map-index 1 +SubmissionOutcomeUnknownError", before)
    assert "request_id=job-mapped0" in before
    assert "job-landed" not in before
    assert "0 open, 3 bought and not landed." in after
    assert "--map-index 1  request_id=found" in after
