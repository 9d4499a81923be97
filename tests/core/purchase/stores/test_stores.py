"""Both backends keep the same promises."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context

import pytest

from airflow_video_providers.core.errors import LedgerError
from airflow_video_providers.core.jobs import VideoJob
from airflow_video_providers.core.purchase.ledger import Ledger
from airflow_video_providers.core.purchase.records import Attempt, AttemptState, Identity
from airflow_video_providers.core.purchase.stores.base import DamagedRecordError
from airflow_video_providers.core.purchase.stores.naming import decode, encode
from airflow_video_providers.core.purchase.stores.object_directory import LocalDirectory
from airflow_video_providers.integration.state_store import TaskStateStore, create_once
from tests.support.versions import needs_state_store

KEY = ("submits", "dag", "run 1/ä", "task", "-1", "1")


def record(claim="a", **more):
    return {"claim": claim, "text": "ü", "nested": {"n": 1}} | more


def test_what_was_never_written_is_not_there(store):
    assert store.read(KEY) is None


def test_what_is_created_is_read_back(store):
    assert store.create(KEY, record())
    assert store.read(KEY) == record()


def test_a_second_create_loses_and_changes_nothing(store):
    store.create(KEY, record("a"))
    assert not store.create(KEY, record("b"))
    store.replace(KEY, record("a", done=True))
    assert not store.create(KEY, record("c"))
    assert store.read(KEY) == record("a", done=True)


def test_replace_overwrites(store):
    store.create(KEY, record())
    store.replace(KEY, record(request_id="r"))
    assert store.read(KEY) == record(request_id="r")


def test_records_do_not_touch_each_other(store):
    store.create(KEY, record("a"))
    store.create((*KEY[:-1], "2"), record("b"))
    assert store.read(KEY)["claim"] == "a"
    assert store.read((*KEY[:-1], "2"))["claim"] == "b"


def test_a_value_that_is_not_a_record_is_an_error(store, accessor, tmp_path):
    store.create(KEY, record())
    next(tmp_path.rglob("*.json"), tmp_path / "x").write_text('"text"')
    accessor.rows["video_ledger.submits.1"] = '"text"'
    with pytest.raises(DamagedRecordError, match="not a record"):
        store.read(KEY)


# --- the directory -----------------------------------------------------------------------------------------------


def test_a_root_that_is_not_there_is_an_error_and_not_an_empty_ledger(tmp_path):
    with pytest.raises(FileNotFoundError, match="mount"):
        LocalDirectory(tmp_path / "not-mounted")


def test_a_crash_before_the_link_leaves_no_record(tmp_path, mocker):
    store = LocalDirectory(tmp_path)
    mocker.patch("os.link", side_effect=OSError("power cut"))
    with pytest.raises(OSError, match="power cut"):
        store.create(KEY, record())
    assert store.read(KEY) is None


def test_no_spool_file_stays_behind(tmp_path):
    store = LocalDirectory(tmp_path)
    store.create(KEY, record())
    store.create(KEY, record("b"))
    store.replace(KEY, record("c"))
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["1.json"]


def test_a_link_whose_answer_was_lost_is_recognised_as_our_own(tmp_path, mocker):
    import os

    real = os.link

    def link_twice(source, target):
        real(source, target)
        real(source, target)

    mocker.patch("os.link", link_twice)
    assert LocalDirectory(tmp_path).create(KEY, record())


def test_listing_yields_what_is_below_a_prefix(tmp_path):
    store = LocalDirectory(tmp_path)
    store.create(("submits", "d.1", "r", "t", "-1", "1"), record("a"))
    store.create(("submits", "d.2", "r", "t", "-1", "1"), record("b"))
    store.create(("landed", "x"), record("c"))
    assert [found.value["claim"] for found in store.list(("submits",))] == ["a", "b"]
    assert [found.value["claim"] for found in store.list(("submits", "d.2"))] == ["b"]
    assert list(store.list(("nothing",))) == []


@pytest.mark.parametrize("part", ["..", ".", "a/b", "a%2Fb", "ü" * 200, "x" * 250, "=41", "A", ""])
def test_a_name_is_one_safe_file_name(part):
    name = encode(part)
    assert "/" not in name
    assert "%" not in name
    assert name not in (".", "..")
    assert len(name.encode()) < 200


def test_different_parts_have_different_names():
    parts = ["a/b", "a=2Fb", "a b", "a+b", "x" * 250, "x" * 251, "ü" * 100, "ü" * 101, ".", "=2E", ".a", "=2Ea"]
    assert len(set(map(encode, parts))) == len(parts)


@pytest.mark.parametrize("part", ["..", "a/b", "a=2Fb", "run 1/ä", "scheduled__2026-01-01T00:00:00+00:00", "-1", ""])
def test_a_name_tells_its_part(part):
    assert decode([encode(part)]) == (part,)


def test_a_name_that_was_shortened_tells_nothing():
    assert decode([encode("x" * 250)]) is None


# --- the state store ---------------------------------------------------------------------------------------------


@needs_state_store
def test_an_intent_is_read_before_its_creator_wrote_anything_else(accessor):
    store = TaskStateStore(accessor)
    store.create(KEY, record())
    assert "video_ledger.submits.1" not in accessor.rows
    assert store.read(KEY) == record()


@needs_state_store
def test_the_state_store_cannot_be_listed_from_a_task(accessor):
    with pytest.raises(LedgerError, match="cannot list"):
        list(TaskStateStore(accessor).list(("submits",)))


class Stepped:
    """Registers that let one caller at a time do one operation, in an order that is given."""

    def __init__(self, order):
        self.values = {}
        self._order = list(order)
        self._turn = threading.Condition()

    def view(self, who):
        outer = self

        class View:
            def get(self, name):
                return outer._step(who, lambda: outer.values.get(name))

            def set(self, name, value):
                return outer._step(who, lambda: outer.values.__setitem__(name, value))

        return View()

    def leave(self, who):
        with self._turn:
            self._order = [other for other in self._order if other != who]
            self._turn.notify_all()

    def _step(self, who, operation):
        with self._turn:
            assert self._turn.wait_for(lambda: self._order[0] == who, timeout=30)
            result = operation()
            self._order.pop(0)
            self._turn.notify_all()
            return result


def winners(order, callers):
    registers = Stepped(order)

    def call(who):
        try:
            return create_once(registers.view(who), "x", {"claim": who})
        finally:
            registers.leave(who)

    with ThreadPoolExecutor(len(callers)) as pool:
        return [who for who, won in zip(callers, pool.map(call, callers), strict=True) if won]


def test_create_once_has_at_most_one_winner_in_every_interleaving_of_two_callers():
    operations = 5
    seen = set()
    for places in itertools.combinations(range(2 * operations), operations):
        order = ["a" if place in places else "b" for place in range(2 * operations)]
        won = winners(order, ["a", "b"])
        assert len(won) <= 1, order
        seen.add(tuple(won))
    assert {("a",), ("b",)} <= seen


class StopError(Exception):
    pass


def register_steps(order, lost):
    """Caller a loses the answer of its step ``lost`` and calls again; b calls once. One step at a time, in ``order``."""
    values, won = {}, []

    class Stepped:
        def __init__(self, who, done):
            self.who, self.done, self.step = who, done, 0

        def _do(self, operation):
            self.step += 1
            if self.step <= len(self.done):
                return self.done[self.step - 1]
            result = operation()
            self.done.append(result)
            raise StopError

        def get(self, name):
            return self._do(lambda: values.get(name))

        def set(self, name, value):
            return self._do(lambda: values.__setitem__(name, value))

    done = {"a": [], "b": []}
    again = False
    for who in order:
        try:
            if create_once(Stepped(who, done[who]), "x", {"claim": who}):
                won.append(who)
        except StopError:
            if who == "a" and not again and len(done["a"]) == lost:
                done["a"], again = [], True  # it was done, and its caller heard of an error
    return sorted(set(won))


@pytest.mark.parametrize("lost", [1, 2, 3, 4, 5])
def test_a_caller_that_calls_again_after_an_error_is_still_one_of_at_most_one(lost):
    steps_a, steps_b = lost + 6, 6  # the last step of each hears the answer
    seen = set()
    for places in itertools.combinations(range(steps_a + steps_b), steps_b):
        order = ["b" if place in places else "a" for place in range(steps_a + steps_b)]
        won = register_steps(order, lost)
        assert len(won) <= 1, order
        seen.add(tuple(won))
    assert {("a",), ("b",)} <= seen


def test_who_is_alone_wins():
    assert winners(["a"] * 5, ["a"]) == ["a"]


@needs_state_store
def test_a_loser_never_overwrites_the_winners_record(accessor):
    """The slow caller passed the open gate, slept through the winner's whole purchase, and wakes up."""
    slow = TaskStateStore(accessor)
    real_set = slow.set

    def sleepy(name, value):
        if name.endswith(".gate"):
            winner = TaskStateStore(accessor)
            assert winner.create(KEY, record("winner"))
            winner.replace(KEY, record("winner", request_id="bought"))
        real_set(name, value)

    slow.set = sleepy
    assert not slow.create(KEY, record("slow"))
    assert slow.read(KEY)["request_id"] == "bought"


