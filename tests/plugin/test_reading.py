"""What the pages read of a ledger: the same answers from a directory and from a bucket, and only what has changed."""

from __future__ import annotations

import json
import os
import shlex
import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import fsspec
import pytest

from airflow_video_providers.core.errors import LedgerError
from airflow_video_providers.core.jobs import VideoJob
from airflow_video_providers.core.purchase import resolve
from airflow_video_providers.core.purchase.budget import Budget
from airflow_video_providers.core.purchase.ledger import Ledger
from airflow_video_providers.core.purchase.records import Attempt, AttemptState, Identity
from airflow_video_providers.core.purchase.reservations import Reservations
from airflow_video_providers.core.purchase.stores.object_directory import LocalDirectory, ObjectDirectory
from airflow_video_providers.integration.airflow_view import AirflowView, TaskView
from airflow_video_providers.plugin.console import feeds, reading, refreshing
from airflow_video_providers.plugin.console.clearing import clear_each, clear_failed
from airflow_video_providers.plugin.console.feeds import BucketFeed, DirectoryFeed
from airflow_video_providers.plugin.console.index import Index
from airflow_video_providers.plugin.console.purchases import Filter
from airflow_video_providers.plugin.console.reading import PAGE, Reading

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
MODEL = "pixazo:mochi-v1"
ALL = Filter(frozenset({"studio", "other"}))


def who(dag_id: str = "studio", task_id: str = "submit", index: int = -1) -> Identity:
    return Identity(dag_id, "manual__2026-05-04T00:00:00+00:00", task_id, index)


def attempt(identity: Identity, *, ago: timedelta = timedelta(hours=2), **more) -> Attempt:
    known = {
        "model": MODEL,
        "conn_id": "pixazo_default",
        "estimated_cost_usd": Decimal("0.10"),
        "number": 1,
        "purchase": 1,
    }
    return Attempt(**vars(identity), state=AttemptState.INTENT, claim="c", created_at=NOW - ago, **{**known, **more})


class Place:
    """A ledger somewhere, and its reading. What is left of a refresh is kept here, and goes on when a test says so."""

    def __init__(self, store, feed) -> None:
        self.ledger, self.index = Ledger(store), Index()
        self.view, self.runs, self.left = AirflowView(), {}, []
        self.reading = Reading(
            feed, self.index, clock=NOW.timestamp, ask=lambda _: self.view, run_states=lambda _: self.runs,
            go_on=self.left.append,
        )  # fmt: skip

    def buys(self, identity: Identity, request_id: str, *, landed: bool = False, **more) -> VideoJob:
        bought = attempt(identity, **more)
        job = VideoJob(model=bought.model, request_id=request_id, expires_at=more.get("expires_at"))
        self.ledger.create(bought)
        self.ledger.replace(bought.bought(job))
        if landed:
            self.ledger.mark_landed(job, f"s3://bucket/{request_id}/manifest.json")
        return job

    def overview(self, wanted: Filter = ALL):
        self.reading.refresh(now=True)
        return self.reading.overview(wanted)


@pytest.fixture(params=["directory", "bucket"])
def place(request, tmp_path, monkeypatch):
    monkeypatch.setattr(feeds, "_SETTLED_NS", -(10**12))  # in a test nothing is written twice within a tick
    if request.param == "directory":
        store = LocalDirectory(tmp_path)
        return Place(store, DirectoryFeed(store))
    store = ObjectDirectory(fsspec.filesystem("memory"), f"/{tmp_path.name}")
    store._proven = True
    monkeypatch.setattr(
        store, "_create", lambda key, value: store.read(key) is None and store.replace(key, value) is None
    )
    return Place(store, BucketFeed(store))


def test_what_nobody_knows_and_what_never_landed_needs_a_hand_and_what_landed_does_not(place):
    place.ledger.create(attempt(who(task_id="lost")))
    place.buys(who(), "job-1")
    place.buys(who(task_id="done"), "job-2", landed=True)
    seen = place.overview()
    assert {(one.identity.task_id, one.word) for one in seen.hand} == {("lost", "unknown"), ("submit", "bought")}
    assert [one.attempt.request_id for one in seen.landed] == ["job-2"]
    assert seen.counts == {"unknown": 1, "bought": 1, "landed": 1}


