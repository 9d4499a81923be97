"""Time that jumps: an event loop in which waiting costs nothing, and a vendor whose jobs it moves along."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from airflow_video_providers.core.jobs import JobStatus, VideoJob, VideoOutput
from airflow_video_providers.core.polling.connection_cache import SharedClient
from airflow_video_providers.core.polling.decision import PollState
from airflow_video_providers.core.polling.poller import Poller
from airflow_video_providers.core.polling.timing import Timing
from airflow_video_providers.core.vendors.base import Vendor

T = TypeVar("T")
START = datetime(2026, 1, 1, tzinfo=UTC)


#: What a thread of the loop may take in seconds of a real clock; one that needs longer waits for the loop's own time.
THREAD_SECONDS = 2.0


class _Jump(selectors.DefaultSelector):
    def __init__(self) -> None:
        super().__init__()
        self.jumped = 0.0
        self.rounds = 0
        self.threads = 0

    def select(self, timeout: float | None = None) -> Any:
        self.rounds += 1
        ready = super().select(THREAD_SECONDS if self.threads and timeout != 0 else 0)
        if not ready and timeout:
            self.jumped += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock stands still while it works and jumps to the next timer when it would sleep."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        return 1000.0 + self._jump.jumped

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        """Time stands still for a thread's work, too: a slow machine must not move the clock."""
        self._jump.threads += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(lambda _: setattr(self._jump, "threads", self._jump.threads - 1))
        return future

    @property
    def round(self) -> int:
        """How often it has come round: what happens in one round holds up everything else."""
        return self._jump.rounds


def run_virtually(main: Coroutine[Any, Any, T]) -> T:
    """Run to the end, in no time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


def wall_clock() -> datetime:
    """The wall clock that goes with a virtual loop."""
    return START + timedelta(seconds=asyncio.get_running_loop().time() - 1000.0)


class Pixel(Vendor):
    """A vendor for tests: 60 requests a minute, a look each 5 to 15 s."""

    id = "pixel"
    title = "Pixel"
    base_url = "https://pixel.invalid"
    key_header = "x-key"
    poll_seconds = (5.0, 15.0)


Answer = JobStatus | Exception | Callable[[VideoJob], VideoJob]


@dataclass
class FakeClient:
    """Answers from a script: what comes for each id, in turn; the last one for ever."""

    script: dict[str, list[Answer]] = field(default_factory=dict)
    done_after: Callable[[str], float] | None = None
    latency: float = 0.0
    looks: list[tuple[float, str]] = field(default_factory=list)
    requests_each: int = 1
    closed: int = 0
    most_at_once: int = 0
    _at_once: int = 0

    async def status(self, job: VideoJob, *, on_request: Callable[[], None] | None = None) -> VideoJob:
        loop = asyncio.get_running_loop()
        self.looks.append((loop.time() - 1000.0, job.request_id))
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            for _ in range(self.requests_each):
                if on_request is not None:
                    on_request()
            await asyncio.sleep(self.latency)
            return self._answer(job)
        finally:
            self._at_once -= 1

    def _answer(self, job: VideoJob) -> VideoJob:
        if self.done_after is not None:
            done = asyncio.get_running_loop().time() - 1000.0 >= self.done_after(job.request_id)
            answer: Answer = JobStatus.SUCCEEDED if done else JobStatus.RUNNING
        else:
            answers = self.script.setdefault(job.request_id, [JobStatus.RUNNING])
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, JobStatus):
            outputs = (VideoOutput(url="https://cdn.invalid/v.mp4"),) if answer is JobStatus.SUCCEEDED else ()
            return job.replace(status=answer, vendor_status=answer.upper(), outputs=outputs)
        return answer(job)

    async def aclose(self) -> None:
        self.closed += 1


def new_job(request_id: str = "r1", **fields: Any) -> VideoJob:
    """A job submitted now."""
    return VideoJob(**{"model": "pixel:one", "request_id": request_id, "submitted_at": wall_clock(), **fields})


def state(job: VideoJob, seconds: float = 3600.0) -> PollState:
    """A watch that begins now."""
    return PollState(job=job, started=wall_clock(), deadline=wall_clock() + timedelta(seconds=seconds))


def new_timing(typical: float = 60.0) -> Timing:
    """Timing without chance."""
    return Timing(typical=lambda _: typical, jitter=lambda: 0.0)


def new_poller(
    client: FakeClient | Callable[[], Any], *, per_minute: float = 6000.0, timing: Timing | None = None
) -> Poller:
    """A poller in the running virtual loop.

    :param client: The one client, or what to do at each look-up of the connection.
    """

    async def connect() -> SharedClient:
        found = client() if callable(client) else client
        if asyncio.iscoroutine(found):
            found = await found
        return SharedClient(found, per_minute)

    return Poller(connect, Pixel, timing=timing or new_timing(), now=wall_clock)
