"""Takes that would be equal are warned about, and what a purchase would cost is known without one."""

from __future__ import annotations

import json

import pytest
import structlog
from airflow.sdk import DAG

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.vendors.segmind import Mochi1
from airflow_video_providers.hooks.segmind import SegmindHook
from airflow_video_providers.operators.video import SubmitVideoOperator
from airflow_video_providers.testing.simulator import running
from tests.support.airflow import MemoryAirflow

pytestmark = pytest.mark.slow

SEGMIND = "segmind:mochi-1"


@pytest.fixture(scope="module")
def simulator():
    with running(queue_seconds=(0, 0), run_seconds=(0, 0)) as handle:
        yield handle


@pytest.mark.parametrize(
    ("model", "request_", "map_index", "warned"),
    [
        (SEGMIND, {"prompt": "a fox"}, 1, True),
        (SEGMIND, {"prompt": "a fox", "seed": 5}, 1, False),
        (SEGMIND, {"prompt": "a fox"}, -1, False),
        ("pixazo:mochi-v1", {"prompt": "a fox"}, 1, False),  # no document names a fixed seed
    ],
)
def test_a_mapped_submit_that_leaves_a_fixed_seed_to_the_vendor_warns(simulator, model, request_, map_index, warned):
    airflow = MemoryAirflow({f"{name}_default": simulator.connection(name) for name in ("pixazo", "segmind")})
    with DAG("dag", schedule=None):
        task = SubmitVideoOperator(task_id="take", model=model, request=request_)
    with structlog.testing.capture_logs() as lines:
        assert airflow.run(task, map_index=map_index).state == "success"
    said = [str(line) for line in lines if "leaves the seed to the vendor" in str(line)]
    assert bool(said) is warned
    assert all("985521" in line and line.count("warning") for line in said)


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({"prices": {SEGMIND: {"usd": 0.1, "per": "second"}}}, "$0.3 (the connection's prices: per second)"),
        ({}, "an unknown price"),
    ],
)
def test_a_hook_estimates_by_the_accounts_own_price_and_asks_nobody(simulator, monkeypatch, extra, said):
    simulator.reset()
    connection = simulator.connection("segmind")
    connection["extra"] |= extra
    monkeypatch.setenv("AIRFLOW_CONN_SEGMIND_DEFAULT", json.dumps(connection))
    hook = SegmindHook()
    assert str(hook.estimate(SEGMIND, {"prompt": "a fox", "frames": 48, "fps": 16})) == said
    assert str(hook.estimate(Mochi1(prompt="a fox", frames=48, fps=16))) == said
    with pytest.raises(InvalidRequestError):
        hook.estimate(SEGMIND, {"prompt": "a fox", "frames": 1000})
    assert simulator.requests() == []
