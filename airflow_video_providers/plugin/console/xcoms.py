"""What tasks have pushed, and how they stand, read from Airflow's metadata database."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from airflow.models.dagrun import DagRun  # noqa: TID251 - the pages run where Airflow's own do
from airflow.models.renderedtifields import RenderedTaskInstanceFields  # noqa: TID251
from airflow.models.taskinstance import TaskInstance  # noqa: TID251
from airflow.models.xcom import XComModel  # noqa: TID251
from airflow.utils.session import create_session
from pydantic import ValidationError
from sqlalchemy import func, select, tuple_

from airflow_video_providers.core.jobs import VideoJob
from airflow_video_providers.core.purchase.records import Identity
from airflow_video_providers.operators.bookkeeping import ENDED_JOB

if TYPE_CHECKING:
    from datetime import datetime

#: The package's operators, by which tasks are known that have pushed nothing yet.
OURS = ("SubmitVideoOperator", "VideoJobSensor", "DownloadVideoOperator", "GenerateVideoOperator")
_KEYS = ("return_value", "job", "request_id", "kept_file", ENDED_JOB)
#: Task instances of a run that a page reads.
MOST_TASKS = 500


@dataclass(frozen=True)
class Task:
    """A task instance, and what it has pushed.

    :param since: When its state began, as far as Airflow keeps that.
    :param manifest: What it landed.
    :param job: The job that it knows.
    """

    identity: Identity
    state: str | None = None
    operator: str | None = None
    since: datetime | None = None
    try_number: int | None = None
    manifest: dict[str, Any] | None = None
    job: VideoJob | None = None
    request_id: str | None = None
    kept_at: str | None = None
    elsewhere: bool = False
    pushed: dict[str, Any] = field(default_factory=dict)

    @property
    def ours(self) -> bool:
        """Does it make, await or land a video?"""
        return self.operator in OURS or bool(self.manifest or self.job or self.request_id)


def _columns() -> tuple[Any, ...]:
    """What is read of a task instance, in both ways of finding one."""
    ti = TaskInstance
    return (
        ti.task_id,
        ti.map_index,
        ti.state,
        ti.operator,
        ti.try_number,
        ti.start_date,
        ti.end_date,
        ti.updated_at,
    )


def tasks_of_run(dag_id: str, run_id: str) -> list[Task]:
    """The task instances of a run that have to do with videos."""
    ti = TaskInstance
    where = (ti.dag_id == dag_id, ti.run_id == run_id)
    with create_session() as session:
        rows = session.execute(
            select(*_columns())
            .where(*where)
            .order_by(ti.operator.in_(OURS).desc(), ti.task_id, ti.map_index)
            .limit(MOST_TASKS)
        ).all()
        pushed = _pushed(session, dag_id, run_id)
    found = [_task(Identity(dag_id, run_id, row.task_id, row.map_index), row, pushed) for row in rows]
    return [task for task in found if task.ours]


def count_of_run(dag_id: str, run_id: str) -> int:
    """How many task instances a run has."""
    query = select(func.count()).where(TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id)
    with create_session() as session:
        return int(session.execute(query).scalar_one())


def task_of(who: Identity) -> Task | None:
    """One task instance; None where there is none."""
    ti = TaskInstance
    where = (ti.dag_id == who.dag_id, ti.run_id == who.run_id, ti.task_id == who.task_id, ti.map_index == who.map_index)
    with create_session() as session:
        row = session.execute(select(*_columns()).where(*where)).first()
        if row is None:
            return None
        found = _task(who, row, _pushed(session, who.dag_id, who.run_id, who))
        given = None if found.job or found.operator not in OURS else _given(session, who)
    return found if given is None else replace(found, job=given)


def _given(session: Any, who: Identity) -> VideoJob | None:
    """The job that a wait or a landing was given, as Airflow keeps a task's rendered arguments."""
    fields = RenderedTaskInstanceFields
    where = (fields.dag_id == who.dag_id, fields.run_id == who.run_id, fields.task_id == who.task_id)
    found = session.execute(select(fields.rendered_fields).where(*where, fields.map_index == who.map_index)).scalar()
    value = found.get("job") if isinstance(found, dict) else None
    with suppress(ValueError, RecursionError):
        value = json.loads(value) if isinstance(value, str) else value
    return _job(value)


def landing_of(dag_id: str, run_id: str, model: str, request_id: str) -> Task | None:
    """The task of a run that landed a job."""
    for task in tasks_of_run(dag_id, run_id):
        if task.manifest and (task.manifest.get("model"), task.manifest.get("request_id")) == (model, request_id):
            return task
    return None


def _pushed(
    session: Any, dag_id: str, run_id: str, who: Identity | None = None
) -> dict[tuple[str, int], dict[str, Any]]:
    xcom = XComModel
    query = select(xcom.task_id, xcom.map_index, xcom.key, xcom.value).where(
        xcom.dag_id == dag_id, xcom.run_id == run_id, xcom.key.in_(_KEYS)
    )
    if who is not None:
        query = query.where(xcom.task_id == who.task_id, xcom.map_index == who.map_index)
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for task_id, map_index, key, value in session.execute(query):
        with suppress(ValueError, RecursionError):
            value = json.loads(value) if isinstance(value, str) else value
        found.setdefault((task_id, map_index), {})[key] = value
    return found


def _task(who: Identity, row: Any, pushed: dict[tuple[str, int], dict[str, Any]]) -> Task:
    own = pushed.get((who.task_id, who.map_index), {})
    returned, request_id, kept = own.get("return_value"), own.get("request_id"), own.get("kept_file")
    manifest = returned if _is_manifest(returned) else None
    job = _job(own.get(ENDED_JOB)) or _job(own.get("job")) or (_job(returned) if manifest is None else None)
    return Task(
        who,
        None if row.state is None else str(row.state),
        row.operator,
        row.end_date or (row.updated_at if str(row.state) != "running" else row.start_date) or row.start_date,
        row.try_number,
        manifest,
        job,
        request_id if isinstance(request_id, str) else None,
        _text_in(kept, "address"),
        # a backend of its own leaves an address in place of the value
        isinstance(returned, str) and row.operator in OURS,
    )


def _is_manifest(returned: Any) -> bool:
    """Is it what a landing returns? A task that is not ours may return a ``manifest_uri`` too, of something else."""
    return all(_text_in(returned, name) for name in ("manifest_uri", "model", "request_id"))


def _text_in(value: Any, name: str) -> str | None:
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, str) and found else None


def _job(value: Any) -> VideoJob | None:
    if not isinstance(value, dict) or not value.get("model") or not value.get("request_id"):
        return None
    try:
        return VideoJob.from_dict(value)
    except (ValidationError, RecursionError):
        return None


def states_of_runs(runs: set[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """The states of DAG runs; of none where Airflow's database cannot be asked."""
    if not runs:
        return {}
    query = select(DagRun.dag_id, DagRun.run_id, DagRun.state)
    with suppress(Exception), create_session() as session:
        found = session.execute(query.where(tuple_(DagRun.dag_id, DagRun.run_id).in_(sorted(runs))))
        return {(dag_id, run_id): str(state) for dag_id, run_id, state in found}
    return {}
