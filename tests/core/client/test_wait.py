"""Both clients wait on a clock that jumps: the same outcomes, the same patience, without Airflow."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from airflow_video_providers.core.client.async_client import AsyncVideoClient
from airflow_video_providers.core.client.client import VideoClient
from airflow_video_providers.core.errors import (
    AuthenticationError,
    InvalidRequestError,
    JobErroredError,
    JobExpiredError,
    JobFailedError,
    JobTimeoutError,
    JobUnknownError,
    OutputMissingError,
    VideoProviderError,
)
from airflow_video_providers.core.jobs import JobStatus, VideoJob
from airflow_video_providers.core.vendors.pixazo import Pixazo
from tests.support.vendors import KEY, answer, job
from tests.support.virtual import START, run_virtually, wall_clock

if TYPE_CHECKING:
    from collections.abc import Callable

CLIP = {"media_url": ["https://media.example/a.mp4"]}


def says(word: str, **more: Any) -> httpx.Response:
    return answer(200, {"request_id": "r-1", "status": word, **more})


RUNNING, DONE = says("PROCESSING"), says("COMPLETED", output=CLIP)
LOST = httpx.ReadError("reset")
UNKNOWN = answer(404, {"error": "no such job"})


@dataclass
class Vendor:
    """Answers from a script, the last one for ever, and notes when it was asked."""

    answers: tuple[httpx.Response | Exception, ...]
    clock: Callable[[], Any]
    asked: list[float] = field(default_factory=list)

    def __call__(self, _call: httpx.Request) -> httpx.Response:
        self.asked.append((self.clock() - START).total_seconds())
        assert len(self.asked) < 500, "a storm of requests"
        what = self.answers[min(len(self.asked), len(self.answers)) - 1]
        if isinstance(what, Exception):
            raise what
        return httpx.Response(what.status_code, headers=what.headers, content=what.content)


@dataclass
class Ended:
    """How a wait ended."""

    outcome: VideoJob | BaseException
    asked: list[float]
    states: list[str]
    seconds: float


class Clock:
    """A clock that a pause moves."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> Any:
        return START + timedelta(seconds=self.seconds)

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0.0
        self.seconds += seconds


def in_a_worker(*answers: httpx.Response | Exception, of: VideoJob | None = None, **how: Any) -> Ended:
    clock, states = Clock(), list[str]()
    vendor = Vendor(answers, clock)
    client = VideoClient(Pixazo(now=clock), KEY, transport=httpx.MockTransport(vendor), sleep=clock.sleep)
    how = {"on_progress": lambda job: states.append(str(job.status)), "timeout": 600, **how}
    outcome: VideoJob | BaseException
    try:
        outcome = client.wait(of or job("pixazo", submitted_at=START), **how)
    except Exception as error:  # noqa: BLE001 # an author's own, too
        outcome = error
    return Ended(outcome, vendor.asked, states, clock.seconds)


def in_a_loop(*answers: httpx.Response | Exception, of: VideoJob | None = None, **how: Any) -> Ended:
    states: list[str] = []

    async def main() -> Ended:
        vendor = Vendor(answers, wall_clock)
        options = {"on_progress": lambda job: states.append(str(job.status)), "timeout": 600, **how}
        outcome: VideoJob | BaseException
        async with AsyncVideoClient(Pixazo(now=wall_clock), KEY, transport=httpx.MockTransport(vendor)) as client:
            try:
                outcome = await client.wait(of or job("pixazo", submitted_at=START), **options)
            except Exception as error:  # noqa: BLE001 # an author's own, too
                outcome = error
        return Ended(outcome, vendor.asked, states, (wall_clock() - START).total_seconds())

    return run_virtually(main())


WAYS = pytest.mark.parametrize("waited", [in_a_worker, in_a_loop], ids=["worker", "loop"])

