"""A pool that includes deferred tasks bounds the jobs in the making of an account, over all DAGs: on a whole Airflow."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest

from airflow_video_providers.testing.simulator import running
from tests.pipelines.dags.pooled import CLIPS
from tests.support.cluster import airflow_cluster
from tests.support.home import new_home
from tests.support.versions import needs_state_store

pytestmark = [pytest.mark.slow, needs_state_store]

SLOTS = 8


class InTheMaking(threading.Thread):
    """Asks the simulator again and again how many of its jobs have not ended."""

    def __init__(self, simulator):
        super().__init__(daemon=True)
        self.simulator, self.counts, self.over = simulator, [], threading.Event()

    def run(self):
        while not self.over.wait(0.2):
            jobs = self.simulator.ledger()["jobs"]
            self.counts.append(sum(job["finished_at"] is None for job in jobs))


def test_sixty_clips_of_two_dags_are_never_more_than_eight_in_the_making_and_the_urgent_ones_go_first(tmp_path_factory):
    videos = tmp_path_factory.mktemp("videos").as_uri()
    with running() as simulator:
        simulator.configure(frozen_clock=True, queue_seconds=(2, 4), run_seconds=(4, 8))
        connection = {"AIRFLOW_CONN_PIXAZO_POOLED": json.dumps(simulator.connection("pixazo"))}
        with airflow_cluster(
            new_home(tmp_path_factory), Path(__file__).parent / "dags", connection, {"AIRFLOW__CORE__PARALLELISM": "4"}
        ) as cluster:
            cluster.ready("pooled_ordinary", "pooled_urgent")
            made = cluster.client.post("/pools", json={"name": "videos", "slots": SLOTS, "include_deferred": True})
            assert made.status_code == 201, made.text
            watch = InTheMaking(simulator)
            watch.start()
            began = time.monotonic()
            runs = {"pooled_ordinary": cluster.trigger("pooled_ordinary", output_path=videos)}
            cluster.wait_for("a full pool", lambda: simulator.ledger()["accepted"] >= SLOTS)
            runs["pooled_urgent"] = urgent = cluster.trigger("pooled_urgent", output_path=videos)

            def all_wait():
                states = [task.state for task in cluster.tasks("pooled_urgent", urgent).values()]
                return states == ["scheduled"] * CLIPS

            cluster.wait_for("the urgent ones for the pool", all_wait)
            before = simulator.ledger()["accepted"]
            simulator.configure(frozen_clock=False)
            states = {dag: cluster.finished(dag, run) for dag, run in runs.items()}
            watch.over.set()
            watch.join()
            print(f"{2 * CLIPS} clips in {time.monotonic() - began:.0f} s; most in the making: {max(watch.counts)}")
            assert states == dict.fromkeys(runs, "success")
        ledger = simulator.ledger()
    assert ledger["accepted"] == ledger["charges"] == 2 * CLIPS
    assert ledger["duplicates"] == []
    assert max(watch.counts) == SLOTS, "the pool is held, and it is used"
    order = [job["prompt"].split()[0] for job in ledger["jobs"]]
    last_urgent = max(index for index, dag in enumerate(order) if dag == "pooled_urgent")
    passed = order[before:last_urgent].count("pooled_ordinary")
    assert passed <= 2 * SLOTS, f"{passed} ordinary clips were bought while urgent ones waited"
