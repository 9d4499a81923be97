"""Files from storage, bought with a model that the catalogue does not list: a real purchase against the simulator."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from airflow.sdk import DAG, ObjectStoragePath

from airflow_video_providers.operators.video import SubmitVideoOperator
from airflow_video_providers.testing.simulator import running
from tests.storage.test_inputs import PNG, bodies, connections, run, spent
from tests.support.airflow import MemoryAirflow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_video_providers.testing.simulator import SimulatorHandle
    from tests.storage.emulators import Backend

pytestmark = pytest.mark.slow

MODELS = {"fal": "fal:fal-ai/kling-video/v2.1/pro/image-to-video", "replicate": "replicate:studio/magica"}
SOUND = b"ID3" + bytes(2000)


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatorHandle]:
    with running(queue_seconds=(0, 0), run_seconds=(0, 0)) as handle:
        yield handle


@pytest.fixture
def airflow(simulator: SimulatorHandle) -> MemoryAirflow:
    simulator.reset()
    return MemoryAirflow({f"{vendor}_default": simulator.connection(vendor) for vendor in MODELS})


def submit(vendor: str, **request: Any) -> SubmitVideoOperator:
    with DAG("dag", schedule=None):
        return SubmitVideoOperator(
            task_id="submit", model=MODELS[vendor], request={"prompt": "It moves", **request}, unchecked=True
        )


@pytest.mark.parametrize("vendor", MODELS)
def test_the_vendor_can_fetch_every_file_wherever_it_stands_in_the_request(
    airflow: MemoryAirflow, simulator: SimulatorHandle, backend: Backend, prefix: str, vendor: str
) -> None:
    backend.store(f"{prefix}/fox.png", PNG)  # one of them is anonymous, and signs nothing
    backend.store(f"{prefix}/fox.mp3", SOUND)
    connections(airflow, backend)
    root = f"{backend.root}/{prefix}"
    task = submit(
        vendor, image_url=f"{root}/fox.png", elements=[{"voice": ObjectStoragePath(f"{root}/fox.mp3"), "weight": 1}]
    )
    outcome, log = run(airflow, task)
    assert outcome.state == "success", outcome.error
    (body,) = bodies(simulator)
    sent = body.get("input", body)
    for url, data in ((sent["image_url"], PNG), (sent["elements"][0]["voice"], SOUND)):
        assert httpx.get(url, trust_env=False).content == data
        assert url not in log + repr(airflow.xcoms) + repr(airflow.store) + repr(task.request)
    assert airflow.xcom("submit")["parameters"]["elements.0.voice_sha256"] == hashlib.sha256(SOUND).hexdigest()
    assert run(airflow, task, try_number=2)[0].state == "success"
    assert spent(simulator) == 1


@pytest.mark.parametrize("vendor", MODELS)
def test_a_file_that_is_missing_costs_nothing(
    airflow: MemoryAirflow, simulator: SimulatorHandle, backend: Backend, prefix: str, vendor: str
) -> None:
    connections(airflow, backend)
    outcome, _ = run(airflow, submit(vendor, input=[{"url": f"{backend.root}/{prefix}/fox.png"}]), retries=2)
    assert outcome.state == "failed"
    assert "is not there" in str(outcome.error)
    assert outcome.error.charged == "no"
    assert (spent(simulator), airflow.store) == (0, {})


def test_a_lost_answer_to_a_request_with_a_lent_file_is_not_bought_twice(
    airflow: MemoryAirflow, simulator: SimulatorHandle, s3: Backend, prefix: str
) -> None:
    s3.store(f"{prefix}/fox.png", PNG)
    connections(airflow, s3)
    for vendor in MODELS:
        simulator.reset()
        airflow.store.clear()
        task = submit(vendor, prompt="[[fault:drop_after_accept]] a fox", image_url=f"{s3.root}/{prefix}/fox.png")
        for number in (1, 2, 3):
            run(airflow, task, try_number=number, retries=3)
        assert spent(simulator) == 1, vendor
