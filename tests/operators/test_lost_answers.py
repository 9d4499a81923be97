"""A submit whose answer was lost finds its job by a callback: in the triggerer, in the worker, after a kill, at any time."""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from airflow.sdk import DAG

from airflow_video_providers.core.callbacks.identify import Identification
from airflow_video_providers.core.clock import utcnow
from airflow_video_providers.core.errors import (
    InvalidRequestError,
    SubmissionOutcomeUnknownError,
    VendorUnavailableError,
)
from airflow_video_providers.core.jobs import JobStatus, VideoJob
from airflow_video_providers.core.purchase import resolve
from airflow_video_providers.core.purchase.ledger import Ledger
from airflow_video_providers.core.purchase.receipts import repair
from airflow_video_providers.core.purchase.records import AttemptState, Identity
from airflow_video_providers.core.vendors.base import Identified
from airflow_video_providers.integration import callbacks
from airflow_video_providers.integration.lost_answers import await_instead
from airflow_video_providers.operators import submit
from airflow_video_providers.operators.video import GenerateVideoOperator
from airflow_video_providers.plugin.entry import RECEIVER
from tests.support.calls import SECRET, called_desk
from tests.support.submitting import ONE_OF_EACH, V6

pytest_plugins = ["airflow_video_providers.testing.pytest_plugin"]
LOST = ["drop_after_accept", "html_200", "no_id", "http_500_after_accept"]


@pytest.fixture
def desk(video_simulator, monkeypatch, tmp_path):
    return called_desk(video_simulator, monkeypatch, tmp_path)


def test_a_submit_says_where_to_call_and_the_address_names_the_attempt(desk):
    assert desk.run(desk.submit()).error is None
    assert desk.address().startswith("https://airflow.example/video-callbacks?token=")
    claim = desk.claim()
    assert (claim.identity, claim.number, claim.vendor) == (Identity("dag", "run-1", "submit"), 1, "pixazo")
    assert claim.conn_id == "pixazo_default"
    assert desk.airflow.xcom("submit")["callback_until"] is not None


@pytest.mark.parametrize(
    ("receiver", "path"), [("", "/video-callbacks"), ("api-server", "/video-callbacks/")], ids=["process", "api-server"]
)
def test_the_address_is_one_that_its_server_does_not_redirect(desk, monkeypatch, receiver, path):
    monkeypatch.setenv("AIRFLOW__VIDEO_PROVIDERS__CALLBACK_RECEIVER", receiver)
    assert desk.run(desk.submit()).error is None
    assert urlsplit(desk.address()).path == path
    assert callbacks.MOUNTED_AT == RECEIVER


@pytest.mark.parametrize("fault", LOST)
def test_a_lost_answer_waits_in_the_triggerer_and_answers_itself(desk, fault):
    desk.simulator.fault(fault)
    task = desk.submit()
    deferred = desk.run(task)
    assert deferred.state == "deferred"
    assert "token" not in json.dumps(deferred.message.trigger_kwargs, default=str)
    assert desk.attempts[0].open
    desk.call()
    desk.airflow.fire(deferred.message)
    assert desk.attempts[0].open, "the trigger writes nothing"
    done = desk.run(task)
    assert done.error is None, done.error
    assert desk.airflow.xcom("submit")["request_id"] == desk.jobs()[0]
    (attempt,) = desk.attempts
    assert (attempt.state, attempt.request_id, attempt.max_tries) == (AttemptState.SUBMITTED, desk.jobs()[0], 0)
    assert desk.accepted == len(desk.posts) == 1


def test_generate_goes_on_to_wait_and_land(desk, tmp_path):
    desk.simulator.fault("drop_after_accept")
    with DAG("dag", schedule=None):
        task = GenerateVideoOperator(
            task_id="submit", model=V6, request={"prompt": "a fox"}, output_path=(tmp_path / "videos").as_uri()
        )
    waits = desk.run(task)
    assert waits.message.next_method == "execute_named"
    desk.call(terminal=False)
    desk.airflow.fire(waits.message)
    waits = desk.run(task)
    assert waits.message.next_method == "execute_complete", waits
    desk.simulator.advance(1000)
    desk.airflow.fire(waits.message)
    assert desk.run(task).error is None
    assert desk.accepted == 1
    assert not list(tmp_path.glob("callbacks/**/*.json")), "the mail of a job that has ended is gone"


