"""Files that are uploaded before a purchase: when, how often, and what is left of it.

The simulator's uploads are written from the vendors' own clients.
"""

from __future__ import annotations

import json

import httpx
import pytest

from airflow_video_providers.core.client.client import VideoClient
from airflow_video_providers.core.errors import VendorUnavailableError
from airflow_video_providers.core.inputs import read
from tests.support.submitting import KEY, Desk

pytest_plugins = ["airflow_video_providers.testing.pytest_plugin"]

MODELS = {"fal": "fal:fal-ai/kling-video/v2.1/standard/image-to-video", "replicate": "replicate:studio/magica"}
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
LOST = "[[fault:drop_after_accept]] a fox"
UPLOADS = ("/files/upload", "/v1/files")


class Anonymous:
    """A bucket whose connection may read, and not sign."""

    def sign(self, *_, **__):
        raise AttributeError("no key")


@pytest.fixture(params=MODELS)
def vendor(request):
    return request.param


@pytest.fixture
def desk(video_simulator, tmp_path, monkeypatch):
    (tmp_path / "ledger").mkdir()
    monkeypatch.setenv("AIRFLOW__VIDEO_PROVIDERS__LEDGER_PATH", str(tmp_path / "ledger"))
    monkeypatch.setattr(read, "_remote", lambda *_: (Anonymous(), PNG))
    desk = Desk(video_simulator)
    for name in MODELS:
        desk.connect(name)
    return desk


def uploads(desk):
    return [call for call in desk.simulator.requests() if call["path"].endswith(UPLOADS)]


def submit(desk, vendor, prompt="a fox", image="s3://lab/fox.png", **how):
    return desk.submit(MODELS[vendor], {"prompt": prompt, "image": image}, unchecked=True, **how)


def bought_with(desk):
    """The address in the newest paid call."""
    body = desk.bodies()[-1]
    return body.get("input", body)["image"]


@pytest.mark.parametrize("place", ["a bucket", "this worker"])
def test_the_vendor_gets_the_file_and_nothing_else_knows_its_address(desk, vendor, place, tmp_path):
    (tmp_path / "fox.png").write_bytes(PNG)
    image = "s3://lab/fox.png" if place == "a bucket" else str(tmp_path / "fox.png")
    outcome = desk.run(submit(desk, vendor, image=image))
    assert outcome.state == "success", outcome.error
    address = bought_with(desk)
    assert httpx.get(address, trust_env=False).content == PNG
    (seen,) = desk.simulator.images()
    assert (seen["media_type"], seen["bytes"]) == ("image/png", len(PNG))
    ledger = "".join(path.read_text() for path in (tmp_path / "ledger").rglob("*.json"))
    for text in (desk.left_behind(outcome), ledger):
        assert address not in text
        assert KEY not in text
    assert f"was uploaded to {'fal' if vendor == 'fal' else 'Replicate'}" in desk.log
    assert (len(uploads(desk)), desk.accepted, desk.simulator.violations()) == (1, 1, [])


def test_a_retry_of_a_bought_or_unanswered_submit_uploads_nothing(desk, vendor, monkeypatch):
    task = submit(desk, vendor)
    for number in (1, 2, 3):
        assert desk.run(task, try_number=number).state == "success"
    assert "The request changed" not in desk.log, "another address of the same file is no other request"
    assert (len(uploads(desk)), desk.accepted) == (1, 1)

    def away(*_):
        raise VendorUnavailableError("HTTP 503")

    monkeypatch.setattr(VideoClient, "history", away)
    lost = submit(desk, vendor, LOST, task_id="lost")
    for number in (1, 2, 3):
        assert desk.run(lost, try_number=number).state != "success"
    assert (len(uploads(desk)), desk.accepted) == (2, 2)


def test_a_lost_answer_to_a_submit_with_an_uploaded_file_is_found(desk, vendor):
    task = submit(desk, vendor, LOST)
    outcome = desk.run(task)
    assert outcome.state == "success", outcome.error
    assert "the vendor's history shows it" in desk.log
    assert (len(uploads(desk)), desk.accepted) == (1, 1)


def test_a_refused_submit_is_bought_by_its_retry_with_the_file_uploaded_anew(desk, vendor):
    task = submit(desk, vendor, "[[fault:error_422]] a fox")
    assert desk.run(task).state != "success"
    assert desk.run(task, try_number=2).state == "success"
    assert (len(uploads(desk)), desk.accepted) == (2, 1)


@pytest.mark.parametrize(
    ("extra", "how", "why"),
    [
        ({}, {"max_cost_usd": 0.01}, "max_cost_usd"),
        ({"budget": {"usd": 0.15, "per": "day"}}, {}, "its owner allows per day"),
        ({}, {"max_run_cost_usd": 0.15}, "has reserved"),
        ({"submits_enabled": False}, {}, "submits_enabled"),
    ],
    ids=["most per video", "budget", "most per run", "off"],
)
def test_what_a_limit_refuses_uploads_nothing(desk, vendor, extra, how, why):
    price = {MODELS[vendor]: 0.1}
    desk.connect(vendor, extra={"prices": price})
    bought = 0
    if why not in ("max_cost_usd", "submits_enabled"):  # a sum that the first one fills
        desk.connect(vendor, extra={"prices": price, **extra})
        assert desk.run(submit(desk, vendor, task_id="first", **how)).state == "success"
        bought = 1
    desk.connect(vendor, extra={"prices": price, **extra})
    outcome = desk.run(submit(desk, vendor, **how))
    assert outcome.state == "failed"
    assert why in str(outcome.error)
    assert (len(uploads(desk)), desk.accepted) == (bought, bought)


def test_a_sum_with_room_lets_the_submit_pass_and_counts_it_once(desk, vendor):
    desk.connect(vendor, extra={"prices": {MODELS[vendor]: 0.1}, "budget": {"usd": 0.25, "per": "day"}})
    states = [desk.run(submit(desk, vendor, task_id=f"s{n}")).state for n in range(3)]
    assert states == ["success", "success", "failed"]
    assert (len(uploads(desk)), desk.accepted) == (2, 2)


def test_an_upload_that_fails_leaves_no_attempt_and_a_retry_buys(desk, vendor, monkeypatch, tmp_path):
    def refuse(*_):
        raise VendorUnavailableError("HTTP 503")

    task = submit(desk, vendor)
    with monkeypatch.context() as away:
        away.setattr(VideoClient, "upload", refuse)
        outcome = desk.run(task)
    assert outcome.state != "success"
    assert "was not uploaded: HTTP 503. Nothing was bought." in str(outcome.error)
    assert outcome.error.charged == "no"
    assert list((tmp_path / "ledger").rglob("*.json")) == []
    assert desk.run(task, try_number=2).state == "success"
    assert desk.accepted == 1


def test_the_digests_are_of_the_content_and_of_what_was_sent(desk, vendor, tmp_path):
    for number in (1, 2):
        assert desk.run(submit(desk, vendor, task_id=f"s{number}")).state == "success"
    records = [json.loads(path.read_text()) for path in (tmp_path / "ledger").rglob("*.json")]
    attempts = [record for record in records if "sent_sha256" in record]
    assert len({record["request_sha256"] for record in attempts}) == 1
    assert len({record["sent_sha256"] for record in attempts}) == 2, "each upload has its own address"
