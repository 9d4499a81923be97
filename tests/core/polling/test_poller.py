"""The shared poller on a clock that jumps: who is looked at when, and how each wait ends."""

from __future__ import annotations

import asyncio
import gc
import itertools
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_video_providers.core.errors import (
    AuthenticationError,
    InvalidRequestError,
    JobErroredError,
    JobExpiredError,
    JobFailedError,
    JobTimeoutError,
    JobUnknownError,
    OutputMissingError,
    RateLimitedError,
    RequestRejectedError,
    VendorUnavailableError,
    VideoProviderError,
)
from airflow_video_providers.core.jobs import JobStatus, VideoJob
from airflow_video_providers.core.polling.connection_cache import SharedClient
from airflow_video_providers.core.polling.poller import LAST_CALL, Poller
from airflow_video_providers.core.polling.shared import _pollers, shared_poller
from tests.support.virtual import (
    FakeClient,
    Pixel,
    new_job,
    new_poller,
    new_timing,
    run_virtually,
    state,
    wall_clock,
)

if TYPE_CHECKING:
    from collections.abc import Callable

S = JobStatus


def elapsed() -> float:
    return asyncio.get_running_loop().time() - 1000.0


def busy(error: type[VideoProviderError] = VendorUnavailableError, **details: Any) -> VideoProviderError:
    return error("no", **details)


def alone(
    *script: Any, seconds: float = 3600.0, interval: float | None = None, **job: Any
) -> tuple[Any, FakeClient, float]:
    """One job waits: its outcome, the client, how long it took."""

    async def main() -> tuple[Any, FakeClient, float]:
        client = FakeClient({"r1": list(script)})
        poller = new_poller(client)
        try:
            outcome: Any = await poller.wait(state(new_job(**job), seconds), interval=interval)
        except VideoProviderError as error:
            outcome = error
        return outcome, client, elapsed()

    return run_virtually(main())


@pytest.mark.parametrize(
    ("script", "ends_as"),
    [
        ([S.RUNNING, S.SUCCEEDED], "done"),
        ([S.QUEUED, S.RUNNING, S.RUNNING, S.SUCCEEDED], "done"),
        ([S.FAILED], JobFailedError),
        ([S.ERROR], JobErroredError),
        ([S.EXPIRED], JobExpiredError),
        ([S.UNKNOWN], JobUnknownError),
        ([lambda job: job.replace(status=S.SUCCEEDED)], OutputMissingError),
        ([busy(AuthenticationError)], AuthenticationError),
        ([busy(RequestRejectedError)], RequestRejectedError),
        ([busy(), busy(), busy(), S.SUCCEEDED], "done"),
        ([busy(RateLimitedError, retry_after=20.0), S.SUCCEEDED], "done"),
        ([S.EXPIRED, S.RUNNING, S.SUCCEEDED], "done"),
        ([S.UNKNOWN, S.RUNNING, S.SUCCEEDED], "done"),
        ([busy(AuthenticationError), S.SUCCEEDED], "done"),
        ([S.RUNNING], JobTimeoutError),
        ([busy()], JobTimeoutError),
    ],
)
def test_each_row_of_answers_ends_as_the_shared_decision_says(script: list[Any], ends_as: Any) -> None:
    outcome, client, _ = alone(*script)
    if ends_as == "done":
        assert outcome.status is S.SUCCEEDED
        assert outcome.outputs
    else:
        assert type(outcome) is ends_as
    assert client.closed >= 1


def test_a_wait_ends_at_its_deadline_with_one_last_look() -> None:
    outcome, client, took = alone(S.RUNNING, seconds=100.0)
    assert isinstance(outcome, JobTimeoutError)
    assert took == pytest.approx(100.0)
    assert client.looks[-1][0] == pytest.approx(100.0)


def test_a_job_finished_at_the_very_deadline_is_not_timed_out() -> None:
    async def main() -> VideoJob:
        return await new_poller(FakeClient(done_after=lambda _: 99.5)).wait(state(new_job(), 100.0))

    assert run_virtually(main()).status is S.SUCCEEDED