def test_a_worker_waits_where_the_task_is_not_deferrable(desk, monkeypatch):
    desk.simulator.fault("drop_after_accept")
    task = desk.submit(deferrable=False)
    slept = []

    def sleep(seconds):
        slept.append(seconds)
        if len(slept) == 3:
            desk.call()

    monkeypatch.setattr(type(task), "_sleep", staticmethod(sleep))
    assert desk.run(task).error is None
    assert len(slept) == 3
    assert desk.accepted == 1


@pytest.mark.parametrize("deferrable", [True, False], ids=["deferrable", "in the worker"])
def test_a_call_that_came_before_the_answer_was_lost_needs_no_wait(desk, monkeypatch, deferrable):
    desk.simulator.fault("drop_after_accept")

    def called_first(*arguments):
        desk.call()
        return await_instead(*arguments)

    monkeypatch.setattr(submit, "await_instead", called_first)
    task = desk.submit(deferrable=deferrable)
    monkeypatch.setattr(type(task), "_sleep", staticmethod(lambda seconds: pytest.fail("it waits")))
    done = desk.run(task)
    assert (done.state, done.error) == ("success", None)
    assert desk.attempts[0].request_id == desk.jobs()[0]
    assert desk.accepted == len(desk.posts) == 1


def test_mail_that_was_there_before_the_wait_is_read_at_once(desk):
    """The vendor may call before its own answer is sent."""
    task = desk.submit()
    desk.run(task)
    (attempt,) = desk.attempts
    desk.call()
    desk.ledger.replace(
        attempt.replace(state=AttemptState.INTENT, request_id=None, job=None)
    )  # killed before the store
    assert desk.run(task, try_number=2, retries=3).error is None
    assert desk.attempts[0].request_id == desk.jobs()[0]
    assert desk.accepted == 1


@pytest.mark.parametrize("policy", ["fail", "resubmit"])
def test_a_retry_after_a_kill_waits_for_the_call_whatever_the_policy(desk, policy):
    task = desk.submit(on_unknown_outcome=policy)
    desk.run(task)
    (attempt,) = desk.attempts
    desk.ledger.replace(attempt.replace(state=AttemptState.INTENT, request_id=None, job=None))
    deferred = desk.run(task, try_number=2, retries=3)
    assert deferred.state == "deferred"
    desk.call()
    desk.airflow.fire(deferred.message)
    assert desk.run(task, try_number=2, retries=3).error is None
    assert desk.accepted == 1


@pytest.mark.parametrize(("policy", "accepted"), [("fail", 1), ("resubmit", 2)])
def test_only_when_its_time_is_over_the_policy_decides(desk, policy, accepted):
    desk.simulator.fault("drop_after_accept", count=1)
    task = desk.submit(on_unknown_outcome=policy)
    deferred = desk.run(task)
    desk.age(901)
    desk.airflow.resume_with(deferred.message.next_method, {"status": "timeout", "attempt": [], "request_ids": []}, {})
    outcome = desk.run(task)
    assert desk.accepted == accepted
    assert isinstance(outcome.error, SubmissionOutcomeUnknownError) == (policy == "fail")


def test_the_time_counts_from_the_attempt_and_not_from_the_try(desk):
    desk.simulator.fault("drop_after_accept")
    task = desk.submit(resolve_within=300)
    deferred = desk.run(task)
    made = desk.attempts[0].created_at
    assert deferred.message.trigger_kwargs["end_time"] == (made + timedelta(seconds=300)).timestamp()
    desk.age(200)
    later = desk.run(task, try_number=2, retries=3)
    assert later.message.trigger_kwargs["end_time"] == pytest.approx(made.timestamp() + 100)


def test_late_mail_answers_a_clear(desk):
    desk.simulator.fault("drop_after_accept")
    task = desk.submit()
    desk.run(task)
    desk.age()
    assert isinstance(desk.run(task, try_number=2, retries=3).error, SubmissionOutcomeUnknownError)
    desk.call()
    assert desk.run(task, try_number=3, retries=3, cleared=1).error is None
    assert desk.attempts[0].max_tries == 3 + 4
    assert desk.accepted == 1


