"""A hook with the task's ledger asks for calls as an operator does, and waits for them in its own process."""

from __future__ import annotations

from datetime import timedelta

import pytest
from airflow.sdk import DAG, task

from airflow_video_providers.core.errors import InvalidRequestError, SubmissionOutcomeUnknownError
from airflow_video_providers.core.purchase.records import AttemptState
from airflow_video_providers.hooks.pixazo import PixazoHook
from airflow_video_providers.hooks.task_ledger import task_ledger
from tests.support.calls import called_desk
from tests.support.submitting import V6

pytest_plugins = ["airflow_video_providers.testing.pytest_plugin"]


@pytest.fixture
def desk(video_simulator, monkeypatch, tmp_path):
    return called_desk(video_simulator, monkeypatch, tmp_path)


@pytest.fixture
def sleeps(monkeypatch):
    """What happens in each pause of a hook; there are no others."""
    happens = []
    monkeypatch.setattr(PixazoHook, "sleep", staticmethod(lambda _seconds: happens.pop(0)()))
    return happens


def buying(*, recorded=True, **how):
    with DAG("dag", schedule=None):

        @task(task_id="submit")
        def submit():
            ledger = task_ledger(resolve_within=how.pop("resolve_within", 900)) if recorded else None
            return PixazoHook(ledger=ledger).submit(V6, {"prompt": "a fox"}, **how).to_dict()

        return submit().operator


def test_its_submit_says_where_to_call(desk):
    assert desk.run(buying()).error is None
    assert desk.claim().identity == desk.attempts[0].identity
    assert desk.airflow.xcom("submit")["callback_until"] is not None


def test_without_a_ledger_there_is_nothing_that_a_call_could_name(desk):
    assert desk.run(buying(recorded=False)).error is None
    assert desk.address() is None


def test_an_authors_receiver_is_not_ours(desk):
    assert desk.run(buying(webhook_url="https://mine.example/x")).error is None
    assert desk.address() == "https://mine.example/x"


def test_a_lost_answer_answers_itself(desk, sleeps):
    desk.simulator.fault("drop_after_accept")
    sleeps += [lambda: None, desk.call]
    assert desk.run(buying()).error is None
    assert desk.airflow.xcom("submit")["request_id"] == desk.jobs()[0]
    assert (desk.attempts[0].state, desk.attempts[0].request_id) == (AttemptState.SUBMITTED, desk.jobs()[0])
    assert desk.accepted == len(desk.posts) == 1


@pytest.mark.parametrize("within", [900, timedelta(minutes=15)])
def test_when_its_time_is_over_nobody_knows_and_nothing_is_bought_again(desk, sleeps, within):
    desk.simulator.fault("drop_after_accept")

    def later():
        desk.age(1000)
        raise TimeoutError

    sleeps += [later]
    assert isinstance(desk.run(buying(resolve_within=within)).error, TimeoutError), "whatever ends the process"
    outcome = desk.run(buying(resolve_within=within), try_number=2, retries=3)
    assert isinstance(outcome.error, SubmissionOutcomeUnknownError)
    desk.call()
    assert desk.run(buying(resolve_within=within), try_number=3, retries=3).error is None, "a call that comes late"
    assert desk.accepted == 1


def test_it_does_not_wait_where_it_is_told_not_to(desk, sleeps):
    desk.simulator.fault("drop_after_accept")
    assert isinstance(desk.run(buying(resolve_within=0)).error, SubmissionOutcomeUnknownError)
    assert sleeps == []
    desk.call()
    assert desk.run(buying(resolve_within=0), try_number=2, retries=3).error is None
    assert desk.accepted == 1


@pytest.mark.parametrize("wrong", [-1, float("nan"), float("inf"), "900", None], ids=str)
def test_a_time_that_is_none_is_refused_and_nothing_is_sent(desk, wrong):
    assert isinstance(desk.run(buying(resolve_within=wrong)).error, InvalidRequestError)
    assert desk.posts == []


def test_a_retry_after_a_kill_reads_what_was_named_first(desk):
    desk.run(buying())
    (attempt,) = desk.attempts
    desk.call()
    desk.ledger.replace(attempt.replace(state=AttemptState.INTENT, request_id=None, job=None))
    assert desk.run(buying(), try_number=2, retries=3).error is None
    assert desk.attempts[0].request_id == desk.jobs()[0]
    assert desk.accepted == 1
