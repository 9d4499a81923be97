"""Errors decide about Airflow's retries, in a real task; a user's own policy wins."""

from __future__ import annotations

import httpx
import pytest
from airflow.sdk import DAG
from airflow.sdk.definitions.retry_policy import RetryDecision, RetryPolicy
from airflow.sdk.exceptions import AirflowFailException

from airflow_video_providers.core import errors
from airflow_video_providers.core.client import driver, timeouts
from airflow_video_providers.integration import retries
from airflow_video_providers.integration.retry_policy import VideoRetryPolicy
from airflow_video_providers.operators.video import DownloadVideoOperator, SubmitVideoOperator
from airflow_video_providers.sensors.video import VideoJobSensor
from tests.support.submitting import V6, Desk

pytest_plugins = ["airflow_video_providers.testing.pytest_plugin"]


class Always(RetryPolicy):
    """A user's own policy."""

    def evaluate(self, exception, *_, **__):
        return RetryDecision.retry(reason="the user wants it")


@pytest.fixture
def desk(video_simulator, monkeypatch):
    monkeypatch.setattr(driver, "with_jitter", lambda _: 0.0)
    monkeypatch.setattr(timeouts, "SUBMIT", httpx.Timeout(0.3))
    return Desk(video_simulator)


@pytest.fixture
def before_33(monkeypatch):
    monkeypatch.setattr(retries, "HAS_POLICIES", False)


def test_a_passing_error_waits_as_long_as_the_vendor_asks(desk):
    desk.simulator.fault("rate_limited_retry_after:600", on="submit")
    outcome = desk.run(desk.submit(), retries=2)
    assert outcome.state == "up_for_retry"
    assert outcome.message.retry_delay_seconds == 600
    assert "The vendor asked" in outcome.message.retry_reason


def test_a_passing_error_without_a_wish_of_the_vendors_waits_as_the_task_says(desk):
    desk.simulator.fault("rate_limited", count=None, on="submit")
    outcome = desk.run(desk.submit(), retries=2)
    assert outcome.state == "up_for_retry"
    assert outcome.message.retry_delay_seconds is None


def test_a_passing_error_fails_when_no_retry_is_left(desk):
    desk.simulator.fault("rate_limited_retry_after:600", on="submit")
    assert desk.run(desk.submit(), try_number=3, retries=2).state == "failed"


@pytest.mark.parametrize("fault", ["error_401", "error_402", "error_400", "drop_after_accept"])
def test_an_error_that_a_retry_cannot_help_burns_none(desk, fault):
    desk.simulator.fault(fault, on="submit")
    assert desk.run(desk.submit(), retries=5).state == "failed"


def test_any_other_exception_is_airflows_business(desk, monkeypatch):
    monkeypatch.setattr("airflow_video_providers.operators.submit.open_ledger", lambda _: 1 / 0)
    outcome = desk.run(desk.submit(), retries=5)
    assert (outcome.state, type(outcome.error)) == ("up_for_retry", ZeroDivisionError)


def test_a_users_own_policy_wins(desk):
    desk.simulator.fault("error_401", on="submit")
    outcome = desk.run(desk.submit(retry_policy=Always()), retries=2)
    assert outcome.state == "up_for_retry"
    assert outcome.message.retry_reason == "the user wants it"


def test_a_users_own_policy_cannot_make_the_ledger_buy_twice(desk):
    desk.simulator.fault("drop_after_accept", on="submit")
    for try_number in (1, 2, 3):
        outcome = desk.run(desk.submit(retry_policy=Always()), try_number=try_number, retries=5)
        assert type(outcome.error).__name__ == "SubmissionOutcomeUnknownError"
    assert desk.accepted == 1


def operators(**arguments):
    return [
        SubmitVideoOperator(task_id="submit", model=V6, request={"prompt": "a fox"}, **arguments),
        VideoJobSensor(task_id="wait", job={}, **arguments),
        DownloadVideoOperator(task_id="land", job={}, output_path="/tmp", **arguments),
    ]


def test_each_operator_has_the_default_policy():
    with DAG("dag", schedule=None):
        assert all(isinstance(task.retry_policy, VideoRetryPolicy) for task in operators())


def test_a_policy_in_the_default_args_of_a_dag_wins(desk):
    mine = Always()
    with DAG("dag", schedule=None, default_args={"retry_policy": mine}):
        tasks = operators()
    assert [task.retry_policy for task in tasks] == [mine] * 3
    desk.simulator.fault("error_401", on="submit")
    assert desk.run(tasks[0], retries=1).state == "up_for_retry"


def test_a_policy_in_the_default_args_of_a_task_wins():
    mine = Always()
    assert [task.retry_policy for task in operators(default_args={"retry_policy": mine})] == [mine] * 3


def test_a_mapped_task_has_the_default_policy_too(desk):
    desk.simulator.fault("error_401", on="submit")
    with DAG("dag", schedule=None):
        task = SubmitVideoOperator.partial(task_id="submit", model=V6).expand(request=[{"prompt": "a fox"}])
    assert desk.run(task, map_index=0, retries=5).state == "failed"


def test_a_mapped_tasks_own_policy_wins(desk):
    desk.simulator.fault("error_401", on="submit")
    with DAG("dag", schedule=None):
        mapped = SubmitVideoOperator.partial(task_id="submit", model=V6, retry_policy=Always())
        task = mapped.expand(request=[{"prompt": "a fox"}])
    assert desk.run(task, map_index=0, retries=5).state == "up_for_retry"


def test_a_mapped_sensor_without_a_job_burns_no_retry(desk):
    with DAG("dag", schedule=None):
        task = VideoJobSensor.partial(task_id="wait").expand(job=[None])
    outcome = desk.run(task, map_index=0, retries=5)
    assert (outcome.state, type(outcome.error).__name__) == ("failed", "InvalidRequestError")


def test_a_mapped_submit_of_an_unknown_model_burns_no_retry(desk):
    with DAG("dag", schedule=None):
        task = SubmitVideoOperator.partial(task_id="submit", request={"prompt": "a fox"}).expand(model=["pixazo:x"])
    outcome = desk.run(task, map_index=0, retries=5)
    assert (outcome.state, type(outcome.error).__name__) == ("failed", "InvalidRequestError")


# --- before Airflow 3.3 --------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("before_33")
def test_before_33_an_error_that_a_retry_cannot_help_is_airflows_own_with_ours_behind_it(desk):
    desk.simulator.fault("error_401", on="submit")
    outcome = desk.run(desk.submit(), retries=5)
    assert (outcome.state, type(outcome.error)) == ("failed", AirflowFailException)
    assert isinstance(outcome.error.__cause__, errors.AuthenticationError)
    assert str(outcome.error) == str(outcome.error.__cause__)


@pytest.mark.usefixtures("before_33")
def test_before_33_a_passing_error_is_retried_as_the_task_says(desk):
    desk.simulator.fault("rate_limited_retry_after:600", on="submit")
    outcome = desk.run(desk.submit(), retries=5)
    assert (outcome.state, type(outcome.error)) == ("up_for_retry", errors.RateLimitedError)


@pytest.mark.usefixtures("before_33")
def test_before_33_no_policy_is_set():
    with DAG("dag", schedule=None):
        assert all(task.retry_policy is None for task in operators())
