"""What is refused before anything is sent."""

from __future__ import annotations

import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from multiprocessing import get_context

import pytest

from airflow_video_providers.core.errors import InvalidRequestError, LedgerError, RateLimitedError
from airflow_video_providers.core.purchase.ledger import Ledger
from airflow_video_providers.core.purchase.limits import Limits
from airflow_video_providers.core.purchase.pricing import Estimate
from airflow_video_providers.core.purchase.records import Attempt, AttemptState
from airflow_video_providers.core.purchase.reservations import OverLimitError, Reservations
from airflow_video_providers.core.purchase.resolve import forget
from airflow_video_providers.core.purchase.stores.object_directory import LocalDirectory
from airflow_video_providers.integration.state_store import TaskStateStore
from tests.support.ledger import NOW as NOW_OF_TASKS
from tests.support.ledger import an_order
from tests.support.versions import needs_state_store

MODEL = "pixazo:mochi-v1"
NOW = datetime(2026, 5, 6, 7, tzinfo=UTC)
KNOWN = Estimate(Decimal("0.4"), "documented")
#: What is no amount that can be reckoned with.
UNTOLD = [
    "much", "nan", "inf", -1, True, "9e999999", "1e-999999", float("nan"), float("inf"), 10**5000, 1e300, "0." + "1" * 5000,
    1_000_001, b"1", [1], {}, object(),
]  # fmt: skip


BUDGET = {"budget": {"usd": 5, "per": "day"}}


# --- limits ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "extra", "holds"),
    [(None, {}, None), ("1", {}, 1), (None, {"max_cost_usd": 2}, 2), (1, {"max_cost_usd": 2}, 1),
     (3, {"max_cost_usd": "2"}, 2), ("", {"max_cost_usd": None}, None), (0, {}, 0)],
)  # fmt: skip
def test_of_two_limits_the_stricter_holds(own, extra, holds):
    assert Limits.of(extra, max_cost_usd=own).max_cost_usd == holds


@pytest.mark.parametrize("value", UNTOLD, ids=range(len(UNTOLD)))
def test_a_limit_that_is_no_amount_is_refused(value):
    with pytest.raises(InvalidRequestError, match="max_cost_usd"):
        Limits.of({}, max_cost_usd=value)


def test_a_request_at_the_limit_is_bought_and_one_above_is_refused():
    Limits(max_cost_usd=Decimal("0.4")).check(KNOWN, model=MODEL)
    with pytest.raises(InvalidRequestError, match=r"costs \$0.4 .*max_cost_usd is \$0.39") as caught:
        Limits(max_cost_usd=Decimal("0.39")).check(KNOWN, model=MODEL)
    assert caught.value.charged == "no"


def test_an_unknown_price_under_a_limit_is_refused_unless_allowed():
    with pytest.raises(InvalidRequestError, match="allow_unknown_price=True"):
        Limits.of({}, max_cost_usd=1).check(Estimate(), model=MODEL)
    Limits.of({}, max_cost_usd=1, allow_unknown_price=True).check(Estimate(), model=MODEL)
    Limits().check(Estimate(), model=MODEL)


SUMS = {
    "a run's": ({}, {"max_run_cost_usd": 1}),
    "the owner's": ({"max_run_cost_usd": 1}, {}),
    "a budget": (BUDGET, {}),
}


@pytest.mark.parametrize("sum_", SUMS)
@pytest.mark.parametrize(
    "waived", [{}, {"allow_unknown_price": True}, {"max_cost_usd": 5, "allow_unknown_price": True}]
)
def test_nobody_lets_an_unknown_price_pass_under_a_sum(sum_, waived):
    extra, own = SUMS[sum_]
    limits = Limits.of({**extra, **waived}, **own, allow_unknown_price=True)
    with pytest.raises(InvalidRequestError, match=r"cannot be added up, and nobody can allow it") as caught:
        limits.check(Estimate(), model=MODEL)
    assert caught.value.field in ("max_run_cost_usd", "budget")


OWNERS = {"max_cost_usd": 1}


@pytest.mark.parametrize("own", [{}, {"max_cost_usd": 0.5}])
def test_a_task_cannot_lift_a_limit_of_the_connections_owner(own):
    limits = Limits.of(OWNERS, **own, allow_unknown_price=True)
    with pytest.raises(InvalidRequestError, match="The connection's extra sets a limit") as caught:
        limits.check(Estimate(), model=MODEL)
    assert "a task cannot lift it" in str(caught.value)
    assert "allow_unknown_price=True" not in str(caught.value)