def test_what_is_bought_in_a_run_that_goes_on_is_in_the_making_until_its_task_has_failed(place):
    place.buys(who(), "job-1")
    place.runs = {(who().dag_id, who().run_id): "running"}
    place.view = AirflowView({who(): TaskView("deferred", 1)})
    assert [one.word for one in place.overview().making] == ["in the making"]
    place.view = AirflowView({who(): TaskView("failed", 1)})
    assert [one.word for one in place.overview().hand] == ["bought"]


def test_an_intent_whose_task_runs_is_in_flight_and_offers_no_button(place):
    place.ledger.create(attempt(who(), try_number=1))
    place.view = AirflowView({who(): TaskView("running", 1)})
    (one,) = place.overview().making
    assert (one.word, one.may_attach, one.may_forget) == ("in flight", False, False)


def test_who_may_not_read_a_dag_sees_none_of_its_rows_nor_its_money(place):
    place.buys(who("other"), "secret-1", landed=True)
    place.ledger.create(attempt(who("other", "lost")))
    place.buys(who(), "job-1", landed=True)
    mine = Filter(frozenset({"studio"}))
    seen = place.overview(mine)
    assert (seen.hand, seen.counts) == ([], {"landed": 1})
    assert place.reading.matching(Filter(frozenset({"studio"}), request_id="secret"))[1] == 0
    assert place.reading.spending(mine, NOW.date()).total.usd == Decimal("0.1")
    assert place.overview(Filter(frozenset())).counts == {}


def test_a_filter_finds_by_the_beginning_of_a_dag_and_of_an_id_and_by_state(place):
    place.buys(who(), "job-1", landed=True)
    place.buys(who(task_id="b"), "job-22")
    place.buys(who("other"), "job-3")

    def found(**wanted) -> set[str]:
        place.reading.refresh(now=True)
        rows, total = place.reading.matching(Filter(ALL.dags, **wanted))
        assert total == len(rows)
        return {one.attempt.request_id for one in rows}

    assert found(dag_id="stu") == {"job-1", "job-22"}
    assert found(request_id="job-2") == {"job-22"}
    assert found(state="landed") == {"job-1"}
    assert found(dag_id="%") == found(request_id="_ob") == set()


def test_pages_hold_so_many_and_no_more_and_none_is_missed(place):
    for number in range(PAGE + 3):
        place.buys(who(index=number), f"job-{number}", ago=timedelta(minutes=number))
    place.reading.refresh(now=True)
    first, total = place.reading.matching(ALL)
    rest, _ = place.reading.matching(ALL, offset=PAGE)
    assert (total, len(first), len(rest)) == (PAGE + 3, PAGE, 3)
    assert len({one.attempt.request_id for one in [*first, *rest]}) == PAGE + 3


def test_spend_counts_what_may_have_been_charged_by_day_model_and_connection(place):
    place.buys(who(), "job-1", landed=True)
    place.buys(who(task_id="b"), "job-2", ago=timedelta(days=1), model="segmind:mochi-1", conn_id="segmind_default")
    place.ledger.create(attempt(who(task_id="lost")))
    place.ledger.create(attempt(who(task_id="no-price"), estimated_cost_usd=None))
    free = attempt(who(task_id="refused"))
    place.ledger.create(free)
    place.ledger.replace(free.replace(state=AttemptState.REJECTED, reason="InsufficientCreditsError"))
    charged_nothing = place.buys(who(task_id="error"), "job-3")
    place.ledger.mark_failed(charged_nothing.replace(charged="no"))
    place.reading.refresh(now=True)
    spending = place.reading.spending(ALL, NOW.date())
    assert [(day.name, str(day.usd)) for day in spending.days if day.count] == [
        ("2026-05-03", "0.100000"),
        ("2026-05-04", "0.200000"),
    ]
    assert {one.name: (one.usd, one.unpriced) for one in spending.models} == {
        MODEL: (Decimal("0.2"), 1), "segmind:mochi-1": (Decimal("0.1"), 0),
    }  # fmt: skip
    assert [one.name for one in spending.connections] == ["pixazo_default", "segmind_default"]
    assert place.reading.spent_now(ALL, NOW.date())["segmind_default", "month"] == Decimal("0.1")


