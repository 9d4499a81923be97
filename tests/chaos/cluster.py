"""Airflow as teams run it, on one machine: PostgreSQL, Redis, Celery, two of each that may be doubled."""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from airflow_video_providers.testing.simulator import SimulatorHandle
from tests.chaos.servers import create_database, free_ports, postgres_command, redis_command
from tests.chaos.supervisor import Component, Supervisor
from tests.support.home import environment, run_python

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tests.chaos.servers import Programs

HERE = Path(__file__).parent
DAG_ID = "campaign"
TRIGGERERS = ("triggerer-1", "triggerer-2")
WORKERS = ("worker-1", "worker-2")
#: Tasks that each worker runs at once.
CONCURRENCY = 4
#: Seconds of silence after which another triggerer takes over.
TRIGGERER_SILENCE = 10
#: ``ledger`` of a fault -> what it is called in the table.
STATE_STORE, OBJECT_STORE = "state store", "S3"
BUCKET = "chaos"

#: Short enough for a campaign, and none below the time that an API server takes to come back.
_TIMES = {
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "90",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "15",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "15",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "60",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "15",
    # a task that was queued for too long so often is failed for good, with all of its tries left: on a machine that is
    # slow that would say nothing about us
    "AIRFLOW__SCHEDULER__NUM_STUCK_IN_QUEUED_RETRIES": "20",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": str(TRIGGERER_SILENCE),
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
    "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "30",
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "30",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "600",
}


class NotReadyError(RuntimeError):
    """Something did not come in time."""


