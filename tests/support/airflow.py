"""Real operators through the real Task SDK runner, against an Execution API that lives in memory.

No database, no server process: 20 to 50 ms a run. Airflow 3.3 only.
"""

from __future__ import annotations

import asyncio
import json
import os
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import psutil
import structlog
from airflow.sdk._shared.module_loading import import_string
from airflow.sdk.api.datamodels._generated import TaskInstance
from airflow.sdk.execution_time.supervisor import (
    InProcessSupervisorComms,
    InProcessTestSupervisor,
    run_task_in_process,
    set_supervisor_comms,
)
from airflow.sdk.serde import deserialize, serialize

_MOMENT = "2026-01-01T00:00:00Z"
_NO_CONTENT = httpx.Response(204)


@dataclass
class Outcome:
    """How one run of a task ended."""

    state: str
    message: Any
    error: BaseException | None


@dataclass
class MemoryAirflow:
    """What the API server would know: connections, XComs, the task state store, the deferred trigger."""

    connections: dict[str, dict[str, Any]] = field(default_factory=dict)
    xcoms: dict[tuple[str, str, int], Any] = field(default_factory=dict)
    store: dict[str, Any] = field(default_factory=dict)
    events: list[Any] = field(default_factory=list)
    first_reschedule: str | None = None
    #: What Airflow says of the state of every task; None: it does not answer.
    task_state: str | None = None
    #: Everything that a task's process has sent to Airflow: XComs, rendered fields, asset events, a trigger's arguments.
    received: list[str] = field(default_factory=list)
    run_id: str = "run-1"
    folder: Path = field(default_factory=Path)

    # The Execution API.

    def __post_init__(self) -> None:
        self._resume: tuple[str, Any] | None = None
        self._max_tries = 0
        self._retries_left = False

    def _answer(self, request: httpx.Request) -> httpx.Response:
        path = [unquote(part) for part in request.url.raw_path.decode().partition("?")[0].strip("/").split("/")]
        body = json.loads(request.content) if request.content else None
        self.received.append(request.content.decode())
        name = path[0]
        if name == "task-instances" and path[-1] == "run":
            return httpx.Response(200, json=self._run_context())
        if path[:2] == ["task-instances", "states"]:
            (task_id, run_id) = (request.url.params["task_ids"], request.url.params["run_ids"])
            known = {"task_states": {run_id: {task_id: self.task_state}}}
            return httpx.Response(200, json=known) if self.task_state else httpx.Response(404, json={"detail": "away"})
        if name == "connections":
            return self._connection(path[1])
        if name == "xcoms":
            return self._xcom(request, (path[3], path[4], int(request.url.params.get("map_index", -1))), body)
        if name == "store":
            return self._state(request.method, path[3] if len(path) > 3 else None, body)
        if name == "task-reschedules":
            return httpx.Response(200, json=self.first_reschedule)
        return httpx.Response(200, json={"ok": True})

    def _run_context(self) -> dict[str, Any]:
        run = {
            "dag_id": "dag", "run_id": self.run_id, "logical_date": _MOMENT, "run_after": _MOMENT, "start_date": _MOMENT,
            "data_interval_start": _MOMENT, "data_interval_end": _MOMENT, "end_date": None, "run_type": "manual",
            "state": "running", "consumed_asset_events": [], "partition_key": None,
        }  # fmt: skip
        context = {"dag_run": run, "max_tries": self._max_tries, "should_retry": self._retries_left}
        context["task_reschedule_count"] = int(self.first_reschedule is not None)
        if self._resume:
            context["next_method"], context["next_kwargs"] = self._resume
        return context

    def _connection(self, conn_id: str) -> httpx.Response:
        known = self.connections.get(conn_id)
        if known is None:
            return httpx.Response(404, json={"detail": {"reason": "not_found", "message": "no connection"}})
        blank = dict.fromkeys(("host", "schema", "login", "password", "port", "extra"))
        extra = known.get("extra")
        known = {**known, "extra": json.dumps(extra) if isinstance(extra, dict) else extra}
        return httpx.Response(200, json={"conn_id": conn_id, "conn_type": "generic", **blank, **known})

    def _xcom(self, request: httpx.Request, key: tuple[str, str, int], body: Any) -> httpx.Response:
        if request.method == "POST":
            self.xcoms[key] = body
            return httpx.Response(201, json={"message": "ok"})
        if request.method == "DELETE":
            self.xcoms.pop(key, None)
            return httpx.Response(200, json={"message": "ok"})
        if key not in self.xcoms:
            return httpx.Response(404, json={"detail": {"reason": "not_found", "message": "no xcom"}})
        return httpx.Response(200, json={"key": key[1], "value": self.xcoms[key]})

    def _state(self, method: str, key: str | None, body: Any) -> httpx.Response:
        if method == "PUT":
            self.store[str(key)] = body["value"]
            return _NO_CONTENT
        if method == "DELETE":
            self.store.pop(str(key), None)
            return _NO_CONTENT
        if key not in self.store:
            return httpx.Response(404, json={"detail": {"reason": "not_found", "message": "no value"}})
        return httpx.Response(200, json={"value": self.store[key]})

    def _client(self) -> Any:
        transport = httpx.MockTransport(self._answer)
        client = InProcessTestSupervisor._Client(base_url=None, token="", dry_run=True, transport=transport)
        client.base_url = "http://in-process.invalid./"
        return client

    # What a test does.

    def run(
        self, task: Any, *, try_number: int = 1, retries: int = 0, cleared: int = 0, map_index: int = -1
    ) -> Outcome:
        """One run of a task in a worker, which may end deferred.

        :param cleared: How often a user has cleared it: each raises ``max_tries``, as Airflow does.
        """
        self._max_tries = retries + cleared * (retries + 1)
        self._retries_left = try_number <= self._max_tries
        instance = TaskInstance(
            id=uuid.uuid4(), task_id=task.task_id, dag_id=task.dag_id, run_id=self.run_id, try_number=try_number,
            map_index=map_index, dag_version_id=uuid.uuid4(),
        )  # fmt: skip
        asyncio.set_event_loop(None)  # a task's process begins without one; adlfs leaves the loop of its thread behind
        result = run_task_in_process(ti=instance, task=task, client=self._client())
        self._resume = None
        return Outcome(str(getattr(result.state, "value", result.state)), result.msg, result.error)

    def fire(self, message: Any, *, timeout: float = 120.0) -> Any:
        """Run the trigger of a deferred task as the triggerer does, up to its first event."""
        kwargs = deserialize(json.loads(json.dumps(message.trigger_kwargs)))
        event = self.first_event(import_string(message.classpath)(**kwargs), timeout=timeout)
        self.resume_with(message.next_method, event.payload, message.next_kwargs)
        return event

    def first_event(self, trigger: Any, *, timeout: float = 120.0) -> Any:
        """Run a trigger up to its first event."""
        supervisor = InProcessTestSupervisor(
            id=uuid.uuid4(), pid=os.getpid(), process=psutil.Process(), process_log=structlog.get_logger(),
            client=self._client(),
        )  # fmt: skip
        supervisor.comms = InProcessSupervisorComms(supervisor=supervisor)

        async def first() -> Any:
            events = trigger.run()
            try:
                return await asyncio.wait_for(anext(events), timeout)
            finally:
                await events.aclose()

        with set_supervisor_comms(supervisor.comms):
            event = asyncio.run(first())
        self.events.append(event.payload)
        return event

    def resume_with(self, method: str, payload: Any, kwargs: Any = None) -> None:
        """The next run resumes at ``method`` with this event."""
        self._resume = (method, serialize({**(deserialize(kwargs) or {} if kwargs else {}), "event": payload}))

    def run_to_end(self, task: Any, **how: Any) -> Outcome:
        """Run a task, and as often as it defers its trigger and the task again."""
        outcome = self.run(task, **how)
        while outcome.state == "deferred":
            self.fire(outcome.message)
            outcome = self.run(task, **how)
        return outcome

    def xcom(self, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        """What a task pushed."""
        return self.xcoms.get((task_id, key, map_index))
