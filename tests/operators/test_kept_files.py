"""A refused file that is kept: every next try lands it, and nobody buys again while it is there."""

from __future__ import annotations

import shutil
import sys
from datetime import timedelta

import pytest
from airflow.sdk import DAG

from airflow_video_providers.core.jobs import VideoJob
from airflow_video_providers.core.landing import fetch
from airflow_video_providers.core.polling import decision, timing
from airflow_video_providers.core.vendors.pixazo import Pixazo
from airflow_video_providers.core.vendors.segmind import Segmind
from airflow_video_providers.operators.kept import _left_by_landings
from airflow_video_providers.operators.video import DownloadVideoOperator, GenerateVideoOperator, SubmitVideoOperator
from airflow_video_providers.sensors.video import VideoJobSensor
from airflow_video_providers.testing.simulator import running
from tests.support.airflow import MemoryAirflow

SEGMIND = "segmind:mochi-1"


@pytest.fixture(scope="module")
def server():
    with running(queue_seconds=(0, 0), run_seconds=(0, 0)) as handle:
        yield handle


@pytest.fixture
def simulator(server, monkeypatch):
    server.reset()
    monkeypatch.setattr(decision, "GRACE", timedelta(0))
    monkeypatch.setitem(decision.TROUBLES, "not found", decision.Trouble(times=2, lasting=timedelta(0), pause=0.01))
    monkeypatch.setattr(timing, "SHORTEST_INTERVAL", 0.01)
    monkeypatch.setattr(fetch, "_LONGEST_PAUSE", 0.01)
    for vendor in (Pixazo, Segmind):
        monkeypatch.setattr(vendor, "poll_seconds", (0.01, 0.05))
    return server


@pytest.fixture
def airflow(simulator):
    return MemoryAirflow({f"{vendor}_default": simulator.connection(vendor) for vendor in ("pixazo", "segmind")})


@pytest.fixture(params=["state store", "directory"])
def ledger(request, tmp_path, monkeypatch):
    if request.param == "directory":
        (tmp_path / "ledger").mkdir()
        monkeypatch.setenv("AIRFLOW__VIDEO_PROVIDERS__LEDGER_PATH", str(tmp_path / "ledger"))
    return request.param


class Apart:
    """Airflow as it is: in the state store each task sees its own rows only."""

    def __init__(self, airflow):
        self.airflow = airflow
        self.stores = {}
        self.tries = {}

    def run(self, task, cleared=0):
        self.airflow.store = self.stores.setdefault(task.task_id, {})
        self.tries[task.task_id] = self.tries.get(task.task_id, 0) + 1
        for key in [key for key in self.airflow.xcoms if key[0] == task.task_id]:
            del self.airflow.xcoms[key]  # Airflow does so when the task starts, and not when it is cleared
        return self.airflow.run_to_end(task, try_number=self.tries[task.task_id], cleared=cleared)


def generate(tmp_path, **how):
    with DAG("dag", schedule=None):
        return GenerateVideoOperator(
            task_id="video", model=SEGMIND, request={"prompt": "a fox"}, output_path=str(tmp_path / "videos"),
            deferrable=False, poll_interval=0.02, **how,
        )  # fmt: skip


def chain(tmp_path, *, deferrable=False, **how):
    with DAG("dag", schedule=None):
        submit = SubmitVideoOperator(task_id="submit", model=SEGMIND, request={"prompt": "a fox"})
        wait = VideoJobSensor(task_id="wait", job=submit.output, deferrable=deferrable, poke_interval=0.02)
        land = DownloadVideoOperator(task_id="land", job=wait.output, output_path=str(tmp_path / "videos"), **how)
    return submit, wait, land


def kept(tmp_path):
    return list((tmp_path / "videos").rglob("_rejected/*/*.rejected"))


def clips(tmp_path):
    return list((tmp_path / "videos").rglob("*.mp4"))


def without_extra():
    patch = pytest.MonkeyPatch()
    patch.setitem(sys.modules, "av", None)
    return patch


