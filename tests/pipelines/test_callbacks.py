"""Callbacks on a whole Airflow: the receiver as a process beside it, and mounted in its API server."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections import Counter
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
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
AUTHORS_HOST = "author.example"
#: What of the first is deferred for as long as its jobs run.
WAITS = ("wait_each[0]", "wait_each[1]", "submit_lost", "own")
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


class AuthorsReceiver:
    """Where an author has the vendor call.

    :ivar calls: The path and the status word of each call.
    """

    def __enter__(self):
        self.calls = calls = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                said = json.loads(self.rfile.read(int(self.headers["content-length"])))
                calls.append((self.path, said["status"]))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.route = f"{AUTHORS_HOST}=127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()


class Called:
    """What a run left behind whose calls arrived.

    :param port: Where the receiver is.
    """

    def __init__(self, cluster, simulator, port, videos):
        self.port = port
        simulator.reset()
        with AuthorsReceiver() as authors:
            routes = [f"{HOST}=127.0.0.1:{port}", authors.route]
            simulator.configure(
                webhook_routes=routes, frozen_clock=False, queue_seconds=[3600] * 2, run_seconds=[3600] * 2
            )
            self.run_id = cluster.trigger(DAG, output_path=videos.as_uri())
            cluster.wait_for("waits, and what came early", lambda: self._waits(cluster))
            self.early = simulator.deliveries()
            for seconds, status in ((0, "QUEUED"), (3600, "PROCESSING"), (3600, "COMPLETED")):
                simulator.advance(seconds)
                cluster.wait_for(
                    f"a call about {status}", lambda wanted=status: wanted in {word for _, word in authors.calls}
                )
            assert cluster.finished(DAG, self.run_id) == "success", cluster.last_words()
            cluster.settle()
        self.authors = authors.calls
        self.tasks = cluster.tasks(DAG, self.run_id)
        self.bought, self.deliveries = simulator.ledger(), simulator.deliveries()
        self.landed = len(list(videos.rglob("manifest.json")))

    def _waits(self, cluster):
        states = {name: task.state for name, task in cluster.tasks(DAG, self.run_id).items()}
        assert states.get("early[0]") != "failed", cluster.task_log(DAG, self.run_id, "early")
        ended = all(states.get(name) == "success" for name in ("early[0]", "early[1]"))
        return ended and all(states.get(name) == "deferred" for name in WAITS)

    def request_id(self, prompt):
        """The job with these words in its prompt."""
        (found,) = [job["request_id"] for job in self.bought["jobs"] if prompt in job["prompt"]]
        return found


@pytest.fixture(scope="module")
def called(cluster, simulator, process_port, tmp_path_factory):
    ports = {"process": process_port, "api-server": urlsplit(cluster.url).port}
    return {place: Called(cluster, simulator, port, tmp_path_factory.mktemp("videos")) for place, port in ports.items()}


@pytest.mark.parametrize("place", ["process", "api-server"])
def test_calls_wake_waits_and_answer_a_submit_whose_answer_was_lost(cluster, called, place):
    seen = called[place]
    assert seen.landed == 6
    assert (seen.bought["submits"], seen.bought["accepted"], seen.bought["charges"]) == (7, 7, 7)
    assert {one["outcome"] for one in seen.deliveries if HOST in one["url"]} == {200}
    assert cluster.xcom(DAG, seen.run_id, "submit_lost")["request_id"] == seen.request_id("nobody announced")
    assert "token=" not in said(cluster)
    assert SECRET not in said(cluster)


@pytest.mark.parametrize("place", ["process", "api-server"])
def test_a_call_before_the_submits_own_answer_costs_no_try_and_names_the_job_of_one_that_is_lost(
    cluster, called, place
):
    seen = called[place]
    jobs = {job["request_id"] for job in seen.bought["jobs"] if "before its time" in job["prompt"]}
    assert {one["request_id"] for one in seen.early if HOST in one["url"]} == jobs
    assert {cluster.xcom(DAG, seen.run_id, "early", "request_id", number) for number in range(2)} == jobs
    assert {name: task.tries for name, task in seen.tasks.items() if task.tries > 1} == {}
    assert "may have been charged" not in cluster.task_log(DAG, seen.run_id, "early"), "its name was there already"


@pytest.mark.parametrize("place", ["process", "api-server"])
def test_a_lost_answer_about_which_nobody_calls_ends_with_its_time_and_is_a_persons(cluster, called, place):
    seen = called[place]
    assert (seen.tasks["nobody_calls"].state, seen.tasks["a_person"].state) == ("failed", "success")
    log = cluster.task_log(DAG, seen.run_id, "nobody_calls")
    assert log.index("Waiting for the vendor to call about it") < log.index("SubmissionOutcomeUnknownError")
    assert seen.request_id("nobody knows of") not in {one["request_id"] for one in seen.deliveries}


@pytest.mark.parametrize("place", ["process", "api-server"])
def test_an_authors_own_receiver_is_called_at_each_poll_and_ours_is_not(cluster, called, place):
    seen = called[place]
    words = [status for _, status in seen.authors]
    assert list(dict.fromkeys(words)) == ["QUEUED", "PROCESSING", "COMPLETED"]
    assert words.count("COMPLETED") == 1
    (path,) = {path for path, _ in seen.authors}
    job = seen.request_id("its author follows")
    assert {one["url"] for one in seen.deliveries if one["request_id"] == job} == {f"https://{AUTHORS_HOST}{path}"}
    assert cluster.xcom(DAG, seen.run_id, "own", "job").get("callback_until") is None


@pytest.mark.parametrize("place", ["process", "api-server"])
def test_whoever_calls_without_a_token_of_ours_is_refused_and_leaves_nothing(cluster, called, place):
    seen = called[place]
    address, job = local(seen), ended(seen)
    claim = Claim("pixazo", "pixazo_default", Identity(DAG, seen.run_id, "submit_lost"), 1, datetime.now(UTC))
    bare, before = address.partition("?")[0], mail(cluster)

    assert call(bare, json=job) == 403
    assert call(f"{address}x", json=job) == 403, "forged"
    assert call(token.address(bare, token.issue(claim, SECRET)), json=job) == 403, "expired"
    assert call(address, json={**job, "more": "x" * MOST_BYTES}) == 403
    assert call(address, data=job) == 403, "no JSON"
    assert call(address, json={"status": "COMPLETED"}) == 403, "no job"
    assert httpx.get(address, trust_env=False).status_code == 403
    assert mail(cluster) == before
    assert {call(address, json=job) for _ in range(5)} == {200}, "replayed"
    assert len(mail(cluster)) <= len(before) + 1
    assert "token=" not in said(cluster)


def test_callers_who_send_slowly_are_cut_off_hold_up_nobody_and_leave_nothing(cluster, called):
    head = "POST {} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 200\r\n"
    before = mail(cluster)
    with contextlib.ExitStack() as held:
        slow = {"its body": [], "its head": []}
        for place, seen in called.items():
            address = local(seen)
            begun = head.format(address.partition(f":{seen.port}")[2]).encode()
            for _ in range(20):
                slow["its body"].append(held.enter_context(socket.create_connection(("127.0.0.1", seen.port), 60)))
                slow["its body"][-1].sendall(begun + b'\r\n{"request_id":')
                if place == "process":  # the API server's own server waits for a head for as long as it likes
                    slow["its head"].append(held.enter_context(socket.create_connection(("127.0.0.1", seen.port), 60)))
                    slow["its head"][-1].sendall(begun)
            assert call(address, json=ended(seen)) == 200
        assert {said_to(caller).split(b"\r\n")[0][:12] for caller in slow["its body"]} == {b"HTTP/1.1 403"}
        assert {said_to(caller) for caller in slow["its head"]} == {b""}
    assert len(mail(cluster)) <= len(before) + len(called)


@pytest.mark.timeout(1200)  # the net of polls is a multiple of what the runs before took: on a slow machine minutes
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
    cluster.wait_for(
        "a poll that finds its job unfinished", lambda: any(one["method"] == "GET" for one in simulator.requests())
    )
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


def call(url, **how):
    """Somebody calls the receiver; what it answers."""
    return httpx.post(url, trust_env=False, timeout=30, **how).status_code


def local(seen):
    """The address of a call that our receiver got, where it really went."""
    url = next(one["url"] for one in seen.deliveries if HOST in one["url"])
    return url.replace(f"https://{HOST}", f"http://127.0.0.1:{seen.port}")


def ended(seen):
    """What that call said."""
    first = next(one for one in seen.deliveries if HOST in one["url"])
    return {"request_id": first["request_id"], "status": "COMPLETED"}


def said_to(caller):
    """What a caller is answered until the other side closes."""
    answer = b""
    with contextlib.suppress(ConnectionResetError):
        while part := caller.recv(4096):
            answer += part
    return answer


def mail(cluster):
    """What the mailbox holds."""
    return sorted(path.name for path in cluster.ledger.glob("callbacks/**/*.json"))


def said(cluster):
    """All logs of all components and tasks."""
    return "".join(path.read_text(errors="replace") for path in cluster.home.rglob("*.log"))
