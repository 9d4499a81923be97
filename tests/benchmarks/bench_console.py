"""The first page of "Videos" at 10,000 purchases: CPU of the server, on a ledger directory and on Airflow's state store.

    python -m tests.benchmarks.bench_console

The whole app of an API server over a throw-away home, asked in this process. Its peer is Airflow's own list of task
instances, whose one answer holds 100 of them at most: both numbers of rows are printed. CPU time, the median of five
requests taken in turns. While the index is built, which goes on behind the pages, the dearest request is told by itself,
with what the server did meanwhile.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.support.home import copy_of, environment, original

PURCHASES = 10_000
DAGS = 20
ROUNDS = 5
MODELS = ("pixazo:mochi-v1", "pixazo:pixverse-v6-text-to-video", "segmind:mochi-1")


def records() -> list[tuple[dict[str, Any], dict[str, Any] | None]]:
    """Each purchase as the ledger keeps it, and how its job ended: one in a hundred is unknown, one bought and not landed."""
    from airflow_video_providers.core.jobs import VideoJob
    from airflow_video_providers.core.purchase.records import Attempt, AttemptState
    from airflow_video_providers.core.purchase.settlements import Ending, Settlement

    now, made = datetime.now(UTC), []
    for number in range(PURCHASES):
        model = MODELS[number % len(MODELS)]
        attempt = Attempt(
            dag_id=f"dag_{number % DAGS}", run_id=f"run_{number // (DAGS * 10)}", task_id="submit", number=1, purchase=1,
            map_index=number // DAGS % 10, state=AttemptState.UNKNOWN, claim=uuid.uuid4().hex, model=model,
            created_at=now - timedelta(minutes=4 * number), conn_id=f"{model.partition(':')[0]}_default",
            request_sha256="a" * 64, field_digests={f"field_{n}": "b" * 16 for n in range(6)},
            estimated_cost_usd=Decimal("0.40"), cost_basis="documented: per generation",
        )  # fmt: skip
        job = VideoJob(model=model, request_id=f"request-{number}", submitted_at=attempt.created_at)
        ended = Settlement(
            job.request_id, Ending.LANDED, model=model, manifest_uri=f"s3://bucket/{number}/manifest.json"
        )
        made.append(
            (
                attempt.to_dict() if number % 100 == 0 else attempt.bought(job).to_dict(),
                ended.to_dict() if number % 100 > 1 else None,
            )
        )
    return made


def write_directory(folder: Path) -> None:
    """The ledger as a directory, in files a minute old."""
    from airflow_video_providers.core.purchase.records import Identity
    from airflow_video_providers.core.purchase.settlements import settled_key
    from airflow_video_providers.core.purchase.stores.naming import encode, render

    for attempt, ended in records():
        who = Identity(*(attempt[name] for name in ("dag_id", "run_id", "task_id", "map_index")))
        for key, value in (
            (who.key(1), attempt),
            *([(settled_key(attempt["model"], attempt["request_id"]), ended)] if ended else []),
        ):
            path = folder.joinpath(*map(encode, key[:-1]), f"{encode(key[-1])}.json")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(render(value))
    old = time.time() - 60
    for path in (folder, *folder.rglob("*")):
        os.utime(path, (old, old))


def write_database(*, ledger: bool) -> None:
    """DAGs, runs and task instances; and the ledger's rows in the state store, as a purchase leaves them."""
    from airflow.models.dag import DagModel  # noqa: TID251 - rows for the app to find
    from airflow.models.dagbundle import DagBundleModel  # noqa: TID251
    from airflow.models.dagrun import DagRun  # noqa: TID251
    from airflow.models.task_state_store import TaskStateStoreModel  # noqa: TID251
    from airflow.models.taskinstance import TaskInstance  # noqa: TID251
    from airflow.utils.session import create_session

    made = records()
    now = datetime.now(UTC)
    runs = {
        name: number
        for number, name in enumerate(dict.fromkeys((one["dag_id"], one["run_id"]) for one, _ in made), start=1)
    }
    with create_session() as session:
        session.execute(DagBundleModel.__table__.insert(), _rows(DagBundleModel, [{"name": "tests"}]))
        session.execute(
            DagModel.__table__.insert(),
            _rows(DagModel, [{"dag_id": f"dag_{n}", "bundle_name": "tests", "fileloc": "x"} for n in range(DAGS)]),
        )
        session.execute(
            DagRun.__table__.insert(),
            _rows(DagRun, [
                {"id": number, "dag_id": dag_id, "run_id": run_id, "run_type": "manual", "state": "success", "run_after": now,
                 "logical_date": now - timedelta(minutes=number)}
                for (dag_id, run_id), number in runs.items()
            ]),
        )  # fmt: skip
        session.execute(
            TaskInstance.__table__.insert(),
            _rows(TaskInstance, [
                {"id": uuid.UUID(int=number), **{name: one[name] for name in ("dag_id", "run_id", "task_id", "map_index")},
                 "state": "success" if ended else "failed", "pool": "default_pool", "max_tries": 0, "try_number": 1}
                for number, (one, ended) in enumerate(made)
            ]),
        )  # fmt: skip
        if not ledger:
            return
        rows = []
        for one, ended in made:
            own = {
                "dag_run_id": runs[one["dag_id"], one["run_id"]],
                **{n: one[n] for n in ("dag_id", "run_id", "task_id", "map_index")},
            }
            rows += [
                {**own, "key": f"video_ledger.submits.1{end}", "value": json.dumps(value), "updated_at": _moment(one)}
                for end, value in (("", one), (".gate", {**one, "state": "intent"}), (".door", one["claim"]))
            ]
            if ended:
                key = f"video_ledger.landed.{uuid.uuid4().hex}"
                rows.append(
                    {**own, "task_id": "land", "key": key, "value": json.dumps(ended), "updated_at": _moment(one)}
                )
        session.execute(TaskStateStoreModel.__table__.insert(), rows)


