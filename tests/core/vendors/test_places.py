"""What a vendor's file says about its own form: the body, the hosts, and where things stand in an answer."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest

from airflow_video_providers.core.client.client import VideoClient
from airflow_video_providers.core.errors import VendorUnavailableError
from airflow_video_providers.core.jobs import JobStatus, VideoJob
from airflow_video_providers.core.vendors.pixazo import MochiV1, Pixazo
from airflow_video_providers.core.vendors.wire import Wire

KEY = "key-0123456789"
JOB = VideoJob(model=MochiV1.id, request_id="r-1")


class Elsewhere(Pixazo):
    """Wraps its body, wants a version in a header, lists its jobs at a host of its own, and names things its own way."""

    other_urls = {"lists": "https://lists.vendor.example/v1"}
    id_paths = ("task.id",)
    status_paths = ("task.state",)
    reason_paths = ("task.failure.text", "note")
    submitted_paths = ("task.times.created",)
    completed_paths = ("task.times.ended",)
    progress_paths = ("task.progress",)
    cost_paths = ("usage.cost",)
    output_paths = ("task.films",)

    def wire(self, request: Any, extra_fields: Any) -> Wire:
        return Wire(
            {"model": "mochi", "input": {"promptText": request.prompt, **extra_fields}}, {"X-Version": "2024-11-06"}
        )

    def listed(self) -> Any:
        return (yield from self.send_read(self.call("GET", "/jobs", at="lists")))


class Net(httpx.BaseTransport):
    def __init__(self, *answers: Any) -> None:
        self.answers, self.sent = list(answers), []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(request)
        return httpx.Response(200, json=self.answers.pop(0))


def client(*answers: Any, base_url: str | None = None) -> tuple[VideoClient, Net]:
    net = Net(*answers)
    return VideoClient(Elsewhere(base_url), KEY, transport=net), net


def test_the_body_and_the_headers_are_the_vendors_own():
    buyer, net = client({"task": {"id": "t-1", "state": "PENDING"}})
    job = buyer.submit(MochiV1(prompt="a fox"), {"mood": "calm"})
    (call,) = net.sent
    assert json.loads(call.content) == {"model": "mochi", "input": {"promptText": "a fox", "mood": "calm"}}
    assert call.headers["X-Version"] == "2024-11-06"
    assert (job.request_id, job.status) == ("t-1", JobStatus.QUEUED)


def test_two_bodies_are_one_digest_whatever_the_order_of_their_fields():
    first, second = (
        Wire({"a": 1, "b": {"c": "\N{FOX FACE}", "d": 2}}),
        Wire({"b": {"d": 2, "c": "\N{FOX FACE}"}, "a": 1}),
    )
    assert first.sha256() == second.sha256() != Wire({"a": 1}).sha256()


def test_state_times_progress_and_cost_stand_where_the_vendor_says():
    running, ended = datetime(2026, 5, 22, 13, 19, 23, tzinfo=UTC), datetime(2026, 5, 22, 13, 20, tzinfo=UTC)
    seen, _ = client({"task": {"id": "r-1", "state": "RUNNING", "progress": 0.25, "times": {"created": 1779455963}}})
    job = seen.status(JOB)
    assert (job.status, job.progress, job.submitted_at, job.cost_usd) == (JobStatus.RUNNING, 0.25, running, None)
    times = {"created": 1779455963, "ended": 1779456000}
    done = {"id": "r-1", "state": "SUCCEEDED", "progress": 1, "times": times, "films": ["https://m.example/a.mp4"]}
    seen, _ = client({"task": done, "usage": {"cost": 0}})
    job = seen.status(job)
    assert (job.status, job.progress, job.completed_at, job.cost_usd) == (JobStatus.SUCCEEDED, None, ended, Decimal(0))
    assert [output.url for output in job.outputs] == ["https://m.example/a.mp4"]
    assert VideoJob.from_dict(json.loads(json.dumps(job.to_dict()))) == job


def test_a_cost_that_was_told_once_stays():
    seen, _ = client({"task": {"id": "r-1", "state": "SUCCEEDED"}})
    assert seen.status(JOB.replace(cost_usd=Decimal("0.4"))).cost_usd == Decimal("0.4")


def test_a_reason_stands_where_the_vendor_says():
    seen, _ = client({"task": {"state": "FAILED", "failure": {"text": "blocked"}}, "error": "something else"})
    assert seen.status(JOB).error == "blocked"


@pytest.mark.parametrize("odd", [None, "half", True, -1, 2, [], {}, 10**30])
def test_odd_progress_and_odd_costs_say_nothing(odd):
    seen, _ = client({"task": {"state": "RUNNING", "progress": odd}, "usage": {"cost": [odd]}})
    job = seen.status(JOB)
    assert (job.progress, job.cost_usd) == (None, None)


@pytest.mark.parametrize(
    ("base_url", "called"),
    [
        (None, "https://lists.vendor.example/v1/jobs"),
        ("https://gateway.pixazo.ai/", "https://lists.vendor.example/v1/jobs"),
        ("https://proxy.example/pixazo", "https://proxy.example/pixazo/jobs"),
    ],
)
def test_a_further_host_gets_the_key_and_a_connections_host_stands_for_all_of_them(base_url, called):
    asker, net = client({}, base_url=base_url)
    asker._send_read(asker.vendor.listed(), None)
    assert (str(net.sent[0].url), net.sent[0].headers["Ocp-Apim-Subscription-Key"]) == (called, KEY)


@pytest.mark.parametrize("base_url", [None, "https://proxy.example/pixazo"])
def test_no_other_host_gets_the_key(base_url):
    asker, net = client({}, base_url=base_url)
    for url in ("https://elsewhere.example/", "https://lists.vendor.example:444/", "http://lists.vendor.example/"):

        def stray(url: str = url) -> Any:
            return (yield httpx.Request("GET", url))

        with pytest.raises(VendorUnavailableError, match="another host"):
            asker._send_read(stray(), None)
    assert net.sent == []
