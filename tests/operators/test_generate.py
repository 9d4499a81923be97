"""GenerateVideoOperator: what it does beyond the three tasks, which tests/sensors/test_waiting_parity.py compares."""

from __future__ import annotations

import sys
import tempfile
import time
from datetime import timedelta

import pytest
from airflow.sdk import DAG

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.landing import fetch, output_urls
from airflow_video_providers.core.polling import decision, timing
from airflow_video_providers.core.vendors.pixazo import Pixazo
from airflow_video_providers.core.vendors.segmind import Segmind
from airflow_video_providers.integration import results
from airflow_video_providers.operators import download
from airflow_video_providers.operators.video import GenerateVideoOperator
from airflow_video_providers.testing.simulator import running
from tests.support.airflow import MemoryAirflow

SEGMIND = "segmind:mochi-1"
PIXVERSE = "pixazo:pixverse-v6-text-to-video"


@pytest.fixture(scope="module")
def server():
    with running(queue_seconds=(0, 0), run_seconds=(0, 0)) as handle:
        yield handle


@pytest.fixture
def simulator(server, monkeypatch, tmp_path):
    server.reset()
    monkeypatch.setattr(decision, "GRACE", timedelta(0))
    monkeypatch.setattr(timing, "SHORTEST_INTERVAL", 0.01)
    for vendor in (Pixazo, Segmind):
        monkeypatch.setattr(vendor, "poll_seconds", (0.01, 0.05))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return server


@pytest.fixture
def airflow(simulator):
    return MemoryAirflow({f"{vendor}_default": simulator.connection(vendor) for vendor in ("pixazo", "segmind")})


def generate(tmp_path, model=PIXVERSE, prompt="a fox", **how):
    with DAG("dag", schedule=None):
        return GenerateVideoOperator(
            task_id="video", model=model, request={"prompt": prompt}, output_path=str(tmp_path / "videos"), **how
        )


def test_it_pushes_the_manifest_the_request_id_and_the_job(airflow, simulator, tmp_path):
    assert airflow.run_to_end(generate(tmp_path, poll_interval=0.02)).state == "success"
    request_id = simulator.ledger()["jobs"][0]["request_id"]
    assert airflow.xcom("video", "request_id") == request_id
    assert airflow.xcom("video", "job")["request_id"] == request_id
    assert airflow.xcom("video")["outputs"][0]["container"] == "mp4"


def test_a_retry_after_a_failed_landing_lands_the_same_job(airflow, simulator, tmp_path):
    clear = blocked(tmp_path)
    task = generate(tmp_path, deferrable=False, poll_interval=0.02)
    assert airflow.run(task, retries=1).state == "up_for_retry"
    clear()
    assert airflow.run(task, try_number=2, retries=1).state == "success"
    assert simulator.ledger()["accepted"] == simulator.ledger()["charges"] == 1


def blocked(tmp_path):
    """Nothing can land until these are gone, which only the landing itself can find out."""
    (tmp_path / "videos").mkdir(exist_ok=True)
    for vendor in ("pixazo", "segmind"):
        (tmp_path / "videos" / f"provider={vendor}").write_text("a file where the directory should be")

    def clear():
        for obstacle in (tmp_path / "videos").iterdir():
            obstacle.unlink()

    return clear


@pytest.mark.parametrize("ledger", ["state store", "directory"])
def test_a_clear_lands_what_is_paid_for_and_only_after_that_buys_again(
    airflow, simulator, tmp_path, monkeypatch, ledger
):
    if ledger == "directory":
        (tmp_path / "ledger").mkdir()
        monkeypatch.setenv("AIRFLOW__VIDEO_PROVIDERS__LEDGER_PATH", str(tmp_path / "ledger"))
    clear = blocked(tmp_path)
    task = generate(tmp_path, deferrable=False, poll_interval=0.02)
    assert airflow.run(task).state == "failed"
    clear()
    assert airflow.run(task, try_number=2, cleared=1).state == "success"
    assert simulator.ledger()["accepted"] == 1
    assert airflow.run(task, try_number=3, cleared=2).state == "success"
    assert simulator.ledger()["accepted"] == 2, "the clip had landed: this Clear is a new wish"


