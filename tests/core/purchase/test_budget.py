"""What a connection's owner lets all DAGs spend in a period, to the cent."""

from __future__ import annotations

import logging
import uuid
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from multiprocessing import get_context

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from airflow_video_providers.core.errors import InvalidRequestError, LedgerError, RateLimitedError
from airflow_video_providers.core.jobs import VideoJob
from airflow_video_providers.core.purchase.budget import Budget
from airflow_video_providers.core.purchase.decision import Try
from airflow_video_providers.core.purchase.ledger import Ledger
from airflow_video_providers.core.purchase.limits import Limits
from airflow_video_providers.core.purchase.pricing import Estimate
from airflow_video_providers.core.purchase.records import Attempt, AttemptState, Identity
from airflow_video_providers.core.purchase.reservations import HOLD, OverLimitError, Reservations
from airflow_video_providers.core.purchase.stores.object_directory import LocalDirectory
from airflow_video_providers.core.purchase.submit_once import Outside, submit_once
from tests.support.ledger import MODEL, an_order
from tests.support.ledger import NOW as NOW_OF_TASKS

CENTS = Decimal("0.01")
NOW = datetime(2026, 5, 6, 7, 8, tzinfo=UTC)  # a Wednesday


@pytest.mark.parametrize("given", [{"usd": 50, "per": "day"}, '{"usd": "50.00", "per": "day"}'])
def test_a_budget_is_a_dict_or_its_text(given):
    assert Budget.of(given) == Budget(Decimal(50), "day")


@pytest.mark.parametrize("nothing", [None, "", "  ", "null"])
def test_a_form_that_was_left_empty_sets_none(nothing):
    assert Budget.of(nothing) is None


@pytest.mark.parametrize(
    "odd",
    [50, "50", [], {}, {"usd": 50}, {"per": "day"}, {"usd": 50, "per": "year"}, {"usd": -1, "per": "day"}, "{", True,
     {"usd": "much", "per": "day"}, {"usd": 50, "per": "day", "of": "x"}, {"usd": 50, "per": []}, {"usd": None, "per": "day"}],
)  # fmt: skip
def test_a_budget_that_cannot_be_read_is_refused(odd):
    with pytest.raises(InvalidRequestError, match="budget"):
        Budget.of(odd)


@pytest.mark.parametrize(
    ("per", "now", "name", "ends"),
    [
        ("day", NOW, "day-2026-05-06", datetime(2026, 5, 7, tzinfo=UTC)),
        ("week", NOW, "week-2026-05-04", datetime(2026, 5, 11, tzinfo=UTC)),
        ("month", NOW, "month-2026-05", datetime(2026, 6, 1, tzinfo=UTC)),
        ("month", datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC), "month-2026-12", datetime(2027, 1, 1, tzinfo=UTC)),
        ("week", datetime(2026, 1, 1, tzinfo=UTC), "week-2025-12-29", datetime(2026, 1, 5, tzinfo=UTC)),
        (
            "day",
            datetime.fromisoformat("2026-05-06T23:30:00-05:00"),
            "day-2026-05-07",
            datetime(2026, 5, 8, tzinfo=UTC),
        ),
    ],
)
def test_a_period_is_the_calendars_in_utc(per, now, name, ends):
    period = Budget(Decimal(1), per).period(now)
    assert (period.name, period.ends) == (name, ends)


def within(usd="1", cost="0.4", per="day", **limits):
    return an_order(
        cost=Estimate(Decimal(cost), "documented"), limits=Limits(budget=Budget(Decimal(usd), per), **limits)
    )


@pytest.fixture
def shared(tmp_path):
    return Ledger(LocalDirectory(tmp_path))


def test_a_refusal_for_want_of_money_says_when_the_period_ends_and_a_retry_may_help(shared, vendor, make_task):
    for number in range(2):
        make_task(shared, vendor, number).run(order=within())
    with pytest.raises(InvalidRequestError) as caught:
        make_task(shared, vendor, 3).run(order=within())
    told = str(caught.value)
    assert "has spent or reserved $0.8 of the $1 that its owner allows per day; this submit would add $0.4" in told
    assert "2026-01-03 00:00 UTC" in told
    assert (caught.value.retryable, caught.value.charged, caught.value.field) == (True, "no", "budget")
    assert len(vendor.charges) == 2
    tomorrow = NOW_OF_TASKS + timedelta(days=1)
    assert make_task(shared, vendor, 3).run(order=within(), clock=lambda: tomorrow).request_id == "job-3"


