"""What happens to the money: one sentence per rule."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import airflow_video_providers
from airflow_video_providers.core.errors import (
    AuthenticationError,
    InvalidRequestError,
    LedgerError,
    RateLimitedError,
    RequestRejectedError,
    SubmissionOutcomeUnknownError,
    VendorUnavailableError,
)
from airflow_video_providers.core.jobs import JobStatus, VideoOutput
from airflow_video_providers.core.purchase.records import AttemptState
from airflow_video_providers.core.purchase.resolve import attach, forget, void_after_error


class KilledError(BaseException):
    """The process is gone."""


# --- the paid call -----------------------------------------------------------------------------------------------


def test_the_intent_is_stored_before_the_paid_call(task, vendor):
    seen = []

    def buy():
        seen.extend(attempt.state for attempt in task.ledger.attempts(task.identity))
        return type(vendor).buy(vendor)

    task.run(buy=buy)
    assert seen == [AttemptState.INTENT]


def test_the_request_id_is_stored_after_it(task):
    job = task.run()
    (attempt,) = task.ledger.attempts(task.identity)
    assert (attempt.state, attempt.request_id, attempt.job) == (AttemptState.SUBMITTED, "job-1", job.to_dict())


def test_the_package_has_one_place_that_buys():
    package = Path(airflow_video_providers.__file__).parent
    texts = {path.relative_to(package).as_posix(): path.read_text() for path in package.rglob("*.py")}
    assert [name for name, text in texts.items() for _ in re.findall(r"(?<![.\w])send\(order\)", text)] == [
        "core/purchase/submit_once.py"
    ]
    buying = {name for name, text in texts.items() if re.search(r"\.(buy|buy_to_file)\(", text)}
    assert buying == {"core/client/client.py", "hooks/orders.py"}, "what sends is passed in by the hook alone"


def test_neither_prompt_nor_output_address_is_stored(task, vendor, tmp_path, accessor):
    def buy():
        return type(vendor).buy(vendor).replace(outputs=(VideoOutput(url="https://cdn/x.mp4?signature=s3cret"),))

    assert task.run(buy=buy, request={"prompt": "a very secret cat"}).outputs
    stored = "".join(p.read_text() for p in tmp_path.rglob("*.json")) + "".join(accessor.rows.values())
    assert "job-1" in stored
    assert "secret" not in stored
    assert "s3cret" not in stored


def test_two_mapped_tasks_are_two_buyers(store, ledger, vendor, make_task):
    if not store.shared:
        pytest.skip("Airflow scopes the state store to the task instance itself")
    assert make_task(ledger, vendor, 0).run() != make_task(ledger, vendor, 1).run()
    assert len(vendor.charges) == 2


# --- retries -----------------------------------------------------------------------------------------------------


def test_any_number_of_retries_return_the_same_job_and_send_nothing(task, vendor):
    job = task.run()
    assert [task.run() for _ in range(5)] == [job] * 5
    assert len(vendor.charges) == 1
    assert vendor.polled == []


def test_a_retry_keeps_the_job_when_the_request_drifted_and_names_the_fields(task, vendor, caplog):
    job = task.run(request={"prompt": "a cat", "image_url": "https://x/?sig=1", "seed": 1})
    assert task.run(request={"prompt": "a cat", "image_url": "https://x/?sig=2", "duration": 5}) == job
    assert "(duration, image_url, seed)" in caplog.text
    assert "sig=2" not in caplog.text
    assert len(vendor.charges) == 1


@pytest.mark.parametrize("error", [RequestRejectedError, AuthenticationError, RateLimitedError, InvalidRequestError])
def test_what_certainly_was_not_bought_is_raised_as_it_is_and_may_be_bought_by_the_next_try(task, vendor, error):
    with pytest.raises(error):
        task.run(error("No."))
    assert task.run().request_id == "job-1"
    assert len(vendor.charges) == 1


# --- unknown outcomes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        SubmissionOutcomeUnknownError("Read timeout."),
        VendorUnavailableError("502."),
        RequestRejectedError("Charged all the same.", charged="yes"),
        ValueError("no id in the answer"),
        OSError("reset"),
    ],
)
def test_anything_that_does_not_say_it_cost_nothing_is_an_unknown_outcome(task, vendor, error):
    caught = task.run_unknown(error)
    assert caught.charged == "unknown"
    assert caught.__cause__ is error
    assert not caught.retryable
    task.run_unknown()
    assert len(vendor.charges) == 1


def test_a_crash_between_intent_and_answer_is_an_unknown_outcome(task, vendor):
    with pytest.raises(KilledError):
        task.run(KilledError())
    task.run_unknown()
    assert len(vendor.charges) == 1


def test_a_clear_does_not_answer_an_unknown_outcome(task, vendor):
    task.run_unknown()
    task.clear().run_unknown()
    task.clear().run_unknown()
    assert len(vendor.charges) == 1


def test_resubmit_buys_once_more_and_never_a_third_time(task, vendor):
    task.run_unknown()
    task.run_unknown(choices={"on_unknown_outcome": "resubmit"})
    error = task.clear().run_unknown(choices={"on_unknown_outcome": "resubmit"})
    assert len(vendor.charges) == 2
    assert "on_unknown_outcome" not in str(error), "what is spent must not be offered"
    assert "forget" in str(error)


def test_a_refused_resubmit_does_not_hide_the_open_intent_before_it(task, vendor):
    task.run_unknown()
    with pytest.raises(RateLimitedError):
        task.run(RateLimitedError("Wait."), choices={"on_unknown_outcome": "resubmit"})
    task.run_unknown(choices={"on_unknown_outcome": "fail"})
    assert task.run(choices={"on_unknown_outcome": "resubmit"}).request_id == "job-2"


def test_an_id_that_a_slow_try_stored_later_is_found(task, vendor):
    task.run_unknown()
    (attempt,) = task.ledger.attempts(task.identity)
    task.ledger.replace(attempt.bought(vendor.jobs["job-1"]))
    assert task.run().request_id == "job-1"
    assert len(vendor.charges) == 1


def test_the_error_says_what_to_check_and_every_way_out(ledger, vendor, make_task):
    task = make_task(ledger, vendor, 7)
    text = str(task.run_unknown())
    who = "d scheduled__2026-01-01T00:00:00+00:00 submit --map-index 7"
    for part in (
        "pixazo's console",
        "2026-01-02 03:04:05 UTC",
        "this task's log",
        "request_id='<its id>'",
        f"`python -m airflow_video_providers.ledger attach {who} <its id>`",
        "on_unknown_outcome='resubmit'",
        f"`python -m airflow_video_providers.ledger forget {who}`",
        "may have been charged",
    ):
        assert part in text


# --- a user's Clear ----------------------------------------------------------------------------------------------


def test_a_clear_keeps_a_job_that_still_runs(task, vendor):
    task.run()
    assert task.clear().run().request_id == "job-1"
    assert vendor.polled == ["job-1"]
    assert len(vendor.charges) == 1


@pytest.mark.parametrize("status", [status for status in JobStatus if status.terminal])
def test_a_clear_buys_a_finished_job_again_and_logs_the_price(task, vendor, caplog, status):
    task.run()
    vendor.finish("job-1", status)
    assert task.clear().run().request_id == "job-2"
    assert re.search(f"Cleared by a user: job job-1 is {status}; buying again for an unknown price", caplog.text)


def test_a_clear_keeps_a_finished_job_that_has_not_reached_its_place(task, vendor):
    task.run()
    vendor.finish("job-1")
    asked = []
    assert task.clear().run(keeps=lambda job: asked.append(job.status) or True).request_id == "job-1"
    assert asked == [JobStatus.SUCCEEDED]
    assert task.clear().run(keeps=lambda job: False).request_id == "job-2"


def test_a_lost_output_settles_a_job_and_stays_on_the_list_of_what_never_landed(task):
    job = task.run()
    assert not task.ledger.settled(job)
    task.ledger.mark_lost(job)
    assert task.ledger.settled(job)
    if task.ledger.store.shared:
        assert [attempt.request_id for attempt in task.ledger.unfinished()] == [job.request_id]


def test_an_unknown_status_word_is_a_job_that_still_runs(task, vendor):
    task.run()
    vendor.finish("job-1", JobStatus.UNKNOWN)
    assert task.clear().run().request_id == "job-1"


def test_a_clear_buys_nothing_when_the_vendor_cannot_be_asked(task, vendor):
    task.run()
    with pytest.raises(VendorUnavailableError):
        task.clear().run(poll=lambda job: (_ for _ in ()).throw(VendorUnavailableError("503.")))
    assert len(vendor.charges) == 1


def test_on_clear_reattach_keeps_a_finished_job_without_looking(task, vendor):
    task.run()
    vendor.finish("job-1")
    assert task.clear().run(choices={"on_clear": "reattach"}).request_id == "job-1"
    assert vendor.polled == []


def test_a_retry_after_an_answered_clear_is_a_retry(task, vendor):
    task.run()
    task.clear().run()
    vendor.finish("job-1")
    assert task.run().request_id == "job-1", "the job ended between the clear's try and its retry"
    assert len(vendor.charges) == 1


def test_a_clear_whose_purchase_crashed_is_not_repeated(task, vendor):
    task.run()
    vendor.finish("job-1")
    with pytest.raises(KilledError):
        task.clear().run(KilledError())
    task.run_unknown()
    assert len(vendor.charges) == 2


def test_without_a_generation_a_clear_counts_as_a_retry(task, vendor):
    task.run()
    vendor.finish("job-1")
    task.max_tries = None
    assert task.run().request_id == "job-1"


# --- a ledger that fails, and none -------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", ["read", "create"])
def test_a_ledger_that_refuses_before_the_paid_call_stops_it_at_once(task, vendor, mocker, operation):
    mocker.patch.object(task.ledger.store, operation, side_effect=PermissionError("denied"))
    with pytest.raises(LedgerError, match="PermissionError: denied") as caught:
        task.run()
    assert vendor.charges == []
    assert (caught.value.charged, caught.value.retryable, task.slept) == ("no", True, [])


def test_a_kill_while_the_id_is_stored_leaves_it_in_the_log(task, mocker, caplog):
    mocker.patch.object(task.ledger.store, "replace", side_effect=KilledError)
    with pytest.raises(KilledError):
        task.run()
    assert "request_id=job-1" in caplog.text


def test_a_record_that_is_not_one_stops_the_submit(task, vendor):
    task.ledger.store.create(task.identity.key(1), {"claim": "x", "v": 1})
    with pytest.raises(LedgerError):
        task.run()
    assert vendor.charges == []


def test_a_record_of_somebody_else_stops_the_submit(task, vendor):
    task.run()
    (attempt,) = task.ledger.attempts(task.identity)
    task.ledger.store.replace(task.identity.key(1), attempt.replace(dag_id="other").to_dict())
    with pytest.raises(LedgerError, match="belongs to"):
        task.run()


def test_without_a_ledger_the_first_try_buys_and_the_second_sends_nothing(vendor, make_task):
    task = make_task(None, vendor)
    task.run()
    error = task.run_unknown(choices={"on_unknown_outcome": "resubmit"})
    assert "ledger_path" in str(error)
    assert "AIRFLOW__VIDEO_PROVIDERS__LEDGER_PATH" in str(error)
    assert len(vendor.charges) == 1


def test_without_a_ledger_an_unknown_outcome_is_one_all_the_same(vendor, make_task):
    make_task(None, vendor).run_unknown(OSError("reset"))


def test_a_second_try_on_an_empty_ledger_buys_and_warns(task, vendor, caplog):
    task.tries = 1
    assert task.run().request_id == "job-1"
    assert "not every worker reaches it" in caplog.text


def test_who_loses_the_race_for_the_intent_takes_the_winners_job(task, vendor, mocker):
    rival = type(task)(task.ledger, vendor)
    real = task.ledger.create

    def late(attempt):
        mocker.stopall()
        rival.run()
        return real(attempt)

    mocker.patch.object(task.ledger, "create", late)
    assert task.run().request_id == "job-1"
    assert len(vendor.charges) == 1


def test_who_loses_the_race_to_a_try_without_an_answer_buys_nothing(task, vendor, mocker):
    rival = type(task)(task.ledger, vendor)
    real = task.ledger.create

    def late(attempt):
        mocker.stopall()
        rival.run_unknown()
        return real(attempt)

    mocker.patch.object(task.ledger, "create", late)
    assert "submitting at this moment" in str(task.run_unknown())
    assert len(vendor.charges) == 1


# --- gestures ----------------------------------------------------------------------------------------------------


def test_request_id_attaches_without_buying_and_answers_the_open_intent(task, vendor):
    task.run_unknown()
    assert task.attach("found").request_id == "found"
    assert task.run().request_id == "found", "the option may be removed again"
    assert len(vendor.charges) == 1
    assert [a.state for a in task.ledger.attempts(task.identity)] == [AttemptState.SUBMITTED]


def test_request_id_attaches_without_a_ledger_and_with_a_broken_one(vendor, make_task, task, mocker):
    assert make_task(None, vendor).attach("found").request_id == "found"
    mocker.patch.object(task.ledger.store, "read", side_effect=OSError("gone"))
    assert task.attach("found").request_id == "found"
    assert vendor.charges == []


def test_request_id_replaces_a_job_that_the_ledger_holds(task, vendor):
    task.run()
    assert task.attach("other").request_id == "other"
    assert task.attach("other").request_id == "other"
    assert [a.request_id for a in task.ledger.attempts(task.identity)] == ["job-1", "other"]
    assert len(vendor.charges) == 1


def test_a_job_attached_by_hand_is_kept_by_the_clear_that_follows_even_if_it_is_finished(task, vendor):
    task.run_unknown()
    job = vendor.finish("job-1")
    attach(task.ledger, task.identity, job, now=job.submitted_at or task.ledger.attempts(task.identity)[0].created_at)
    assert task.clear().run().request_id == "job-1"
    assert task.run().request_id == "job-1"
    assert len(vendor.charges) == 1
    assert task.clear().run().request_id == "job-2", "the next Clear is a new wish"


def test_forgetting_an_open_intent_lets_the_next_try_buy(task, vendor):
    task.run_unknown()
    assert [attempt.number for attempt in forget(task.ledger, task.identity)] == [1]
    assert task.clear().run().request_id == "job-2"


def test_a_bought_job_is_never_forgotten(task, vendor):
    task.run()
    with pytest.raises(InvalidRequestError, match="open"):
        forget(task.ledger, task.identity)
    assert task.run().request_id == "job-1"


def test_a_job_that_the_vendor_took_back_uncharged_is_bought_again_within_the_limit(task, vendor):
    for number in (1, 2):
        assert task.run().request_id == f"job-{number}"
        job = vendor.finish(f"job-{number}", JobStatus.ERROR, charged="no")
        assert void_after_error(task.ledger, task.identity, job, limit=2)
    task.run()
    assert not void_after_error(
        task.ledger, task.identity, vendor.finish("job-3", JobStatus.ERROR, charged="no"), limit=2
    )
    assert task.run().request_id == "job-3"


@pytest.mark.parametrize(
    ("status", "charged"), [(JobStatus.ERROR, "unknown"), (JobStatus.FAILED, "no"), (JobStatus.ERROR, "yes")]
)
def test_only_the_vendors_own_error_without_a_charge_is_taken_back(task, vendor, status, charged):
    task.run()
    assert not void_after_error(task.ledger, task.identity, vendor.finish("job-1", status, charged), limit=5)
    assert task.run().request_id == "job-1"


def test_a_job_that_the_ledger_does_not_hold_is_not_taken_back(task, vendor):
    job = task.run().replace(request_id="other", status=JobStatus.ERROR, charged="no")
    assert not void_after_error(task.ledger, task.identity, job, limit=5)
