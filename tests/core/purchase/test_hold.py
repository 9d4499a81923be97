"""An empty account stops once, and its submits come back without a Clear."""

from __future__ import annotations

import logging
import uuid
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from multiprocessing import get_context

import pytest

from airflow_video_providers.core.errors import InsufficientCreditsError, LedgerError, RateLimitedError
from airflow_video_providers.core.jobs import JobStatus, VideoJob
from airflow_video_providers.core.purchase.decision import Try
from airflow_video_providers.core.purchase.hold import HOLD, PROBE
from airflow_video_providers.core.purchase.ledger import Ledger
from airflow_video_providers.core.purchase.records import AttemptState, Identity
from airflow_video_providers.core.purchase.stores.object_directory import LocalDirectory
from airflow_video_providers.core.purchase.submit_once import Outside, submit_once
from airflow_video_providers.integration.state_store import TaskStateStore
from tests.support.ledger import MODEL, NOW, an_order
from tests.support.versions import needs_state_store

EMPTY = InsufficientCreditsError("402: no credits.", http_status=402)


@pytest.fixture
def shared(tmp_path):
    return Ledger(LocalDirectory(tmp_path))


class Clock:
    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now

    def to(self, moment):
        self.now = moment


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def submit(shared, vendor, clock, make_task):
    """One try of a mapped submit; each try of it has the same number, as Airflow counts those that come back."""
    tasks = {}

    def submit(index, answer=None, **options):
        task = tasks.setdefault(index, make_task(shared, vendor, index))
        task.tries = 0
        task.max_tries += options.pop("clears", 0)
        return task.run(answer, clock=clock, **options)

    submit.tasks = tasks
    return submit


def held(submit, index, answer=None, **options):
    with pytest.raises(InsufficientCreditsError) as caught:
        submit(index, answer, **options)
    return caught.value


def test_the_one_that_finds_the_account_empty_is_rejected_and_comes_back(submit, shared):
    error = held(submit, 0, EMPTY)
    assert (error.held_until, error.retryable, error.retry_after) == (NOW + HOLD, True, 300.0)
    assert (error.charged, error.http_status) == ("no", 402)
    assert "nothing is sent until 2026-01-02 03:09:05 UTC" in str(error)
    (attempt,) = shared.attempts(submit.tasks[0].identity)
    assert (attempt.state, attempt.reason) == (AttemptState.REJECTED, "InsufficientCreditsError")


def test_a_connection_that_is_spelt_otherwise_is_on_hold_too(submit, vendor):
    held(submit, 0, EMPTY)
    other = replace(an_order(), conn_id="PIXAZO_Default")
    assert held(submit, 1, order=other).http_status is None, "it went away unsent"
    assert vendor.charges == []


def test_the_others_go_away_unsent(submit, shared, vendor):
    held(submit, 0, EMPTY)
    for index in range(1, 5):
        asked = []
        error = held(submit, index, ready=lambda order, asked=asked: asked.append(order))
        assert error.held_until == NOW + HOLD
        assert shared.attempts(submit.tasks[index].identity) == []
        assert asked == [], "nothing is made ready either"
    assert vendor.charges == []


def test_after_the_hold_the_first_tries_again_and_the_others_wait_for_what_comes_of_it(submit, vendor, clock):
    held(submit, 0, EMPTY)
    clock.to(NOW + HOLD)
    seen = []

    def selling():
        seen.append(held(submit, 2).held_until)
        return vendor.buy()

    assert submit(1, buy=selling).request_id == "job-1"
    assert seen == [NOW + HOLD + PROBE]
    assert submit(2).request_id == "job-2", "it has bought: everybody may"


def test_of_two_that_find_a_hold_over_at_once_one_tries_again(submit, vendor, clock, mocker):
    held(submit, 0, EMPTY)
    clock.to(NOW + HOLD)
    read, faster = LocalDirectory.read, []

    def overtaken(store, key):
        """The other comes back, and buys, after this one has read the log and before it writes to it."""
        entry = read(store, key)
        if key[0] == "holds" and not faster:
            faster.append(2)
            faster.append(submit(2).request_id)
        return entry

    mocker.patch.object(LocalDirectory, "read", overtaken)
    assert held(submit, 1).held_until == NOW + HOLD + PROBE
    assert faster == [2, "job-1"]
    assert vendor.charges == ["job-1"]


