"""cancel_on_kill on a whole Airflow: which of its calls of a trigger's on_kill ends a job at the vendor, and which does not."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from airflow_video_providers.testing.simulator import running
from tests.support.cluster import HEARD, airflow_cluster
from tests.support.home import new_home
from tests.support.versions import calls_on_kill

pytestmark = [pytest.mark.slow, calls_on_kill]

DAG = "killed_waits"
WAITS = ("failed", "cleared", "finished")


@pytest.fixture(scope="module")
def simulator():
    with running(frozen_clock=True) as simulator:
        yield simulator


class Run:
    """One run of the DAG, and what the vendor was asked in it."""

    def __init__(self, cluster, simulator, videos):
        self.cluster, self.simulator = cluster, simulator
        self.id = cluster.trigger(DAG, output_path=videos.as_uri())

    def said(self, task):
        return self.cluster.task_log(DAG, self.id, task)

    def asked(self, times):
        """Has each wait asked the vendor, in so many triggerers or tries?"""
        return all(self.said(task).count(": queued (IN_QUEUE)") >= times for task in WAITS)

    def deferred(self, *tasks):
        states = self.cluster.tasks(DAG, self.id)
        return all(task in states and states[task].state == "deferred" for task in tasks)

    def mark(self, task, state):
        path = f"/dags/{DAG}/dagRuns/{self.id}/taskInstances/{task}"
        assert self.cluster.client.patch(path, json={"new_state": state}).status_code == 200

    def clear(self, task):
        body = {"dag_run_id": self.id, "task_ids": [task], "dry_run": False, "only_failed": False}
        assert self.cluster.client.post(f"/dags/{DAG}/clearTaskInstances", json=body).status_code == 200

    def job(self, task):
        (job,) = (job for job in self.simulator.ledger()["jobs"] if job["prompt"] == f"A fox for {task}")
        return job

    def calls(self, task):
        """What was asked about a task's job, oldest first: the method, and the path's last word."""
        request_id = self.job(task)["request_id"]
        found = (call for call in self.simulator.requests() if request_id in call["path"])
        return [(call["method"], call["path"].rpartition("/")[2]) for call in found]

    def cancels(self):
        return [call["path"] for call in self.simulator.requests() if call["path"].endswith("/cancel")]


def test_only_a_person_who_ends_a_task_ends_its_job(tmp_path_factory, simulator):
    videos = tmp_path_factory.mktemp("videos")
    connection = {"AIRFLOW_CONN_FAL_DEFAULT": json.dumps(simulator.connection("fal"))}
    with airflow_cluster(new_home(tmp_path_factory), Path(__file__).parent / "dags", connection) as cluster:
        cluster.ready(DAG)
        run = Run(cluster, simulator, videos)
        cluster.wait_for("three waits", lambda: run.asked(1) and run.deferred(*WAITS))
        cluster.settle()
        time.sleep(HEARD)

        # Another triggerer takes the waits over while the first stands still, which is told to kill them when it goes on.
        cluster.pause("triggerer", "paused triggerer")
        cluster.start("triggerer", "--skip-serve-logs")
        cluster.wait_for("three waits in another triggerer", lambda: run.asked(2))
        cluster.resume("paused triggerer")
        cluster.wait_for(
            "on_kill of all that were taken over",
            lambda: run.cancels() or all("another triggerer waits" in run.said(task) for task in WAITS),
        )
        assert run.cancels() == []
        cluster.kill("paused triggerer")

        # A person marks a task failed: its job goes with it, after it was asked about.
        run.mark("failed", "failed")
        cluster.wait_for(
            "a cancelled job", lambda: "has ended at fal (COMPLETED: The request was cancelled" in run.said("failed")
        )
        assert len(run.cancels()) == 1
        assert run.job("failed")["state"] == "CANCELLED"
        calls = run.calls("failed")
        at = calls.index(("PUT", "cancel"))
        assert calls[at - 1] == ("GET", "status")
        assert calls[at + 1] == ("GET", "status"), "what came of it"

        # A person clears a task: it comes back to its job.
        run.clear("cleared")
        cluster.wait_for(
            "a wait for the same job", lambda: run.said("cleared").count(": queued (IN_QUEUE)") >= 3 and run.deferred("cleared")
        )  # fmt: skip
        assert len(run.cancels()) == 1

        # A job that has ended, which its wait has not noticed yet, is left alone.
        cluster.settle()
        time.sleep(HEARD)
        simulator.advance(3600)
        run.mark("finished", "failed")
        cluster.wait_for("a job that is left", lambda: "is left as it is. It is charged." in run.said("finished"))
        assert cluster.finished(DAG, run.id) == "failed"
        assert {name: task.state for name, task in cluster.tasks(DAG, run.id).items()} == {
            "failed": "failed",
            "cleared": "success",
            "finished": "failed",
        }
        assert len(run.cancels()) == 1
        bought = simulator.ledger()
        assert (bought["submits"], bought["accepted"], bought["charges"]) == (3, 3, 2)
        assert len(list(videos.rglob("manifest.json"))) == 1
        assert simulator.violations() == []
