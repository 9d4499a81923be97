"""Waits in the triggerer, on a whole Airflow: one start of it, one run of one DAG, many checks."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from airflow_video_providers.testing.simulator import running
from tests.support.cluster import airflow_cluster
from tests.support.home import new_home
from tests.support.versions import needs_state_store

pytestmark = [pytest.mark.slow, needs_state_store]

DAG = "waits_in_the_triggerer"
LIMITED = "limits_in_flight"
LANDED = ("wait", "wait_each[0]", "wait_each[1]")
WAITS = (*LANDED, "wait_failing", "wait_skipping")


class Seen:
    """What one run left behind."""

    def __init__(self, cluster, run_id):
        self.state = cluster.finished(DAG, run_id)
        self.tasks = cluster.tasks(DAG, run_id)
        self.xcom = lambda *which: cluster.xcom(DAG, run_id, *which)
        self.worker_starts = cluster.worker_starts()
        self.log = lambda task: cluster.task_log(DAG, run_id, task)


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    return tmp_path_factory.mktemp("videos")


@pytest.fixture(scope="module")
def simulators():
    with running(frozen_clock=True) as slow, running(frozen_clock=True) as limited:
        yield slow, limited


@pytest.fixture(scope="module")
def cluster(tmp_path_factory, simulators):
    connections = {
        f"AIRFLOW_CONN_{name}": json.dumps(simulator.connection("pixazo"))
        for name, simulator in zip(("PIXAZO_DEFAULT", "PIXAZO_LIMITED"), simulators, strict=True)
    }
    with airflow_cluster(new_home(tmp_path_factory), Path(__file__).parent / "dags", connections) as cluster:
        cluster.ready(DAG, LIMITED)
        yield cluster


@pytest.fixture(scope="module")
def seen(cluster, simulators, videos):
    """One run; while it waits for jobs that do not end, the triggerer is killed and another one started."""
    run_id = cluster.trigger(DAG, output_path=videos.as_uri())

    def asked(times):
        """Each triggerer tells what the first answer about each job was; the two mapped waits share a folder."""
        names = ("wait", "wait_each", "wait_failing", "wait_skipping")
        said = [cluster.task_log(DAG, run_id, name).count(": queued (QUEUED)") for name in names]
        return all(count >= times * (2 if name == "wait_each" else 1) for name, count in zip(names, said, strict=True))

    cluster.wait_for("all waits in the triggerer", lambda: asked(1))
    cluster.kill("triggerer")
    cluster.start("triggerer", "--skip-serve-logs")
    cluster.wait_for("all waits in another triggerer", lambda: asked(2))
    simulators[0].advance(3600)
    return Seen(cluster, run_id)


def test_the_run_ends_as_its_tasks_do(seen):
    assert {name: task.state for name, task in seen.tasks.items()} == {
        **dict.fromkeys(seen.tasks, "success"),
        "wait_failing": "failed",
        "wait_skipping": "skipped",
    }
    assert seen.state == "failed"  # the failed wait is a leaf


def test_a_wait_starts_a_worker_twice_and_no_other_task_more_than_once(seen):
    submits, landings, lists = 4, 3, 1
    assert seen.worker_starts == submits + landings + lists + 2 * len(WAITS)


@pytest.mark.parametrize(
    ("wait", "submit", "index"),
    [("wait", "submit", -1), ("wait_each", "submit_each", 0), ("wait_each", "submit_each", 1)],
)
def test_each_wait_pushes_its_own_finished_job_as_a_plain_dict(seen, wait, submit, index):
    job = seen.xcom(wait, "return_value", index)
    assert isinstance(job, dict)
    assert job["request_id"] == seen.xcom(submit, "request_id", index)
    assert job["status"] == "succeeded"
    assert job["outputs"][0]["url"].startswith("http://127.0.0.1:")


def test_what_such_a_wait_pushes_lands(seen, videos):
    landed = [seen.xcom("land"), *(seen.xcom("land_each", "return_value", index) for index in range(2))]
    assert len({manifest["request_id"] for manifest in landed}) == 3
    for output in (output for manifest in landed for output in manifest["outputs"]):
        assert (videos / output["key"]).stat().st_size == output["bytes"] > 0


def test_a_job_that_fails_fails_the_task_with_its_error(seen):
    log = seen.log("wait_failing")
    assert "JobFailedError" in log
    assert seen.xcom("submit_failing", "request_id") in log


def test_an_error_that_a_retry_cannot_help_burns_none_of_the_retries(seen):
    assert seen.tasks["wait_failing"].tries == 1


def test_a_skipped_wait_says_why_and_pushes_no_job(seen):
    assert "soft_fail" in seen.log("wait_skipping")
    assert seen.xcom("wait_skipping") is None


def test_a_killed_triggerer_loses_no_wait_and_buys_nothing(seen, simulators):
    assert simulators[0].ledger()["accepted"] == 4
    assert simulators[0].violations() == []


def test_a_limit_on_a_mapped_task_limits_the_videos_in_the_making_while_they_wait_too(cluster, simulators, videos):
    limited = simulators[1]
    run_id = cluster.trigger(LIMITED, output_path=videos.as_uri())

    def bought_and_put_aside(number):
        aside = sum(task.state == "deferred" for task in cluster.tasks(LIMITED, run_id).values())
        return limited.ledger()["accepted"] == number and aside == 2

    cluster.wait_for("two videos in the making", lambda: bought_and_put_aside(2))
    time.sleep(5)  # rounds of the scheduler, in which the others would have been started
    assert bought_and_put_aside(2)
    cluster.settle()
    limited.advance(3600)
    cluster.wait_for("the other two in the making", lambda: bought_and_put_aside(4))
    cluster.settle()
    limited.advance(3600)
    assert cluster.finished(LIMITED, run_id) == "success"
    assert limited.ledger()["charges"] == 4