def test_what_the_vendor_says_that_a_job_cost_is_summed_instead_of_the_estimate_and_a_limit_counts_estimates(place):
    landed = place.buys(who(task_id="landed"), "job-1")
    place.ledger.mark_landed(landed.replace(cost_usd=Decimal("0.25")), "s3://bucket/manifest.json")
    seen = place.buys(who(task_id="seen"), "job-2", estimated_cost_usd=None)
    place.ledger.mark_finished(seen.replace(cost_usd=Decimal("0.03")))
    attached = attempt(who(task_id="attached"))
    place.ledger.create(attached)
    place.ledger.replace(attached.bought(VideoJob(model=MODEL, request_id="job-3", cost_usd=Decimal("0.004"))))
    place.buys(who(task_id="estimated"), "job-4", landed=True)
    overview = place.overview()
    total = place.reading.spending(ALL, NOW.date()).total
    assert (total.usd, total.count, total.unpriced, total.real) == (Decimal("0.384"), 4, 0, 3)
    assert place.reading.spent_now(ALL, NOW.date())["pixazo_default", "day"] == Decimal("0.3")
    words = {one.identity.task_id: (one.word, one.cost_usd) for one in [*overview.hand, *overview.landed]}
    assert words == {
        "landed": ("landed", Decimal("0.25")), "seen": ("bought", Decimal("0.03")),
        "attached": ("bought", Decimal("0.004")), "estimated": ("landed", None),
    }  # fmt: skip
    place.ledger.mark_landed(seen.replace(cost_usd=Decimal("0.03")), "s3://bucket/seen.json")
    assert "seen" in [one.identity.task_id for one in place.overview().landed]


def test_a_job_that_another_task_was_given_is_spent_once_by_whom_it_was_bought(place):
    job = place.buys(who(), "job-1")
    resolve.attach(place.ledger, who("other", "land_again"), job, now=NOW)
    place.buys(who(task_id="same-id"), "job-1", model="segmind:mochi-1")
    place.reading.refresh(now=True)
    assert place.reading.spending(ALL, NOW.date()).total.usd == Decimal("0.2"), "an id of two vendors is two jobs"
    place.ledger.mark_landed(job.replace(cost_usd=Decimal("0.12")), "s3://bucket/job-1/manifest.json")
    place.reading.refresh(now=True)
    spending = place.reading.spending(ALL, NOW.date())
    assert (spending.total.usd, spending.total.count, spending.total.unpriced) == (Decimal("0.22"), 2, 0)
    assert {one.name: (one.usd, one.count) for one in spending.models}[MODEL] == (Decimal("0.12"), 1)
    assert place.reading.spending(Filter(ALL.dags, dag_id="other"), NOW.date()).total.count == 0


def test_of_purchases_that_hold_one_job_that_one_is_spent_which_knows_a_price(place):
    place.buys(who(), "job-1", estimated_cost_usd=None)
    place.buys(who("other"), "job-1", ago=timedelta(hours=1))
    free = place.buys(who(task_id="free"), "job-2", ago=timedelta(hours=3))
    place.ledger.mark_failed(free.replace(charged="no"))
    place.reading.refresh(now=True)
    total = place.reading.spending(ALL, NOW.date()).total
    assert (total.usd, total.count, total.unpriced) == (Decimal("0.1"), 1, 0)


def test_what_is_shown_beside_a_limit_is_what_the_limit_counts(place):
    budget = Budget.of({"usd": 10, "per": "day"})
    reserved = Reservations.of_period(place.ledger.store, "pixazo_default", budget.period(NOW).name)

    def reserves(task_id: str, **more) -> Attempt:
        wanted = attempt(who(task_id=task_id), **more)
        reserved.reserve(wanted, Decimal("0.10"), limit=budget.usd)
        place.ledger.create(wanted)
        return wanted

    def ends(wanted: Attempt, state: AttemptState) -> None:
        place.ledger.replace(wanted.replace(state=state))
        reserved.release([wanted.key])  # as the submit, its retry, or the next at the limit does

    for state in (AttemptState.REJECTED, AttemptState.VOID, AttemptState.FORGOTTEN):
        ends(reserves(state.value), state)
    reserves("in flight")
    for charged in ("no", "yes", "unknown"):
        job = VideoJob(model=MODEL, request_id=f"job-{charged}", charged=charged)
        place.ledger.replace(reserves(f"failed {charged}").bought(job))
        place.ledger.mark_failed(job)
    place.reading.refresh(now=True)
    shown = place.reading.spent_now(ALL, NOW.date())["pixazo_default", "day"]
    assert shown == reserved.reserved() == Decimal("0.4")