def test_airflows_own_limit_ends_it_as_the_same_error(desk):
    desk.simulator.fault("drop_after_accept")
    task = desk.submit()
    desk.run(task)
    desk.airflow.resume_with("__fail__", None, {"error": "Trigger timeout"})
    outcome = desk.run(task)
    assert isinstance(outcome.error, SubmissionOutcomeUnknownError)
    assert desk.accepted == 1


def test_two_ids_for_one_attempt_are_an_error_that_names_both(desk):
    desk.simulator.fault("drop_after_accept", count=1)
    task = desk.submit()
    deferred = desk.run(task)
    desk.run(desk.submit(task_id="other"))
    first, second = desk.jobs()
    desk.call(first, number=0)
    desk.call(second, number=0)
    desk.airflow.fire(deferred.message)
    outcome = desk.run(task)
    assert isinstance(outcome.error, SubmissionOutcomeUnknownError)
    assert first in str(outcome.error)
    assert second in str(outcome.error)
    assert desk.attempts[0].open
    assert desk.accepted == 2


def unbelieved(desk, request_id):
    """What becomes of an attempt for which a call has named this id."""
    desk.call(request_id, number=0)
    outcome = desk.run(desk.submit(), try_number=2, retries=3)
    assert desk.attempts[0].open
    return outcome


def lose_one(desk, **request):
    desk.simulator.fault("drop_after_accept", count=1)
    desk.run(desk.submit(request={"prompt": "a fox", **request}))


def test_an_id_that_the_vendor_does_not_know_is_not_believed(desk):
    lose_one(desk)
    assert unbelieved(desk, "pixverse-v6-text-to-video_nobody").state == "deferred"
    assert "does not know it" in desk.log


def test_a_job_of_another_model_is_not_believed(desk):
    lose_one(desk)
    desk.run(desk.submit(ONE_OF_EACH["pixazo"], task_id="other"))
    assert unbelieved(desk, desk.jobs()[-1]).state == "deferred"
    assert "same model" in desk.log


def test_a_job_that_is_older_than_the_attempt_is_not_believed(desk):
    desk.run(desk.submit(task_id="other"))
    desk.simulator.advance(600)
    lose_one(desk)
    older = desk.attempts[0]
    desk.ledger.replace(older.replace(created_at=older.created_at + timedelta(seconds=600)))
    desk.call(desk.jobs()[0], number=-1)
    other = desk.ledger.attempts(Identity("dag", "run-1", "other"))[0]
    desk.ledger.replace(other.replace(state=AttemptState.FORGOTTEN, request_id=None, job=None, resolve_within=None))
    assert desk.run(desk.submit(), try_number=2, retries=3).state == "deferred"
    assert "made after this submit" in desk.log


def test_a_job_that_another_attempt_holds_is_not_believed(desk):
    lose_one(desk)
    desk.run(desk.submit(task_id="other"))
    assert unbelieved(desk, desk.jobs()[-1]).state == "deferred"
    assert "is another attempt's already" in desk.log


def test_who_holds_a_job_is_one_look_up_and_not_a_reading_of_the_whole_ledger(desk, monkeypatch):
    lose_one(desk)
    desk.run(desk.submit(task_id="other"))
    monkeypatch.setattr(Ledger, "overview", lambda *_: pytest.fail("the whole ledger is read"))
    desk.call(desk.jobs()[0], number=0)
    assert desk.run(desk.submit(), try_number=2, retries=3).error is None
    assert desk.attempts[0].request_id == desk.jobs()[0]


def test_for_an_attempt_of_an_older_version_all_attempts_are_read(desk):
    """Their ids were written to attempts alone."""
    lose_one(desk)
    desk.run(desk.submit(task_id="other"))
    desk.ledger.replace(desk.attempts[0].replace(v=1))
    for path in desk.root.glob("named/**/*.json"):
        path.unlink()
    assert unbelieved(desk, desk.jobs()[-1]).state == "deferred"
    assert "holds it" in desk.log