def test_a_deadline_passed_while_the_triggerer_was_down_still_gets_one_look() -> None:
    async def main() -> tuple[Any, int]:
        client = FakeClient({"done": [S.SUCCEEDED], "running": [S.RUNNING]})
        poller = new_poller(client)
        late = [state(new_job(name, submitted_at=wall_clock() - timedelta(hours=2)), -60.0) for name in client.script]
        found = await asyncio.gather(*(poller.wait(one) for one in late), return_exceptions=True)
        return found, len(client.looks)

    (done, running), looks = run_virtually(main())
    assert done.status is S.SUCCEEDED
    assert isinstance(running, JobTimeoutError)
    assert looks == 2


def test_the_first_look_waits_until_completion_is_plausible() -> None:
    _, client, _ = alone(S.RUNNING, S.SUCCEEDED)
    assert client.looks[0][0] == pytest.approx(new_timing().first_poll("pixel:one", 0.0))


@pytest.mark.parametrize("job", [{"submitted_at": None}, {"submitted_at": "2025-12-31T23:00:00Z"}])
def test_a_job_that_may_be_done_is_looked_at_at_once(job: dict[str, Any]) -> None:
    _, client, _ = alone(S.RUNNING, S.SUCCEEDED, **job)
    assert client.looks[0][0] == 0.0


def test_an_authors_interval_overrides_what_was_learned() -> None:
    _, client, _ = alone(S.RUNNING, S.RUNNING, S.RUNNING, S.SUCCEEDED, interval=7.0)
    assert [moment for moment, _ in client.looks] == pytest.approx([0.0, 7.0, 14.0, 21.0])


def test_an_interval_of_nothing_does_not_spin() -> None:
    _, client, took = alone(S.RUNNING, interval=0.0, seconds=10.0)
    assert len(client.looks) <= 11
    assert took == pytest.approx(10.0)


def test_a_retry_after_of_nothing_does_not_spin() -> None:
    _, client, _ = alone(busy(retry_after=0.0), seconds=100.0)
    assert len(client.looks) <= 21


def test_looks_without_an_answer_become_rarer() -> None:
    _, client, _ = alone(busy(), seconds=600.0)
    moments = [moment for moment, _ in client.looks]
    pauses = [later - earlier for earlier, later in itertools.pairwise(moments)]
    assert pauses[0] < pauses[1] < pauses[2]
    assert max(pauses) <= 60.0


def test_an_answer_that_drips_for_ever_is_given_up() -> None:
    async def main() -> tuple[float, float]:
        client = FakeClient({"r1": [S.SUCCEEDED]}, latency=10_000.0)
        with pytest.raises(JobTimeoutError):
            await new_poller(client).wait(state(new_job(), 200.0))
        return elapsed(), len(client.looks)

    took, looks = run_virtually(main())
    assert took <= 200.0 + LAST_CALL[1]
    assert looks >= 2


def test_news_are_told_once_each() -> None:
    async def main() -> list[str]:
        told: list[str] = []
        script = [S.QUEUED, S.QUEUED, S.RUNNING, S.RUNNING, busy(), busy(), S.RUNNING, S.SUCCEEDED]
        poller = new_poller(FakeClient({"r1": script}))

        def tell(seen: VideoJob | VideoProviderError) -> None:
            told.append(str(seen.status) if isinstance(seen, VideoJob) else type(seen).__name__)

        await poller.wait(state(new_job()), on_news=tell)
        return told

    assert run_virtually(main()) == ["queued", "running", "VendorUnavailableError", "running", "succeeded"]


def many(
    client: FakeClient | Callable[[], Any], jobs: int, then: Callable[[Poller], Any] | None = None, **poller: Any
) -> list[Any]:
    async def main() -> list[Any]:
        shared = new_poller(client, **poller)
        waits = [shared.wait(state(new_job(f"r{number}"))) for number in range(jobs)]
        found = await asyncio.gather(*waits, return_exceptions=True)
        if then is not None:
            then(shared)
        return found

    return run_virtually(main())


