"""Waits that start in the triggerer, on a whole Airflow: one start of it, one run of one DAG, many checks."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest

from airflow_video_providers.simulator import running
from tests.support.cluster import airflow_cluster
from tests.support.home import new_home
from tests.support.versions import needs_state_store

pytestmark = [pytest.mark.slow, needs_state_store]

DAG = "starts_in_the_triggerer"
LIMITED = "limits_in_flight"
SLOW_WAITS = ("wait_slow", "wait_slow_deferred")
UNTIL = re.compile(r"until (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC")


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
    with (
        running(queue_seconds=(0.1, 0.2), run_seconds=(0.3, 0.8)) as fast,
        running(frozen_clock=True) as slow,
        running(frozen_clock=True) as limited,
    ):
        yield fast, slow, limited


@pytest.fixture(scope="module")
def cluster(tmp_path_factory, simulators):
    names = ("PIXAZO_DEFAULT", "PIXAZO_SLOW", "PIXAZO_LIMITED")
    connections = {
        f"AIRFLOW_CONN_{name}": json.dumps(simulator.connection("pixazo"))
        for name, simulator in zip(names, simulators, strict=True)
    }
    with airflow_cluster(new_home(tmp_path_factory), Path(__file__).parent / "dags", connections) as cluster:
        cluster.ready(DAG, LIMITED)
        yield cluster


@pytest.fixture(scope="module")
def seen(cluster, simulators, videos):
    """One run; while it waits for a job that does not end, the triggerer is killed and another one started."""
    run_id = cluster.trigger(DAG, output_path=videos.as_uri())

    def looked_at(times):
        """Each triggerer tells what the first look of each wait brought."""
        return all(cluster.task_log(DAG, run_id, wait).count(": queued (QUEUED)") >= times for wait in SLOW_WAITS)

    cluster.wait_for("both waits for the slow job", lambda: looked_at(1))
    cluster.kill("triggerer")
    cluster.start("triggerer", "--skip-serve-logs")
    cluster.wait_for("both waits in another triggerer", lambda: looked_at(2))
    simulators[1].advance(3600)
    return Seen(cluster, run_id)


def test_the_run_ends_as_its_tasks_do(seen):
    assert {name: task.state for name, task in seen.tasks.items()} == {
        **dict.fromkeys(seen.tasks, "success"),
        "wait_failing": "failed",
        "wait_skipping": "skipped",
    }
    assert seen.state == "failed"  # the failed wait is a leaf


@pytest.mark.parametrize("wait", ["wait", "wait_by_id", "wait_each[0]", "wait_each[1]", "wait_slow", "wait_skipping"])
def test_a_wait_that_goes_well_or_is_skipped_needs_no_worker(seen, wait):
    assert seen.tasks[wait].pid is None


def test_tasks_that_do_need_a_worker_have_one(seen):
    # a submit, a download, the list and a failure take one each; the ordinary wait takes two, and no other wait any
    assert seen.worker_starts == 5 + 3 + 1 + 1 + 2
    assert None not in {seen.tasks[task].pid for task in ("submit", "land", "wait_failing", "wait_slow_deferred")}


@pytest.mark.parametrize(
    ("wait", "submit", "index"),
    [("wait", "submit", -1), ("wait_by_id", "submit", -1), ("wait_each", "submit_each", 0),
     ("wait_each", "submit_each", 1), ("wait_slow", "submit_slow", -1), ("wait_slow_deferred", "submit_slow", -1)],
)  # fmt: skip
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


def test_a_job_that_fails_wakes_a_worker_that_raises_its_error(seen):
    log = seen.log("wait_failing")
    assert "JobFailedError" in log
    assert seen.xcom("submit_failing", "request_id") in log


def test_an_error_that_a_retry_cannot_help_burns_none_of_the_retries(seen):
    assert seen.tasks["wait_failing"].tries == 1


def test_a_skipped_wait_says_why_and_pushes_no_job(seen):
    assert "Skipped: " in seen.log("wait_skipping")
    assert seen.xcom("wait_skipping") is None


def test_a_killed_triggerer_loses_no_wait_and_buys_nothing(seen, simulators):
    fast, slow, _ = simulators
    assert slow.ledger()["accepted"] == 1
    assert fast.ledger()["accepted"] == 4
    assert fast.violations() == slow.violations() == []


def test_a_wait_that_starts_in_the_triggerer_keeps_its_deadline_when_another_triggerer_goes_on(seen):
    told = UNTIL.findall(seen.log("wait_slow"))
    assert len(told) == 2
    assert told[0] == told[1]


def test_a_limit_on_a_mapped_task_limits_the_videos_in_the_making_while_they_wait_too(cluster, simulators, videos):
    limited = simulators[2]
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
