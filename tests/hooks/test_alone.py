"""Hooks by themselves: wait, land and their counterparts for an event loop, with scripted answers and no network."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from datetime import timedelta
from typing import Any

import httpx
import pytest

from airflow_video_providers.core.client.async_client import AsyncVideoClient
from airflow_video_providers.core.client.client import VideoClient
from airflow_video_providers.core.errors import (
    AuthenticationError,
    DownloadError,
    InvalidRequestError,
    JobFailedError,
    JobTimeoutError,
    LedgerError,
    VendorError,
)
from airflow_video_providers.core.jobs import JobStatus
from airflow_video_providers.core.landing.land import Landing
from airflow_video_providers.core.polling import decision, shared, timing
from airflow_video_providers.core.purchase.decision import Choices, Try
from airflow_video_providers.core.purchase.ledger import Ledger
from airflow_video_providers.core.purchase.records import AttemptState, Identity
from airflow_video_providers.core.purchase.stores.object_directory import LocalDirectory
from airflow_video_providers.core.vendors.pixazo import Pixazo
from airflow_video_providers.hooks.pixazo import PixazoHook
from airflow_video_providers.hooks.task_ledger import TaskLedger, task_ledger
from tests.support.vendors import KEY, answer, job, request, scripted

MODEL = "pixazo:mochi-v1"
OTHER_KEY = "sk_test_changed_0123"
CLIP = {"media_url": ["https://media.example/a.mp4"]}
SUBMITTED = answer(202, {"request_id": "r-1", "status": "QUEUED"})
RUNNING = answer(200, {"request_id": "r-1", "status": "PROCESSING"})
DONE = answer(200, {"request_id": "r-1", "status": "COMPLETED", "output": CLIP})
FAILED = answer(200, {"request_id": "r-1", "status": "FAILED"})


@pytest.fixture
def vendor(monkeypatch):
    """Scripted answers for every client of every hook, whichever hook makes it."""

    def script(*answers: Any, extra: dict[str, Any] | None = None) -> Any:
        put(extra=extra)
        vendors = scripted(*answers)
        for kind in (VideoClient, AsyncVideoClient):
            made = kind.__init__

            def init(self: Any, of: Any, key: str, made: Any = made) -> None:
                made(self, of, key, transport=httpx.MockTransport(vendors))

            monkeypatch.setattr(kind, "__init__", init)
        return vendors

    def put(key: str = KEY, **fields: Any) -> None:
        monkeypatch.setenv(
            "AIRFLOW_CONN_PIXAZO_DEFAULT", json.dumps({"conn_type": "pixazo", "password": key, **fields})
        )

    script.put = put
    return script


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    """The same decisions without pauses."""
    brief = {name: decision.Trouble(limit.times, timedelta(0), 0.0) for name, limit in decision.TROUBLES.items()}
    monkeypatch.setattr(decision, "TROUBLES", brief)
    monkeypatch.setattr(Pixazo, "poll_seconds", (0.0, 0.001))
    monkeypatch.setattr(Pixazo, "requests_per_minute", 1e9)
    monkeypatch.setattr(timing, "SHORTEST_INTERVAL", 0.0)


async def sync(hook: PixazoHook, verb: str, *given: Any, **named: Any) -> Any:
    return getattr(hook, verb)(*given, **named)


async def in_loop(hook: PixazoHook, verb: str, *given: Any, **named: Any) -> Any:
    return await getattr(hook, f"{verb}_async")(*given, **named)


WAYS = pytest.mark.parametrize("call", [sync, in_loop], ids=["sync", "async"])
OLD = {"submitted_at": None, "conn_id": "elsewhere"}


@WAYS
async def test_a_hook_submits_waits_and_counts_what_it_does(vendor, call):
    script = vendor(SUBMITTED, RUNNING, DONE)
    hook = PixazoHook()
    bought = await call(hook, "submit", MODEL, {"prompt": "a fox"})
    assert (bought.request_id, bought.conn_id, bought.model) == ("r-1", "pixazo_default", MODEL)
    states: list[str] = []
    done = await call(
        hook, "wait", bought.replace(submitted_at=None), on_progress=lambda seen: states.append(str(seen.status))
    )
    assert (done.status, len(done.outputs), states) == (JobStatus.SUCCEEDED, 1, ["running", "succeeded"])
    assert [sent.method for sent in script.sent] == ["POST", "GET", "GET"]


@WAYS
async def test_a_hook_waits_for_the_dict_that_another_task_pushed_with_its_own_connection(vendor, call):
    vendor(DONE)
    done = await call(PixazoHook(), "wait", job("pixazo", **OLD).to_dict())
    assert done.conn_id == "pixazo_default"


@WAYS
async def test_a_changed_key_is_read_while_a_hook_waits(vendor, call):
    script = vendor(answer(401), DONE)
    hook = PixazoHook()

    def change(sent: httpx.Request, ask: Any = script.__class__.__call__) -> httpx.Response:
        vendor.put(OTHER_KEY)
        return ask(script, sent)

    script.__class__ = type("Changing", (script.__class__,), {"__call__": lambda _self, sent: change(sent)})
    assert (await call(hook, "wait", job("pixazo", **OLD), poll_interval=0)).outputs
    assert [OTHER_KEY in repr(sent.headers.raw) for sent in script.sent] == [False, True]


@WAYS
async def test_a_key_that_stays_refused_ends_a_wait(vendor, call):
    vendor(answer(401))
    with pytest.raises(AuthenticationError):
        await call(PixazoHook(), "wait", job("pixazo", **OLD))


@WAYS
async def test_a_status_is_asked_for_once_and_a_404_comes_back_as_it_is(vendor, call):
    vendor(answer(404, {"error": "no such job"}))
    assert (await call(PixazoHook(), "status", job("pixazo"))).status is JobStatus.EXPIRED


async def test_in_a_loop_the_connection_is_read_as_airflow_wants_it_there(vendor, monkeypatch):
    vendor(SUBMITTED, DONE)
    in_loop_thread: list[bool] = []
    here = threading.get_ident()
    found = PixazoHook().get_connection("pixazo_default")

    async def look_up(_conn_id: str) -> Any:
        in_loop_thread.append(threading.get_ident() == here)
        return found

    def blocking(_conn_id: str) -> Any:
        raise AssertionError("a blocking look-up")

    monkeypatch.setattr("airflow.providers.common.compat.connection.get_async_connection", look_up)
    monkeypatch.setattr(PixazoHook, "get_connection", staticmethod(blocking))
    hook = PixazoHook()
    await hook.wait_async((await hook.submit_async(MODEL, {"prompt": "a fox"})).replace(submitted_at=None))
    assert in_loop_thread == [True, True]


async def test_waits_of_one_connection_in_one_loop_share_one_look_up(vendor, monkeypatch):
    vendor(RUNNING, RUNNING, DONE)
    look_ups: list[str] = []
    found = PixazoHook().get_connection("pixazo_default")

    async def look_up(conn_id: str) -> Any:
        look_ups.append(conn_id)
        return found

    monkeypatch.setattr("airflow.providers.common.compat.connection.get_async_connection", look_up)
    waits = [PixazoHook().wait_async(job("pixazo", **OLD), poll_interval=0) for _ in range(20)]
    assert all(done.outputs for done in await asyncio.gather(*waits))
    assert look_ups == ["pixazo_default"]
    assert asyncio.get_running_loop() not in shared._pollers, "nothing stays open"


@pytest.fixture
def slow_purchase(monkeypatch) -> tuple[threading.Event, threading.Event]:
    """A paid call says that it has begun, and goes on when it is told to."""
    begun, go_on = threading.Event(), threading.Event()
    real = VideoClient.buy

    def slow(*given: Any) -> Any:
        begun.set()
        go_on.wait(60)
        return real(*given)

    monkeypatch.setattr(VideoClient, "buy", slow)
    return begun, go_on


async def test_a_submit_that_is_cancelled_is_not_broken_off_and_says_what_it_bought(vendor, slow_purchase, caplog):
    vendor(SUBMITTED)
    begun, go_on = slow_purchase
    buying = asyncio.create_task(PixazoHook().submit_async(MODEL, {"prompt": "a fox"}))
    await asyncio.to_thread(begun.wait, 60)
    buying.cancel()
    await asyncio.sleep(0)
    assert not buying.done()
    buying.cancel()  # a second time, too
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await buying
    assert "The job r-1 of pixazo:mochi-v1 is bought" in caplog.text


# Landing.


@pytest.fixture
def landings(monkeypatch):
    """Landings that are not done, and what they were made of."""
    made: list[Landing] = []

    def run(self: Landing, _job: Any) -> dict[str, Any]:
        made.append(self)
        return {"outputs": [], "manifest_uri": "file:///m.json", "skipped": True}

    monkeypatch.setattr(Landing, "run", run)
    return made


@WAYS
async def test_a_landing_knows_what_the_connection_says_and_asks_for_fresh_addresses(vendor, landings, call):
    vendor(DONE, extra={"allow_private_hosts": ["media.local"], "download_user_agent": "Mozilla/5.0"})
    await call(PixazoHook(), "land", job("pixazo").to_dict(), "/videos", overwrite=True)
    (landing,) = landings
    assert (landing.output_path, landing.overwrite, landing.user_agent) == ("/videos", True, "Mozilla/5.0")
    assert landing.allow_private_hosts == {"media.local"}
    assert (await asyncio.to_thread(landing.refresh, job("pixazo"))).outputs


@WAYS
async def test_what_is_landed_or_public_needs_no_connection(vendor, landings, call, monkeypatch):
    vendor(DONE)
    monkeypatch.delenv("AIRFLOW_CONN_PIXAZO_DEFAULT")
    await call(PixazoHook(), "land", job("pixazo"), "/videos")
    assert landings[0].allow_private_hosts == ()


@WAYS
@pytest.mark.parametrize("path", ["", "s3://"])
async def test_a_path_that_is_none_is_refused(vendor, call, path):
    vendor(DONE)
    of = job("pixazo", status=JobStatus.SUCCEEDED, outputs=({"url": "https://media.example/a.mp4"},))
    with pytest.raises((InvalidRequestError, DownloadError)):
        await call(PixazoHook(), "land", of.to_dict(), path)


async def test_a_landing_that_is_cancelled_stops_its_downloads_and_ends_before_the_cancellation(vendor, monkeypatch):
    vendor(DONE)
    begun, ended = threading.Event(), threading.Event()

    def run(self: Landing, _job: Any) -> dict[str, Any]:
        stopped = threading.Event()
        self.stop.calls(stopped.set)
        begun.set()
        assert stopped.wait(60)
        time.sleep(0.05)
        ended.set()
        raise DownloadError("The download was stopped.", reason="stopped")

    monkeypatch.setattr(Landing, "run", run)
    landing = asyncio.create_task(PixazoHook().land_async(job("pixazo"), "/videos"))
    await asyncio.to_thread(begun.wait, 60)
    landing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await landing
    assert ended.is_set()


async def test_landing_does_not_hold_up_the_loop(vendor, monkeypatch):
    vendor(DONE)
    threads: list[int] = []
    monkeypatch.setattr(
        Landing,
        "run",
        lambda _self, _job: (
            threads.append(threading.get_ident()) or {"outputs": [], "manifest_uri": "m", "skipped": True}
        ),
    )
    await PixazoHook().land_async(job("pixazo"), "/videos")
    assert threads != [threading.get_ident()]


# With a ledger.


@pytest.fixture
def records(tmp_path):
    """The ledger of one try of a task; its attempts."""
    ledger = Ledger(LocalDirectory(tmp_path))
    who = Identity("dag", f"run-{time.monotonic_ns()}", "task")

    def of(number: int = 1, *, cleared: bool = False, **chosen: Any) -> TaskLedger:
        return TaskLedger(ledger, Try(who, max_tries=5 if cleared else 3, try_number=number), Choices(**chosen))

    of.ledger, of.attempts = ledger, lambda: ledger.attempts(who)
    return of


@WAYS
async def test_the_intent_is_stored_before_the_paid_call_and_the_id_after_it(vendor, records, call, monkeypatch):
    vendor(SUBMITTED)
    real, seen = VideoClient.buy, list[Any]()

    def noted(*given: Any) -> Any:
        seen.extend(attempt.state for attempt in records.attempts())
        return real(*given)

    monkeypatch.setattr(VideoClient, "buy", noted)
    bought = await call(PixazoHook(ledger=records()), "submit", MODEL, {"prompt": "a fox"})
    assert seen == [AttemptState.INTENT]
    (attempt,) = records.attempts()
    assert (attempt.state, attempt.request_id) == (AttemptState.SUBMITTED, bought.request_id)


@WAYS
async def test_a_retry_returns_the_job_even_where_its_request_is_nonsense_now_or_buying_is_off(vendor, records, call):
    script = vendor(SUBMITTED)
    await call(PixazoHook(ledger=records(1)), "submit", MODEL, {"prompt": "a fox"})
    vendor.put(extra={"submits_enabled": False})
    for number, fields in ((2, {"prompt": "a fox"}), (3, {"no such field": 1})):
        again = await call(PixazoHook(ledger=records(number)), "submit", MODEL, fields)
        assert again.request_id == "r-1"
    assert len(script.sent) == 1


@WAYS
async def test_an_unknown_outcome_is_never_repeated(vendor, records, call):
    script = vendor(httpx.ReadError("reset"), SUBMITTED)
    for number in (1, 2):
        with pytest.raises(Exception, match="may"):
            await call(PixazoHook(ledger=records(number)), "submit", MODEL, {"prompt": "a fox"})
    assert len(script.sent) == 1


@WAYS
async def test_a_second_purchase_of_one_try_is_refused_and_says_how_to_have_it(vendor, records, call):
    script = vendor(SUBMITTED)
    hook = PixazoHook(ledger=records())
    await call(hook, "submit", MODEL, {"prompt": "a fox"})
    with pytest.raises(InvalidRequestError, match=r"\.expand") as caught:
        await call(hook, "submit", MODEL, {"prompt": "an owl"})
    assert caught.value.request_id == "r-1"
    assert len(script.sent) == 1


@pytest.mark.parametrize(
    "submit",
    [lambda hook, *what: asyncio.to_thread(hook.submit, *what), lambda hook, *what: hook.submit_async(*what)],
    ids=["threads", "coroutines"],
)
async def test_a_second_purchase_while_the_first_is_under_way_is_refused_and_gets_no_job_of_another_request(
    vendor, records, submit, slow_purchase
):
    script = vendor(SUBMITTED)
    begun, go_on = slow_purchase
    hook = PixazoHook(ledger=records())
    cat = asyncio.ensure_future(submit(hook, MODEL, {"prompt": "a cat"}))
    await asyncio.to_thread(begun.wait, 60)
    dog = asyncio.ensure_future(submit(hook, MODEL, {"prompt": "a dog"}))
    await asyncio.wait([dog], timeout=5)  # it does not wait for the cat
    go_on.set()
    with pytest.raises(InvalidRequestError, match=r"is just buying a job .* Nothing was sent .*\.expand"):
        await dog
    assert (await cat).request_id == "r-1"
    assert len(script.sent) == 1


@WAYS
async def test_a_purchase_that_was_refused_may_be_repeated_in_the_same_try(vendor, records, call):
    script = vendor(answer(400, {"error": "no such style"}), SUBMITTED)
    hook = PixazoHook(ledger=records())
    with pytest.raises(VendorError):
        await call(hook, "submit", MODEL, {"prompt": "a fox"})
    assert (await call(hook, "submit", MODEL, {"prompt": "an owl"})).request_id == "r-1"
    assert len(script.sent) == 2


@WAYS
async def test_a_clear_keeps_what_has_not_landed_and_buys_again_what_has(vendor, records, landings, call):
    script = vendor(SUBMITTED, DONE, answer(202, {"request_id": "r-2", "status": "QUEUED"}))
    await call(PixazoHook(ledger=records(1)), "submit", MODEL, {"prompt": "a fox"})
    cleared = PixazoHook(ledger=records(2, cleared=True))
    kept = await call(cleared, "submit", MODEL, {"prompt": "a fox"})
    assert (kept.request_id, kept.status) == ("r-1", JobStatus.SUCCEEDED)
    records.ledger.mark_landed(kept, "file:///m.json")
    script.answers = (DONE, answer(202, {"request_id": "r-2", "status": "QUEUED"}))
    script.sent.clear()
    again = TaskLedger(records.ledger, Try(records().this.identity, max_tries=9, try_number=3))
    assert (await call(PixazoHook(ledger=again), "submit", MODEL, {"prompt": "a fox"})).request_id == "r-2"


@WAYS
async def test_how_a_job_ends_is_noted(vendor, records, call, monkeypatch):
    vendor(SUBMITTED, FAILED)
    hook = PixazoHook(ledger=records())
    bought = await call(hook, "submit", MODEL, {"prompt": "a fox"})
    with pytest.raises(JobFailedError):
        await call(hook, "wait", bought.replace(submitted_at=None))
    assert len(records.ledger.overview().settled) == 1


@WAYS
async def test_a_ledger_that_is_away_changes_nothing_about_how_a_job_ended(vendor, records, call, monkeypatch, caplog):
    vendor(FAILED)

    def away(*_: Any) -> None:
        raise LedgerError("The disk is away.")

    monkeypatch.setattr(Ledger, "mark_failed", away)
    with pytest.raises(JobFailedError):
        await call(PixazoHook(ledger=records()), "wait", job("pixazo", **OLD))


@WAYS
async def test_limits_that_a_ledger_counts_hold_with_one_and_are_refused_without(vendor, records, call):
    limits = {"max_run_cost_usd": 0.5, "prices": {MODEL: 0.4}}
    script = vendor(SUBMITTED, extra=limits)
    with pytest.raises(InvalidRequestError, match="without a ledger a hook cannot count that") as caught:
        await call(PixazoHook(), "submit", MODEL, {"prompt": "a fox"})
    assert "ledger=task_ledger()" in str(caught.value)
    assert script.sent == []
    await call(PixazoHook(ledger=records()), "submit", MODEL, {"prompt": "a fox"})
    other = TaskLedger(records.ledger, Try(Identity("dag", records().this.identity.run_id, "other")))
    with pytest.raises(InvalidRequestError, match="has reserved"):
        await call(PixazoHook(ledger=other), "submit", MODEL, {"prompt": "a fox"})
    assert len(script.sent) == 1


@WAYS
async def test_without_any_ledger_configured_only_a_first_try_buys(vendor, call, caplog):
    script = vendor(SUBMITTED)
    who = Identity("dag", f"run-{time.monotonic_ns()}", "task")
    await call(PixazoHook(ledger=TaskLedger(None, Try(who))), "submit", MODEL, {"prompt": "a fox"})
    with pytest.raises(Exception, match="ledger"):
        await call(PixazoHook(ledger=TaskLedger(None, Try(who, try_number=2))), "submit", MODEL, {"prompt": "a fox"})
    assert len(script.sent) == 1


def test_a_ledger_needs_a_task_that_runs():
    with pytest.raises(InvalidRequestError, match="No task runs here"):
        task_ledger()


@WAYS
async def test_a_wait_ends_at_its_time_out_with_words_for_a_call(vendor, call):
    vendor(RUNNING)
    with pytest.raises(JobTimeoutError, match="Call wait again to go on waiting"):
        await call(PixazoHook(), "wait", job("pixazo", **OLD), timeout=0)


def test_a_route_that_answers_with_the_video_passes_by_the_ledger_and_so_by_no_sum(vendor, records, tmp_path):
    script = vendor(SUBMITTED, extra={"max_run_cost_usd": 5, "prices": {MODEL: 0.4}})
    with pytest.raises(InvalidRequestError, match="without a ledger"):
        PixazoHook(ledger=records()).generate_to_file(request(MODEL), tmp_path / "a.mp4")
    assert script.sent == []
