"""300 mapped videos on an account that empties after 100: real operators in six processes, from the purchase to the file."""

from __future__ import annotations

import json
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from multiprocessing import get_context
from unittest import mock

import pytest
from airflow.sdk import DAG

from airflow_video_providers.core.purchase.hold import HOLD
from airflow_video_providers.operators.video import GenerateVideoOperator
from airflow_video_providers.testing.simulator import running
from tests.support.airflow import MemoryAirflow

pytestmark = pytest.mark.slow

MODEL = "segmind:mochi-1"
MAPPED, PAID_FOR, PROCESSES = 300, 100, 6
#: So that six processes that meet the empty account at once, and one of each later hold, stay well under it.
FURTHER = 10


def run_by(ahead, connection, videos, index):
    """One try of one mapped task, to its end or until Airflow is to come back; ``ahead`` is what its clock is ahead.

    It is the first try each time, and there is no other: coming back spends none.
    """

    class Later(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + ahead

    airflow = MemoryAirflow(connections={"segmind_default": connection})
    with DAG("dag", schedule=None):
        task = GenerateVideoOperator(
            task_id="video",
            model=MODEL,
            request={"prompt": f"clip {index}", "seed": index},
            output_path=videos,
            poll_interval=0.05,
        )
    with (
        mock.patch("airflow_video_providers.core.clock.datetime", Later),
        mock.patch("airflow_video_providers.core.purchase.outside.datetime", Later),
    ):
        outcome = airflow.run_to_end(task, map_index=index, try_number=1, retries=0)
    if outcome.state == "up_for_reschedule":
        return index, outcome.message.reschedule_date
    assert outcome.state == "success", (index, outcome.error)
    return index, airflow.xcom("video", "request_id", index)


@pytest.fixture
def simulator():
    with running(queue_seconds=(0, 0), run_seconds=(0, 0)) as handle:
        yield handle


def price_of_one(simulator, tmp_path):
    """What one clip costs at the simulator, which has forgotten the purchase afterwards."""
    run_by(timedelta(0), simulator.connection("segmind"), (tmp_path / "other").as_uri(), MAPPED)
    charged = simulator.ledger()["charged"]["segmind"]
    simulator.reset()
    simulator.configure(queue_seconds=(0, 0), run_seconds=(0, 0))
    return float(charged)


def refused(simulator):
    posts = [call["status"] for call in simulator.requests("segmind") if call["method"] == "POST"]
    return len(posts) - posts.count(200)


def test_300_mapped_videos_on_an_account_that_empties_after_100_all_land_after_a_top_up(
    simulator, monkeypatch, tmp_path
):
    videos, price = tmp_path / "videos", price_of_one(simulator, tmp_path)
    (tmp_path / "ledger").mkdir()
    monkeypatch.setenv("AIRFLOW__VIDEO_PROVIDERS__LEDGER_PATH", str(tmp_path / "ledger"))
    simulator.configure(credits=PAID_FOR * price)
    connection, ahead = simulator.connection("segmind"), timedelta(0)
    due, landed = dict.fromkeys(range(MAPPED), datetime.now(UTC)), {}
    topped_up = None  # what had been refused by then
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        while due:
            assert ahead < timedelta(hours=1), (len(landed), refused(simulator))
            if topped_up is None and ahead > 2 * HOLD:
                assert (len(landed), simulator.ledger()["charges"]) == (PAID_FOR, PAID_FOR)
                assert len(list(videos.rglob("*.mp4"))) == PAID_FOR
                topped_up = refused(simulator)
                simulator.configure(credits=MAPPED * price)
            now = datetime.now(UTC) + ahead
            ready = [index for index, moment in due.items() if moment <= now]
            for index, found in pool.map(partial(run_by, ahead, connection, videos.as_uri()), ready):
                if isinstance(found, datetime):
                    due[index] = found
                else:
                    landed[index] = found
                    del due[index]
            if due:
                ahead = max(ahead, min(due.values()) - datetime.now(UTC))

    told = simulator.ledger()
    assert (told["accepted"], told["charges"], told["duplicates"]) == (MAPPED, MAPPED, [])
    assert len(landed) == len(set(landed.values())) == MAPPED
    assert told["submits"] == MAPPED + refused(simulator)
    assert 2 <= refused(simulator) <= FURTHER, "the one that found it empty, and one after the first hold"
    assert refused(simulator) == topped_up, "none after the top-up"
    manifests = [json.loads(path.read_text()) for path in videos.rglob("manifest.json")]
    assert {manifest["request_id"] for manifest in manifests} == set(landed.values())
    for manifest in manifests:
        (output,) = manifest["outputs"]
        assert (videos / output["key"]).stat().st_size == output["bytes"] > 0