def test_an_unknown_outcome_counts_until_it_is_settled(shared, vendor, make_task):
    from airflow_video_providers.core.purchase.resolve import forget

    lost = make_task(shared, vendor, 0)
    lost.run_unknown(order=within("0.4"))
    with pytest.raises(InvalidRequestError, match="spent or reserved"):
        make_task(shared, vendor, 1).run(order=within("0.4"))
    forget(shared, lost.identity)
    assert make_task(shared, vendor, 1).run(order=within("0.4")).request_id == "job-2"


def test_of_two_sums_the_one_that_refuses_leaves_nothing_reserved_in_the_other(shared, vendor, make_task):
    make_task(shared, vendor, 0).run(order=within("0.4"))
    refused = make_task(shared, vendor, 1)
    with pytest.raises(InvalidRequestError, match="per day"):
        refused.run(order=within("0.4", max_run_cost_usd=Decimal(5)))
    assert Reservations.of_run(shared.store, "d", refused.identity.run_id).reserved() == 0


def test_connections_have_budgets_of_their_own_and_dags_share_one(shared, vendor, make_task):
    make_task(shared, vendor, 0).run(order=within("0.4"))
    other = make_task(shared, vendor, 0)
    other.identity = Identity("another_dag", "r", "t")
    with pytest.raises(InvalidRequestError, match="per day"):
        other.run(order=within("0.4"))
    import dataclasses

    assert other.run(order=dataclasses.replace(within("0.4"), conn_id="pixazo_other")).request_id == "job-2"


def test_a_connection_that_is_spelt_otherwise_has_no_budget_of_its_own(shared, vendor, make_task):
    import dataclasses

    make_task(shared, vendor, 0).run(order=within("0.4"))
    with pytest.raises(InvalidRequestError, match="per day"):  # Airflow reads AIRFLOW_CONN_PIXAZO_DEFAULT for both
        make_task(shared, vendor, 1).run(order=dataclasses.replace(within("0.4"), conn_id="Pixazo_DEFAULT"))


def test_a_job_that_is_bought_is_kept_whatever_the_budget_says_later(shared, vendor, make_task):
    task = make_task(shared, vendor)
    task.run(order=within())
    assert task.run(order=within("0")).request_id == "job-1"


# --- many at once ------------------------------------------------------------------------------------------------

PRICE, BUDGET = Decimal("0.25"), Decimal(20)
SUBMITS = [(dag, index) for dag in ("clips", "teasers") for index in range(100)]


class KilledError(BaseException):
    """What ends a process."""


class Dying(LocalDirectory):
    """Dies when an intent is about to be stored: between the reservation and the intent."""

    def create(self, key, value):
        if key[0] == "submits" and value["state"] == "intent":
            raise KilledError
        return super().create(key, value)


def _submit(root, now, dies, which):
    dag, index = which
    ledger = Ledger((Dying if dies and index % 10 == 3 else LocalDirectory)(root / "ledger"))
    identity = Identity(dag, "scheduled__2026-01-01", "submit", index)

    def send(_order):
        if dies and index % 7 == 2:
            raise RateLimitedError("429.")
        charge = uuid.uuid4().hex
        (root / "charges" / charge).touch()
        return VideoJob(model=MODEL, request_id=charge)

    outside = Outside(log=logging.getLogger("x"), poll=lambda job: job, clock=lambda: now, sleep=lambda _: None)
    order = within(str(BUDGET), str(PRICE))
    try:
        submit_once(order, ledger, send, this=Try(identity, 3, 1 if dies else 2), outside=outside)
    except KilledError:
        return "killed"
    except (InvalidRequestError, RateLimitedError, LedgerError) as error:
        return type(error).__name__
    return "bought"


