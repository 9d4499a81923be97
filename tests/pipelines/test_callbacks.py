"""Callbacks on a whole Airflow: the receiver as a process beside it, and mounted in its API server."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from airflow_video_providers.testing.simulator import running
from tests.support.cluster import airflow_cluster
from tests.support.home import new_home
from tests.support.receiver import HOST, SECRET, configuration
from tests.support.versions import needs_state_store

pytestmark = [pytest.mark.slow, needs_state_store]

DAG = "called_back"


@pytest.fixture(scope="module")
def simulator():
    with running(frozen_clock=True) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def process_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory, simulator, process_port):
    more = {
        **configuration(),
        "AIRFLOW_CONN_PIXAZO_DEFAULT": json.dumps(simulator.connection("pixazo")),
        "AIRFLOW__VIDEO_PROVIDERS__LEDGER_PATH": str(tmp_path_factory.mktemp("ledger")),
        "AIRFLOW__VIDEO_PROVIDERS__CALLBACK_RECEIVER": "api-server",
    }
    with airflow_cluster(new_home(tmp_path_factory), Path(__file__).parent / "dags", more) as cluster:
        cluster.start("video-callbacks", "--port", str(process_port))
        cluster.ready(DAG)
        yield cluster


@pytest.mark.parametrize("place", ["process", "api-server"])
def test_calls_wake_waits_and_answer_a_submit_whose_answer_was_lost(cluster, simulator, process_port, tmp_path, place):
    port = process_port if place == "process" else urlsplit(cluster.url).port
    simulator.reset()
    simulator.configure(webhook_routes=[f"{HOST}=127.0.0.1:{port}"])
    run_id = cluster.run_put_aside(simulator, DAG, 3, output_path=tmp_path.as_uri())
    assert len(list(tmp_path.rglob("manifest.json"))) == 3
    bought = simulator.ledger()
    assert (bought["submits"], bought["accepted"], bought["charges"]) == (3, 3, 3)
    assert {delivery["outcome"] for delivery in simulator.deliveries()} == {200}
    assert cluster.xcom(DAG, run_id, "submit_lost")["request_id"] in {job["request_id"] for job in bought["jobs"]}
    assert "token=" not in (logs := "".join(path.read_text(errors="replace") for path in cluster.home.rglob("*.log")))
    assert SECRET not in logs
