"""Airflow's real TriggerRunner with a stand-in for its supervisor: triggers in, events out, nothing stored."""

from __future__ import annotations

import asyncio
import gc
import os
import time
import uuid
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from airflow._shared.observability.metrics import stats
from airflow.executors.workloads.task import TaskInstanceDTO
from airflow.executors.workloads.trigger import RunTrigger
from airflow.jobs.triggerer_job_runner import TriggerRunner, messages
from airflow.models.trigger import Trigger  # noqa: TID251 # the runner's own side of Airflow
from airflow.sdk.execution_time.comms import ConnectionResult, GetConnection
from airflow.triggers.base import BaseTrigger, TriggerEvent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    import aiohttp


class Runner(TriggerRunner):
    """The runner, told what to run by its methods instead of by a supervisor."""

    def __init__(self, connections: dict[str, dict[str, Any]]) -> None:
        super().__init__()
        self._connections = connections
        self._wanted: list[RunTrigger] = []
        self._unwanted: set[int] = set()
        self._number = 0
        #: Called once, with the next round: what it wants starts at once, and not up to a second later.
        self.on_round: Callable[[], None] | None = None
        #: Called with the number of a trigger that has fired.
        self.on_event: Callable[[int], None] | None = None
        self.events = _Events(self)

    async def init_comms(self) -> None:
        from airflow.sdk.execution_time import task_runner

        self.comms_decoder = task_runner.SUPERVISOR_COMMS = self.supervisor = _Supervisor(self._connections)

    async def asend(self, msg: Any) -> Any:
        start, self.on_round = self.on_round, None
        if start is not None:
            start()
        wanted, self._wanted = self._wanted, []
        unwanted, self._unwanted = self._unwanted, set()
        return messages.TriggerStateSync(to_create=wanted, to_cancel=unwanted)

    def want(self, classpath: str, kwargs: dict[str, Any]) -> int:
        """Start this trigger with the runner's next round; returns its number."""
        self._number += 1
        ti = TaskInstanceDTO(
            id=uuid.uuid4(),
            dag_version_id=uuid.uuid4(),
            task_id="wait",
            dag_id="bench",
            run_id="run",
            try_number=1,
            map_index=self._number,
            pool_slots=1,
            queue="default",
            priority_weight=1,
        )
        workload = RunTrigger(
            id=self._number, classpath=classpath, encrypted_kwargs=Trigger.encrypt_kwargs(kwargs), ti=ti
        )
        self._wanted.append(workload)
        return self._number

    async def hand_over(self) -> None:
        """All that are wanted, with the runner's next round: a real one would take fifty a round."""
        await self._until(lambda: not self._wanted)

    async def drop_all(self) -> None:
        self._unwanted = set(self.triggers)
        await self._until(lambda: not self.triggers)

    async def _until(self, reached: Callable[[], bool]) -> None:
        while not reached():
            if self.ended is not None and self.ended.done():
                await self.ended
                raise RuntimeError("the runner has stopped")
            await asyncio.sleep(0.02)

    #: The runner's own loop, set by whoever started it.
    ended: asyncio.Task[None] | None = None


class _Events(deque[Any]):
    """The runner's outbound events: each is seen when it is put here."""

    def __init__(self, runner: Runner) -> None:
        super().__init__()
        self._runner = runner

    def append(self, entry: Any) -> None:
        super().append(entry)
        if self._runner.on_event is not None:
            self._runner.on_event(entry[0])


class _Supervisor:
    """Answers what triggers ask their supervisor, from memory: what its own process would do is not measured."""

    def __init__(self, connections: dict[str, dict[str, Any]]) -> None:
        self._connections = connections
        self._reader_task = asyncio.create_task(asyncio.Event().wait())
        self.look_ups = 0

    async def asend(self, msg: Any) -> Any:
        return self.send(msg)

    def send(self, msg: Any) -> Any:
        if not isinstance(msg, GetConnection):
            return None
        self.look_ups += 1
        empty = dict.fromkeys(("schema", "login", "port", "extra"))
        return ConnectionResult(conn_id=msg.conn_id, **{**empty, **self._connections[msg.conn_id]})


@asynccontextmanager
async def running(connections: dict[str, dict[str, Any]]) -> AsyncIterator[Runner]:
    """The runner at work in this event loop.

    :param connections: What the Execution API would know.
    """
    os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "client"  # what runs triggers asks its supervisor, not the database
    stats.incr("bench", 0)  # the runner's own first metric, sent where the loop was held up, takes 60 ms, whoever waits
    runner = Runner(connections)
    task = runner.ended = asyncio.create_task(runner.arun())
    while not hasattr(runner, "comms_decoder"):  # noqa: ASYNC110 # the runner has no event for it
        await asyncio.sleep(0.01)
    try:
        yield runner
    finally:
        runner.stop = True
        await task


def quiet_logs() -> None:
    """Log as in a triggerer's process: JSON over a file descriptor. It leads nowhere here."""
    from airflow.sdk.log import configure_logging, reset_logging

    reset_logging()
    nowhere = open(os.devnull, "wb", buffering=0)  # noqa: SIM115 # as long as the process
    configure_logging(json_output=True, output=nowhere, sending_to_supervisor=True)


class BareTrigger(BaseTrigger):
    """The floor: one aiohttp session for all, a request and a sleep, nothing read."""

    session: aiohttp.ClientSession | None = None
    users = 0

    def __init__(self, url: str, seconds: float) -> None:
        super().__init__()
        self.url = url
        self.seconds = seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return f"{__name__}.BareTrigger", {"url": self.url, "seconds": self.seconds}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        import aiohttp  # here, because what else imports it is measured too

        own = type(self)
        if own.session is None:
            own.session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=16))
        own.users += 1
        try:
            while True:
                async with own.session.get(self.url) as response:
                    await response.read()
                await asyncio.sleep(self.seconds)
        finally:
            own.users -= 1
            if not own.users:
                session, own.session = own.session, None
                await session.close()
        yield TriggerEvent(None)


class LoopWatch:
    """The longest piece of CPU time after which the event loop came back.

    The interpreter's own full garbage collections are timed apart: they go over all that Airflow has imported, whoever
    waits and however.
    """

    def __init__(self) -> None:
        self.longest = self.longest_collection = 0.0
        self._collecting = 0.0
        self._began = 0.0
        gc.callbacks.append(self._collected)
        self._task = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        while True:
            before, collecting = time.thread_time(), self._collecting
            await asyncio.sleep(0.005)
            spent = time.thread_time() - before - (self._collecting - collecting)
            self.longest = max(self.longest, spent)

    def _collected(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._began = time.thread_time()
        elif info["generation"] == 2:
            took = time.thread_time() - self._began
            self._collecting += took
            self.longest_collection = max(self.longest_collection, took)

    def stop(self) -> LoopWatch:
        self._task.cancel()
        gc.callbacks.remove(self._collected)
        return self