#: What the vendor says, and what comes of it.
FAULTS: dict[str, tuple[list[httpx.Response | Exception], type[VideoProviderError] | None]] = {
    "a 404 that lags behind the submit": ([UNKNOWN] * 3 + [RUNNING, DONE], None),
    "stray refusals": ([answer(400, {"error": "x"}), answer(401), answer(409, {"error": "x"}), RUNNING, DONE], None),
    "a refused key that is taken again": ([answer(401), answer(401), DONE], None),
    "finished before its address is there": ([says("COMPLETED"), says("COMPLETED"), DONE], None),
    "a rate limit": ([answer(429, {"error": "slow"}, retry_after="100"), DONE], None),
    "lost connections": ([LOST, LOST, LOST, RUNNING, LOST, DONE], None),
    "bad gateways": ([answer(502, "<html>")] * 4 + [DONE], None),
    "an unknown word": ([says("PONDERING"), says("PONDERING"), DONE], None),
    "another job's answer": ([says("COMPLETED", request_id="r-2", output=CLIP), DONE], None),
    "no address, ever": ([says("COMPLETED")], OutputMissingError),
    "an unknown word for ever": ([says("PONDERING")], JobUnknownError),
    "a key that is refused for ever": ([answer(401)], AuthenticationError),
    "not known for ever": ([UNKNOWN], JobExpiredError),
    "the vendor's own error": ([RUNNING, says("ERROR")], JobErroredError),
    "a failure": ([RUNNING, says("FAILED", error="blocked")], JobFailedError),
    "no answer for ever": ([LOST], JobTimeoutError),
    "running for ever": ([RUNNING], JobTimeoutError),
}


@pytest.mark.parametrize(("script", "error"), FAULTS.values(), ids=FAULTS)
def test_a_wait_ends_alike_in_a_worker_and_in_a_loop(script, error):
    worker, loop = in_a_worker(*script), in_a_loop(*script)
    for ended in (worker, loop):
        if error is None:
            assert isinstance(ended.outcome, VideoJob), ended.outcome
            assert (ended.outcome.status, len(ended.outcome.outputs)) == (JobStatus.SUCCEEDED, 1)
            assert len(ended.asked) == len(script), "every answer was read, and none twice"
        else:
            assert type(ended.outcome) is error
            assert "r-1" in str(ended.outcome)
    assert worker.states == loop.states
    if error is not None:
        assert str(worker.outcome) == str(loop.outcome)


@WAYS
def test_retry_after_is_kept_to(waited):
    ended = waited(answer(429, {"error": "slow"}, retry_after="100"), DONE, poll_interval=5)
    first, second = ended.asked
    assert second - first >= 100


@WAYS
def test_a_wait_ends_at_its_deadline_with_a_last_poll(waited):
    ended = waited(RUNNING, timeout=300)
    assert isinstance(ended.outcome, JobTimeoutError)
    assert "after 300 s of waiting" in str(ended.outcome)
    assert ended.asked[-1] == pytest.approx(300, abs=0.1)
    assert ended.outcome.charged == "unknown"


@WAYS
def test_a_deadline_holds_where_retry_after_goes_beyond_it(waited):
    ended = waited(answer(429, {"error": "slow"}, retry_after="5000"), timeout=timedelta(seconds=100))
    assert isinstance(ended.outcome, JobTimeoutError)
    assert ended.seconds < 200


@WAYS
def test_a_job_that_was_just_submitted_is_not_asked_about_at_once(waited):
    assert waited(DONE).asked[0] > 1.0


@WAYS
def test_a_job_that_is_finished_already_is_read_once_more_at_once(waited):
    of = job("pixazo", submitted_at=None, status=JobStatus.SUCCEEDED)
    ended = waited(DONE, of=of)
    assert ended.asked == [0.0]
    assert ended.outcome.outputs


@WAYS
def test_polls_do_not_come_evenly_so_that_many_waits_do_not_come_together(waited):
    asked = waited(RUNNING, poll_interval=20).asked[:-1]
    pauses = {round(later - sooner, 3) for sooner, later in itertools.pairwise(asked)}
    assert len(pauses) > 5
    assert all(20 <= pause <= 22 for pause in pauses)


@WAYS
def test_silence_is_answered_with_longer_pauses(waited):
    asked = waited(LOST, timeout=600).asked
    assert len(asked) < 20
    assert asked[4] - asked[3] > 2 * (asked[1] - asked[0])


@WAYS
def test_a_short_interval_is_the_authors_and_is_warned_of_once(waited, caplog):
    ended = waited(RUNNING, RUNNING, RUNNING, DONE, poll_interval=0.2)
    assert all(1.0 <= later - sooner <= 1.2 for sooner, later in itertools.pairwise(ended.asked))
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "shorter than the 5 s that the documents of Pixazo ask for" in caplog.text


@WAYS
def test_progress_is_reported_once_for_each_state_and_never_for_an_answer_that_is_none(waited):
    script = [UNKNOWN, says("IN_QUEUE"), RUNNING, RUNNING, LOST, RUNNING, says("PONDERING"), RUNNING, DONE]
    assert waited(*script).states == ["queued", "running", "unknown", "running", "succeeded"]


@WAYS
def test_a_failure_is_reported_before_it_is_raised(waited):
    assert waited(RUNNING, says("FAILED")).states == ["running", "failed"]