@pytest.mark.slow
def test_200_submits_of_two_dags_in_8_processes_spend_the_budget_to_the_cent(tmp_path):
    (tmp_path / "ledger").mkdir()
    (tmp_path / "charges").mkdir()
    spent = []
    with ProcessPoolExecutor(8, mp_context=get_context("fork")) as pool:
        for dies, now in ((True, NOW), (False, NOW + timedelta(seconds=HOLD + 1)), (False, NOW + timedelta(hours=1))):
            ended = list(pool.map(partial(_submit, tmp_path, now, dies), SUBMITS, chunksize=1))
            spent.append(len(list((tmp_path / "charges").iterdir())) * PRICE)
            assert not dies or {"killed", "bought"} <= set(ended)
    assert spent[0] < BUDGET, "some died, and hold what they reserved"
    assert spent[1:] == [BUDGET, BUDGET]
    log = Reservations.of_period(LocalDirectory(tmp_path / "ledger"), "pixazo_default", "day-2026-05-06")
    assert log.reserved() == BUDGET


# --- any history -------------------------------------------------------------------------------------------------


class InMemory:
    """A store that tasks share."""

    shared = True

    def __init__(self):
        self.rows = {}
        self.before_create = None

    def read(self, key):
        return self.rows.get(key)

    def create(self, key, value):
        if self.before_create is not None:
            meanwhile, self.before_create = self.before_create, None
            meanwhile()
        return self.rows.setdefault(key, value) is value

    def replace(self, key, value):
        self.rows[key] = value

    def list(self, prefix):
        return iter(())


class Sums(RuleBasedStateMachine):
    """Submits that reserve, die, store their intent late, are refused or lost: in any order, and inside each other."""

    LIMIT = Decimal("1.00")

    def __init__(self):
        super().__init__()
        self.store = InMemory()
        self.now = NOW
        self.count = 0
        self.waiting = []  # reserved, and no intent yet
        self.open = []
        self.spent = Decimal(0)

    def begin(self, usd):
        self.count += 1
        attempt = Attempt(
            dag_id="d", run_id="r", task_id=f"t{self.count}", number=1, purchase=1, state=AttemptState.INTENT,
            claim=str(self.count), created_at=self.now, model=MODEL,
        )  # fmt: skip
        try:
            self.sum().reserve(attempt, usd, limit=self.LIMIT)
        except OverLimitError:
            return None
        self.waiting.append((attempt, usd))
        return attempt

    def sum(self):
        return Reservations.of_period(self.store, "c", "day-2026-05-06")

    @rule(cents=st.integers(1, 60), other=st.integers(1, 60), within=st.booleans())
    def a_submit_reserves(self, cents, other, within):
        if within:
            self.store.before_create = lambda: self.begin(other * CENTS)
        self.begin(cents * CENTS)
        self.store.before_create = None

    @rule(seconds=st.sampled_from([1, 30, 61, 3600]))
    def time_passes(self, seconds):
        self.now += timedelta(seconds=seconds)

    @rule(data=st.data(), end=st.sampled_from(["intent", "intent", "dies"]))
    def one_goes_on(self, data, end):
        if not self.waiting:
            return
        attempt, usd = self.waiting.pop(data.draw(st.integers(0, len(self.waiting) - 1)))
        if end == "intent" and self.store.create(attempt.key, attempt.to_dict()):
            self.open.append((attempt, usd))

    @rule(data=st.data(), end=st.sampled_from(["bought", "bought", "refused", "lost"]))
    def one_ends(self, data, end):
        if not self.open:
            return
        attempt, usd = self.open.pop(data.draw(st.integers(0, len(self.open) - 1)))
        state = {"bought": "submitted", "refused": "rejected", "lost": "unknown"}[end]
        self.store.replace(attempt.key, attempt.replace(state=AttemptState(state)).to_dict())
        if end != "refused":
            self.spent += usd

    @invariant()
    def what_is_spent_or_may_be_never_passes_the_limit(self):
        assert self.spent + sum(usd for _, usd in self.open) <= self.sum().reserved() <= self.LIMIT

    @rule()
    def after_a_minute_all_that_nothing_came_of_can_be_spent(self):
        """Nobody goes on any more: what is left of the limit is bought to the last cent."""
        self.now += timedelta(seconds=HOLD + 1)
        self.waiting.clear()
        left = self.LIMIT - self.spent - sum(usd for _, usd in self.open)
        if left > 0:
            attempt = self.begin(left)
            assert attempt is not None
            self.waiting.clear()
            self.store.create(attempt.key, attempt.to_dict())
            self.open.append((attempt, left))


TestSums = Sums.TestCase
TestSums.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