def _moment(one: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(one["created_at"]) + timedelta(minutes=3)


def _rows(model: Any, given: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows, with something in each column that may not be empty."""
    fill: dict[str, Any] = {}
    for column in model.__table__.columns:
        if not column.nullable and column.default is None and column.server_default is None and not column.primary_key:
            kind = column.type.python_type
            fill[column.name] = datetime.now(UTC) if kind is datetime else kind()
    return [{**fill, **row} for row in given]


def ask() -> None:
    """In a process of its own: ask both, and print what each request cost."""
    from airflow.api_fastapi.app import create_app
    from fastapi.testclient import TestClient

    from airflow_video_providers.plugin.console import app, pages  # noqa: F401 - importing them is no part of a page

    client = TestClient(create_app(), base_url="http://localhost")
    token = client.get("/auth/token").json()["access_token"] if "--token" in sys.argv else None
    headers = {"Authorization": f"Bearer {token}"} if token else {}

    def cost(path: str) -> tuple[float, Any]:
        began = time.process_time()
        answer = client.get(path, headers=headers)
        if answer.status_code != 200:
            raise SystemExit(f"{path}: {answer.status_code} {answer.text[:500]}")
        return time.process_time() - began, answer

    client.get("/video/static/console.css", headers=headers)
    client.get("/video/videos?state=landed", headers=headers)  # Airflow's own first time: its auth manager, its queries
    first, page = cost("/video/videos")
    began, building = time.process_time(), [first]
    while "Reading the ledger" in page.text:
        time.sleep(0.2)
        spent, page = cost("/video/videos")
        building.append(spent)
    built = time.process_time() - began + first
    shown = page.text.count('<li>\n  <div class="who">') + page.text.count('<th scope="row"><a')
    peer = f"/api/v2/dags/~/dagRuns/~/taskInstances?limit={min(100, shown)}"
    listed = len(cost(peer)[1].json()["task_instances"])
    ours, theirs = [], []
    for _ in range(ROUNDS):
        time.sleep(2.1)  # so that each page looks at the ledger anew
        ours.append(cost("/video/videos")[0])
        theirs.append(cost(peer)[0])
    told = {
        "building": max(building), "requests": len(building), "built": built, "ours": statistics.median(ours), "theirs": statistics.median(theirs),
        "rows": shown, "listed": listed,
    }  # fmt: skip
    sys.stdout.write(f"\nTOLD {json.dumps(told)}\n")


def main() -> None:
    """Print both, beside the peer."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        first = original(_made(folder / "original"))
        print(f"The first page at {PURCHASES:,} purchases, CPU of the server, median of {ROUNDS}:")
        for kind in ("directory", "state store"):
            home, temporary = (
                copy_of(first, folder / kind.replace(" ", "-")),
                _made(folder / f"tmp-{kind.replace(' ', '-')}"),
            )
            own = {
                "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True", "AIRFLOW__API__SECRET_KEY": "of-a-throw-away-airflow",
                "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR", "TMPDIR": str(temporary),
            }  # fmt: skip
            if kind == "directory":
                own["AIRFLOW__VIDEO_PROVIDERS__LEDGER_PATH"] = str(_made(folder / "ledger"))
            env = environment(home, own)
            _run(env, "seed", kind)
            told = _run(env, "ask")
            again = _run(env, "ask")
            print(
                f"  {kind:12} {told['ours'] * 1000:6.0f} ms  ({told['rows']} rows shown; Airflow's list of "
                f"{told['listed']} task instances {told['theirs'] * 1000:.0f} ms; while the index is built "
                f"{told['building'] * 1000:.0f} ms at most, of {told['requests']} requests, and {told['built']:.1f} s in all; "
                f"after a restart of the server {again['building'] * 1000:.0f} ms)"
            )


def _made(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _run(env: dict[str, str], *arguments: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.bench_console", *arguments],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stdout[-500:] + "".join(line[:300] + "\n" for line in done.stderr.splitlines()[-12:]))
    return json.loads(done.stdout.rpartition("\nTOLD ")[2]) if "\nTOLD " in done.stdout else None


if __name__ == "__main__":
    if sys.argv[1:2] == ["ask"]:
        ask()
    elif sys.argv[1:2] == ["seed"]:
        write_database(ledger=sys.argv[2] != "directory")
        if sys.argv[2] == "directory":
            write_directory(Path(os.environ["AIRFLOW__VIDEO_PROVIDERS__LEDGER_PATH"]))
    else:
        main()