def test_all_jobs_share_one_look_up_and_one_client() -> None:
    looked_up: list[FakeClient] = []

    async def connect() -> FakeClient:
        await asyncio.sleep(6.6)
        looked_up.append(FakeClient(done_after=lambda _: 60.0))
        return looked_up[-1]

    found = many(connect, 200)
    assert all(job.status is S.SUCCEEDED for job in found)
    assert len(looked_up) == 1
    assert looked_up[0].closed == 1


def test_no_more_looks_at_once_than_there_are_places() -> None:
    client = FakeClient(done_after=lambda _: 60.0, latency=3.0)
    many(client, 100)
    assert 10 <= client.most_at_once <= 16


@pytest.mark.parametrize(
    ("per_minute", "latency", "at_once"),
    [(60.0, 0.2, 2), (60.0, 2.0, 4), (600.0, 0.05, 2), (600.0, 0.5, 10), (600.0, 5.0, 16), (1e7, 0.002, 2)],
)
def test_how_many_are_asked_at_once_follows_from_the_budget_and_the_latency(
    per_minute: float, latency: float, at_once: int
) -> None:
    client = FakeClient(done_after=lambda _: 120.0, latency=latency)
    many(client, 100, per_minute=per_minute)
    assert client.most_at_once <= at_once
    assert client.most_at_once >= (2 if per_minute / 60 * latency > 1 else 1)


def test_slow_answers_leave_no_budget_unused() -> None:
    client = FakeClient(done_after=lambda _: 600.0, latency=2.0)
    many(client, 300, per_minute=300.0)
    settled = [when for when, _ in client.looks if 100 <= when <= 580]
    assert len(settled) / 480 == pytest.approx(300 / 60.75, rel=0.1)


def test_a_refused_key_is_looked_up_again_once_for_all_jobs() -> None:
    clients: list[FakeClient] = []

    def connect() -> FakeClient:
        old = FakeClient({f"r{n}": [busy(AuthenticationError)] for n in range(50)}, latency=1.0)
        clients.append(FakeClient(done_after=lambda _: 0.0) if clients else old)
        return clients[-1]

    found = many(connect, 50)
    assert all(job.status is S.SUCCEEDED for job in found)
    assert [client.closed for client in clients] == [1, 1]


def test_a_key_that_stays_refused_ends_each_wait() -> None:
    found = many(FakeClient({f"r{n}": [busy(AuthenticationError)] for n in range(5)}), 5)
    assert {type(error) for error in found} == {AuthenticationError}


@pytest.mark.parametrize(("field", "look_ups", "within"), [("password", 1, 30.0), ("conn_id", 6, 240.0)])
def test_a_wrong_connection_ends_all_waits_and_a_missing_one_must_be_missing_for_a_while(
    field: str, look_ups: int, within: float
) -> None:
    calls: list[float] = []

    async def connect() -> FakeClient:
        calls.append(elapsed())
        raise InvalidRequestError("It is wrong.", field=field)

    ended: list[float] = []
    found = many(connect, 300, lambda _: ended.append(elapsed()), per_minute=1.0)
    assert {type(error) for error in found} == {InvalidRequestError}
    assert len(calls) == look_ups
    assert ended[0] < within


def test_a_connection_that_is_missing_between_other_failures_is_not_believed_to_be_missing() -> None:
    calls: list[float] = []

    async def connect() -> FakeClient:
        calls.append(elapsed())
        if len(calls) > 12:
            return FakeClient(done_after=lambda _: 0.0)
        if len(calls) % 5 == 0:
            raise ConnectionError("the API server is down")
        raise InvalidRequestError("It is missing.", field="conn_id")

    assert all(job.status is S.SUCCEEDED for job in many(connect, 10))


def test_until_the_connection_is_read_no_requests_pile_up() -> None:
    client = FakeClient(done_after=lambda _: 3000.0)

    async def connect() -> FakeClient:
        await asyncio.sleep(120.0)
        return client

    many(connect, 100, per_minute=6.0)
    first_minute = [moment for moment, _ in client.looks if moment < client.looks[0][0] + 60.0]
    assert len(first_minute) <= 7


