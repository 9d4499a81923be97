"""What is learned after the paid call is written until it is stored; trouble before it leaves no open intent."""

from __future__ import annotations

import errno
import logging
from types import SimpleNamespace

import pytest

from airflow_video_providers.core.errors import InvalidRequestError, LedgerError, RequestRejectedError
from airflow_video_providers.core.purchase.patience import refused_for_good
from airflow_video_providers.core.purchase.receipts import repair
from airflow_video_providers.core.purchase.records import AttemptState, Identity
from airflow_video_providers.core.purchase.resolve import forget
from tests.support.ledger import EndedByAirflowError

LOG = logging.getLogger("ledger-test")
NO_ROOM = OSError(errno.ENOSPC, "No space left on device")
OUTAGES = [
    OSError("the connection dropped"),
    TimeoutError("read"),
    ConnectionResetError(errno.ECONNRESET, "reset"),
    OSError(errno.EIO, "I/O"),
    RuntimeError("API server error"),
    SimpleNamespace(status_code=503),
]
REFUSALS = [PermissionError("denied"), NO_ROOM, OSError(errno.EROFS, "read-only"), FileNotFoundError("no such bucket")]


class Failing:
    """A store's operation that fails some times."""

    def __init__(self, mocker, store, operation, error, times, *, late=False):
        self._real, self._error, self._times, self._late = getattr(store, operation), error, times, late
        self.calls = 0
        mocker.patch.object(store, operation, self)

    def __call__(self, *arguments):
        self.calls += 1
        if self.calls > self._times:
            return self._real(*arguments)
        if self._late:
            self._real(*arguments)
        raise self._error


def states(task):
    return [attempt.state for attempt in task.ledger.attempts(task.identity)]


# --- the receipt -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [OSError("gone"), PermissionError("denied"), NO_ROOM])
@pytest.mark.parametrize("late", [False, True])
def test_a_receipt_is_written_again_until_it_is_stored(task, vendor, mocker, error, late):
    Failing(mocker, task.ledger.store, "replace", error, 4, late=late)
    job = task.run()
    assert (job.request_id, job.receipt_due) == ("job-1", None)
    assert states(task) == [AttemptState.SUBMITTED]
    assert len(task.slept) == 4
    assert all(seconds > 0 for seconds in task.slept)
    assert task.run() == job
    assert len(vendor.charges) == 1


def test_an_outage_is_no_verdict_the_receipt_is_written_until_airflow_ends_the_process(task, vendor, mocker, caplog):
    Failing(mocker, task.ledger.store, "replace", OSError("gone"), 10**9)
    with pytest.raises(EndedByAirflowError):
        task.run()
    assert sum(task.slept) > 3600
    lines = [record.getMessage() for record in caplog.records if "is not stored" in record.getMessage()]
    assert "request_id=job-1" in lines[0]
    assert 3 < len(lines) < 20, "told at once, and then rarely"
    mocker.stopall()
    task.run_unknown()
    assert len(vendor.charges) == 1


def test_the_id_is_in_the_log_before_the_first_attempt_to_store_it(task, mocker, caplog):
    mocker.patch.object(task.ledger.store, "replace", side_effect=EndedByAirflowError)
    with pytest.raises(EndedByAirflowError):
        task.run()
    assert "Bought request_id=job-1." in caplog.text


@pytest.mark.parametrize("error", REFUSALS)
def test_a_definite_refusal_holds_the_worker_for_a_minute_and_the_job_is_returned(task, vendor, mocker, error, caplog):
    Failing(mocker, task.ledger.store, "replace", error, 10**9)
    job = task.run()
    assert job.request_id == "job-1"
    assert job.receipt_due == task.identity.key(1)
    assert 55 <= sum(task.slept) <= 120
    assert "request_id=job-1 is not stored after" in caplog.text
    mocker.stopall()
    task.run_unknown()
    assert len(vendor.charges) == 1


def test_an_outage_between_refusals_begins_the_minute_anew(task, mocker):
    errors = iter([PermissionError("denied")] * 5 + [OSError("gone")] + [PermissionError("denied")] * 3)
    real = task.ledger.store.replace

    def replace(key, value):
        if (error := next(errors, None)) is not None:
            raise error
        real(key, value)

    mocker.patch.object(task.ledger.store, "replace", replace)
    assert task.run().receipt_due is None
    assert len(task.slept) == 9


def test_that_a_vendor_refused_is_written_again_too_so_that_the_next_try_may_buy(task, vendor, mocker):
    Failing(mocker, task.ledger.store, "replace", OSError("gone"), 5)
    with pytest.raises(RequestRejectedError):
        task.run(RequestRejectedError("No."))
    assert states(task) == [AttemptState.REJECTED]
    assert task.run().request_id == "job-1"


@pytest.mark.parametrize("error", OUTAGES)
def test_an_outage_is_told_from_a_refusal(error):
    assert not refused_for_good(error)


@pytest.mark.parametrize(
    "error",
    [
        *REFUSALS,
        EOFError("Request socket closed before length"),
        BrokenPipeError(errno.EPIPE, "Broken pipe"),
        TypeError("not JSON"),
        SimpleNamespace(status_code=403),
        SimpleNamespace(code=404, response=None),
        SimpleNamespace(response={"ResponseMetadata": {"HTTPStatusCode": 403}}),
        SimpleNamespace(error=SimpleNamespace(detail={"status_code": 404})),
        LedgerError("It is ours."),
    ],
)
def test_a_refusal_is_told_from_an_outage(error):
    assert refused_for_good(error)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, None])
def test_a_status_that_passes_by_itself_is_an_outage(status):
    assert not refused_for_good(SimpleNamespace(error=SimpleNamespace(detail={"status_code": status})))


