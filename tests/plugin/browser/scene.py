"""A whole Airflow with two people of different rights, whose DAGs have bought videos from the simulator."""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from airflow_video_providers.testing.simulator import running
from tests.storage.emulators import S3
from tests.support.cluster import FINAL, HEARD, Cluster, airflow_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_video_providers.testing.simulator import SimulatorHandle

#: The oldest Airflows are tested without the storages' own packages.
HAS_S3 = all(find_spec(name) for name in ("moto", "s3fs", "airflow.providers.amazon"))
DAGS = Path(__file__).parent.parent / "dags"
#: Who may edit DAGs, and who may only read them.
EDITOR, VIEWER = "edith", "vera"
_PASSWORDS = {EDITOR: "of-a-throw-away-airflow", VIEWER: "of-a-throw-away-airflow-too"}


@dataclass
class Scene:
    """What the browser looks at.

    :param runs: The run of each DAG.
    :param bucket: Where ``stored`` has landed, where this environment has a storage's emulator; else below ``videos``.
    """

    cluster: Cluster
    simulator: SimulatorHandle
    runs: dict[str, str]
    videos: Path
    bucket: S3 | None = None

    @property
    def url(self) -> str:
        return self.cluster.url

    def token(self, user: str) -> str:
        return token(self.cluster.url, user)

    def client(self, user: str | None) -> httpx.Client:
        """Somebody's program, or nobody's."""
        cookies = {"_token": self.token(user)} if user else {}
        return httpx.Client(base_url=f"{self.url}/video/", cookies=cookies, trust_env=False, timeout=120)

    def query(self, dag_id: str, task_id: str, map_index: int = -1, **more: Any) -> dict[str, Any]:
        """A task instance as our pages name it."""
        return {"dag_id": dag_id, "run_id": self.runs[dag_id], "task_id": task_id, "map_index": map_index, **more}

    def job_of(self, prompt: str) -> str:
        """The id that the vendor gave a job."""
        (found,) = [job for job in self.simulator.ledger()["jobs"] if prompt in str(job)]
        return str(found.get("request_id") or found["id"])


def token(url: str, user: str) -> str:
    """A person's token for the API and the pages."""
    body = {"username": user, "password": _PASSWORDS[user]}
    answer = httpx.post(f"{url}/auth/token", json=body, trust_env=False, timeout=120)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["access_token"])


@contextlib.contextmanager
def scene(home: Path, videos: Path, *more: dict[str, str]) -> Iterator[Scene]:
    """All of it: the runs have ended, but for one that waits for a job which is not made yet."""
    passwords = home / "passwords.json"
    passwords.write_text(json.dumps(_PASSWORDS))
    own = {
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{EDITOR}:op,{VIEWER}:viewer",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "AIRFLOW__CORE__PARALLELISM": "4",
    }
    with (
        contextlib.ExitStack() as stack,
        running(frozen_clock=True) as simulator,
    ):
        bucket = S3(stack, home) if HAS_S3 else None
        reached = bucket.environment if bucket else {}
        cluster = stack.enter_context(airflow_cluster(home, DAGS, simulator.environment(), own, reached, *more))
        cluster.wait_for("the api-server", lambda: cluster.client.get("/monitor/health").status_code == 200)
        cluster.client.headers["Authorization"] = f"Bearer {token(cluster.url, EDITOR)}"
        cluster.ready("studio", "other", "making", "stored")
        runs = {dag_id: cluster.trigger(dag_id, output_path=videos.as_uri()) for dag_id in ("studio", "other")}

        def all_aside() -> bool:
            states = [task.state for dag_id, run in runs.items() for task in cluster.tasks(dag_id, run).values()]
            return states.count("deferred") == 5 and not {"running", "queued", "scheduled"} & set(states)

        cluster.wait_for("five waits", all_aside)
        time.sleep(HEARD)
        simulator.advance(600)
        for dag_id, run in runs.items():
            cluster.finished(dag_id, run)
        simulator.configure(outputs=2)
        runs["stored"] = cluster.trigger("stored", output_path=bucket.root if bucket else videos.as_uri())
        cluster.wait_for("a wait", lambda: cluster.tasks("stored", runs["stored"])["both"].state == "deferred")
        time.sleep(HEARD)
        simulator.advance(600)
        simulator.configure(outputs=1)
        runs["making"] = cluster.trigger("making", output_path=videos.as_uri())
        cluster.finished("stored", runs["stored"])
        cluster.wait_for("a wait", lambda: cluster.tasks("making", runs["making"])["wait"].state == "deferred")
        assert {cluster.run_state(dag_id, runs[dag_id]) for dag_id in ("studio", "other")} <= FINAL
        yield Scene(cluster, simulator, runs, videos, bucket)