class Cluster:
    """A running Airflow and the vendors' simulator.

    :param home: An empty folder for all of it.
    :param programs: Where PostgreSQL and Redis are.
    """

    def __init__(self, home: Path, programs: Programs) -> None:
        self.home = home
        self._programs = programs
        self._database, self._redis, self._api, vendor, self._s3 = free_ports(5)
        self._password = secrets.token_hex(16)
        self.supervisor = Supervisor(home)
        self.vendor = SimulatorHandle(f"http://127.0.0.1:{vendor}")
        self._vendor_port = vendor
        self.api = httpx.Client(base_url=f"http://127.0.0.1:{self._api}/api/v2", timeout=60, trust_env=False)
        self.env = environment(home, self._settings(), dags=home / "dags")
        self.ledger = STATE_STORE

    def _settings(self) -> dict[str, str]:
        database = f"airflow:{self._password}@127.0.0.1:{self._database}/postgres"
        return _TIMES | {
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg://{database}",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": f"postgresql+asyncpg://{database}",
            "AIRFLOW__CELERY__BROKER_URL": f"redis://:{self._password}@127.0.0.1:{self._redis}/0",
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+postgresql+psycopg://{database}",
            "AIRFLOW__CELERY__WORKER_CONCURRENCY": str(CONCURRENCY),
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
            "AIRFLOW__CORE__PARALLELISM": "64",
            "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": "64",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{self._api}/execution/",
            "AIRFLOW__CORE__FERNET_KEY": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{self._api}",
            "AIRFLOW__API__SECRET_KEY": self._password,
            "AIRFLOW__API_AUTH__JWT_SECRET": self._password * 2,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
        }

    def start(self) -> None:
        """Bring everything up; returns when all of it is healthy."""
        for folder in ("dags", "config"):
            shutil.copytree(HERE / folder, self.home / folder)
        data = self.home / "postgres"
        create_database(self._programs, data, self._password)
        add, python = self.supervisor.add, [sys.executable, "-m"]
        add(
            Component("postgres", postgres_command(self._programs, data, self._database), self.env, self._programs.user)
        )
        add(Component("redis", redis_command(self._programs, self.home, self._redis, self._password), self.env))
        add(Component("s3", [*python, "moto.server", "-H", "127.0.0.1", "-p", str(self._s3)], self.env))
        vendor = ["--port", str(self._vendor_port), "--state", str(self.home / "vendor.state"), "--credits", "1000000"]
        vendor += ["--queue-seconds", "1", "--run-seconds", "4-8"]
        add(Component("vendor", [*python, "airflow_video_providers.testing.simulator", *vendor], self.env))
        self.wait_for("PostgreSQL", lambda: self.rows("SELECT 1"))
        run_python(self.env, "-m", "airflow", "db", "migrate")
        airflow = [*python, "airflow"]
        add(
            Component(
                "api-server",
                [*airflow, "api-server", "--host", "127.0.0.1", "--port", str(self._api), "--workers", "1"],
                self.env,
            )
        )
        add(Component("scheduler", [*airflow, "scheduler", "--skip-serve-logs"], self.env))
        add(Component("dag-processor", [*airflow, "dag-processor"], self.env))
        for name in TRIGGERERS:
            named = {"AIRFLOW__CORE__HOSTNAME_CALLABLE": "chaos_host.name", "CHAOS_HOST": name}
            add(Component(name, [*airflow, "triggerer", "--skip-serve-logs"], self.env | named))
        for number, name in enumerate(WORKERS, 1):
            command = ["celery", "worker", "--celery-hostname", f"w{number}@%h", "--without-gossip", "--without-mingle"]
            command += ["--skip-serve-logs", "--pid", str(self.home / f"{name}.celery.pid")]
            add(Component(name, [*airflow, *command], self.env))
        self._connections()
        self.ready()

    def _connections(self) -> None:
        """In the database, as teams have them: a task asks the API server for its connection."""
        s3 = {"endpoint_url": f"http://127.0.0.1:{self._s3}", "region_name": "us-east-1"}
        found = {f"{vendor}_default": self.vendor.connection(vendor) for vendor in self.vendor.vendors}
        found["aws_chaos"] = {"conn_type": "aws", "login": "chaos", "password": "chaos", "extra": s3}
        file = self.home / "connections.json"
        file.write_text(json.dumps(found))
        run_python(self.env, "-m", "airflow", "connections", "import", str(file))
        import boto3

        client = boto3.client("s3", **s3, aws_access_key_id="chaos", aws_secret_access_key="chaos")
        self.wait_for("S3", lambda: client.create_bucket(Bucket=BUCKET))

    def ready(self) -> None:
        """Wait until every component says that it is well, and the DAG is known."""

        def well() -> bool:
            health = self.api.get("/monitor/health").json()
            parts = ("metadatabase", "scheduler", "triggerer", "dag_processor")
            return all(health[part]["status"] == "healthy" for part in parts)

        self.wait_for("every component", well)
        self.wait_for("both triggerers", lambda: self.triggerers() >= len(TRIGGERERS))
        self.wait_for("the DAG", lambda: self.api.get(f"/dags/{DAG_ID}").status_code == 200)
        self.wait_for("the vendors", self.vendor.ledger)

    def triggerers(self) -> int:
        """How many triggerers are alive, as the database has it."""
        query = (
            "SELECT count(*) FROM job WHERE job_type = 'TriggererJob' AND state = 'running'"
            " AND latest_heartbeat > now() - make_interval(secs => %s)"
        )
        return int(self.rows(query, TRIGGERER_SILENCE)[0][0])

    def triggerer_job(self, name: str) -> int:
        """The newest job of a triggerer."""
        query = "SELECT id FROM job WHERE job_type = 'TriggererJob' AND hostname = %s ORDER BY id DESC LIMIT 1"
        return int(self.rows(query, name)[0][0])

    def held(self) -> dict[str, list[int]]:
        """The triggers that each triggerer holds."""
        query = "SELECT job.hostname, trigger.id FROM trigger JOIN job ON job.id = trigger.triggerer_id"
        found: dict[str, list[int]] = {}
        for host, number in self.rows(query):
            found.setdefault(host, []).append(number)
        return found

    def clear(self, run_id: str, instances: Sequence[tuple[Any, ...]]) -> None:
        """A user's Clear of these task instances, each with its map index."""
        if not instances:
            return
        body = {
            "dag_run_id": run_id, "task_ids": [list(one) for one in instances], "dry_run": False, "only_failed": False,
            "reset_dag_runs": True,
        }  # fmt: skip
        self.api.post(f"/dags/{DAG_ID}/clearTaskInstances", json=body).raise_for_status()

    def use(self, ledger: str) -> None:
        """Let the workers keep their ledger in Airflow's state store, or in the object store."""
        if ledger == self.ledger:
            return
        self.ledger = ledger
        for name in WORKERS:
            self.supervisor.stop(name, patience=20)
            self.supervisor.start(name, self.ledger_env(ledger))

    def ledger_env(self, ledger: str) -> Mapping[str, str]:
        """The environment of a process that uses this ledger."""
        path = f"s3://aws_chaos@{BUCKET}/ledger"
        return self.env if ledger == STATE_STORE else {**self.env, "AIRFLOW__VIDEO_PROVIDERS__LEDGER_PATH": path}

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Ask the database, which may be away: then psycopg's ``OperationalError``."""
        address = f"host=127.0.0.1 port={self._database} user=airflow password={self._password} dbname=postgres"
        import psycopg

        with psycopg.connect(address, connect_timeout=5, autocommit=True) as connection:
            return connection.execute(query, values or None).fetchall()

    def wait_for(self, what: str, seen: Callable[[], Any], seconds: float = 300, every: float = 0.5) -> Any:
        """Look until there is something to see; what cannot be asked just now is asked again.

        :raises NotReadyError: nothing was seen in time.
        """
        deadline, problem = time.monotonic() + seconds, ""
        while time.monotonic() < deadline:
            try:
                if found := seen():
                    return found
            except Exception as error:  # noqa: BLE001  of the database, of HTTP and of boto: all of it may be away
                problem = f" ({type(error).__name__}: {error})"
            time.sleep(every)
        raise NotReadyError(f"Waited {seconds:.0f} s for {what}{problem}.\n{self.supervisor.last_words()}")

    def trigger(self, run_id: str, conf: Mapping[str, Any]) -> None:
        """Start a run of the campaign's DAG."""
        body = {"dag_run_id": run_id, "logical_date": None, "conf": dict(conf)}
        answer = self.api.post(f"/dags/{DAG_ID}/dagRuns", json=body)
        answer.raise_for_status()

    def states(self, run_id: str) -> Counter[str]:
        """How many task instances of a run are in each state."""
        query = "SELECT state, count(*) FROM task_instance WHERE run_id = %s GROUP BY state"
        return Counter({str(state): number for state, number in self.rows(query, run_id)})

    def over(self, run_id: str) -> bool:
        """Is a run over?"""
        found = self.rows("SELECT state FROM dag_run WHERE run_id = %s", run_id)
        return bool(found) and found[0][0] in ("success", "failed")

    def close(self) -> None:
        """End everything."""
        self.api.close()
        self.vendor.close()
        self.supervisor.close()


@contextlib.contextmanager
def running(home: Path, programs: Programs) -> Iterator[Cluster]:
    """A cluster that is up for as long as the context lasts, and ends however that ends."""
    cluster = Cluster(home, programs)
    try:
        cluster.start()
        yield cluster
    finally:
        ending = threading.Thread(target=cluster.close, name="ending")
        ending.start()
        while ending.is_alive():  # a second Ctrl-C, or a time that is over now, must not leave half of it running
            with contextlib.suppress(BaseException):
                ending.join()