def test_a_vendors_pause_outlives_the_job_that_met_it() -> None:
    async def main() -> list[float]:
        client = FakeClient({"r1": [busy(RateLimitedError, retry_after=300.0)]}, done_after=None)

        async def connect() -> SharedClient:
            return SharedClient(client, 60.0)

        def shared() -> Poller:
            poller = shared_poller("k", connect, Pixel)
            poller._now, poller._timing = wall_clock, new_timing()
            return poller

        first = asyncio.create_task(shared().wait(state(new_job("r1", submitted_at=None))))
        await asyncio.sleep(1.0)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        client.script["r2"] = [S.SUCCEEDED]
        await shared().wait(state(new_job("r2", submitted_at=None)))
        return [moment for moment, _ in client.looks]

    refused, next_one = run_virtually(main())
    assert next_one - refused >= 300.0


def test_a_wall_clock_that_is_set_back_does_not_make_the_last_looks_a_storm() -> None:
    async def main() -> tuple[Any, int]:
        client = FakeClient()
        poller = new_poller(client)
        job = state(new_job(), 100.0)
        wait = asyncio.create_task(poller.wait(job, interval=20.0))
        await asyncio.sleep(50.0)
        poller._now = lambda: wall_clock() - timedelta(hours=2)
        return (await asyncio.gather(wait, return_exceptions=True))[0], len(client.looks)

    error, looks = run_virtually(main())
    assert isinstance(error, JobTimeoutError)
    assert looks < 10


def test_a_failing_look_up_is_tried_again_with_patience() -> None:
    calls: list[float] = []

    async def connect() -> FakeClient:
        calls.append(elapsed())
        if len(calls) < 5:
            raise ConnectionError("the API server is down")
        return FakeClient(done_after=lambda _: 0.0)

    found = many(connect, 100)
    assert all(job.status is S.SUCCEEDED for job in found)
    assert len(calls) == 5
    pauses = [later - earlier for earlier, later in itertools.pairwise(calls)]
    assert pauses == sorted(pauses)
    assert pauses[0] >= 5.0


def test_a_look_up_that_never_works_ends_at_the_deadline_and_not_before() -> None:
    async def main() -> tuple[Any, float]:
        async def connect() -> FakeClient:
            raise ConnectionError("the API server is down")

        with pytest.raises(JobTimeoutError) as caught:
            await new_poller(connect).wait(state(new_job(), 900.0))
        return caught.value, elapsed()

    error, took = run_virtually(main())
    assert took == pytest.approx(900.0)
    assert "still running" in str(error)


def test_a_trigger_cancelled_during_the_look_up_leaves_it_to_the_next() -> None:
    calls: list[float] = []

    async def connect() -> FakeClient:
        calls.append(elapsed())
        await asyncio.sleep(5.0)
        return FakeClient(done_after=lambda _: 0.0)

    async def main() -> VideoJob:
        poller = new_poller(connect)
        old = {"submitted_at": None}
        first = asyncio.create_task(poller.wait(state(new_job("a", **old))))
        second = asyncio.create_task(poller.wait(state(new_job("b", **old))))
        await asyncio.sleep(1.0)
        first.cancel()
        return await second

    assert run_virtually(main()).status is S.SUCCEEDED
    assert len(calls) == 2


def test_within_a_minute_no_more_requests_go_than_the_connection_allows() -> None:
    client = FakeClient()

    async def main() -> None:
        poller = new_poller(client, per_minute=60.0)
        async with asyncio.timeout(600):
            await asyncio.gather(*(poller.wait(state(new_job(f"r{n}")), interval=5.0) for n in range(100)))

    with pytest.raises(TimeoutError):
        run_virtually(main())
    moments = [moment for moment, _ in client.looks]
    later = [moment for moment in moments if moment > 2.0]  # the first look finds out what is allowed
    assert max(sum(1 for moment in later if start <= moment < start + 60) for start in later) <= 60
    assert len(moments) > 500