# --- zombie and retry at the same moment -------------------------------------------------------------------------


def _race(root, number):
    store = LocalDirectory(root)
    return sum(store.create((*KEY[:-1], str(n)), record(f"{number}")) for n in range(40))


@pytest.mark.slow
def test_of_many_processes_exactly_one_creates_each_record(tmp_path):
    with ProcessPoolExecutor(4, mp_context=get_context("fork")) as pool:
        won = list(pool.map(_race, itertools.repeat(tmp_path), range(4)))
    assert sum(won) == 40


def test_of_many_threads_at_most_one_buys(ledger, vendor, make_task):
    """Real threads through the whole purchase, on both backends; losers raise or take the winner's job."""
    lock = threading.Lock()
    start = threading.Barrier(6)

    def buy():
        with lock:
            return vendor.buy()

    def one_try(_):
        task = make_task(ledger, vendor)
        start.wait()
        try:
            return task.run(buy=buy).request_id
        except Exception as error:  # noqa: BLE001 - which error a loser gets is not the point
            return type(error).__name__

    with ThreadPoolExecutor(6) as pool:
        ended = list(pool.map(one_try, range(6)))
    assert len(vendor.charges) <= 1
    assert set(ended) <= {"job-1", "SubmissionOutcomeUnknownError"}
    assert ("job-1" in ended) == bool(vendor.charges)


# --- what the ledger lists ---------------------------------------------------------------------------------------


def test_open_intents_and_jobs_that_never_landed_are_unfinished(tmp_path):
    ledger = Ledger(LocalDirectory(tmp_path))
    states = [AttemptState.INTENT, AttemptState.SUBMITTED, AttemptState.SUBMITTED, AttemptState.REJECTED]
    for number, state in enumerate(states):
        attempt = Attempt(
            **vars(Identity("d", "r", "t", number)),
            number=1,
            purchase=1,
            state=state,
            request_id=f"r{number}" if state is AttemptState.SUBMITTED else None,
            created_at=datetime(2026, 1, 9 - number, tzinfo=UTC),
            model="pixazo:mochi-v1",
        )
        assert ledger.create(attempt)
    assert [attempt.map_index for attempt in ledger.unfinished()] == [2, 1, 0]
    landed = VideoJob(model="pixazo:mochi-v1", request_id="r2")
    ledger.mark_landed(landed, "s3://bucket/manifest.json")
    ledger.mark_landed(landed, "s3://bucket/manifest.json")
    assert [attempt.map_index for attempt in ledger.unfinished()] == [1, 0]