def test_an_account_that_is_still_empty_is_on_hold_again(submit, clock):
    held(submit, 0, EMPTY)
    clock.to(NOW + HOLD)
    assert held(submit, 1, EMPTY).held_until == NOW + 2 * HOLD
    assert held(submit, 2).held_until == NOW + 2 * HOLD


def test_one_that_dies_while_it_tries_again_holds_the_others_for_a_while_only(submit, clock):
    held(submit, 0, EMPTY)
    clock.to(NOW + HOLD)
    with pytest.raises(KeyboardInterrupt):
        submit(1, buy=lambda: (_ for _ in ()).throw(KeyboardInterrupt))
    assert held(submit, 2).held_until == NOW + HOLD + PROBE
    clock.to(NOW + HOLD + PROBE)
    assert submit(2).request_id == "job-1"


def test_another_refusal_of_the_one_that_tries_again_frees_nobody(submit, clock):
    held(submit, 0, EMPTY)
    clock.to(NOW + HOLD)
    with pytest.raises(RateLimitedError):
        submit(1, RateLimitedError("429."))
    assert held(submit, 2).held_until == NOW + HOLD + PROBE


def test_several_that_find_it_empty_at_once_make_one_hold(submit, clock):
    def later():
        clock.to(NOW + timedelta(seconds=3))
        assert held(submit, 1, EMPTY).held_until == NOW + timedelta(seconds=3) + HOLD
        raise EMPTY

    assert held(submit, 0, buy=later).held_until == NOW + timedelta(seconds=3) + HOLD


def test_a_bought_job_is_returned_while_the_account_is_on_hold(submit):
    submit(0)
    held(submit, 1, EMPTY)
    assert submit(0).request_id == "job-1"


def test_after_queue_timeout_a_task_fails_for_good(submit, clock):
    held(submit, 0, EMPTY)
    clock.to(NOW + timedelta(hours=23, minutes=58))
    held(submit, 1, EMPTY)
    clock.to(NOW + timedelta(hours=24))
    error = held(submit, 0)
    assert (error.held_until, error.retryable) == (None, False)
    assert "has waited 1 day, 0:00:00 for credits (queue_timeout)" in str(error)
    assert held(submit, 1).held_until is not None, "it has waited for two minutes"
    assert held(submit, 0, clears=1).held_until is not None, "a Clear begins anew"


def test_the_one_that_finds_it_empty_once_more_after_queue_timeout_fails_too(submit, clock):
    held(submit, 0, EMPTY)
    clock.to(NOW + timedelta(minutes=10))
    error = held(submit, 0, EMPTY, choices={"queue_timeout": timedelta(minutes=10)})
    assert (error.held_until, error.retryable) == (None, False)


def test_a_job_that_was_bought_in_between_begins_the_wait_anew(submit, vendor, clock):
    held(submit, 0, EMPTY)
    clock.to(NOW + HOLD)
    submit(0)
    vendor.finish("job-1", JobStatus.FAILED)
    clock.to(NOW + timedelta(hours=30))
    assert held(submit, 0, EMPTY, clears=1).held_until is not None


def test_an_empty_account_that_shows_while_getting_ready_is_put_on_hold_and_leaves_no_attempt(submit, shared):
    def poor(_order):
        raise InsufficientCreditsError("3 credits are left.")

    assert held(submit, 0, ready=poor).held_until == NOW + HOLD
    assert shared.attempts(submit.tasks[0].identity) == []
    assert held(submit, 1).held_until == NOW + HOLD


@needs_state_store
def test_without_a_shared_ledger_each_gets_its_own_refusal(vendor, accessor, make_task):
    from airflow_video_providers.integration.state_store import TaskStateStore

    for ledger in (None, Ledger(TaskStateStore(accessor))):
        for index in range(2):
            with pytest.raises(InsufficientCreditsError, match="402") as caught:
                make_task(ledger, vendor, index).run(EMPTY)
            assert (caught.value.held_until, caught.value.retryable) == (None, False)
            accessor.rows.clear()