def test_a_second_request_of_a_look_is_paid_from_the_same_budget() -> None:
    one, two = FakeClient(), FakeClient(requests_each=2)

    async def main(client: FakeClient) -> None:
        poller = new_poller(client, per_minute=60.0)
        async with asyncio.timeout(300):
            await asyncio.gather(*(poller.wait(state(new_job(f"r{n}")), interval=5.0) for n in range(50)))

    for client in (one, two):
        with pytest.raises(TimeoutError):
            run_virtually(main(client))
    assert len(two.looks) == pytest.approx(len(one.looks) / 2, rel=0.1)


def test_when_requests_are_short_they_go_to_the_jobs_most_likely_done() -> None:
    """Old jobs are done, young ones are not; all came due together."""
    client = FakeClient(done_after=lambda name: 0.0 if name.startswith("old") else 1e6)

    async def main() -> None:
        poller = new_poller(client, per_minute=30.0)
        names = [f"{kind}{n}" for n in range(20) for kind in ("young", "old")]
        ages = {"young": timedelta(seconds=20), "old": timedelta(seconds=200)}
        waits = [state(new_job(name, submitted_at=wall_clock() - ages[name.rstrip("0123456789")])) for name in names]
        async with asyncio.timeout(120):
            await asyncio.gather(*(poller.wait(one, interval=5.0) for one in waits))

    with pytest.raises(TimeoutError):
        run_virtually(main())
    first = [name for _, name in client.looks][1:20]  # the very first went before there was a queue
    assert sum(name.startswith("old") for name in first) >= 17


def test_a_429_stops_all_jobs_of_the_connection_for_as_long_as_it_asks() -> None:
    client = FakeClient(
        {f"r{n}": [S.RUNNING] for n in range(20)} | {"r0": [busy(RateLimitedError, retry_after=100.0), S.RUNNING]}
    )

    async def main() -> None:
        poller = new_poller(client, per_minute=600.0)
        async with asyncio.timeout(300):
            await asyncio.gather(*(poller.wait(state(new_job(f"r{n}")), interval=5.0) for n in range(20)))

    with pytest.raises(TimeoutError):
        run_virtually(main())
    moments = [moment for moment, _ in client.looks]
    assert len([moment for moment in moments if 3.0 < moment < 100.0]) == 0
    rate_after = len([moment for moment in moments if 100.0 <= moment < 160.0])
    assert 0 < rate_after <= 330


def test_a_job_whose_call_always_fails_does_not_starve_the_others() -> None:
    client = FakeClient({f"sick{n}": [busy()] for n in range(30)} | {f"well{n}": [S.SUCCEEDED] for n in range(30)})

    async def main() -> float:
        poller = new_poller(client, per_minute=60.0)
        job = {"submitted_at": wall_clock() - timedelta(seconds=300)}
        sick = [asyncio.create_task(poller.wait(state(new_job(f"sick{n}", **job)))) for n in range(30)]
        await asyncio.sleep(0)
        await asyncio.gather(*(poller.wait(state(new_job(f"well{n}", **job))) for n in range(30)))
        took = elapsed()
        for task in sick:
            task.cancel()
        await asyncio.gather(*sick, return_exceptions=True)
        return took

    assert run_virtually(main()) < 90.0


def test_a_deadline_that_comes_while_the_budget_is_spent_ends_the_wait_all_the_same() -> None:
    client = FakeClient()

    async def main() -> tuple[list[Any], float]:
        poller = new_poller(client, per_minute=5.0)
        waits = [poller.wait(state(new_job(f"r{n}"), 300.0)) for n in range(500)]
        return await asyncio.gather(*waits, return_exceptions=True), elapsed()

    found, took = run_virtually(main())
    assert {type(error) for error in found} == {JobTimeoutError}
    assert took <= 300.0 + LAST_CALL[1] + 1


def test_a_leaving_job_releases_its_place_and_its_request_is_cancelled() -> None:
    client = FakeClient({"done": [S.SUCCEEDED]}, latency=30.0)

    async def main() -> tuple[VideoJob, int]:
        poller = new_poller(client)
        old = {"submitted_at": None}
        stuck = [asyncio.create_task(poller.wait(state(new_job(f"r{n}", **old)))) for n in range(16)]
        await asyncio.sleep(1.0)
        waiting = asyncio.create_task(poller.wait(state(new_job("done", **old))))
        await asyncio.sleep(1.0)
        assert "done" not in [name for _, name in client.looks]
        for task in stuck:
            task.cancel()
        await asyncio.gather(*stuck, return_exceptions=True)
        return await waiting, poller.jobs

    job, left = run_virtually(main())
    assert job.status is S.SUCCEEDED
    assert left == 0


