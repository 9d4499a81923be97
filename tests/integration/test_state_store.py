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

from airflow.sdk import DAG, BaseOperator

from airflow_video_providers.core.errors import SubmissionOutcomeUnknownError
from airflow_video_providers.core.jobs import VideoJob
from airflow_video_providers.integration.ledger_config import open_ledger
from airflow_video_providers.core.purchase.decision import Try
from airflow_video_providers.core.purchase.order import Order
from airflow_video_providers.core.purchase.records import Identity
from airflow_video_providers.core.purchase.submit_once import Outside, submit_once
from airflow_video_providers.core.vendors.pixazo import MochiV1
from airflow_video_providers.core.vendors.wire import Wire


ORDER = Order(MochiV1(prompt="a cat"), Wire({"prompt": "a cat"}))


class Submit(BaseOperator):
    def execute(self, context):
        ti = context["ti"]
        identity = Identity(ti.dag_id, ti.run_id, ti.task_id, ti.map_index)

        def buy(order):
            print("SOLD", ti.task_id, ti.map_index)
            if ti.map_index == 1:
                raise SubmissionOutcomeUnknownError("The answer was lost.")
            return VideoJob(model="pixazo:mochi-v1", request_id=f"job-{ti.task_id}{ti.map_index}")

        ledger = open_ledger(context)
        jobs = [submit_once(
            ORDER, ledger, buy, this=Try(identity, ti.max_tries, ti.try_number),
            outside=Outside(log=logging.getLogger("test"), poll=lambda job: job),
        ) for _ in range(2)]
        if ti.task_id == "landed":
            ledger.mark_landed(jobs[0])
        return jobs[1].request_id


class Mapped(Submit):
    def __init__(self, number, **options):
        super().__init__(**options)


class Unreceipted(Submit):  # its store refuses whatever is learned after the paid call
    def execute(self, context):
        ti = context["ti"]
        ledger = open_ledger(context)

        def refuse(key, value):
            raise PermissionError("denied")

        ledger.store.replace = refuse
        identity = Identity(ti.dag_id, ti.run_id, ti.task_id, ti.map_index)
        job = submit_once(
            ORDER, ledger, lambda order: VideoJob(model="pixazo:mochi-v1", request_id=f"job-{ti.task_id}"),
            this=Try(identity, ti.max_tries, ti.try_number),
            outside=Outside(log=logging.getLogger("test"), poll=lambda job: job, sleep=lambda seconds: None),
        )
        ti.xcom_push(key="request_id", value=job.request_id)
        return None if ti.task_id == "by_id" else job.to_dict()


class Land(BaseOperator):  # its ledger could not be told
    def execute(self, context):
        return {"manifest_uri": "s3://b/m.json", "model": "pixazo:mochi-v1", "request_id": "job-delivered"}


with DAG("videos", schedule=None) as dag:
    Unreceipted(task_id="unreceipted")
    Unreceipted(task_id="by_id")
    Unreceipted(task_id="delivered") >> Land(task_id="land")
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
from airflow_video_providers.integration.ledger_cli import main
print("RUN", run.run_id)
print("LIST"); main(["list"])
assert main(["attach", "videos", run.run_id, "mapped", "--map-index", "1", "found"]) == 0
print("AGAIN"); main(["list"])

import json, pathlib
print("SPEND", main(["spend", "--output", "json"]))
main(["audit", "--file", "audit.json"])
audit = json.loads(pathlib.Path("audit.json").read_text())
print("AUDIT", audit["ledger"], sorted(a["state"] for p in audit["purchases"] for a in p["attempts"]))
print("VERIFIED", main(["audit", "--verify", "audit.json"]))
pathlib.Path("invoice.csv").write_text("request_id,amount\\nfound,0.40\\nstranger,1\\n")
print("RECONCILED", main(["reconcile", "invoice.csv"]))

from airflow.models.taskinstance import TaskInstance
from airflow.utils.session import create_session
from airflow_video_providers.core.purchase.ledger import Ledger
from airflow_video_providers.integration.state_store_admin import MetadataStore
from airflow_video_providers.core.purchase.records import AttemptState, Identity

ledger, identity = Ledger(MetadataStore()), Identity("videos", run.run_id, "single")
(attempt,) = ledger.attempts(identity)
ledger.replace(attempt.replace(number=2, state=AttemptState.INTENT, request_id=None, job=None))
with create_session() as session:
    session.query(TaskInstance).filter_by(run_id=run.run_id, task_id="single").update({"state": "running"})
print("IN FLIGHT", main(["attach", "videos", run.run_id, "single", "x"]), main(["forget", "videos", run.run_id, "single"]))
with create_session() as session:
    session.query(TaskInstance).filter_by(run_id=run.run_id, task_id="single").update({"state": "failed"})
print("ENDED", main(["forget", "videos", run.run_id, "single"]))
ledger.replace(attempt.replace(number=4))
try:
    ledger.attempts(identity)
except Exception as error:
    print("HOLE", error)
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
        env=environment, capture_output=True, text=True, check=False, timeout=300, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-6000:]
    out = done.stdout
    assert sorted(re.findall(r"SOLD (\S+ \S+)", out)) == ["landed -1", "mapped 0", "mapped 1", "single -1"]
    before, after = out.split("LIST\n")[1].split("AGAIN\n")
    assert "1 open (0 in flight, 1 unknown), 4 bought and not landed." in before
    assert re.search(r"unknown .* mapped --map-index 1 +SubmissionOutcomeUnknownError", before)
    assert "request_id=job-mapped0" in before
    assert "job-landed" not in before
    assert re.search(r"bought .* task success .* unreceipted  request_id=job-unreceipted", before), (
        "its XCom is a receipt"
    )
    assert "request_id=job-by_id" in before
    assert "delivered" not in before, "the manifest that a task pushed says that it has landed"
    assert "0 open, 5 bought and not landed." in after
    assert "--map-index 1  request_id=found" in after
    assert '"count": 7' in after, "what tasks pushed and landed counts too"
    assert "SPEND 0" in after
    assert "Airflow's state store forgets a DAG run that is deleted" in done.stderr
    assert "AUDIT Airflow's state store ['bought', 'bought', 'bought', 'bought', 'bought', 'landed', 'landed']" in after
    assert "VERIFIED 1" in after, "nobody knows where those two landed, and the audit says so"
    assert done.stderr.count("the ledger does not know where it landed") == 4
    assert re.search(r"no estimate: line 2, \$0.40; ledger: bought, .* request_id=found: \+40 cents", after)
    assert "only the invoice: line 3, request_id=stranger, $1" in after
    assert "RECONCILED 1" in after
    assert "IN FLIGHT 1 1" in after
    assert "Airflow says that its try 1 is running" in done.stderr
    assert "ENDED 0" in after
    assert re.search("HOLE Attempt 3 of videos.single .* is missing", after)
