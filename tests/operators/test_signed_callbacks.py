"""Callbacks of vendors that sign, from the submit to the mail: over real HTTP, with the simulator's keys."""

from __future__ import annotations

import time

import pytest
from airflow.sdk import DAG

from airflow_video_providers.core.polling.mailbox import Mailbox, job_mark
from airflow_video_providers.core.purchase.stores.local_directory import LocalDirectory
from airflow_video_providers.operators.video import SubmitVideoOperator
from airflow_video_providers.testing.simulator import running
from airflow_video_providers.testing.simulator.signing import WEBHOOK_SECRET
from tests.support import receiver as place
from tests.support.airflow import MemoryAirflow

pytestmark = pytest.mark.slow
MODELS = {"fal": "fal:fal-ai/kling-video/v2.1/standard/text-to-video", "replicate": "replicate:studio/clips"}


@pytest.fixture(scope="module")
def receiver():
    with place.LoopbackReceiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def simulator(receiver):
    with running(queue_seconds=(0, 0), run_seconds=(0, 0), webhook_routes=[receiver.route]) as handle:
        yield handle


@pytest.fixture
def airflow(simulator, receiver, monkeypatch, tmp_path):
    simulator.reset()
    receiver.keep_in(tmp_path)
    for name, value in place.configuration().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AIRFLOW__VIDEO_PROVIDERS__LEDGER_PATH", str(tmp_path))
    keys = f"{simulator.base_url('fal')}/.well-known/jwks.json"
    monkeypatch.setenv("AIRFLOW__VIDEO_PROVIDERS__CALLBACK_SIGNING_SECRET_FAL", keys)
    monkeypatch.setenv("AIRFLOW__VIDEO_PROVIDERS__CALLBACK_SIGNING_SECRET_REPLICATE", WEBHOOK_SECRET)
    return MemoryAirflow({f"{vendor}_default": simulator.connection(vendor) for vendor in MODELS})


def submitted(airflow, vendor):
    with DAG("dag", schedule=None):
        task = SubmitVideoOperator(task_id="submit", model=MODELS[vendor], request={"prompt": "a fox"}, unchecked=True)
    assert airflow.run(task).state == "success"
    return airflow.xcom("submit", "request_id")


def called(simulator):
    until = time.monotonic() + 60
    while not simulator.deliveries() and time.monotonic() < until:
        time.sleep(0.02)
    return [delivery["outcome"] for delivery in simulator.deliveries()]


@pytest.mark.parametrize("vendor", MODELS)
def test_a_submit_carries_our_address_and_the_signed_call_is_mail(airflow, simulator, vendor, tmp_path):
    request_id = submitted(airflow, vendor)
    assert called(simulator) == [200]
    (mail,) = Mailbox(LocalDirectory(tmp_path), f"{vendor}_default").listed()
    assert (mail.job, mail.terminal) == (job_mark(vendor, request_id), True)


@pytest.mark.parametrize("vendor", MODELS)
def test_a_call_that_another_key_has_signed_is_none(airflow, simulator, vendor, monkeypatch, tmp_path):
    other = {"fal": "A" * 43, "replicate": "whsec_AAAA"}[vendor]
    monkeypatch.setenv(f"AIRFLOW__VIDEO_PROVIDERS__CALLBACK_SIGNING_SECRET_{vendor.upper()}", other)
    submitted(airflow, vendor)
    assert called(simulator)[0] == 403
    assert Mailbox(LocalDirectory(tmp_path), f"{vendor}_default").listed() == []


def test_without_its_secret_replicate_is_not_asked_to_call(airflow, simulator, monkeypatch):
    monkeypatch.delenv("AIRFLOW__VIDEO_PROVIDERS__CALLBACK_SIGNING_SECRET_REPLICATE")
    submitted(airflow, "replicate")
    (sent,) = [sent for sent in simulator.requests("replicate") if sent["method"] == "POST"]
    assert "webhook" not in sent["body"]