def test_what_took_how_long_is_learned_from_the_vendors_own_times() -> None:
    learned = new_timing()

    async def main() -> None:
        def finished(job: VideoJob) -> VideoJob:
            assert job.submitted_at is not None
            return job.replace(
                status=S.SUCCEEDED,
                outputs=({"url": "https://cdn.invalid/v.mp4"},),
                completed_at=job.submitted_at + timedelta(seconds=31),
            )

        poller = new_poller(FakeClient({"r1": [S.RUNNING] * 8 + [finished]}), timing=learned)
        await poller.wait(state(new_job()))

    run_virtually(main())
    (seconds,) = [2.718281828459045**value for value in learned._past["pixel:one"]]
    assert seconds > 31.0  # it was seen running after that: clocks differ, what was seen counts


def test_a_job_found_done_after_a_restart_teaches_nothing() -> None:
    learned = new_timing()

    async def main() -> None:
        poller = new_poller(FakeClient({"r1": [S.SUCCEEDED]}), timing=learned)
        await poller.wait(state(new_job(submitted_at=wall_clock() - timedelta(hours=3))))

    run_virtually(main())
    assert learned._past == {}


def test_a_thousand_times_joining_and_leaving_leave_nothing_behind() -> None:
    client = FakeClient(latency=0.5)

    async def main() -> tuple[int, int, int, int]:
        poller = new_poller(client)
        anchor = asyncio.create_task(poller.wait(state(new_job("anchor"))))
        for number in range(1000):
            due_now = {"submitted_at": None} if number % 2 else {}
            task = asyncio.create_task(poller.wait(state(new_job(f"r{number}", **due_now))))
            await asyncio.sleep(0.1 * (number % 7))
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        turns = poller._scheduler
        kept = len(turns._later) + len(turns._due)
        anchor.cancel()
        await asyncio.gather(anchor, return_exceptions=True)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        timers = [handle for handle in asyncio.get_running_loop()._scheduled if not handle.cancelled()]  # type: ignore[attr-defined]
        return kept, len(others), turns._free, len(timers)

    kept, tasks, free, timers = run_virtually(main())
    assert kept < 200
    assert (tasks, free, timers) == (0, 16, 0)
    assert client.closed == 1


def test_pollers_are_shared_per_loop_and_key_and_end_with_their_last_job() -> None:
    shared: list[FakeClient] = []

    async def connect() -> Any:
        from airflow_video_providers.core.polling.connection_cache import SharedClient

        shared.append(FakeClient({"a": [S.SUCCEEDED], "b": [S.SUCCEEDED]}))
        return SharedClient(shared[-1], 600.0)

    async def main() -> None:
        for name in "ab":
            poller = shared_poller(("pixel", "one"), connect, Pixel)
            assert shared_poller(("pixel", "one"), connect, Pixel) is poller
            other = shared_poller(("pixel", "two"), connect, Pixel)
            assert other is not poller
            await asyncio.gather(*(p.wait(state(new_job(name, submitted_at=None))) for p in (poller, other)))
            assert asyncio.get_running_loop() not in _pollers

    run_virtually(main())
    run_virtually(main())
    gc.collect()
    assert len(shared) == 8
    assert all(client.closed == 1 for client in shared)
    assert not list(_pollers.items())


def test_a_mistake_in_the_client_is_raised_and_frees_the_place() -> None:
    async def main() -> int:
        def broken(job: VideoJob) -> VideoJob:
            raise TypeError("a mistake")

        poller = new_poller(FakeClient({"r1": [broken]}))
        with pytest.raises(TypeError):
            await poller.wait(state(new_job(submitted_at=None)))
        return poller._scheduler._free - poller._scheduler._places

    assert run_virtually(main()) == 0