def test_a_clear_after_a_time_out_lands_the_job_that_was_finished_meanwhile(airflow, simulator, tmp_path):
    simulator.configure(run_seconds=[600, 600])
    task = generate(tmp_path, deferrable=False, poll_interval=0.02, timeout=0.2)
    outcome = airflow.run(task)
    assert type(outcome.error).__name__ == "JobTimeoutError"
    simulator.configure(run_seconds=[0, 0])
    simulator.advance(1000)
    task.timeout = 30.0
    assert airflow.run(task, try_number=2, cleared=1).state == "success"
    assert simulator.ledger()["accepted"] == 1


@pytest.fixture
def hasty(monkeypatch):
    """Looks and landings whose pauses are short."""
    brief = {name: decision.Trouble(limit.times, timedelta(0), 0.01) for name, limit in decision.TROUBLES.items()}
    monkeypatch.setattr(decision, "TROUBLES", brief)
    monkeypatch.setattr(fetch, "_LONGEST_PAUSE", 0.05)
    monkeypatch.setattr(fetch, "PATIENCE", 1.0)
    monkeypatch.setattr(output_urls, "SAID_FOR", 0.0)


@pytest.mark.parametrize("fault", ["media_late:0.4", "media_late_403:0.4"])
@pytest.mark.usefixtures("hasty")
def test_a_file_host_that_lags_behind_the_vendors_word_is_waited_for(airflow, simulator, tmp_path, fault, monkeypatch):
    monkeypatch.setattr(fetch, "PATIENCE", 60.0)
    task = generate(tmp_path, prompt=f"[[fault:{fault}]] a fox", deferrable=False, poll_interval=0.02)
    assert airflow.run(task, retries=0).state == "success"
    assert simulator.ledger()["accepted"] == 1


@pytest.mark.parametrize(
    "fault", ["media_404*", "media_403*", "media_late:900", "media_late_403:900", "media_http_410*"]
)
@pytest.mark.usefixtures("hasty")
def test_a_clear_keeps_the_job_while_the_vendor_says_that_it_is_finished(airflow, simulator, tmp_path, fault):
    task = generate(tmp_path, prompt=f"[[fault:{fault}]] a fox", deferrable=False, poll_interval=0.02)
    outcome = airflow.run(task, retries=1)
    assert (outcome.state, outcome.error.reason) == ("up_for_retry", "not_there")
    assert type(outcome.error).__name__ == "DownloadError"
    airflow.run(task, try_number=2, retries=1)
    airflow.run(task, try_number=3, cleared=1)
    assert simulator.ledger()["accepted"] == 1


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("stray", ["not_found", "error_400", "error_401", "other_id"])
def test_a_clear_believes_no_stray_answer_and_keeps_the_job(airflow, simulator, tmp_path, stray):
    simulator.configure(run_seconds=[600, 600])
    task = generate(tmp_path, deferrable=False, poll_interval=0.02, timeout=0.2)
    assert type(airflow.run(task).error).__name__ == "JobTimeoutError"
    simulator.configure(run_seconds=[0, 0])
    simulator.advance(1000)
    simulator.fault(stray, count=2 if stray != "other_id" else 1, on="status")
    task.timeout = 30.0
    first = airflow.run(task, try_number=2, cleared=1, retries=1)
    if stray == "other_id":  # no answer: Airflow asks again
        assert first.state == "up_for_retry"
        first = airflow.run(task, try_number=3, cleared=1, retries=1)
    assert first.state == "success"
    assert simulator.ledger()["accepted"] == 1


