"""An account that empties in the middle of a run, on a whole Airflow: its tasks come back by themselves, without a try."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from airflow_video_providers.testing.simulator import running
from tests.pipelines.dags.emptied import CLIPS
from tests.support.cluster import airflow_cluster
from tests.support.home import new_home

pytestmark = pytest.mark.slow


def refusals(simulator):
    posts = [call for call in simulator.requests("segmind") if call["method"] == "POST"]
    return len(posts) - simulator.ledger()["accepted"]


def test_mapped_tasks_without_retries_all_land_after_a_top_up_and_without_a_clear(tmp_path_factory):
    videos, ledger = tmp_path_factory.mktemp("videos"), tmp_path_factory.mktemp("ledger")
    with running() as simulator:
        simulator.configure(queue_seconds=(0, 0), run_seconds=(0, 0), credits=1000)
        price = 1000 - one_costs(simulator)
        simulator.configure(credits=float(2 * price))
        environment = {
            "AIRFLOW_CONN_SEGMIND_EMPTIED": json.dumps(simulator.connection("segmind")),
            "AIRFLOW__VIDEO_PROVIDERS__LEDGER_PATH": str(ledger),
        }
        with airflow_cluster(new_home(tmp_path_factory), Path(__file__).parent / "dags", environment) as cluster:
            cluster.ready("emptied")
            run_id = cluster.trigger("emptied", output_path=videos.as_uri())
            cluster.wait_for(
                "an empty account", lambda: refusals(simulator) >= 2
            )  # the first hold is over, and one tried
            time.sleep(2)
            before = refusals(simulator)
            simulator.configure(credits=1000.0)
            state, tasks = cluster.finished("emptied", run_id), cluster.tasks("emptied", run_id)
            if state != "success":
                print(tasks, cluster.last_words())
            assert state == "success"
        print(f"refused: {before} before the top-up, {refusals(simulator)} in all")
        assert [task.tries for name, task in tasks.items() if name.startswith("video")] == [1] * CLIPS
        assert refusals(simulator) <= before + 1
        assert simulator.ledger()["duplicates"] == []
    assert len(list(videos.rglob("*.mp4"))) == CLIPS


def one_costs(simulator):
    """What is left of a full wallet after one clip."""
    import httpx

    known = simulator.connection("segmind")
    httpx.post(
        f"{known['host']}/v2/mochi-1",
        json={"prompt": "what it costs"},
        headers={"x-api-key": known["password"]},
        timeout=10,
    ).raise_for_status()
    return simulator.ledger()["credits"]["segmind"]