def forget(simulator):
    """The vendor no longer knows the job, and its files are gone."""
    simulator.advance(100_000)


# A worker of the landing that lacks the extra, and in the one task a clip that is refused (its type is not accepted).


@pytest.mark.parametrize("deferrable", [False, True])
def test_refused_forgotten_and_cleared_after_the_extra_is_installed_it_lands_with_one_charge(
    airflow, simulator, tmp_path, ledger, deferrable
):
    airflow = Apart(airflow)
    submit, wait, land = chain(tmp_path, verify="decode", deferrable=deferrable)
    without = without_extra()
    assert [airflow.run(task).state for task in (submit, wait, land)] == ["success", "success", "failed"]
    assert (len(kept(tmp_path)), clips(tmp_path)) == (1, [])
    forget(simulator)
    without.undo()
    assert [airflow.run(task, cleared=1).state for task in (submit, wait, land)] == ["success"] * 3
    assert (kept(tmp_path), len(clips(tmp_path))) == ([], 1)
    assert (simulator.ledger()["accepted"], simulator.ledger()["charges"]) == (1, 1)


def test_while_it_stands_every_clear_keeps_the_job_and_says_where_it_is(airflow, simulator, tmp_path, ledger):
    airflow = Apart(airflow)
    tasks = chain(tmp_path, media_types=["video/webm"])
    land = tasks[-1]
    outcomes = [airflow.run(task) for task in tasks]
    assert "_rejected/" in str(outcomes[-1].error)
    forget(simulator)
    for cleared in (1, 2):
        assert [airflow.run(task, cleared=cleared).state for task in tasks] == ["success", "success", "failed"]
    assert simulator.ledger()["accepted"] == 1
    land.media_types = ["video/mp4"]
    assert airflow.run(land, cleared=3).state == "success"
    assert simulator.ledger()["accepted"] == 1


def test_a_deleted_folder_is_the_word_that_a_clear_may_buy_again(airflow, simulator, tmp_path, ledger):
    airflow = Apart(airflow)
    tasks = chain(tmp_path, media_types=["video/webm"])
    assert [airflow.run(task).state for task in tasks] == ["success", "success", "failed"]
    shutil.rmtree(tmp_path / "videos" / "_rejected")
    forget(simulator)
    assert airflow.run(tasks[0], cleared=1).state == "success"
    assert simulator.ledger()["accepted"] == 2


def test_a_storage_that_cannot_be_asked_buys_nothing(airflow, simulator, tmp_path, ledger):
    airflow = Apart(airflow)
    tasks = chain(tmp_path, media_types=["video/webm"])
    assert [airflow.run(task).state for task in tasks] == ["success", "success", "failed"]
    forget(simulator)
    (tmp_path / "videos").rename(tmp_path / "elsewhere")
    (tmp_path / "videos").write_text("a file where the directory should be")
    outcome = airflow.run(tasks[0], cleared=1)
    assert type(outcome.error).__name__ == "LandingError"
    assert simulator.ledger()["accepted"] == 1


def test_a_submit_that_knows_where_it_would_land_needs_no_xcom(airflow, simulator, tmp_path, ledger):
    airflow = Apart(airflow)
    submit, *_ = tasks = chain(tmp_path, media_types=["video/webm"])
    submit.output_path = str(tmp_path / "videos")
    assert [airflow.run(task).state for task in tasks] == ["success", "success", "failed"]
    forget(simulator)
    for key in [key for key in airflow.airflow.xcoms if key[0] == "land"]:
        del airflow.airflow.xcoms[key]
    assert airflow.run(submit, cleared=1).state == "success"
    assert simulator.ledger()["accepted"] == 1


