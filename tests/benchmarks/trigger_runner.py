"""Airflow's real TriggerRunner with a stand-in for its supervisor: triggers in, events out, nothing stored."""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
from airflow.executors.workloads.task import TaskInstanceDTO
from airflow.executors.workloads.trigger import RunTrigger
from airflow.jobs.triggerer_job_runner import TriggerRunner, messages
from airflow.models.trigger import Trigger  # noqa: TID251 # the runner's own side of Airflow
from airflow.sdk.execution_time.comms import ConnectionResult, GetConnection
from airflow.triggers.base import BaseTrigger, TriggerEvent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

#: How many new triggers a real triggerer hands over in one round.
PER_ROUND = 50


class Runner(TriggerRunner):
    """The runner, told what to run by its methods instead of by a supervisor."""

    def __init__(self, connections: dict[str, dict[str, Any]]) -> None:
        super().__init__()
        self._connections = connections
        self._wanted: list[RunTrigger] = []
        self._unwanted: set[int] = set()
        self._number = 0

    async def init_comms(self) -> None:
        from airflow.sdk.execution_time import task_runner

        self.comms_decoder = task_runner.SUPERVISOR_COMMS = self.supervisor = _Supervisor(self._connections)

    async def asend(self, msg: Any) -> Any:
        wanted, self._wanted = self._wanted[:PER_ROUND], self._wanted[PER_ROUND:]
        unwanted, self._unwanted = self._unwanted, set()
        return messages.TriggerStateSync(to_create=wanted, to_cancel=unwanted)

    def want(self, classpath: str, kwargs: dict[str, Any]) -> None:
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

    async def hand_over(self) -> None:
        """All that are wanted, now: the real runner would take a second for each fifty."""
        while self._wanted:
            await self.sync_state_to_supervisor([])
            await self.create_triggers()

    async def drop_all(self) -> None:
        self._unwanted = set(self.triggers)
        while self.triggers:  # noqa: ASYNC110 # the runner has no event for it
            await asyncio.sleep(0.05)


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
    runner = Runner(connections)
    task = asyncio.create_task(runner.arun())
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
    """The longest piece of CPU time after which the event loop came back."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._task = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        while True:
            before = time.thread_time()
            await asyncio.sleep(0.005)
            self.longest = max(self.longest, time.thread_time() - before)

    def stop(self) -> float:
        self._task.cancel()
        return self.longest