@pytest.mark.usefixtures("hasty")
def test_a_clear_buys_again_where_the_vendor_itself_says_that_the_output_is_gone(airflow, simulator, tmp_path):
    task = generate(tmp_path, model=SEGMIND, prompt="[[fault:media_404*]] a fox", deferrable=False, poll_interval=0.02)
    deliver = download.deliver

    def forgotten_meanwhile(job, *rest, **more):
        simulator.configure(ttl=0.0)
        return deliver(job.replace(submitted_at=job.submitted_at - timedelta(hours=1)), *rest, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(download, "deliver", forgotten_meanwhile)
        outcome = airflow.run(task)
    assert (type(outcome.error).__name__, simulator.ledger()["accepted"]) == ("OutputExpiredError", 1)
    airflow.run(task, try_number=2, cleared=1)
    assert simulator.ledger()["accepted"] == 2


@pytest.mark.parametrize(("opted_in", "bought"), [(0, 1), (1, 2), (5, 3)])
def test_only_an_opted_in_retry_buys_again_after_an_uncharged_error(airflow, simulator, tmp_path, opted_in, bought):
    task = generate(tmp_path, prompt="[[fault:job_error]] a fox", deferrable=False, poll_interval=0.02,
                    resubmit_on_error=opted_in)  # fmt: skip
    for try_number in (1, 2, 3):
        outcome = airflow.run(task, try_number=try_number, retries=2)
        if outcome.state == "failed":
            break
    assert outcome.state == "failed"
    assert simulator.ledger()["accepted"] == bought
    assert simulator.ledger()["charges"] == 0


def test_a_failed_job_is_never_bought_again_by_itself(airflow, simulator, tmp_path):
    task = generate(tmp_path, prompt="[[fault:job_failed]] a fox", deferrable=False, poll_interval=0.02,
                    resubmit_on_error=5)  # fmt: skip
    assert airflow.run(task, retries=3).state == "failed"
    assert simulator.ledger()["accepted"] == 1


@pytest.mark.parametrize("interval", [0, -1, "5", float])
def test_what_a_trigger_could_not_store_is_refused_before_anything_is_bought(tmp_path, interval):
    with pytest.raises(InvalidRequestError, match="poll_interval"):
        generate(tmp_path, poll_interval=interval)


def synchronous(tmp_path, **how):
    return generate(tmp_path, model="segmind:mochi-1", synchronous=True, **how)


def test_the_synchronous_route_lands_the_video_that_came_with_the_answer(airflow, simulator, tmp_path):
    assert airflow.run(synchronous(tmp_path)).state == "success"
    manifest = airflow.xcom("video")
    assert manifest["outputs"][0]["bytes"] > 0
    assert manifest["outputs"][0]["duration_s"] == 3.25
    assert simulator.ledger()["charges"] == 1
    assert not list((tmp_path / "airflow-video-providers").iterdir())


def test_an_interrupted_synchronous_call_has_an_unknown_outcome_and_is_not_repeated(airflow, simulator, tmp_path):
    task = synchronous(tmp_path, prompt="[[fault:drop_mid_body]] a fox")
    outcome = airflow.run(task, retries=3)
    assert (outcome.state, type(outcome.error).__name__) == ("failed", "SubmissionOutcomeUnknownError")
    outcome = airflow.run(task, try_number=2, retries=3)
    assert (outcome.state, type(outcome.error).__name__) == ("failed", "SubmissionOutcomeUnknownError")
    assert simulator.ledger()["accepted"] == 1
    assert not list(tmp_path.rglob("*.mp4"))


def test_a_synchronous_video_that_could_not_be_landed_is_kept_for_the_retry(airflow, simulator, tmp_path):
    clear = blocked(tmp_path)
    task = synchronous(tmp_path)
    assert airflow.run(task, retries=1).state == "up_for_retry"
    clear()
    assert airflow.run(task, try_number=2, retries=1).state == "success"
    assert simulator.ledger()["accepted"] == 1


def test_a_clear_lands_a_synchronous_video_that_this_worker_keeps(airflow, simulator, tmp_path):
    clear = blocked(tmp_path)
    task = synchronous(tmp_path)
    assert airflow.run(task).state == "failed"
    clear()
    assert airflow.run(task, try_number=2, cleared=1).state == "success"
    assert simulator.ledger()["accepted"] == 1


def test_a_synchronous_video_whose_file_is_gone_is_an_error_and_not_a_second_purchase(airflow, simulator, tmp_path):
    clear = blocked(tmp_path)
    task = synchronous(tmp_path)
    airflow.run(task, retries=1)
    clear()
    for kept in (tmp_path / "airflow-video-providers").iterdir():
        kept.unlink()
    outcome = airflow.run(task, try_number=2, retries=1)
    assert (outcome.state, type(outcome.error).__name__) == ("failed", "OutputMissingError")
    assert (outcome.error.charged, simulator.ledger()["accepted"]) == ("yes", 1)


@pytest.mark.parametrize("later", [{}, {"cleared": 1}], ids=["a retry", "a clear that keeps"])
def test_a_synchronous_video_that_has_landed_is_found_where_it_landed(airflow, simulator, tmp_path, later):
    task = synchronous(tmp_path, on_clear="reattach")
    assert airflow.run(task, retries=1).state == "success"
    first = airflow.xcom("video")
    again = airflow.run(task, try_number=2, retries=1, **later)  # the worker died before Airflow heard of the success
    assert again.state == "success", again.error
    assert (airflow.xcom("video")["manifest_uri"], airflow.xcom("video")["skipped"]) == (first["manifest_uri"], True)
    assert simulator.ledger()["accepted"] == 1


def test_a_vendor_without_such_a_route_is_refused_at_parse(tmp_path):
    with pytest.raises(InvalidRequestError, match="answers with the video itself"):
        generate(tmp_path, synchronous=True)


def test_a_layout_that_could_put_two_clips_in_one_place_is_refused_at_parse(tmp_path):
    with pytest.raises(InvalidRequestError, match="key_template"):
        generate(tmp_path, key_template="{vendor}/{model}")


def test_a_layout_that_comes_later_is_not_judged_at_parse(tmp_path):
    assert generate(tmp_path, key_template="{{ params.layout }}").key_template == "{{ params.layout }}"


@pytest.mark.parametrize("option", [{"verify": "decoded"}, {"media_types": ["mp4"]}])
def test_a_landing_option_that_is_wrong_is_refused_at_parse(tmp_path, option):
    with pytest.raises(InvalidRequestError, match=next(iter(option))):
        generate(tmp_path, **option)


@pytest.mark.parametrize("option", [{"verify": "decode"}, {"poster": True}])
def test_what_the_landing_lacks_on_the_worker_shows_before_anything_is_bought(
    airflow, simulator, tmp_path, monkeypatch, option
):
    monkeypatch.setitem(sys.modules, "av", None)
    outcome = airflow.run(generate(tmp_path, **option))
    assert "airflow-video-providers[media]" in str(outcome.error)
    assert (outcome.error.charged, simulator.ledger()["accepted"]) == ("no", 0)


@pytest.mark.parametrize("how", [{"poll_interval": 0.02}, {"model": "segmind:mochi-1", "synchronous": True}])
def test_a_retrys_worker_without_the_extra_brings_what_an_earlier_try_bought_and_says_what_it_lacks(
    airflow, simulator, tmp_path, monkeypatch, how
):
    clear = blocked(tmp_path)
    task = generate(tmp_path, verify="decode", deferrable=False, **how)
    assert airflow.run(task, retries=1).state == "up_for_retry"
    clear()
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "av", None)
        error = airflow.run(task, try_number=2, retries=1).error
    assert error.request_id == airflow.xcom("video", "request_id")
    assert "airflow-video-providers[media]" in str(error)
    assert "The file is kept at" in str(error)
    assert "Nothing was charged" not in str(error)
    assert simulator.ledger()["accepted"] == 1