def test_the_one_task_lands_what_it_kept_at_its_next_try_or_clear_without_the_vendor(
    airflow, simulator, tmp_path, ledger
):
    task = generate(tmp_path, media_types=["video/webm"])
    assert airflow.run(task).state == "failed"
    forget(simulator)
    asked = len(simulator.requests())
    assert airflow.run(task, try_number=2, cleared=1).state == "failed"
    assert airflow.run(task, try_number=3, retries=2, cleared=1).state == "failed"
    task.media_types = ["video/mp4"]
    assert airflow.run(task, try_number=4, cleared=2).state == "success"
    assert len(simulator.requests()) == asked, "nobody asked the vendor"
    assert (simulator.ledger()["accepted"], simulator.ledger()["charges"]) == (1, 1)
    assert (kept(tmp_path), len(clips(tmp_path))) == ([], 1)


def test_the_one_task_buys_again_once_the_folder_is_deleted(airflow, simulator, tmp_path, ledger):
    task = generate(tmp_path, media_types=["video/webm"])
    assert airflow.run(task).state == "failed"
    shutil.rmtree(tmp_path / "videos" / "_rejected")
    task.media_types = ["video/mp4"]
    assert airflow.run(task, try_number=2, cleared=1).state == "success"
    assert simulator.ledger()["accepted"] == 2


def test_a_worker_that_lacks_the_extra_at_a_retry_still_saves_the_file(airflow, simulator, tmp_path, ledger):
    (tmp_path / "videos").mkdir()
    task = generate(tmp_path, verify="decode")
    simulator.configure(run_seconds=[600, 600])
    task.timeout = 0.2
    assert airflow.run(task, retries=1).state == "failed"  # the wait timed out; the job goes on
    simulator.configure(run_seconds=[0, 0])
    simulator.advance(1000)
    task.timeout = 30.0
    without = without_extra()
    assert airflow.run(task, try_number=2, cleared=1).state == "failed"
    without.undo()
    assert len(kept(tmp_path)) == 1
    forget(simulator)
    assert airflow.run(task, try_number=3, cleared=2).state == "success"
    assert simulator.ledger()["accepted"] == 1


def test_neither_lineage_nor_assets_hear_of_a_kept_file(airflow, simulator, tmp_path, ledger):
    task = generate(tmp_path, media_types=["video/webm"])
    outcome = airflow.run(task)
    assert (outcome.state, task.manifest) == ("failed", None)
    assert not getattr(outcome.message, "outlet_events", None)


def test_keep_rejected_false_keeps_nothing(airflow, simulator, tmp_path, ledger):
    assert airflow.run(generate(tmp_path, media_types=["video/webm"], keep_rejected=False)).state == "failed"
    assert kept(tmp_path) == []


class Xcoms:
    """A task instance that can only pull."""

    def __init__(self, map_index, left):
        self.map_index = map_index
        self._left = left

    def xcom_pull(self, *, task_ids, key, map_indexes):
        return [self._left.get((task_id, key, map_indexes)) for task_id in task_ids]


@pytest.mark.parametrize(("index", "asked_by", "found"), [(0, 0, True), (-1, 0, True), (1, 0, False), (-1, -1, True)])
def test_a_mapped_landing_behind_a_submit_is_asked_for_the_same_index_and_the_very_job(index, asked_by, found):
    with DAG("dag", schedule=None):
        submit = SubmitVideoOperator(task_id="submit", model=SEGMIND, request={"prompt": "a fox"})
        wait = VideoJobSensor.partial(task_id="wait").expand(job=submit.output)
        DownloadVideoOperator.partial(task_id="land", output_path="/videos").expand(job=wait.output)
    job = VideoJob(model=SEGMIND, request_id="r-1")
    left = {"model": SEGMIND, "request_id": "r-1", "address": "file:///videos/_rejected/r-1"}
    own = _left_by_landings(submit, {"ti": Xcoms(asked_by, {("land", "kept_file", index): left})}, job)
    assert list(own) == ([left["address"]] if found else [])
    for other in ({"request_id": "r-2"}, {"model": "pixazo:mochi-v1"}, {"address": None}):
        told = Xcoms(asked_by, {("land", "kept_file", index): {**left, **other}})
        assert list(_left_by_landings(submit, {"ti": told}, job)) == []