def test_an_account_whose_newest_purchase_was_refused_for_want_of_credits_is_said_to_be_empty_until_one_is_bought(
    place,
):
    refused = attempt(who())
    place.ledger.create(refused)
    place.ledger.replace(refused.replace(state=AttemptState.REJECTED, reason="InsufficientCreditsError"))
    (empty,) = place.overview().empty
    assert (empty.conn_id, empty.refused) == ("pixazo_default", (who(),))
    assert posted(empty.commands[0])[1]["task_ids"] == ["submit"]
    assert place.overview(Filter(frozenset({"other"}))).empty == []
    place.buys(who(task_id="b"), "job-1", ago=timedelta(minutes=1))
    assert place.overview().empty == []


def test_what_the_vendor_forgets_soonest_comes_first(place):
    place.ledger.create(attempt(who(task_id="lost"), ago=timedelta(days=2)))
    place.buys(who(task_id="later"), "job-1")
    place.buys(who(task_id="soon"), "job-2", expires_at=NOW + timedelta(minutes=20))
    hand = place.overview().hand
    assert [one.identity.task_id for one in hand] == ["soon", "lost", "later"]
    assert "has promised to keep it until 2026-05-04 12:20:00 UTC, and no longer." in hand[0].advice
    assert [one.expiring for one in hand] == [True, False, False]


def test_what_expires_soon_needs_a_hand_also_while_airflow_is_at_it_and_is_said_to_be_in_the_making(place):
    place.buys(who(task_id="soon"), "job-1", expires_at=NOW + timedelta(minutes=20))
    place.buys(who(task_id="early"), "job-2", expires_at=NOW + timedelta(hours=20))
    place.runs = {(who().dag_id, who().run_id): "running"}
    seen = place.overview()
    assert [(one.identity.task_id, one.word) for one in seen.hand] == [("soon", "in the making")]
    assert "until 2026-05-04 12:20:00 UTC" in seen.hand[0].advice
    assert {one.identity.task_id for one in seen.making} == {"soon", "early"}


def test_what_a_task_of_the_run_has_landed_needs_no_hand_though_its_vendor_forgets_it_soon(place):
    place.buys(who(), "job-1", expires_at=NOW + timedelta(minutes=20))
    place.view = AirflowView({who(): TaskView("success", 1)}, frozenset({(MODEL, "job-1")}))
    assert place.overview().hand == []


def test_of_many_that_are_not_finished_what_expires_soonest_is_never_left_out_and_the_rest_is_counted(
    place, monkeypatch
):
    monkeypatch.setattr(reading, "_MOST_UNFINISHED", 5)
    place.buys(who(task_id="soon"), "job-soon", ago=timedelta(days=3), expires_at=NOW + timedelta(minutes=20))
    for number in range(7):
        place.ledger.create(attempt(who(index=number), ago=timedelta(minutes=61 + number)))
    seen = place.overview()
    assert [one.identity.task_id for one in seen.hand] == ["soon", *["submit"] * 5]
    assert (seen.more, place.overview(Filter(ALL.dags, dag_id="other")).more) == (2, 0)


def posted(command):
    """Where a command posts to, and what."""
    words = shlex.split(command)
    assert words[:3] == ["curl", "-X", "POST"]
    return words[3], json.loads(words[words.index("-d") + 1])


def test_what_is_bought_and_has_not_landed_has_the_command_that_clears_what_has_failed_of_it(place):
    place.buys(who(index=3), "job-1")
    (one,) = place.overview().hand
    (command,) = one.commands
    address, body = posted(command)
    assert address.endswith("/api/v2/dags/studio/clearTaskInstances")
    assert body == {
        "dag_run_id": who().run_id, "task_ids": [["submit", 3]], "include_downstream": True, "only_failed": True, "dry_run": False,
    }  # fmt: skip


def test_a_run_has_one_command_for_all_that_were_refused_in_it():
    runs = [("b", "run-1"), ("a", "run-2")]
    buyers = [Identity("studio", run, task, index) for task, run in runs for index in (1, 0)]
    buyers += [Identity("studio", run, "z", -1) for _, run in runs]
    found = [posted(command)[1] for command in clear_each(buyers)]
    assert {body["dag_run_id"]: body["task_ids"] for body in found} == {
        "run-1": [["b", 0], ["b", 1], "z"], "run-2": [["a", 0], ["a", 1], "z"],
    }  # fmt: skip
    assert [(body["include_downstream"], body["only_failed"]) for body in found] == [(False, True)] * 2