@pytest.mark.parametrize("timeout", [0, float("inf"), float("nan")])
def test_a_time_out_that_no_calendar_holds_is_refused_before_anything_is_bought(tmp_path, timeout):
    with pytest.raises(InvalidRequestError, match="timeout"):
        generate(tmp_path, timeout=timeout)


def test_extra_fields_go_over_the_synchronous_route_too(airflow, simulator, tmp_path):
    assert airflow.run(synchronous(tmp_path, extra_fields={"quality": "hd"})).state == "success"
    (call,) = [call for call in simulator.requests("segmind") if call["method"] == "POST"]
    assert call["body"] == {"prompt": "a fox", "quality": "hd"}


def test_an_error_about_the_connection_after_the_purchase_speaks_of_the_job(airflow, simulator, tmp_path):
    task = generate(tmp_path, deferrable=True, poll_interval=0.02)
    deferred = airflow.run(task)
    airflow.fire(deferred.message)
    bad = airflow.connections["pixazo_default"]
    airflow.connections["pixazo_default"] = {**bad, "password": ""}
    error = airflow.run(task).error
    assert type(error) is InvalidRequestError
    assert error.retryable
    assert error.request_id == simulator.ledger()["jobs"][0]["request_id"]
    assert error.charged != "no"
    assert "Nothing was charged" not in str(error)


def test_a_result_that_cannot_be_read_for_minutes_leaves_the_retries_alone(airflow, simulator, tmp_path, monkeypatch):
    monkeypatch.setattr(results, "_RESULT_PATIENCE", timedelta(seconds=0.2))
    task = generate(tmp_path, deferrable=True, poll_interval=0.02)
    task._sleep = staticmethod(lambda _: time.sleep(0.02))
    airflow.fire(airflow.run(task).message)
    simulator.fault("http_502", on="status", count=None)
    outcome = airflow.run(task, retries=1)
    assert outcome.state == "up_for_retry"
    assert "result could not be read" in str(outcome.error)
