"""Callbacks on a whole Airflow: the receiver as a process beside it, and mounted in its API server."""

from __future__ import annotations

import json
import socket
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from airflow_video_providers.core.callbacks import token
from airflow_video_providers.core.callbacks.token import Claim
from airflow_video_providers.core.purchase.records import Identity
from airflow_video_providers.plugin.receiver import MOST_BYTES
from airflow_video_providers.testing.simulator import running
from tests.support.cluster import airflow_cluster
from tests.support.home import new_home
from tests.support.receiver import HOST, SECRET, configuration
from tests.support.versions import needs_state_store

pytestmark = [pytest.mark.slow, needs_state_store]

DAG, LATE = "called_back", "called_back_late"
#: Seconds for which both are down at least.
DOWN = 60.0
#: The vendor's pauses before each attempt at a call: it goes on for six minutes.
ATTEMPTS = [0, 1, 5, *[30] * 12]


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
    ledger = tmp_path_factory.mktemp("ledger")
    more = {
        **configuration(),
        "AIRFLOW_CONN_PIXAZO_DEFAULT": json.dumps(simulator.connection("pixazo")),
        "AIRFLOW__VIDEO_PROVIDERS__LEDGER_PATH": str(ledger),
        "AIRFLOW__VIDEO_PROVIDERS__CALLBACK_RECEIVER": "api-server",
    }
    with airflow_cluster(new_home(tmp_path_factory), Path(__file__).parent / "dags", more) as cluster:
        cluster.start("video-callbacks", "--port", str(process_port))
        cluster.ready(DAG, LATE)
        cluster.ledger = ledger
        yield cluster


class Called:
    """What a run left behind whose calls arrived.

    :param port: Where the receiver is.
    """

    def __init__(self, cluster, simulator, port, videos):
        self.port = port
        simulator.reset()
        simulator.configure(webhook_routes=[f"{HOST}=127.0.0.1:{port}"])
        self.run_id = cluster.run_put_aside(simulator, DAG, 3, output_path=videos.as_uri())
        self.bought, self.deliveries = simulator.ledger(), simulator.deliveries()
        self.landed = len(list(videos.rglob("manifest.json")))


@pytest.fixture(scope="module")
def called(cluster, simulator, process_port, tmp_path_factory):
    ports = {"process": process_port, "api-server": urlsplit(cluster.url).port}
    return {place: Called(cluster, simulator, port, tmp_path_factory.mktemp("videos")) for place, port in ports.items()}


@pytest.mark.parametrize("place", ["process", "api-server"])
def test_calls_wake_waits_and_answer_a_submit_whose_answer_was_lost(cluster, called, place):
    seen = called[place]
    assert seen.landed == 3
    assert (seen.bought["submits"], seen.bought["accepted"], seen.bought["charges"]) == (3, 3, 3)
    assert {delivery["outcome"] for delivery in seen.deliveries} == {200}
    found = cluster.xcom(DAG, seen.run_id, "submit_lost")["request_id"]
    assert found in {job["request_id"] for job in seen.bought["jobs"]}
    assert "token=" not in said(cluster)
    assert SECRET not in said(cluster)


@pytest.mark.parametrize("place", ["process", "api-server"])
def test_whoever_calls_without_a_token_of_ours_is_refused_and_leaves_nothing(cluster, called, place):
    seen = called[place]
    address = seen.deliveries[0]["url"].replace(f"https://{HOST}", f"http://127.0.0.1:{seen.port}")
    job = {"request_id": seen.deliveries[0]["request_id"], "status": "COMPLETED"}
    claim = Claim("pixazo", "pixazo_default", Identity(DAG, seen.run_id, "submit_lost"), 1, datetime.now(UTC))
    bare, before = address.partition("?")[0], mail(cluster)

    def call(url, **how):
        return httpx.post(url, trust_env=False, timeout=30, **(how or {"json": job})).status_code

    assert call(bare) == 403
    assert call(f"{address}x") == 403, "forged"
    assert call(token.address(bare, token.issue(claim, SECRET))) == 403, "expired"
    assert call(address, json={**job, "more": "x" * MOST_BYTES}) == 403
    assert call(address, data=job) == 403, "no JSON"
    assert call(address, json={"status": "COMPLETED"}) == 403, "no job"
    assert httpx.get(address, trust_env=False).status_code == 403
    assert mail(cluster) == before
    assert {call(address) for _ in range(5)} == {200}, "replayed"
    assert len(mail(cluster)) <= len(before) + 1
    assert "token=" not in said(cluster)


@pytest.mark.usefixtures("called")  # calls have arrived, and are relied on
def test_with_receiver_and_api_server_down_waits_end_and_what_was_lost_is_found(
    cluster, simulator, process_port, tmp_path
):
    """The vendor calls while nobody listens, and again for some minutes: nothing is bought twice, and nobody is asked."""
    simulator.reset()
    simulator.configure(webhook_routes=[f"{HOST}=127.0.0.1:{process_port}"], webhook_attempts=ATTEMPTS)
    simulator.configure(queue_seconds=[1, 1], run_seconds=[1, 1])
    run_id = cluster.trigger(LATE, output_path=tmp_path.as_uri())

    def states():
        return Counter(task.state for task in cluster.tasks(LATE, run_id).values())

    cluster.wait_for("four waits", lambda: states()["deferred"] == 4)
    cluster.settle()
    cluster.kill("video-callbacks")
    cluster.kill("api-server")
    down = time.monotonic()
    simulator.configure(frozen_clock=False)
    simulator.advance(3)  # all jobs end, and the vendor calls
    cluster.wait_for("waits that end without a call", lambda: states()["deferred"] == 1)
    assert cluster.tasks(LATE, run_id)["submit_lost"].state == "deferred"
    assert {one["outcome"] for one in simulator.deliveries()} == {"ConnectError"}
    time.sleep(max(0.0, DOWN - (time.monotonic() - down)))
    cluster.start("api-server", "--host", "127.0.0.1", "--port", str(urlsplit(cluster.url).port), "--workers", "1")
    cluster.start("video-callbacks", "--port", str(process_port))
    assert cluster.finished(LATE, run_id) == "success", cluster.last_words()
    assert len(list(tmp_path.rglob("manifest.json"))) == 4
    bought = simulator.ledger()
    assert (bought["submits"], bought["accepted"], bought["charges"]) == (4, 4, 4)
    request_id = cluster.xcom(LATE, run_id, "submit_lost")["request_id"]
    outcomes = [one["outcome"] for one in simulator.deliveries() if one["request_id"] == request_id]
    assert outcomes[-1] == 200
    assert len(outcomes) > 4, "it was called about again and again while nobody listened"
    assert said(cluster).count("are not relied on any more") == 1


def mail(cluster):
    """What the mailbox holds."""
    return sorted(path.name for path in cluster.ledger.glob("callbacks/**/*.json"))


def said(cluster):
    """All logs of all components and tasks."""
    return "".join(path.read_text(errors="replace") for path in cluster.home.rglob("*.log"))
