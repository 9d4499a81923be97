"""Pixazo's callbacks arrive over real HTTP at a listener of the test."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from airflow_video_providers.testing.simulator import Options
from airflow_video_providers.testing.simulator.clip import ClipSpec
from airflow_video_providers.testing.simulator.jobs import Job
from airflow_video_providers.testing.simulator.webhooks import Subscription, Webhooks
from airflow_video_providers.testing.simulator.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .conftest import Desk

Eventually = Callable[[Callable[[], Any]], Any]


class Listener:
    """Takes callbacks; answers with ``statuses`` in turn, then with 200."""

    def __init__(self) -> None:
        self.received: list[tuple[dict[str, str], dict[str, Any]]] = []
        self.paths: list[str] = []
        self.statuses: list[int] = []
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                listener.paths.append(self.path)
                listener.received.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(listener.statuses.pop(0) if listener.statuses else 200)
                self.end_headers()

            def log_message(self, *_arguments: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/callback"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def words(self) -> list[str]:
        """The status words, in order."""
        return [body["status"] for _, body in self.received]


@pytest.fixture
def listener(desk: Desk) -> Iterator[Listener]:
    """A listener, at a simulator that takes plain http."""
    desk.simulator.configure(allow_http_webhooks=True)
    listener = Listener()
    yield listener
    listener.server.shutdown()
    listener.server.server_close()


def buy(desk: Desk, listener: Listener, prompt: str = "a red fox", mode: str | None = None) -> str:
    """Buy a video with a webhook."""
    headers = {"X-Webhook-URL": listener.url} | ({"X-Webhook-Mode": mode} if mode else {})
    return desk.buy("pixazo", prompt, headers=headers)


def test_terminal_mode_calls_back_once_with_the_documented_body(
    desk: Desk, listener: Listener, eventually: Eventually
) -> None:
    request_id = buy(desk, listener)
    desk.finish()
    assert eventually(lambda: desk.simulator.deliveries())
    ((headers, body),) = listener.received
    assert headers["content-type"] == "application/json"
    assert not any("signature" in name or "authorization" in name for name in headers)
    assert body["request_id"] == request_id
    assert (body["status"], body["error"], body["output"]["media_type"]) == ("COMPLETED", None, "video/mp4")
    assert body["created_at"].endswith("Z")
    assert body["completed_at"] == body["updated_at"]
    assert len(body["completed_at"]) == len("2026-05-22 13:19:23")
    assert "T" not in body["completed_at"]
    assert desk.http.get(body["output"]["media_url"][0]).status_code == 200
    (delivery,) = desk.simulator.deliveries()
    assert (delivery["status"], delivery["attempt"], delivery["outcome"]) == ("COMPLETED", 1, 200)


def test_a_failure_is_called_back_with_its_reason_and_no_output(
    desk: Desk, listener: Listener, eventually: Eventually
) -> None:
    buy(desk, listener, "[[fault:job_error:out of memory]] a fox")
    desk.finish()
    assert eventually(lambda: listener.received)
    body = listener.received[0][1]
    assert (body["status"], body["error"], body["output"]) == ("ERROR", "out of memory", None)


def test_sync_mode_calls_back_on_each_cycle_and_at_the_end(
    desk: Desk, listener: Listener, eventually: Eventually
) -> None:
    buy(desk, listener, mode="sync")
    for seconds, count in ((2, 1), (9, 2), (2, 3)):
        desk.simulator.advance(seconds)
        assert eventually(lambda wanted=count: len(listener.received) == wanted)
    desk.finish()
    assert eventually(lambda: listener.words[-1] == "COMPLETED")
    assert listener.words == ["QUEUED", "PROCESSING", "PROCESSING", "COMPLETED"]


@pytest.mark.parametrize(("profile", "cycle"), [("fast", 1), ("real", 15)])
def test_a_cycle_is_one_second_and_in_the_real_profile_fifteen(profile: str, cycle: int) -> None:
    sent: list[float] = []

    class Silent(Webhooks):
        def _send(self, waiting: Subscription, states: list[str], at_once: int = 1) -> None:
            sent.extend(now for _ in states)

    webhooks = Silent(World(Options().replace(profile=profile)))
    job = Job("pixazo", "m", "r", "k", {}, "", 0, 10, 90, Decimal(1), "", ClipSpec())
    waiting = Subscription(job, "https://x.example", "sync", lambda _state: {}, cycle)
    for tick in range(1100):
        now = tick / 10
        if webhooks._tick(waiting, now):
            break
    assert now == 100
    assert sent == [*range(cycle, 100, cycle), 100]


def test_a_handler_that_does_not_say_2xx_is_asked_again(desk: Desk, listener: Listener, eventually: Eventually) -> None:
    listener.statuses = [500, 302]
    buy(desk, listener)
    desk.finish()
    assert eventually(lambda: len(desk.simulator.deliveries()) == 3)
    assert [delivery["outcome"] for delivery in desk.simulator.deliveries()] == [500, 302, 200]
    assert listener.words == ["COMPLETED"] * 3


def test_deliveries_stop_after_five_callbacks_that_nobody_took(
    desk: Desk, listener: Listener, eventually: Eventually
) -> None:
    listener.statuses = [500] * 100
    for number in range(5):
        buy(desk, listener, f"fox {number}")
    desk.finish()
    assert eventually(lambda: len(desk.simulator.deliveries()) == 15)
    buy(desk, listener, "one more fox")
    desk.finish()
    last = desk.buy("pixazo", headers={"X-Webhook-URL": listener.url + "/elsewhere"})
    desk.finish()
    assert eventually(lambda: any(body["request_id"] == last for _, body in listener.received))
    assert [delivery for delivery in desk.simulator.deliveries() if delivery["url"] == listener.url][15:] == []


def test_a_listener_that_is_not_there_is_noted(desk: Desk, eventually: Eventually) -> None:
    desk.simulator.configure(allow_http_webhooks=True)
    desk.buy("pixazo", headers={"X-Webhook-URL": "http://127.0.0.1:9/callback"})
    desk.finish()
    assert eventually(lambda: len(desk.simulator.deliveries()) == 3)
    assert {delivery["outcome"] for delivery in desk.simulator.deliveries()} == {"ConnectError"}


def test_duplicates_and_order(desk: Desk, listener: Listener, eventually: Eventually) -> None:
    buy(desk, listener, "[[fault:webhook_duplicate]][[fault:webhook_out_of_order]] a fox")
    desk.finish()
    assert eventually(lambda: len(listener.received) == 3)
    assert listener.words == ["COMPLETED", "COMPLETED", "PROCESSING"]


def test_a_late_callback_comes_late_and_a_lost_one_never(
    desk: Desk, listener: Listener, eventually: Eventually
) -> None:
    lost = buy(desk, listener, "[[fault:webhook_lost]] a fox")
    late = buy(desk, listener, "[[fault:webhook_delayed:30]] a fox")
    desk.simulator.advance(desk.QUEUE + desk.RUN + 1)
    on_time = desk.buy("pixazo", headers={"X-Webhook-URL": listener.url})
    desk.simulator.advance(28)
    assert listener.received == []
    desk.simulator.advance(60)
    assert eventually(lambda: len(listener.received) == 2)
    assert {body["request_id"] for _, body in listener.received} == {late, on_time}
    assert lost not in str(listener.received)


def test_an_early_callback_is_there_before_the_answer_to_the_submit(desk: Desk, listener: Listener) -> None:
    request_id = buy(desk, listener, "[[fault:webhook_early]] a fox")
    assert [(body["request_id"], body["status"]) for _, body in listener.received] == [(request_id, "COMPLETED")]
    desk.simulator.advance(600)
    assert len(desk.simulator.deliveries()) == len(listener.received) == 1
    assert desk.simulator.ledger()["charges"] == 1


def test_an_early_callback_comes_for_a_submit_whose_answer_is_lost(desk: Desk, listener: Listener) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        buy(desk, listener, "[[fault:webhook_early]][[fault:drop_after_accept]] a fox")
    assert listener.words == ["COMPLETED"]


def test_a_receiver_that_is_not_there_does_not_hold_the_submit(desk: Desk) -> None:
    desk.simulator.configure(allow_http_webhooks=True)
    prompt = "[[fault:webhook_early]] a fox"
    began = time.monotonic()
    desk.buy("pixazo", prompt, headers={"X-Webhook-URL": "https://nobody.invalid/callback"})
    assert time.monotonic() - began < 30


def test_a_storm_is_the_same_callback_many_times_at_once(
    desk: Desk, listener: Listener, eventually: Eventually
) -> None:
    request_id = buy(desk, listener, "[[fault:webhook_storm:20]] a fox")
    desk.finish()
    assert eventually(lambda: len(listener.received) == 20)
    assert {(body["request_id"], body["status"]) for _, body in listener.received} == {(request_id, "COMPLETED")}


def test_callbacks_to_an_https_address_go_where_its_route_leads(
    desk: Desk, listener: Listener, eventually: Eventually
) -> None:
    desk.simulator.configure(webhook_routes=[f"videos.example=127.0.0.1:{listener.server.server_port}"])
    desk.simulator.configure(allow_http_webhooks=False)
    url = "https://videos.example/callback?token=abc"
    desk.buy("pixazo", headers={"X-Webhook-URL": url})
    desk.finish()
    assert eventually(lambda: desk.simulator.deliveries())
    (delivery,) = desk.simulator.deliveries()
    assert (delivery["url"], delivery["outcome"]) == (url, 200)
    assert listener.paths == ["/callback?token=abc"]


@pytest.mark.parametrize("wrong", ["videos.example", "videos.example=127.0.0.1", "https://videos.example=127.0.0.1:1"])
def test_a_route_of_another_form_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="HOST=ADDRESS:PORT"):
        Options().replace(webhook_routes=[wrong])


def test_the_attempts_at_a_callback_can_be_set(desk: Desk, listener: Listener, eventually: Eventually) -> None:
    listener.statuses = [500, 500, 500, 500]
    desk.simulator.configure(webhook_attempts=[0, 0, 0, 0, 0])
    buy(desk, listener)
    desk.finish()
    assert eventually(lambda: len(desk.simulator.deliveries()) == 5)
    assert [delivery["outcome"] for delivery in desk.simulator.deliveries()] == [500, 500, 500, 500, 200]


@pytest.mark.parametrize("wrong", [[], [0.0, -1.0]], ids=["none", "back in time"])
def test_attempts_that_cannot_be_made_are_refused(wrong: list[float]) -> None:
    with pytest.raises(ValueError, match="webhook_attempts"):
        Options().replace(webhook_attempts=wrong)


def test_a_fault_by_the_admin_route_holds_for_every_callback(
    desk: Desk, listener: Listener, eventually: Eventually
) -> None:
    desk.simulator.fault("webhook_duplicate")
    buy(desk, listener)
    desk.finish()
    assert eventually(lambda: len(listener.received) == 2)


@pytest.mark.parametrize(
    ("headers", "complaint"),
    [
        ({"X-Webhook-URL": "http://127.0.0.1:1/x"}, "HTTPS"),
        ({"X-Webhook-URL": "ftp://x.example/y"}, "HTTPS"),
        ({"X-Webhook-URL": ""}, "HTTPS"),
        ({"X-Webhook-URL": "https://x.example/y", "X-Webhook-Mode": "always"}, "terminal or sync"),
    ],
)
def test_a_wrong_webhook_is_refused_with_the_submit(desk: Desk, headers: dict[str, str], complaint: str) -> None:
    answer = desk.submit("pixazo", headers=headers)
    assert answer.status_code == 400
    assert complaint in answer.json()["message"]
    assert desk.simulator.ledger()["accepted"] == 0


def test_the_mode_alone_means_nothing(desk: Desk) -> None:
    assert desk.submit("pixazo", headers={"X-Webhook-Mode": "sync"}).status_code == 202


def test_a_reset_forgets_callbacks(desk: Desk, listener: Listener) -> None:
    buy(desk, listener)
    desk.simulator.reset()
    desk.simulator.advance(10_000)
    assert desk.simulator.deliveries() == []
    assert listener.received == []