class Stop(Exception):  # an author's own
    """What an author raises."""


@WAYS
def test_what_on_progress_raises_ends_the_wait_as_it_is(waited):
    def stop(_job: VideoJob) -> None:
        raise Stop

    ended = waited(RUNNING, DONE, on_progress=stop)
    assert type(ended.outcome) is Stop
    assert len(ended.asked) == 1


def test_in_a_loop_on_progress_may_be_asynchronous():
    seen: list[str] = []

    async def note(job: VideoJob) -> None:
        await asyncio.sleep(1)
        seen.append(str(job.status))

    ended = in_a_loop(RUNNING, DONE, on_progress=note)
    assert isinstance(ended.outcome, VideoJob)
    assert seen == ["running", "succeeded"]


def test_in_a_worker_nothing_would_await_it():
    async def note(_job: VideoJob) -> None: ...

    ended = in_a_worker(DONE, on_progress=note)
    assert isinstance(ended.outcome, InvalidRequestError)
    assert ended.asked == []


@WAYS
@pytest.mark.parametrize(
    "how",
    [
        {"timeout": -1}, {"timeout": float("nan")}, {"timeout": "soon"}, {"timeout": 1e300}, {"timeout": 10**400},
        {"timeout": True}, {"poll_interval": -5}, {"poll_interval": "5"}, {"poll_interval": 10**400},
        {"on_progress": "print"},
    ],
    ids=lambda how: f"{next(iter(how))}={str(next(iter(how.values())))[:8]}",
)  # fmt: skip
def test_an_argument_that_is_wrong_is_refused_before_anything_is_asked(waited, how):
    ended = waited(DONE, **how)
    assert isinstance(ended.outcome, InvalidRequestError)
    assert ended.outcome.field == next(iter(how))
    assert "The job is not affected." in str(ended.outcome)
    assert ended.asked == []


@WAYS
def test_another_vendors_job_is_refused(waited):
    ended = waited(DONE, of=job("segmind"))
    assert isinstance(ended.outcome, InvalidRequestError)
    assert ended.asked == []


@WAYS
@pytest.mark.parametrize(
    ("script", "remedy"),
    [
        ([RUNNING], "Call wait again to go on waiting for the same job"),
        ([says("COMPLETED")], "Call wait again later"),
        ([says("ERROR")], "Submit the request again to buy it again."),
    ],
    ids=["time-out", "no address", "error"],
)
def test_a_remedy_says_what_to_call_and_not_which_task_to_clear(waited, script, remedy):
    error = waited(*script).outcome
    assert remedy in str(error)
    assert isinstance(error, VideoProviderError)
    assert not any(word in error.remedy for word in ("task", "sensor"))
    assert error.job.request_id == "r-1", "nothing else is lost of it"


def test_a_wall_clock_that_is_set_back_does_not_make_a_wait_longer():
    clock = Clock()

    def sleep(seconds: float) -> None:
        clock.seconds += seconds - 3600
        slept.append(seconds)

    slept: list[float] = []
    vendor = Vendor((RUNNING,), clock)
    client = VideoClient(Pixazo(now=clock), KEY, transport=httpx.MockTransport(vendor), sleep=sleep)
    with pytest.raises(JobTimeoutError):
        client.wait(job("pixazo", submitted_at=START), timeout=100)
    assert sum(slept) == pytest.approx(100)


def test_all_waits_of_a_client_share_one_request_budget():
    async def main() -> list[float]:
        vendor = Vendor((RUNNING,), wall_clock)
        async with AsyncVideoClient(Pixazo(now=wall_clock), KEY, transport=httpx.MockTransport(vendor)) as client:
            waits = [client.wait(job("pixazo", request_id="r-1", submitted_at=None), timeout=60) for _ in range(200)]
            await asyncio.gather(*waits, return_exceptions=True)
        return vendor.asked

    asked = run_virtually(main())
    assert len([at for at in asked if at < 60]) <= Pixazo.requests_per_minute + 2


async def test_a_wait_that_is_cancelled_leaves_its_client_usable():
    script = Vendor((RUNNING, DONE), lambda: START)
    async with AsyncVideoClient(Pixazo(), KEY, transport=httpx.MockTransport(script)) as client:
        waiting = asyncio.create_task(client.wait(job("pixazo", submitted_at=None)))
        async with asyncio.timeout(60):
            while not script.asked:  # noqa: ASYNC110 # it is the transport that is waited for
                await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert (await client.wait(job("pixazo", submitted_at=None))).outputs