def test_names_that_a_shell_or_an_address_would_read_are_quoted_in_a_command():
    address, body = posted(clear_failed(Identity("a/b'; rm -rf $HOME", "it's a run", "$(id)", -1)))
    assert address.endswith("/dags/a%2Fb%27%3B%20rm%20-rf%20%24HOME/clearTaskInstances")
    assert (body["dag_run_id"], body["task_ids"]) == ("it's a run", ["$(id)"])


def test_a_damaged_record_is_shown_to_those_who_may_read_its_dag_and_goes_when_it_is_repaired(place):
    lost = attempt(who())
    place.ledger.create(lost)
    place.ledger.store.replace(lost.key, {"state": "submitted", "number": 1})
    (damage,) = place.overview().damaged
    assert (damage.identity, place.overview(Filter(frozenset({"other"}))).damaged) == (who(), [])
    assert "attach studio" in damage.commands[0]
    place.ledger.replace(lost)
    assert (place.overview().damaged, place.overview().counts) == ([], {"unknown": 1})


def test_how_long_jobs_took_is_told_from_those_of_this_model_that_landed(place):
    assert place.reading.took(MODEL) is None
    place.buys(who(), "job-1", landed=True, ago=timedelta(0))
    place.buys(who(task_id="b"), "job-2", landed=True, model="segmind:mochi-1")
    place.reading.refresh(now=True)
    assert place.reading.took(MODEL)[2] == 1


def test_what_was_attached_by_a_command_shows_at_the_next_look(place):
    lost = attempt(who())
    place.ledger.create(lost)
    assert place.overview().hand[0].word == "unknown"
    place.ledger.replace(lost.bought(VideoJob(model=MODEL, request_id="job-9")))
    assert [(one.word, one.attempt.request_id) for one in place.overview().hand] == [("bought", "job-9")]


def test_a_run_and_a_task_and_a_job_are_found_with_their_newest_attempt(place):
    forgotten = attempt(who(), ago=timedelta(hours=3))
    place.ledger.create(forgotten)
    place.ledger.replace(forgotten.replace(state=AttemptState.FORGOTTEN))
    place.buys(who(), "job-2", number=2, landed=True)
    place.reading.refresh(now=True)
    assert [one.attempt.number for one in place.reading.of_task(who())] == [2, 1]
    assert [one.word for one in place.reading.of_run(who().dag_id, who().run_id)] == ["landed"]
    assert place.reading.of_job("studio", MODEL, "job-2").where == "s3://bucket/job-2/manifest.json"
    assert place.reading.of_job("other", MODEL, "job-2") is None


RECORDS = 6


@pytest.fixture
def sliced(place, monkeypatch):
    """A slice holds six records."""
    monkeypatch.setattr(feeds, "SLICE", RECORDS * 30)
    monkeypatch.setattr(feeds, "OBJECT", 30)
    return place


def to_the_end(step):
    while step():
        pass


def test_no_request_reads_more_than_a_slice_of_a_ledger_that_was_never_read(sliced):
    for number in range(10):
        sliced.buys(who(index=number), f"job-{number}", landed=True)
    sliced.reading.refresh(now=True)
    taken, words = [sliced.index.count()], [sliced.reading.unread]
    (go_on,) = sliced.left
    sliced.reading.refresh(now=True)
    assert sliced.index.count() == taken[0], "while the rest goes on by itself a page reads nothing"
    while go_on():
        taken.append(sliced.index.count())
        words.append(sliced.reading.unread)
    assert [more - less <= RECORDS * 1.2 for less, more in pairwise([0, *taken, sliced.index.count()])] == [True] * (
        len(taken) + 1
    )
    assert len(taken) >= 20 // RECORDS
    assert f"{taken[-1]} of 20 new records" in words[-1]
    assert (sliced.index.count(), sliced.reading.unread, sliced.overview().counts) == (20, None, {"landed": 10})
    assert len(sliced.left) == 1


def test_what_is_half_read_never_seems_to_need_a_hand_though_it_has_landed(sliced):
    for number in range(10):
        sliced.buys(who(index=number), f"job-{number}", landed=True)
    sliced.reading.refresh(now=True)
    seen = [sliced.reading.overview(ALL)]
    while sliced.left[0]():
        seen.append(sliced.reading.overview(ALL))
    assert [one.hand for one in seen] == [[]] * len(seen)
    assert len(seen) > 2