@pytest.mark.parametrize("by", ["attach", "repair"])
def test_an_id_that_a_person_or_a_later_task_has_written_is_held_too(desk, by):
    lose_one(desk)
    job = VideoJob(model=V6, request_id=desk.jobs()[0], conn_id="pixazo_default")
    other = Identity("dag", "run-1", "other")
    if by == "attach":
        resolve.attach(desk.ledger, other, job, now=utcnow())
    else:
        open_one = desk.attempts[0].replace(**vars(other), claim="x")
        desk.ledger.create(open_one)
        repair(desk.ledger, job.replace(receipt_due=open_one.key), own=other, log=logging.getLogger("repair"))
    assert unbelieved(desk, desk.jobs()[0]).state == "deferred"


def test_an_answer_whose_id_a_callback_gave_away_is_written_and_the_log_says_so(desk, caplog):
    """Somebody who has read a token was faster than the vendor's own answer."""
    lose_one(desk)
    stolen = desk.attempts[0]
    other = desk.submit(task_id="other")
    assert desk.run(other).error is None
    (job,) = set(desk.jobs()) - {desk.jobs()[0]}
    for path in desk.root.glob("named/**/*.json"):
        path.unlink()
    desk.ledger.take(stolen, job)
    held = desk.ledger.attempts(Identity("dag", "run-1", "other"))[0]
    desk.ledger.replace(held)
    assert desk.ledger.attempts(held.identity)[0].request_id == job
    assert "another attempt has it already" in caplog.text


def test_a_job_that_was_named_for_an_attempt_which_a_person_has_answered_stays_free(desk):
    lose_one(desk)
    desk.run(desk.submit(task_id="other"))
    mine, others = desk.jobs()
    for path in desk.root.glob("named/**/*.json"):
        path.unlink()
    attempt = desk.attempts[0]
    resolve.attach(
        desk.ledger, attempt.identity, VideoJob(model=V6, request_id=mine, conn_id="pixazo_default"), now=utcnow()
    )
    asked = Identification(
        desk.ledger,
        lambda job: Identified(job.replace(status=JobStatus.RUNNING), same_model=True, created_at=utcnow()),
        log=logging.getLogger("named"),
        sleep=lambda _: None,
    )
    assert asked.answer(attempt, [others]).request_id == mine
    other = desk.ledger.attempts(Identity("dag", "run-1", "other"))[0]
    assert desk.ledger.take(other, others)


def test_a_damaged_record_of_who_has_an_id_holds_up_no_receipt(desk):
    lose_one(desk)
    (attempt,) = desk.attempts
    job = VideoJob(model=V6, request_id=desk.jobs()[0], conn_id="pixazo_default")
    desk.ledger.take(attempt, job.request_id)
    (path,) = desk.root.glob("named/**/*.json")
    path.write_text("{")
    desk.ledger.replace(attempt.bought(job))
    assert desk.attempts[0].request_id == job.request_id


def test_one_job_answers_one_of_two_attempts(desk):
    desk.simulator.fault("drop_after_accept", count=1)
    first, second = desk.submit(), desk.submit(task_id="other")
    desk.run(first)
    desk.simulator.fault("http_500", count=99)
    desk.run(second)
    (job,) = desk.jobs()
    desk.call(job, number=0)
    assert desk.run(first, try_number=2, retries=3).error is None
    other = desk.ledger.attempts(Identity("dag", "run-1", "other"))[0]
    assert other.request_id is None


def test_a_word_is_not_believed_for_an_attempt_of_another_number(desk):
    """A token is good for its own attempt alone."""
    lose_one(desk)
    mailbox, claim = callbacks.open_mailbox("pixazo_default"), desk.claim()
    mailbox.put(
        type(claim)(claim.vendor, claim.conn_id, claim.identity, 2, claim.expires), desk.jobs()[0], terminal=True
    )
    assert desk.run(desk.submit(), try_number=2, retries=3).state == "deferred"
    assert desk.attempts[0].open


def test_a_vendor_that_does_not_answer_is_asked_again_by_a_retry_and_nothing_is_bought(desk):
    lose_one(desk)
    desk.call()
    desk.simulator.fault("http_500", on="status", count=1)
    assert isinstance(desk.run(desk.submit(), try_number=2, retries=3).error, VendorUnavailableError)
    assert desk.run(desk.submit(), try_number=3, retries=3).error is None
    assert desk.accepted == 1


