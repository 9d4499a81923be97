"""One lane: a simulator, a wire to it, Airflow's side, and a worker that runs each try in a process of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from airflow_video_providers.core.purchase.ledger import Ledger
from airflow_video_providers.core.purchase.records import Identity
from airflow_video_providers.core.purchase.stores.local_directory import LocalDirectory
from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.testing.simulator import running
from airflow_video_providers.testing.simulator.handle import KEYS
from tests.faults.money.execution_api import LoopbackAirflow
from tests.faults.money.rewrites import bomb, with_stray
from tests.faults.money.wire import Wire
from tests.support.receiver import SECRET, LoopbackReceiver, configuration

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_video_providers.core.purchase.records import Attempt
    from tests.faults.money.cases import Case

RETRIES = 3
#: Purchases take turns between the vendors; one model each, because the paid call is the same for all of a vendor's.
MODELS = ("pixazo:mochi-v1", "appypie:mochi-1", "segmind:mochi-1")
#: ... and where the vendor calls back: its ids are of two forms.
CALLING = ("pixazo:mochi-v1", "pixazo:pixverse-v6-text-to-video")
#: Seconds; a try takes less than two on an idle machine.
_LONGEST_TRY = 120.0
_DAGS = Path(__file__).parent / "dags"
_ROOT = Path(__file__).resolve().parents[3]
_EXCEPTION = re.compile(r'"exc_type":"(\w+)"')


@dataclass(frozen=True)
class Purchase:
    """What became of one video that an author asked for."""

    tries: int
    posts: int
    jobs: int
    charges: int
    state: str
    trouble: str = ""


class Lane:
    """Runs purchases one after the other. Lanes share nothing, so any number may run at once."""

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="money-")))
            self._receiver = stack.enter_context(LoopbackReceiver())
            self._simulator = stack.enter_context(
                running(queue_seconds=(0, 0), run_seconds=(0, 0), webhook_routes=(self._receiver.route,))
            )
            self._airflow = LoopbackAirflow()
            stack.callback(self._airflow.close)
            self._wire = Wire(urlsplit(self._simulator.url).port or 0, self._airflow.strike)
            stack.callback(self._wire.close)
            self._worker = stack.enter_context(self._start_worker())
            stack.callback(self._worker.terminate)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start_worker(self) -> subprocess.Popen[str]:
        bundle = {
            "name": "faults",
            "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
            "kwargs": {"path": str(_DAGS)},
        }
        clean = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
        environment = {
            **clean,
            "AIRFLOW_HOME": str(self._folder / "airflow"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__WORKERS__EXECUTION_API_RETRIES": "2",  # Airflow's own patience would outlast what is tried here
            "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps([bundle]),
        }
        with (self._folder / "worker.log").open("w") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "tests.faults.money.worker"],
                cwd=_ROOT, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
            )  # fmt: skip

    def buy(self, case: Case, number: int) -> Purchase:
        """One purchase under a fault: its tasks, each with as many tries as Airflow would give it.

        :param number: A different one for each purchase of this lane; decides about the vendor.
        """
        home = self._folder / str(number)
        for folder in ("ledger", "videos", "log"):
            (home / folder).mkdir(parents=True)
        models = CALLING if case.callbacks else MODELS
        model = models[number % len(models)]
        self._receiver.keep_in(home / "ledger")
        self._simulator.reset()
        self._airflow.new_run(f"purchase-{number}", model=model, output_path=(home / "videos").as_uri())
        self._wire.posts = 0
        self._wire.rewrite = _rewrite(case)
        self._airflow.store_away_until = 0.0
        self._airflow.on_answer = (lambda: self._lose_ledger(case, home / "ledger")) if case.ledger_away else None
        if case.simulator:
            self._simulator.fault(case.simulator, count=case.times, on=case.stage)
        tries, state = 0, "success"
        for task in case.tasks:
            count, state = self._run_task(task, case, model, home)
            tries = count if task == case.victim else tries
            if state != "success":
                break
        told = self._simulator.ledger()
        trouble = self._trouble(case, home, state)
        return Purchase(tries, self._wire.posts, told["accepted"], told["charges"], state, trouble)

    def _run_task(self, task: str, case: Case, model: str, home: Path) -> tuple[int, str]:
        vendor = catalogue.vendor_of(model).id
        for number in range(1, RETRIES + 2):
            refused = case.refuse is None or number <= case.refuse
            port = self._wire.dead_port if refused else self._wire.port
            connection = self._simulator.connection(vendor) | {"host": f"http://127.0.0.1:{port}/{vendor}"}
            self._airflow.connections = {f"{vendor}_default": connection}
            identity = self._airflow.new_try(task, number, RETRIES)
            self._airflow.kill_at = case.kill if task == case.victim and number == 1 else None
            away = case.away if task == case.victim and (number == 1 or case.away is None) else 0
            self._airflow.away = away
            log = home / "log" / f"{task}-{number}.log"
            path = str(home / "ledger") if case.directory else None
            self._order(
                id=identity, run_id=self._airflow.run_id, task_id=task, try_number=number, server=self._airflow.url,
                log=str(log), environment={"AIRFLOW__VIDEO_PROVIDERS__LEDGER_PATH": path, **_variables(case, task, number)},
            )  # fmt: skip
            state = self._airflow.settle()
            if state != "up_for_retry":
                break
        named = _EXCEPTION.findall(log.read_text())
        return number, f"{state}: {named[0]}" if named and state != "success" else state

    def _lose_ledger(self, case: Case, directory: Path) -> None:
        """For a while nothing is stored."""
        if not case.directory:
            self._airflow.store_away_until = time.monotonic() + case.ledger_away
            return
        aside = directory.with_name("ledger.away")
        directory.rename(aside)
        threading.Timer(case.ledger_away, aside.rename, [directory]).start()

    def _order(self, **wanted: Any) -> None:
        stdin, stdout = self._worker.stdin, self._worker.stdout
        if stdin is None or stdout is None:
            raise AssertionError("the worker has pipes")
        late = threading.Timer(_LONGEST_TRY, self._worker.kill)
        late.start()
        stdin.write(json.dumps(wanted) + "\n")
        stdin.flush()
        for line in stdout:
            if line.startswith("exit "):
                late.cancel()
                return
        raise RuntimeError(f"The worker died:\n{(self._folder / 'worker.log').read_text()[-4000:]}")

    def _trouble(self, case: Case, home: Path, state: str) -> str:
        """What must hold in every row besides the counts."""
        logs = "".join(path.read_text() for path in (home / "log").iterdir())
        if any(secret in logs for secret in (*KEYS.values(), SECRET)):
            return "a secret is in a task log"
        if self._simulator.violations():
            return "an API key reached an address where none belongs"
        if case.kill and "SIGKILL" not in logs:
            return "the task was not killed"
        if "land" in case.tasks and state == "success" and len(list((home / "videos").rglob("manifest.json"))) != 1:
            return "it did not land"
        if state == "success" and not self._receipts(home):
            return "no receipt is stored"
        if case.callbacks and (open_ := self._open(home)):
            return f"an unknown outcome is left: {open_}"
        return ""

    def _open(self, home: Path) -> list[Attempt]:
        """Attempts whose outcome nobody knows."""
        attempts = Ledger(LocalDirectory(home / "ledger")).attempts(Identity("money", self._airflow.run_id, "submit"))
        return [attempt for attempt in attempts if attempt.open]

    def _receipts(self, home: Path) -> list[str]:
        """Ids of jobs that the ledger holds."""
        files = [json.loads(path.read_text()) for path in (home / "ledger").glob("submits/**/*.json")]
        rows = [value for name, value in self._airflow.store.items() if name.startswith("video_ledger.submits.")]
        return [
            record["request_id"] for record in files + rows if isinstance(record, dict) and record.get("request_id")
        ]


def _variables(case: Case, task: str, number: int) -> dict[str, str | None]:
    """What the DAG's file puts into the environment of the first try's process: Airflow's own must go on."""
    first = task == case.victim and number == 1
    called = {name: value if case.callbacks else None for name, value in configuration().items()}
    return {"MONEY_ENVIRONMENT": json.dumps(dict(case.environment)) if first else None, **called}


def _rewrite(case: Case) -> Callable[[bool, bytes], bytes]:
    """What the wire does to the answers of a case."""
    if case.rewrite == "stray":
        return lambda _, answer: with_stray(answer)
    left = [bomb()] if case.rewrite == "bomb" else []
    wanted = case.stage == "submit"

    def rewrite(paid: bool, answer: bytes) -> bytes:
        return left.pop() if left and paid is wanted else answer

    return rewrite
