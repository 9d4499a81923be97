"""A whole Airflow on loopback: api-server, scheduler with LocalExecutor, triggerer, dag-processor, SQLite."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import psutil

from tests.support.home import PATIENCE, environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from airflow_video_providers.testing.simulator import SimulatorHandle

FINAL = {"success", "failed"}
#: Seconds after which the scheduler has heard of what a worker did.
HEARD = 3.0


@dataclass
class TaskState:
    """A task instance, as the database has it.

    :param pid: The process of the worker that last ran it; None where no worker ever did.
    """

    state: str
    tries: int
    pid: int | None


class Cluster:
    """A running Airflow.

    :param home: Its home, with a migrated database.
    :param env: The environment of all of its processes.
    :param port: Where its api-server listens.
    """

    def __init__(self, home: Path, env: Mapping[str, str], port: int) -> None:
        self.home = home
        self.url = f"http://127.0.0.1:{port}"
        self._env = dict(env)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._started = 0
        self.client = httpx.Client(base_url=f"{self.url}/api/v2", timeout=120, trust_env=False)

    def start(self, component: str, *arguments: str) -> None:
        """Start one of its processes; what it says goes to ``<component>.<n>.log``."""
        self._started += 1
        with (self.home / f"{component}.{self._started}.log").open("wb") as log:
            self._processes[component] = subprocess.Popen(
                [sys.executable, "-m", "airflow", component, *arguments],
                env=self._env, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def kill(self, component: str) -> None:
        """``kill -9`` of a process and all of its children, which get no chance to say anything."""
        process = self._processes.pop(component)
        family = self.family(process.pid)
        for member in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.send_signal(signal.SIGKILL)
        psutil.wait_procs(family, timeout=30)
        process.wait()

    def pause(self, component: str, name: str) -> None:
        """Stop a process and its children where they stand, as a machine does that is short of time.

        :param name: What it is called from now on, so that another one can be started.
        """
        self._processes[name] = self._processes.pop(component)
        for member in self.family(self.pid(name)):
            member.suspend()

    def resume(self, name: str) -> None:
        """Let a paused one go on."""
        for member in self.family(self.pid(name)):
            member.resume()

    def stop(self) -> None:
        """End all processes."""
        self.client.close()
        for process in self._processes.values():
            process.terminate()
        for component, process in list(self._processes.items()):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            with contextlib.suppress(psutil.NoSuchProcess):
                self.kill(component)

    def pid(self, component: str) -> int:
        """The process id of a component."""
        return self._processes[component].pid

    @staticmethod
    def family(pid: int) -> list[psutil.Process]:
        """A process and all of its children."""
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]

    def wait_for(self, what: str, seen: Callable[[], Any]) -> Any:
        """Look until there is something to see; a component that ends meanwhile is an error."""
        deadline = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(httpx.TransportError):
                if found := seen():
                    return found
            dead = [name for name, process in self._processes.items() if process.poll() is not None]
            if dead or time.monotonic() > deadline:
                raise AssertionError(f"waiting for {what}: {dead or 'for too long'}\n{self.last_words()}")
            time.sleep(0.5)

    def ready(self, *dag_ids: str) -> None:
        """Wait until every component is healthy and these DAGs are known."""
        parts = ("metadatabase", "scheduler", "triggerer", "dag_processor")

        def healthy() -> bool:
            health = self.client.get("/monitor/health").json()
            return all(health[part]["status"] == "healthy" for part in parts)

        self.wait_for("every component", healthy)
        for dag_id in dag_ids:
            self.wait_for(dag_id, lambda dag_id=dag_id: self.client.get(f"/dags/{dag_id}").status_code == 200)

    def trigger(self, dag_id: str, **conf: Any) -> str:
        """Start a run; its id. Airflow answers 500 while its SQLite is locked, and has then made none: it is asked again."""

        def answered() -> httpx.Response | None:
            said = self.client.post(f"/dags/{dag_id}/dagRuns", json={"logical_date": None, "conf": conf})
            return None if said.status_code == 500 and "Database error" in said.text else said

        answer = self.wait_for("an answer to a new run", answered)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["dag_run_id"])

    def run_state(self, dag_id: str, run_id: str) -> str:
        """The state of a run."""
        return str(self._rows("SELECT state FROM dag_run WHERE dag_id = ? AND run_id = ?", dag_id, run_id)[0][0])

    def finished(self, dag_id: str, run_id: str) -> str:
        """Wait for the end of a run; its state."""

        def ended() -> str | None:
            state = self.run_state(dag_id, run_id)
            return state if state in FINAL else None

        return str(self.wait_for(f"the end of {run_id}", ended))

    def run_put_aside(self, simulator: SimulatorHandle, dag_id: str, waits: int, **conf: Any) -> str:
        """One whole run, on a simulator whose clock stands still until all of its waits are deferred; its id.

        Airflow 3.3.2 fails a task whose trigger fires before the scheduler has heard that it was deferred, and on a
        busy machine that takes a while.

        :param waits: How many tasks of the run are deferred at the same time.
        """
        run_id = self.trigger(dag_id, **conf)

        def all_aside() -> bool:
            states = [task.state for task in self.tasks(dag_id, run_id).values()]
            return states.count("deferred") == waits or "failed" in states

        self.wait_for(f"{waits} waits", all_aside)
        self.settle()
        time.sleep(HEARD)
        simulator.advance(600)  # every job is done; Segmind forgets one after an hour
        state = self.finished(dag_id, run_id)
        self.settle()
        if state != "success":
            raise AssertionError(f"{dag_id} ended {state}\n{self.last_words()}")
        return run_id

    def settle(self) -> None:
        """Wait until no worker runs a task."""
        scheduler = psutil.Process(self.pid("scheduler"))
        self.wait_for("idle workers", lambda: not any(worker.children() for worker in scheduler.children()))

    def tasks(self, dag_id: str, run_id: str) -> dict[str, TaskState]:
        """The task instances of a run; mapped ones as ``task[0]``."""
        rows = self._rows(
            "SELECT task_id, map_index, state, try_number, pid FROM task_instance WHERE dag_id = ? AND run_id = ?",
            dag_id, run_id,
        )  # fmt: skip
        return {_named(task, index): TaskState(str(state), tries, pid) for task, index, state, tries, pid in rows}

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        """What a task pushed, as it is stored; None where it pushed nothing."""
        rows = self._rows(
            "SELECT value FROM xcom WHERE dag_id = ? AND run_id = ? AND task_id = ? AND key = ? AND map_index = ?",
            dag_id, run_id, task_id, key, map_index,
        )  # fmt: skip
        return json.loads(rows[0][0]) if rows else None

    def task_log(self, dag_id: str, run_id: str, task_id: str) -> str:
        """All that a task said, in the worker and in the triggerer, oldest file first."""
        folder = self.home / "logs" / f"dag_id={dag_id}" / f"run_id={run_id}" / f"task_id={task_id}"
        files = sorted(
            (path for path in folder.rglob("*.log*") if path.is_file()), key=lambda path: path.stat().st_mtime
        )
        return "\n".join(path.read_text() for path in files)

    def worker_starts(self) -> int:
        """How often a worker has begun to run a task: each asks the api-server for leave."""
        logs = "".join(path.read_text(errors="replace") for path in self.home.glob("api-server.*.log"))
        return len(re.findall(r"method=PATCH path=/execution/task-instances/\S+/run .*status_code=200", logs))

    def last_words(self) -> str:
        """The ends of the components' logs."""
        tails = {path.name: path.read_text(errors="replace")[-1500:] for path in sorted(self.home.glob("*.log"))}
        return "\n".join(f"--- {name}\n{tail}" for name, tail in tails.items())

    def _rows(self, query: str, *values: Any) -> list[Any]:
        with contextlib.closing(
            sqlite3.connect(f"file:{self.home / 'airflow.db'}?mode=ro", uri=True, timeout=60)
        ) as db:
            return db.execute(query, values).fetchall()


