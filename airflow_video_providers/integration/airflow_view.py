"""What Airflow's metadata database says of the tasks that the ledger names. For commands only.

A command may run where the database cannot be reached, or is another deployment's: then nothing is known, and
whoever asks has to be careful.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.jobs import VideoJob
from airflow_video_providers.core.purchase.records import Attempt, AttemptState, Identity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

#: States of a task whose try may be between the intent and the answer.
_AT_WORK = frozenset({"running", "restarting", "deferred"})
#: Where Airflow cannot be asked, an intent this young counts as in flight.
YOUNG = timedelta(hours=1)
#: Task instances per query.
_BATCH = 200


@dataclass(frozen=True)
class TaskView:
    """A task instance as Airflow sees it.

    :param job: What its latest try pushed, where that is a job: as good as a receipt.
    :param request_id: The id that its latest try pushed.
    """

    state: str | None
    try_number: int | None
    job: VideoJob | None = None
    request_id: str | None = None


@dataclass(frozen=True)
class AirflowView:
    """What is known of task instances.

    :param tasks: Empty where the database cannot be asked.
    :param landed: Models and ids of jobs that tasks of the same runs have landed, by their manifests.
    :param trouble: Why the database cannot be asked.
    """

    tasks: dict[Identity, TaskView] = field(default_factory=dict)
    landed: frozenset[tuple[str, str]] = frozenset()
    trouble: str | None = None

    def in_flight(self, attempt: Attempt, now: datetime) -> bool:
        """May the try that wrote this intent be buying at this moment?

        An attempt that is stored as unknown has had its answer, or its end, and is not in flight.
        """
        if attempt.state is not AttemptState.INTENT:
            return False
        task = self.tasks.get(attempt.identity)
        if task is None:
            return now - attempt.created_at < YOUNG
        own = attempt.try_number is None or task.try_number is None or attempt.try_number == task.try_number
        return own and task.state in _AT_WORK

    def receipted(self, attempt: Attempt, known_ids: set[str]) -> Attempt:
        """The attempt, answered by what its task pushed, where the ledger has no answer.

        :param known_ids: Ids that the buyer's other attempts hold.
        """
        task = self.tasks.get(attempt.identity)
        job = task.job if task is not None else None
        if job is None and task is not None and task.request_id is not None:
            job = VideoJob(model=attempt.model, request_id=task.request_id, conn_id=attempt.conn_id)
        if not attempt.open or job is None or job.request_id in known_ids or job.model != attempt.model:
            return attempt
        return attempt.bought(job)


def view_of_airflow(identities: Iterable[Identity]) -> AirflowView:
    """What Airflow knows of these task instances; where it cannot be asked, a view that knows nothing."""
    wanted = sorted(set(identities), key=str)
    if not wanted:
        return AirflowView()
    try:
        return _ask(wanted)
    except Exception as error:  # noqa: BLE001 - a command without a database still lists
        return AirflowView(trouble=f"{type(error).__name__}: {str(error).splitlines()[0][:200] if str(error) else ''}")


def _ask(wanted: list[Identity]) -> AirflowView:
    from airflow.models.taskinstance import TaskInstance  # noqa: TID251 - commands run where Airflow's own do
    from airflow.models.xcom import XComModel  # noqa: TID251
    from airflow.utils.session import create_session
    from sqlalchemy import select, tuple_

    tasks: dict[Identity, TaskView] = {}
    jobs: dict[Identity, VideoJob] = {}
    ids: dict[Identity, str] = {}
    landed: set[tuple[str, str]] = set()
    with create_session() as session:
        for batch in _batches(wanted):
            rows = session.execute(
                select(
                    TaskInstance.dag_id, TaskInstance.run_id, TaskInstance.task_id, TaskInstance.map_index,
                    TaskInstance.state, TaskInstance.try_number,
                ).where(
                    tuple_(TaskInstance.dag_id, TaskInstance.run_id, TaskInstance.task_id, TaskInstance.map_index).in_(batch)
                )
            )  # fmt: skip
            for dag_id, run_id, task_id, map_index, state, number in rows:
                tasks[Identity(dag_id, run_id, task_id, map_index)] = TaskView(
                    state=None if state is None else str(state), try_number=number
                )
        for runs in _batches(sorted({(one.dag_id, one.run_id) for one in wanted})):
            pushed = session.execute(
                select(
                    XComModel.dag_id, XComModel.run_id, XComModel.task_id, XComModel.map_index, XComModel.key,
                    XComModel.value,
                ).where(
                    tuple_(XComModel.dag_id, XComModel.run_id).in_(runs), XComModel.key.in_(("return_value", "job", "request_id"))
                )
            )  # fmt: skip
            for dag_id, run_id, task_id, map_index, key, value in pushed:
                if key == "request_id" and isinstance(value, str):
                    ids[Identity(dag_id, run_id, task_id, map_index)] = value.strip('"')
                    continue
                plain = _plain(value)
                if plain.get("manifest_uri"):
                    landed.add((str(plain.get("model")), str(plain.get("request_id"))))
                elif (job := _job(plain)) is not None:
                    jobs[Identity(dag_id, run_id, task_id, map_index)] = job
    return AirflowView(
        {who: TaskView(task.state, task.try_number, jobs.get(who), ids.get(who)) for who, task in tasks.items()},
        frozenset(landed),
    )


def _batches(wanted: list[Any]) -> Iterator[list[tuple[Any, ...]]]:
    """So many at once that no database refuses the query."""
    for start in range(0, len(wanted), _BATCH):
        yield [
            (one.dag_id, one.run_id, one.task_id, one.map_index) if isinstance(one, Identity) else one
            for one in wanted[start : start + _BATCH]
        ]


def _plain(value: Any) -> dict[str, Any]:
    """What a task pushed, where it is a plain dict."""
    with suppress(ValueError, RecursionError):
        value = json.loads(value) if isinstance(value, str) else value
    return value if isinstance(value, dict) else {}


def _job(pushed: dict[str, Any]) -> VideoJob | None:
    if not pushed.get("model") or not pushed.get("request_id"):
        return None
    try:
        return VideoJob.from_dict(pushed)
    except ValueError:
        return None
