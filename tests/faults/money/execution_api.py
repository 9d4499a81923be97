"""Airflow's side of a task, over loopback HTTP, so that ``kill -9`` of a task process loses nothing of it."""

from __future__ import annotations

import json
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import httpx
import psutil

from tests.support.airflow import MemoryAirflow

if TYPE_CHECKING:
    from collections.abc import Callable


class LoopbackAirflow(MemoryAirflow):
    """One DAG run: what the API server would know of it, for supervisors and tasks in other processes.

    :ivar state: What the supervisor reported last.
    :ivar pid: The task process that runs.
    :ivar away: How many look-ups of a connection are answered as if there were none; None: each.
    :ivar on_answer: Called once, when the vendor has answered a paid call and the task has read nothing of it.
    :ivar store_away_until: Until when the state store answers 500, by the monotonic clock.
    :ivar kill_at: ``"connection"`` or ``"xcom"``: kill the task with its next request of this kind, once.
    """

    def __init__(self) -> None:
        super().__init__()
        self.state: str | None = None
        self.pid: int | None = None
        self.kill_at: str | None = None
        self.away: int | None = 0
        self.on_answer: Callable[[], None] | None = None
        self.store_away_until = 0.0
        self.conf: dict[str, Any] = {}
        airflow = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                answer = airflow.answer(httpx.Request(self.command, f"http://api{self.path}", content=body))
                self.send_response(answer.status_code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer.content)))
                self.end_headers()
                self.wfile.write(answer.content)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = serve  # the standard library's names

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()

    def new_run(self, run_id: str, **conf: Any) -> None:
        """Forget everything: another DAG run begins."""
        self.run_id, self.conf, self.kill_at = run_id, conf, None
        self.xcoms.clear()
        self.store.clear()

    def new_try(self, task_id: str, try_number: int, retries: int) -> str:
        """A try of a task is due: its id. XComs of the try before are cleared, as Airflow does."""
        self.state, self.pid = None, None
        self._max_tries, self._retries_left = retries, try_number <= retries
        for key in [key for key in self.xcoms if key[0] == task_id]:
            del self.xcoms[key]
        return str(uuid.uuid4())

    def settle(self) -> str:
        """The state of a task whose process has ended.

        Of a killed task its supervisor tells nothing: the scheduler finds it running without a process, and
        retries it where tries are left.
        """
        if self.state == "running":
            self.state = "up_for_retry" if self._retries_left else "failed"
        return self.state or "never started"

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer a supervisor."""
        path = request.url.path.strip("/").split("/")
        if path[0] == "task-instances" and path[-1] in ("run", "state"):
            told = json.loads(request.content)
            self.pid = told.get("pid", self.pid)
            self.state = told["state"]
        if path[0] == "connections":
            self.strike("connection")
            if self.away is None or self.away > 0:
                self.away = None if self.away is None else self.away - 1
                return httpx.Response(404, json={"detail": {"reason": "not_found", "message": "no connection"}})
        if path[0] == "store" and time.monotonic() < self.store_away_until:
            return httpx.Response(500, json={"detail": "the database is away"})
        if path[0] == "xcoms" and request.method == "POST" and self.strike("xcom"):
            return httpx.Response(201, json={"message": "the task is gone"})
        return self._answer(request)

    def _run_context(self) -> dict[str, Any]:
        context = super()._run_context()
        context["dag_run"] |= {"dag_id": "money", "conf": self.conf}
        return context

    def strike(self, where: str) -> bool:
        """Kill the task here, if it is to be killed here; True only once it is dead."""
        if where == "answered" and self.on_answer is not None:
            happen, self.on_answer = self.on_answer, None
            happen()
        if self.kill_at != where or self.pid is None:
            return False
        self.kill_at = None
        process = psutil.Process(self.pid)
        process.kill()
        return _until(lambda: _is_dead(process))


def _is_dead(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _until(is_so: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 10
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError("the task process did not die")
        time.sleep(0.001)
    return True