@contextlib.contextmanager
def airflow_cluster(home: Path, dags: Path, *more: Mapping[str, str]) -> Iterator[Cluster]:
    """An Airflow that runs as long as the context lasts; :meth:`Cluster.ready` waits for it.

    :param home: A home with a migrated database.
    :param dags: The folder of its DAGs.
    :param more: What else to set in its environment.
    """
    port = _free_port()
    own = {
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
        "AIRFLOW__API__SECRET_KEY": "of-a-throw-away-airflow-on-loopback",
        "AIRFLOW__API_AUTH__JWT_SECRET": "of-a-throw-away-airflow-on-loopback-that-nobody-reaches-from-outside",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__FERNET_KEY": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
        "AIRFLOW__CORE__PARALLELISM": "2",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
        "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
        # how long a triggerer is silent before another one may take its triggers
        "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "10",
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
    }
    cluster = Cluster(home, environment(home, own, *more, dags=dags), port)
    try:
        cluster.start("api-server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1")
        cluster.start("scheduler", "--skip-serve-logs")
        cluster.start("triggerer", "--skip-serve-logs")
        cluster.start("dag-processor")
        yield cluster
    finally:
        cluster.stop()


def _named(task_id: str, map_index: int) -> str:
    return task_id if map_index < 0 else f"{task_id}[{map_index}]"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