@pytest.mark.parametrize("waived", [True, "true", " True "])
def test_the_connections_owner_can_lift_it(waived):
    Limits.of({**OWNERS, "allow_unknown_price": waived}).check(Estimate(), model=MODEL)


def test_what_the_owner_allows_lifts_no_limit_of_the_tasks_own():
    limits = Limits.of({**OWNERS, "allow_unknown_price": True}, max_cost_usd=2)
    with pytest.raises(InvalidRequestError, match="allow_unknown_price=True"):
        limits.check(Estimate(), model=MODEL)


@pytest.mark.parametrize("blank", [None, "", False, "false", " "])
def test_a_form_that_does_not_allow_it_does_not(blank):
    with pytest.raises(InvalidRequestError):
        Limits.of({**OWNERS, "allow_unknown_price": blank}, allow_unknown_price=True).check(Estimate(), model=MODEL)


@pytest.mark.parametrize("odd", ["maybe", 1, [True]])
def test_an_owners_word_that_is_neither_true_nor_false_refuses(odd):
    with pytest.raises(InvalidRequestError, match="allow_unknown_price"):
        Limits.of({**OWNERS, "allow_unknown_price": odd})


def test_a_refusal_stores_no_intent_and_a_bought_job_is_kept_when_buying_was_stopped(task, vendor):
    def off(_order):
        raise InvalidRequestError("Nothing is bought with this connection.")

    with pytest.raises(InvalidRequestError):
        task.run(ready=off)
    assert task.ledger.attempts(task.identity) == []
    task.run()
    assert task.run(ready=off).request_id == "job-1"
    assert len(vendor.charges) == 1


# --- the run's budget --------------------------------------------------------------------------------------------


@pytest.fixture
def directory(tmp_path):
    return LocalDirectory(tmp_path)


def budget(directory, run="r"):
    return Reservations.of_run(directory, "d", run)


def an_attempt(who, number=1, at=NOW, state=AttemptState.INTENT):
    return Attempt(
        dag_id="d", run_id="r", task_id=who, number=number, purchase=1, state=state, claim=f"{who}-{at}", created_at=at,
        model=MODEL,
    )  # fmt: skip


def reserve(directory, who, usd="0.4", limit="1", at=NOW, released=()):
    budget(directory).reserve(an_attempt(who, at=at), Decimal(usd), limit=Decimal(limit), released=released)


def key(who):
    return an_attempt(who).key


def test_reservations_add_up_to_the_limit_and_no_further(directory):
    reserve(directory, "a")
    reserve(directory, "b")
    with pytest.raises(OverLimitError) as caught:
        reserve(directory, "c")
    assert caught.value.reserved == Decimal("0.8")
    reserve(directory, "d", "0.2")
    assert budget(directory).reserved() == Decimal(1)


def test_a_retry_finds_the_reservation_of_the_try_that_died(directory):
    reserve(directory, "a")
    reserve(directory, "a")
    assert budget(directory).reserved() == Decimal("0.4")


def test_a_retry_that_costs_more_is_held_to_the_limit_too(directory):
    reserve(directory, "a", "0.4")
    reserve(directory, "b", "0.4")
    with pytest.raises(OverLimitError):
        reserve(directory, "a", "0.7")
    reserve(directory, "a", "0.6")
    assert budget(directory).reserved() == Decimal(1)


def test_what_cost_nothing_is_given_back_once(directory):
    reserve(directory, "a")
    budget(directory).release([key("a")])
    budget(directory).release([key("a"), key("never")])
    assert budget(directory).reserved() == 0
    reserve(directory, "b", "1")
    reserve(directory, "c", "1", released=[key("b")])


# Killed between the reservation and the intent.


def test_another_submit_takes_a_dead_holders_place_after_a_minute_and_not_before(directory):
    reserve(directory, "dead", "1")
    with pytest.raises(OverLimitError):
        reserve(directory, "b", "1", at=NOW + timedelta(seconds=59))
    assert directory.read(key("dead")) is None
    reserve(directory, "b", "1", at=NOW + timedelta(seconds=61))
    assert budget(directory).reserved() == Decimal(1)
    taken = Ledger(directory).attempts(an_attempt("dead").identity)
    assert [(attempt.state, attempt.reason) for attempt in taken] == [(AttemptState.REJECTED, "ReservationGivenBack")]