def test_forget_is_refused_while_it_waits_and_attach_is_not(desk):
    lose_one(desk)
    who = Identity("dag", "run-1", "submit")
    with pytest.raises(InvalidRequestError, match="waits for the vendor's call until"):
        resolve.forget(desk.ledger, who, now=utcnow())
    resolve.attach(desk.ledger, who, VideoJob(model=V6, request_id=desk.jobs()[0]), now=utcnow())
    assert desk.run(desk.submit(), try_number=2, retries=3).error is None
    assert desk.accepted == 1


def test_mail_for_a_forgotten_attempt_is_checked_and_kept_with_it(desk):
    lose_one(desk)
    desk.age()
    resolve.forget(desk.ledger, Identity("dag", "run-1", "submit"), now=utcnow())
    assert desk.run(desk.submit(), try_number=2, retries=3).error is None
    assert desk.accepted == 2
    desk.call(desk.jobs()[0], number=0)
    desk.run(desk.submit(), try_number=3, retries=3)
    first, second = desk.attempts
    assert (first.state, first.request_id) == (AttemptState.SUBMITTED, desk.jobs()[0])
    assert second.request_id == desk.jobs()[1]
    assert desk.airflow.xcom("submit")["request_id"] == desk.jobs()[1]


def test_what_a_deleted_run_of_the_same_id_has_bought_is_answered_and_stays_that_runs(desk):
    lose_one(desk)
    desk.age()
    attempt = desk.attempts[0]
    earlier = (attempt.run_after or utcnow()) - timedelta(days=1)
    desk.ledger.replace(attempt.replace(run_after=earlier))
    desk.call()
    assert desk.run(desk.submit()).error is None
    first, second = desk.attempts
    assert (first.state, first.request_id, first.run_after) == (AttemptState.SUBMITTED, desk.jobs()[0], earlier)
    assert second.request_id == desk.jobs()[1]
    assert desk.airflow.xcom("submit")["request_id"] == desk.jobs()[1]


@pytest.mark.parametrize(
    "off",
    [{"CALLBACK_SECRET": ""}, {"CALLBACK_URL": ""}, {"LEDGER_PATH": ""}],
    ids=["no secret", "no address", "no shared ledger"],
)
def test_without_all_of_it_nobody_is_asked_to_call(desk, monkeypatch, off):
    for name, value in off.items():
        monkeypatch.setenv(f"AIRFLOW__VIDEO_PROVIDERS__{name}", value)
    desk.simulator.fault("drop_after_accept")
    outcome = desk.run(desk.submit())
    assert isinstance(outcome.error, SubmissionOutcomeUnknownError)
    assert desk.address() is None


def test_the_connection_may_say_no_and_an_authors_receiver_is_not_ours(desk):
    desk.connect("pixazo", extra={"callbacks": False})
    desk.run(desk.submit(task_id="one"))
    assert desk.address() is None
    desk.connect("pixazo")
    desk.run(desk.submit(task_id="two", webhook_url="https://mine.example/x"))
    assert desk.address() == "https://mine.example/x"
    assert "callback_until" not in desk.airflow.xcom("two")


@pytest.mark.parametrize("wrong", [{"CALLBACK_URL": "http://airflow.example/x"}, {"CALLBACK_SECRET": "short"}])
def test_a_wrong_configuration_shows_before_anything_is_sent(desk, monkeypatch, wrong):
    for name, value in wrong.items():
        monkeypatch.setenv(f"AIRFLOW__VIDEO_PROVIDERS__{name}", value)
    outcome = desk.run(desk.submit())
    assert isinstance(outcome.error, InvalidRequestError)
    assert desk.accepted == 0
    assert "short" not in str(outcome.error).replace("fewer", "")


def test_the_secret_is_nowhere(desk):
    lose_one(desk)
    desk.call()
    outcome = desk.run(desk.submit(), try_number=2, retries=3)
    assert SECRET not in desk.left_behind(outcome)
    assert SECRET not in "".join(path.read_text() for path in desk.root.rglob("*.json"))


def test_execution_timeout_ends_the_wait_too(desk):
    desk.simulator.fault("drop_after_accept")
    deferred = desk.run(desk.submit(execution_timeout=timedelta(seconds=60)))
    assert deferred.message.trigger_kwargs["end_time"] < utcnow().timestamp() + 61
