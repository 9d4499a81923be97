"""The README's first DAG on a whole Airflow, started by hand, by its schedule and by an asset; and the recipe of assets."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from airflow_video_providers.testing.simulator import running
from tests.support.cluster import airflow_cluster
from tests.support.home import new_home
from tests.support.pages import README

pytestmark = pytest.mark.slow

HERE, BY_ASSET, PRODUCER = "paper_boat", "paper_boat_by_asset", "producer"
LANDS, FOLLOWS = "example_video_asset_producer", "example_video_asset_consumer"
RECIPE = Path(__file__).parents[2] / "airflow_video_providers" / "example_dags" / "example_video_assets.py"
ASSET = 'Asset("x-test://prompts")'
PRODUCES = f"""
from airflow.sdk import DAG, Asset, task

with DAG("{PRODUCER}", schedule=None):
    @task(outlets=[{ASSET}])
    def prompts():
        pass

    prompts()
"""


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    return tmp_path_factory.mktemp("videos")


@pytest.fixture(scope="module")
def simulator():
    with running(queue_seconds=(0, 0), run_seconds=(0.2, 0.2)) as handle:
        yield handle


@pytest.fixture(scope="module")
def runs(tmp_path_factory, simulator, videos):
    """Each run by how it was started."""
    (block,) = [block for block in README.blocks if block.mark == ("test", "lands a clip")]
    text, dags = block.text.replace("s3://aws_default@bucket/videos", videos.as_uri()), tmp_path_factory.mktemp("dags")
    begun = datetime.now(UTC) - timedelta(days=2)  # else its schedule would first start it at midnight
    daily = f'schedule="@daily",\n    start_date=datetime({begun.year}, {begun.month}, {begun.day}),'
    assert text.count('schedule="@daily",') == text.count(f'"{HERE}"') == 1
    (dags / "first.py").write_text("from datetime import datetime\n" + text.replace('schedule="@daily",', daily))
    (dags / "second.py").write_text(
        "from airflow.sdk import Asset\n"
        + text.replace('schedule="@daily"', f"schedule=[{ASSET}]").replace(f'"{HERE}"', f'"{BY_ASSET}"')
    )
    (dags / "producer.py").write_text(PRODUCES)
    (dags / "recipe.py").write_text(RECIPE.read_text())
    connection = {"AIRFLOW_CONN_PIXAZO_DEFAULT": json.dumps(simulator.connection("pixazo"))}
    with airflow_cluster(new_home(tmp_path_factory), dags, connection) as cluster:
        cluster.ready(HERE, BY_ASSET, PRODUCER, LANDS, FOLLOWS)

        def started(dag_id, kind):
            found = cluster.client.get(f"/dags/{dag_id}/dagRuns").json()["dag_runs"]
            return next((run["dag_run_id"] for run in found if run["run_type"] == kind), None)

        cluster.trigger(HERE)
        cluster.trigger(PRODUCER)
        cluster.trigger(LANDS, output_path=videos.as_uri())
        found = {}
        for kind, dag_id in (
            ("manual", HERE),
            ("scheduled", HERE),
            ("asset_triggered", BY_ASSET),
            ("asset_triggered", FOLLOWS),
        ):
            run_id = cluster.wait_for(f"a run {kind}", lambda dag_id=dag_id, kind=kind: started(dag_id, kind))
            cluster.finished(dag_id, run_id)
            found[FOLLOWS if dag_id == FOLLOWS else kind] = {
                **cluster.client.get(f"/dags/{dag_id}/dagRuns/{run_id}").json(),
                "tasks": {name: task.state for name, task in cluster.tasks(dag_id, run_id).items()},
                "manifest": cluster.xcom(dag_id, run_id, "land"),
                "landed": cluster.xcom(dag_id, run_id, "landed"),
                "log": cluster.task_log(dag_id, run_id, "submit"),
            }
        yield found


@pytest.mark.parametrize("kind", ["manual", "scheduled", "asset_triggered"])
def test_the_first_dag_of_the_readme_lands_a_clip_however_it_is_started(runs, kind, videos):
    run = runs[kind]
    assert (run["run_type"], run["state"]) == (kind, "success"), run["log"][-3000:]
    assert (run["logical_date"] is None) == (kind != "scheduled")
    assert run["tasks"] == dict.fromkeys(("submit", "wait", "land"), "success")
    (output,) = run["manifest"]["outputs"]
    assert (videos / output["key"]).stat().st_size == output["bytes"]


def test_each_run_buys_one_clip_of_its_own(runs, simulator):
    assert len({run["manifest"]["request_id"] for run in runs.values() if run["manifest"]}) == 3
    assert simulator.ledger()["accepted"] >= 4


def test_a_dag_that_is_scheduled_on_the_landed_asset_gets_the_clips_address(runs, videos):
    run = runs[FOLLOWS]
    assert (run["run_type"], run["state"], run["logical_date"]) == ("asset_triggered", "success", None)
    (uri,) = run["landed"]
    assert uri.startswith(videos.as_uri())
    assert Path(uri.removeprefix("file://")).stat().st_size > 0