def test_a_holder_that_still_lives_cannot_store_its_intent_any_more(shared_task, directory, vendor):
    def slow():
        """Between the reservation and the intent more than a minute passes, and another submit comes by."""
        later = an_attempt("other", at=NOW_OF_TASKS + timedelta(seconds=61)).replace(run_id=RUN)
        Reservations.of_run(directory, "d", RUN).reserve(later, Decimal("0.4"), limit=Decimal("0.4"))

    create = directory.create

    def creates(key, value):
        if key == shared_task.identity.key(1) and value["state"] == "intent":
            slow()
        return create(key, value)

    shared_task.ledger.store.create = creates
    with pytest.raises(LedgerError, match="this one sent nothing") as caught:
        shared_task.run(order=within("0.4"))
    assert caught.value.retryable
    assert vendor.charges == []
    assert reserved(directory) == Decimal("0.4"), "the other's"
    with pytest.raises(InvalidRequestError, match="has reserved"):
        shared_task.run(order=within("0.4"))
    assert shared_task.run(order=within("0.8")).request_id == "job-1"


def test_a_holder_with_an_intent_keeps_its_reservation(directory):
    reserve(directory, "a", "1")
    directory.create(key("a"), an_attempt("a").to_dict())
    for _ in range(2):
        with pytest.raises(OverLimitError):
            reserve(directory, "b", "1", at=NOW + timedelta(hours=5))
    for state in (AttemptState.UNKNOWN, AttemptState.SUBMITTED):
        directory.replace(key("a"), an_attempt("a", state=state).to_dict())
        with pytest.raises(OverLimitError):
            reserve(directory, "b", "1", at=NOW + timedelta(hours=5))


def test_a_holder_that_stores_its_intent_at_that_very_moment_keeps_its_reservation(directory):
    reserve(directory, "a", "1")
    read = directory.read

    def reads(which):
        value = read(which)
        if which == key("a"):
            directory.read = read
            directory.create(which, an_attempt("a").to_dict())
        return value

    directory.read = reads
    with pytest.raises(OverLimitError):
        reserve(directory, "b", "1", at=NOW + timedelta(seconds=61))
    assert read(key("a"))["state"] == "intent"


@pytest.mark.parametrize("state", [AttemptState.REJECTED, AttemptState.VOID, AttemptState.FORGOTTEN])
def test_what_cost_nothing_is_given_back_by_whoever_meets_the_limit(directory, state):
    reserve(directory, "a", "1")
    directory.create(key("a"), an_attempt("a", state=state).to_dict())
    reserve(directory, "b", "1")


def test_what_is_spent_is_not_read_again(directory, mocker):
    reserve(directory, "a", "1")
    directory.create(key("a"), an_attempt("a", state=AttemptState.SUBMITTED).to_dict())
    with pytest.raises(OverLimitError):
        reserve(directory, "b", "1", at=NOW + timedelta(hours=1))
    read = mocker.spy(LocalDirectory, "read")
    with pytest.raises(OverLimitError):
        reserve(directory, "b", "1", at=NOW + timedelta(hours=1))
    assert key("a") not in [call.args[1] for call in read.call_args_list]


def test_a_retry_of_a_dead_try_renews_its_reservation(directory):
    reserve(directory, "a", "1")
    reserve(directory, "a", "1", at=NOW + timedelta(seconds=100))
    with pytest.raises(OverLimitError):
        reserve(directory, "b", "1", at=NOW + timedelta(seconds=120))
    assert directory.read(key("a")) is None, "its place is its own"


def test_entries_of_an_older_version_are_read_and_stay(directory):
    directory.create(("budgets", "d", "r", "000001"), {"reserve": "submits/d/r/a/-1/1", "usd": "0.4", "claim": "x"})
    assert budget(directory).reserved() == Decimal("0.4")
    with pytest.raises(OverLimitError):
        reserve(directory, "b", "1", at=NOW + timedelta(hours=1))


def test_runs_have_budgets_of_their_own(directory):
    reserve(directory, "a", "1")
    budget(directory, "r2").reserve(an_attempt("a"), Decimal(1), limit=Decimal(1))