def test_a_small_change_is_read_within_the_request_that_asks(sliced):
    sliced.buys(who(), "job-1", landed=True)
    assert (sliced.overview().counts, sliced.left, sliced.reading.unread) == ({"landed": 1}, [], None)


def test_what_goes_on_behind_and_fails_is_begun_anew_by_the_next_page(sliced, monkeypatch):
    for number in range(10):
        sliced.buys(who(index=number), f"job-{number}", landed=True)
    sliced.reading.refresh(now=True)
    store = type(sliced.ledger.store)
    found = store.found
    monkeypatch.setattr(store, "found", lambda *_: (_ for _ in ()).throw(OSError("away")))
    with pytest.raises(LedgerError):
        to_the_end(sliced.left[0])
    with pytest.raises(LedgerError):
        sliced.reading.refresh(now=True)
    assert sliced.reading.unread is None
    monkeypatch.setattr(store, "found", found)
    sliced.reading.refresh(now=True)
    to_the_end(sliced.left[-1])
    assert sliced.overview().counts == {"landed": 10}


def test_the_rest_of_a_refresh_goes_on_in_a_thread_until_nothing_is_left(monkeypatch):
    monkeypatch.setattr(refreshing, "_PAUSE", 0)
    ended, steps = threading.Event(), [True, True, False]

    def step():
        goes_on = steps.pop(0)
        if not steps:
            ended.set()
        return goes_on

    refreshing.in_background(step)
    assert ended.wait(60)
    assert steps == []


# Of a directory alone.


@pytest.fixture
def directory(tmp_path, monkeypatch):
    monkeypatch.setattr(feeds, "_SETTLED_NS", -(10**12))
    store = LocalDirectory(tmp_path)
    return Place(store, DirectoryFeed(store))


def test_a_second_look_opens_only_what_has_changed(directory, monkeypatch):
    for number in range(5):
        directory.buys(who(index=number), f"job-{number}", landed=True)
    directory.reading.refresh(now=True)
    opened = []
    found = LocalDirectory.found
    monkeypatch.setattr(LocalDirectory, "found", lambda self, path: opened.append(path.name) or found(self, path))
    directory.reading.refresh(now=True)
    assert opened == []
    directory.buys(who(task_id="new"), "job-9")
    directory.reading.refresh(now=True)
    assert opened == ["1.json"]


def test_what_was_deleted_goes_and_an_index_that_was_thrown_away_is_made_again(directory, tmp_path):
    directory.buys(who(), "job-1", landed=True)
    directory.buys(who("other"), "job-2")
    assert directory.overview().counts == {"landed": 1, "bought": 1}
    (path,) = (tmp_path / "submits" / "other").rglob("1.json")
    path.unlink()
    assert directory.overview().counts == {"landed": 1}
    again = Reading(
        DirectoryFeed(LocalDirectory(tmp_path)), Index(), ask=lambda _: AirflowView(), run_states=lambda _: {}
    )
    again.refresh()
    assert again.overview(ALL).counts == {"landed": 1}


def test_an_index_file_is_used_again_and_one_that_is_no_index_is_begun_anew(directory, tmp_path):
    directory.buys(who(), "job-1", landed=True)
    file = tmp_path / "index.sqlite"
    for _ in range(2):
        index = Index(file)
        list(DirectoryFeed(directory.ledger.store).slices(index))
        assert len(index.stamps()) == 2
    file.write_bytes(b"no database at all" * 100)
    assert Index(file).stamps() == {}


def test_a_ledger_that_is_no_longer_mounted_is_an_error_and_no_empty_ledger(directory, tmp_path):
    directory.buys(who(), "job-1")
    directory.reading.refresh(now=True)
    os.rename(tmp_path, f"{tmp_path}-away")
    with pytest.raises(LedgerError, match="could not be read"):
        directory.reading.refresh(now=True)
    os.rename(f"{tmp_path}-away", tmp_path)
    assert directory.overview().counts == {"bought": 1}


def test_a_record_that_is_a_link_or_no_json_is_a_flaw_and_its_target_is_not_read(directory, tmp_path):
    outside = tmp_path.parent / "outside.json"
    outside.write_text(json.dumps(attempt(who()).to_dict()))
    folder = tmp_path / "submits" / "studio" / "run" / "submit" / "-1"
    folder.mkdir(parents=True)
    (folder / "1.json").symlink_to(outside)
    (folder / "2.json").write_text("[1, 2]")
    seen = directory.overview()
    assert (seen.counts, len(seen.damaged)) == ({}, 2)
