"""An empty account and the tasks that buy with it: they go away, and come back without spending a try."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from airflow.sdk import DAG

from airflow_video_providers.integration import metrics
from airflow_video_providers.operators.video import GenerateVideoOperator
from tests.support.submitting import ONE_OF_EACH, Desk

pytest_plugins = ["airflow_video_providers.testing.pytest_plugin", "tests.support.stats"]
pytestmark = pytest.mark.slow

SEGMIND = ONE_OF_EACH["segmind"]


@pytest.fixture
def desk(video_simulator, monkeypatch, tmp_path):
    monkeypatch.setenv("AIRFLOW__VIDEO_PROVIDERS__LEDGER_PATH", str(tmp_path))
    video_simulator.configure(queue_seconds=(0, 0), run_seconds=(0, 0))
    return Desk(video_simulator)


def the_hold_is_over(tmp_path):
    """What is recorded until later was until now: nothing here sleeps."""
    the_hold_ends(tmp_path, datetime(2026, 1, 1, tzinfo=UTC))


def the_hold_ends(tmp_path, moment):
    for path in (tmp_path / "holds").rglob("*.json"):
        entry = json.loads(path.read_text())
        path.write_text(json.dumps(entry | {"until": moment.isoformat()}))


def posts(desk):
    return len([call for call in desk.simulator.requests() if call["method"] == "POST"])


@pytest.mark.parametrize("model", ONE_OF_EACH.values())
def test_mapped_submits_on_an_account_that_empties_all_come_back_after_a_top_up(desk, model, tmp_path):
    desk.simulator.configure(credits=100)
    prices = desk.run(desk.submit(model), map_index=0)
    assert prices.state == "success"
    desk.simulator.configure(credits=0)
    waiting = set(range(1, 12))
    before, refused = posts(desk), set()
    for index in sorted(waiting):
        outcome = desk.run(desk.submit(model), map_index=index)
        assert outcome.state == "up_for_reschedule"
        refused.add(outcome.message.reschedule_date)
    assert posts(desk) == before + 1, "one was refused, and no other sent"
    assert "goes away and comes back without spending a try" in desk.log
    assert "The account of the connection" in desk.log
    desk.simulator.configure(credits=100)
    assert desk.run(desk.submit(model), map_index=1).state == "up_for_reschedule", "nobody knows of it yet"
    the_hold_is_over(tmp_path)
    for index in sorted(waiting):
        assert desk.run(desk.submit(model), map_index=index).state == "success"
    assert desk.accepted == 12


def test_what_airflow_is_asked_for_is_the_end_of_the_hold(desk):
    desk.simulator.configure(credits=0)
    outcome = desk.run(desk.submit(SEGMIND), retries=0)
    left = outcome.message.reschedule_date - datetime.now(UTC)
    assert timedelta(minutes=4) < left <= timedelta(minutes=5)
    assert outcome.error is None or "reschedule" in type(outcome.error).__name__.lower()


def test_nobody_comes_back_before_the_scheduler_has_heard_that_it_went_away(desk, tmp_path):
    """Airflow fails a task that is due again before that: one that comes when a hold is all but over."""
    desk.simulator.configure(credits=0)
    desk.run(desk.submit(SEGMIND), map_index=0)
    the_hold_ends(tmp_path, datetime.now(UTC) + timedelta(seconds=8))
    before, began = posts(desk), datetime.now(UTC)
    outcome = desk.run(desk.submit(SEGMIND), map_index=1, retries=0)
    if datetime.now(UTC) - began < timedelta(seconds=8):  # else a slow machine has seen the hold end
        assert (outcome.state, posts(desk)) == ("up_for_reschedule", before)
    assert outcome.message.reschedule_date >= began + timedelta(seconds=10)


def test_after_queue_timeout_it_fails_and_is_not_retried(desk):
    desk.simulator.configure(credits=0)
    assert desk.run(desk.submit(SEGMIND), retries=3).state == "up_for_reschedule"
    outcome = desk.run(desk.submit(SEGMIND, queue_timeout=1e-6), retries=3)
    assert (outcome.state, type(outcome.error).__name__) == ("failed", "InsufficientCreditsError")
    assert "queue_timeout" in str(outcome.error)


def test_a_generate_task_goes_away_too_whatever_soft_fail_says(desk, tmp_path):
    desk.simulator.configure(credits=0)
    where = {"model": SEGMIND, "request": {"prompt": "a fox"}, "output_path": str(tmp_path / "out")}
    with DAG("dag", schedule=None):
        video = GenerateVideoOperator(task_id="video", soft_fail=True, **where)
        synchronous = GenerateVideoOperator(task_id="now", synchronous=True, **where)
    assert desk.run(video).state == "up_for_reschedule"
    before = posts(desk)
    assert desk.run(synchronous).state == "up_for_reschedule"
    assert posts(desk) == before


def test_without_ledger_path_each_ends_as_insufficient_credits(desk, monkeypatch):
    monkeypatch.delenv("AIRFLOW__VIDEO_PROVIDERS__LEDGER_PATH")
    desk.simulator.configure(credits=0)
    outcome = desk.run(desk.submit(SEGMIND), retries=3)
    assert (outcome.state, type(outcome.error).__name__) == ("failed", "InsufficientCreditsError")


# --- the balance -------------------------------------------------------------------------------------------------


def test_an_account_with_less_than_its_owner_wants_left_is_on_hold_before_anything_is_sent(desk, recorded, tmp_path):
    desk.connect("segmind", extra={"min_remaining_credits": 20})
    desk.simulator.configure(credits=19)
    assert desk.run(desk.submit(SEGMIND)).state == "up_for_reschedule"
    assert posts(desk) == 0
    assert recorded.of(metrics.BALANCE) == [(19.0, {"vendor": "segmind", "connection": "segmind_default"})]
    desk.simulator.configure(credits=21)
    the_hold_is_over(tmp_path)
    assert (desk.run(desk.submit(SEGMIND)).state, desk.accepted) == ("success", 1)


def test_it_is_refused_where_no_vendor_could_say(desk):
    desk.connect("pixazo", extra={"min_remaining_credits": 20})
    outcome = desk.run(desk.submit(ONE_OF_EACH["pixazo"]), retries=2)
    assert outcome.state == "failed"
    assert "documents no call that says what an account has left" in str(outcome.error)


def test_what_an_answer_says_is_left_is_a_gauge(desk, recorded):
    desk.simulator.configure(credits=100)
    desk.run(desk.submit(SEGMIND))
    ((left, tags),) = recorded.of(metrics.BALANCE)
    assert tags == {"vendor": "segmind", "connection": "segmind_default"}
    assert 0 < left <= 100
