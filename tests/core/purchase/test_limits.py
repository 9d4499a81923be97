"""What is refused before anything is sent."""

from __future__ import annotations

import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from decimal import Decimal
from functools import partial
from multiprocessing import get_context

import pytest

from airflow_video_providers.core.errors import InvalidRequestError, LedgerError, RateLimitedError
from airflow_video_providers.core.purchase.ledger import Ledger
from airflow_video_providers.core.purchase.limits import Limits
from airflow_video_providers.core.purchase.pricing import Estimate
from airflow_video_providers.core.purchase.reservations import Reservations
from airflow_video_providers.core.purchase.resolve import forget
from airflow_video_providers.core.purchase.stores.object_directory import LocalDirectory
from airflow_video_providers.integration.state_store import TaskStateStore
from tests.support.ledger import an_order

MODEL = "pixazo:mochi-v1"
KNOWN = Estimate(Decimal("0.4"), "documented")
#: What is no amount that can be reckoned with.
UNTOLD = [
    "much", "nan", "inf", -1, True, "9e999999", "1e-999999", float("nan"), float("inf"), 10**5000, 1e300, "0." + "1" * 5000,
    1_000_001, b"1", [1], {}, object(),
]  # fmt: skip


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


@pytest.mark.parametrize("limit", [{"max_cost_usd": 1}, {"max_run_cost_usd": 1}])
def test_an_unknown_price_under_a_limit_is_refused_unless_allowed(limit):
    with pytest.raises(InvalidRequestError, match="allow_unknown_price=True"):
        Limits.of({}, **limit).check(Estimate(), model=MODEL)
    Limits.of({}, **limit, allow_unknown_price=True).check(Estimate(), model=MODEL)
    Limits().check(Estimate(), model=MODEL)


OWNERS = {"max_cost_usd": 1}


@pytest.mark.parametrize("owners", [{"max_cost_usd": 1}, {"max_run_cost_usd": "1"}])
@pytest.mark.parametrize("own", [{}, {"max_cost_usd": 0.5}])
def test_a_task_cannot_lift_a_limit_of_the_connections_owner(owners, own):
    limits = Limits.of(owners, **own, allow_unknown_price=True)
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
    def off():
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


def budget(directory):
    return Reservations(directory, "d", "r")


def reserve(directory, who, usd="0.4", limit="1", **options):
    budget(directory).reserve(("submits", who), Decimal(usd), limit=Decimal(limit), model=MODEL, **options)


def test_reservations_add_up_to_the_limit_and_no_further(directory):
    reserve(directory, "a")
    reserve(directory, "b")
    with pytest.raises(InvalidRequestError, match=r"reserved \$0.8 of \$1; this submit would add \$0.4"):
        reserve(directory, "c")
    reserve(directory, "d", "0.2")
    assert budget(directory).reserved() == Decimal(1)


def test_a_retry_finds_the_reservation_of_the_try_that_died(directory):
    reserve(directory, "a")
    reserve(directory, "a")
    assert budget(directory).reserved() == Decimal("0.4")


def test_what_cost_nothing_is_given_back_once(directory):
    reserve(directory, "a")
    budget(directory).release([("submits", "a")])
    budget(directory).release([("submits", "a"), ("submits", "never")])
    assert budget(directory).reserved() == 0
    reserve(directory, "b", "1")
    reserve(directory, "c", "1", released=[("submits", "b")])


def test_runs_have_budgets_of_their_own(directory):
    reserve(directory, "a", "1")
    Reservations(directory, "d", "r2").reserve(("submits", "a"), Decimal(1), limit=Decimal(1), model=MODEL)


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
        except InvalidRequestError:
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
    return Reservations(directory, "d", RUN).reserved()


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


def test_a_budget_without_a_shared_ledger_is_refused(vendor, accessor, make_task):
    for ledger in (None, Ledger(TaskStateStore(accessor))):
        with pytest.raises(InvalidRequestError, match="ledger_path"):
            make_task(ledger, vendor).run(order=within())
    assert vendor.charges == []