# --- its repair --------------------------------------------------------------------------------------------------


@pytest.fixture
def unreceipted(task, mocker):
    """A job whose receipt the ledger refused for good."""
    Failing(mocker, task.ledger.store, "replace", NO_ROOM, 10**9)
    job = task.run()
    mocker.stopall()
    return job


def test_whoever_knows_the_job_stores_its_receipt_later(task, vendor, unreceipted):
    repair(task.ledger, unreceipted, own=task.identity, log=LOG)
    repair(task.ledger, unreceipted, own=task.identity, log=LOG)
    job = task.run()
    assert (job.request_id, job.receipt_due) == ("job-1", None)
    assert len(vendor.charges) == 1


def test_another_task_repairs_on_a_shared_store_and_touches_nothing_on_its_own_rows(task, unreceipted):
    repair(task.ledger, unreceipted, own=Identity("d", "r", "another"), log=LOG)
    assert states(task) == [AttemptState.SUBMITTED if task.ledger.store.shared else AttemptState.INTENT]


def test_a_persons_answer_is_not_written_over(task, unreceipted, caplog):
    forget(task.ledger, task.identity)
    repair(task.ledger, unreceipted, own=task.identity, log=LOG)
    assert states(task) == [AttemptState.FORGOTTEN]
    assert "request_id=job-1" in caplog.text
    assert "cannot be stored: its attempt is forgotten" in caplog.text


@pytest.mark.parametrize(
    "key", [(), ("submits",), ("landed", "a", "b", "c", "-1", "1"), ("submits", "a", "b", "c", "x", "1")]
)
def test_a_key_that_is_none_repairs_nothing(task, unreceipted, key):
    repair(task.ledger, unreceipted.replace(receipt_due=key), own=task.identity, log=LOG)
    assert states(task) == [AttemptState.INTENT]


# --- before the paid call ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("late", [False, True])
def test_a_short_outage_while_the_intent_is_stored_is_outlasted(task, vendor, mocker, late):
    Failing(mocker, task.ledger.store, "create", OSError("the connection dropped"), 3, late=late)
    assert task.run().request_id == "job-1"
    assert states(task) == [AttemptState.SUBMITTED]


@pytest.mark.parametrize("error", [OSError("gone"), PermissionError("denied"), NO_ROOM, EndedByAirflowError()])
def test_an_intent_that_was_stored_and_reported_as_failed_does_not_stay_open(task, vendor, mocker, error):
    Failing(mocker, task.ledger.store, "create", error, 10**9, late=True)
    with pytest.raises((LedgerError, EndedByAirflowError)):
        task.run()
    assert vendor.charges == []
    assert 0 <= sum(task.slept) <= 150
    mocker.stopall()
    assert states(task) == [AttemptState.REJECTED]
    assert task.run().request_id == "job-1"


def test_a_failed_intent_never_closes_another_processs_record(task, vendor, mocker):
    rival = type(task)(task.ledger, vendor)

    def create(key, value):
        mocker.stopall()
        with pytest.raises(KeyboardInterrupt):
            rival.run(buy=lambda: (_ for _ in ()).throw(KeyboardInterrupt))
        raise PermissionError("denied")

    mocker.patch.object(task.ledger.store, "create", create)
    with pytest.raises(LedgerError):
        task.run()
    assert states(task) == [AttemptState.INTENT]


# --- two processes of one try ------------------------------------------------------------------------------------


class Rival:
    """Another process of the same try, which answers after so many pauses of the loser."""

    def __init__(self, task, pauses, finish):
        self.task, self.pauses, self.finish = task, pauses, finish

    def __call__(self, seconds):
        self.task.sleep(seconds)
        self.pauses -= 1
        if self.pauses == 0:
            (attempt,) = self.task.ledger.attempts(self.task.identity)
            self.task.ledger.replace(self.finish(attempt))


@pytest.fixture
def raced(task, vendor):
    """The task's first try is buying in another process at this moment."""
    with pytest.raises(KeyboardInterrupt):
        task.run(buy=lambda: (_ for _ in ()).throw(KeyboardInterrupt))
    vendor.answer = None
    task.tries = 0
    return task


def test_the_loser_of_a_race_waits_a_moment_for_the_winners_id_and_takes_it(raced, vendor):
    job = vendor.buy()
    assert raced.run(sleep=Rival(raced, 3, lambda attempt: attempt.bought(job))).request_id == "job-1"
    assert len(vendor.charges) == 1


def test_a_loser_whose_winner_was_refused_is_retried(raced, vendor):
    with pytest.raises(LedgerError, match="refused at the same time") as caught:
        raced.run(sleep=Rival(raced, 2, lambda attempt: attempt.replace(state=AttemptState.REJECTED)))
    assert caught.value.retryable
    assert raced.run().request_id == "job-1"


def test_a_loser_whose_winner_never_answers_ends_after_half_a_minute(raced, vendor):
    assert "submitting at this moment" in str(raced.run_unknown())
    assert 20 <= sum(raced.slept) <= 45
    assert vendor.charges == []


def test_a_retry_does_not_wait_for_an_earlier_try_that_airflow_has_given_up(raced):
    raced.tries = 1
    raced.run_unknown()
    assert raced.slept == []


def test_attach_and_forget_raise_what_the_ledger_raises(task, mocker):
    mocker.patch.object(task.ledger.store, "read", side_effect=OSError("gone"))
    with pytest.raises(LedgerError):
        forget(task.ledger, task.identity)
    mocker.stopall()
    with pytest.raises(InvalidRequestError):
        forget(task.ledger, task.identity)