def test_a_hold_that_cannot_be_written_ends_as_the_vendors_refusal(submit, mocker, caplog):
    mocker.patch.object(LocalDirectory, "names", side_effect=[[], [], [], OSError("gone")])
    error = held(submit, 0, EMPTY)
    assert (error.held_until, str(error)) == (None, str(EMPTY))
    assert "not put on hold" in caplog.text


@pytest.mark.parametrize("odd", ["{", "[]", '{"state": "hold"}', '{"state": "hold", "until": "soon"}', '{"state": 7}'])
def test_a_hold_that_cannot_be_read_holds_nobody(submit, tmp_path, odd):
    held(submit, 0, EMPTY)
    next((tmp_path / "holds").rglob("000001.json")).write_text(odd)
    assert submit(1).request_id == "job-1"


def test_a_ledger_that_is_away_sends_nothing(submit, mocker, vendor):
    mocker.patch.object(LocalDirectory, "names", side_effect=[[], OSError("gone")])
    with pytest.raises(LedgerError):
        submit(0)
    assert vendor.charges == []


# --- 300 at once -------------------------------------------------------------------------------------------------


def _submit(root, now, index):
    """One try of one mapped submit in a process of its own: bought, or until when it is put off."""

    def send(_order):
        credit = None
        for credit in (root / "credits").iterdir():
            try:
                credit.rename(root / "charges" / credit.name)  # of two processes one succeeds
            except FileNotFoundError:
                continue
            return VideoJob(model=MODEL, request_id=credit.name)
        (root / "refused" / uuid.uuid4().hex).touch()
        raise EMPTY

    outside = Outside(log=logging.getLogger("x"), poll=lambda job: job, clock=lambda: now, sleep=lambda _: None)
    this = Try(Identity("clips", "scheduled__2026-01-01", "submit", index), 0, 1)  # no retries, and none is spent
    try:
        job = submit_once(an_order(), Ledger(LocalDirectory(root / "ledger")), send, this=this, outside=outside)
    except InsufficientCreditsError as error:
        return index, error.held_until
    return index, job.request_id


def _fill(root, count):
    for _ in range(count):
        (root / "credits" / uuid.uuid4().hex).touch()


@pytest.mark.slow
def test_300_submits_on_an_account_that_empties_after_100_come_back_after_a_top_up(tmp_path):
    for folder in ("ledger", "credits", "charges", "refused"):
        (tmp_path / folder).mkdir()
    _fill(tmp_path, 100)
    now, due, bought = NOW, dict.fromkeys(range(300), NOW), {}
    refused = [0]
    with ProcessPoolExecutor(8, mp_context=get_context("fork")) as pool:
        for round_ in range(8):
            ready = [index for index, moment in due.items() if moment <= now]
            for index, outcome in pool.map(partial(_submit, tmp_path, now), ready):
                if isinstance(outcome, datetime):
                    due[index] = outcome
                else:
                    bought[index] = outcome
                    del due[index]
            refused.append(len(list((tmp_path / "refused").iterdir())))
            if round_ == 2:
                assert len(bought) == 100
                _fill(tmp_path, 1000)
            if not due:
                break
            now = min(due.values())
    assert len(bought) == len(set(bought.values())) == 300
    assert len(list((tmp_path / "charges").iterdir())) == 300
    assert refused[-1] <= 10, refused
    assert refused[3:] == [refused[3]] * len(refused[3:]), "no refusal after the top-up"
    assert 1 <= refused[-1] - refused[1] <= 2, "one of each hold tried again"


@needs_state_store
def test_a_refusal_that_begins_no_hold_is_not_its_own_cause(accessor, vendor, make_task):
    refusal = InsufficientCreditsError("402: no credits.", http_status=402)
    with pytest.raises(InsufficientCreditsError) as raised:
        make_task(Ledger(TaskStateStore(accessor)), vendor).run(refusal)
    assert raised.value is refusal
    assert refusal.__cause__ is None
