"""The example of two DAGs and an asset, on a real Airflow: database, asset events, the scheduler's own decision."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_video_providers.testing.simulator import running

ROOT = Path(__file__).resolve().parents[2]

SCRIPT = """
import json, sys
sys.path.insert(0, sys.argv[1])
import example_video_assets as example
from airflow.jobs.job import Job
from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
from airflow.models.asset import AssetEvent
from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.models.xcom import XComModel
from airflow.sdk.definitions.dag import _run_task
from airflow.settings import Session
from airflow.utils.state import TaskInstanceState

producer, consumer = example.example_video_asset_producer(), example.example_video_asset_consumer()
state = producer.test(run_conf={"output_path": sys.argv[2]}).state
session = Session()
due, _ = DagModel.dags_needing_dagruns(session)
SchedulerJobRunner(job=Job())._create_dag_runs_asset_triggered(dag_models=due.all(), session=session)
session.commit()
run = session.query(DagRun).filter_by(dag_id=consumer.dag_id).one()
from airflow.models.dagbag import DBDagBag
run.dag = DBDagBag().get_dag_for_run(run, session=session)
run.state = "running"
session.commit()
ready, _ = run.update_state(session=session)
for ti in ready:
    ti.try_number, ti.state = 1, TaskInstanceState.SCHEDULED
session.commit()
for ti in ready:
    _run_task(ti=ti, task=consumer.get_task(ti.task_id), run_triggerer=True)
session.expire_all()
(event,) = session.query(AssetEvent).all()
told = session.query(XComModel.value).filter_by(dag_id=consumer.dag_id, key="return_value").scalar()
print(">", json.dumps({"producer": state, "run_type": run.run_type, "extra": event.extra, "told": told}))
"""


@pytest.mark.slow
def test_a_landed_clip_starts_the_dag_that_waits_for_it_and_tells_it_which(tmp_path):
    with running(queue_seconds=(0, 0), run_seconds=(0, 0)) as simulator:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")},
            "AIRFLOW_HOME": str(tmp_path / "airflow"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "airflow_video_providers" / "example_dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            **simulator.environment(),
        }

        def python(*arguments):
            done = subprocess.run(
                [sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
            return done.stdout

        python("-m", "airflow", "db", "migrate")
        out = python(
            "-c", SCRIPT, str(ROOT / "airflow_video_providers" / "example_dags"), (tmp_path / "videos").as_uri()
        )
    told = json.loads(next(line for line in out.splitlines() if line.startswith("> "))[2:])
    assert (told["producer"], told["run_type"]) == ("success", "asset_triggered")
    (clip,) = (tmp_path / "videos").rglob("*.mp4")
    assert told["extra"]["uri"] == f"file://{clip}"
    assert told["extra"]["bytes"] == clip.stat().st_size
    assert told["extra"]["duration"] == pytest.approx(5, abs=0.5)
    assert {"sha256", "request_id", "manifest_uri", "model", "content_type", "uris"} <= told["extra"].keys()
    assert told["told"] == [f"file://{clip}"]