def test_what_a_deleted_run_of_the_same_id_has_spent_is_no_part_of_the_new_runs_sum(directory):
    old, again, new = (an_attempt(who).replace(run_after=NOW + later) for who, later in
                       (("a", timedelta(0)), ("b", timedelta(0)), ("c", timedelta(days=1))))  # fmt: skip
    spend = partial(Reservations.reserve, usd=Decimal("0.6"), limit=Decimal(1))
    spend(budget(directory), old)
    with pytest.raises(OverLimitError):
        spend(budget(directory), again)
    spend(budget(directory), new)
    with pytest.raises(OverLimitError) as caught:
        spend(budget(directory), new.replace(map_index=1))
    assert caught.value.reserved == Decimal("0.6"), "its own alone"
    period = Reservations.of_period(directory, "mine", "day-2026-05-06")
    spend(period, old)
    with pytest.raises(OverLimitError):  # of a connection all runs count
        spend(period, new)


def test_a_gap_in_the_listing_is_filled_by_reading(directory, mocker):
    for who in "abc":
        reserve(directory, who, "0.1")
    entries = list(directory.list(("budgets",)))
    mocker.patch.object(directory, "list", return_value=iter([entries[0], entries[2]]))
    assert budget(directory).reserved() == Decimal("0.3")


def test_a_budget_that_cannot_be_read_stops_the_submit(directory, tmp_path):
    reserve(directory, "a")
    next(tmp_path.rglob("000001.json")).write_text("{")
    with pytest.raises(LedgerError):
        reserve(directory, "b")


def _reserve_many(root, number):
    granted = 0
    for n in range(10):
        try:
            reserve(LocalDirectory(root), f"{number}-{n}", "0.1", "1.7")
        except OverLimitError:
            continue
        granted += 1
    return granted


@pytest.mark.slow
def test_of_many_processes_exactly_as_many_are_granted_as_the_budget_allows(tmp_path):
    with ProcessPoolExecutor(4, mp_context=get_context("fork")) as pool:
        granted = sum(pool.map(partial(_reserve_many, tmp_path), range(4)))
    assert granted == 17
    assert budget(LocalDirectory(tmp_path)).reserved() == Decimal("1.7")


RUN = "scheduled__2026-01-01T00:00:00+00:00"  # that of the tasks in tests/support/ledger.py


def within(limit="1"):
    return an_order(cost=KNOWN, limits=Limits(max_run_cost_usd=Decimal(limit)))


@pytest.fixture
def shared_task(directory, vendor, make_task):
    return make_task(Ledger(directory), vendor)


def test_mapped_tasks_and_their_retries_share_one_budget(directory, vendor, make_task):
    tasks = [make_task(Ledger(directory), vendor, number) for number in range(5)]
    start = threading.Barrier(len(tasks))

    def run(task):
        start.wait()
        try:
            return [task.run(order=within()).request_id for _ in range(3)]
        except InvalidRequestError:
            return None

    with ThreadPoolExecutor(len(tasks)) as pool:
        ended = list(pool.map(run, tasks))
    assert len(vendor.charges) == 2
    assert ended.count(None) == 3


def reserved(directory):
    return Reservations.of_run(directory, "d", RUN).reserved()


def test_a_refused_submit_gives_its_reservation_back(shared_task, directory):
    with pytest.raises(RateLimitedError):
        shared_task.run(RateLimitedError("Wait."), order=within())
    assert reserved(directory) == 0


def test_an_unknown_outcome_keeps_its_reservation_until_it_is_forgotten(shared_task, directory):
    shared_task.run_unknown(order=within("0.4"))
    assert reserved(directory) == Decimal("0.4")
    forget(shared_task.ledger, shared_task.identity)
    shared_task.run(order=within("0.4"))
    assert reserved(directory) == Decimal("0.4")


def test_a_reservation_that_could_not_be_given_back_is_given_back_by_the_next_try(shared_task, mocker, caplog):
    mocker.patch.object(Limits, "give_back", side_effect=LedgerError("The ledger could not be written."))
    with pytest.raises(RateLimitedError):
        shared_task.run(RateLimitedError("Wait."), order=within("0.4"))
    assert "next try gives the reservation back" in caplog.text
    mocker.stopall()
    shared_task.run(order=within("0.4"))


@needs_state_store
def test_a_budget_without_a_shared_ledger_is_refused(vendor, accessor, make_task):
    for ledger in (None, Ledger(TaskStateStore(accessor))):
        with pytest.raises(InvalidRequestError, match="ledger_path"):
            make_task(ledger, vendor).run(order=within())
    assert vendor.charges == []
