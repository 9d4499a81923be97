"""Runs example DAGs one after the other with ``dag.test()``, in one process: the first run costs ten seconds more.

Its input says which: ``[[name, dag_id, conf, how], ...]``; ``how`` may hold ``answers``, what a person says to which task, and
``logical_date``; a text ``"<name>/<task>/<key>"`` in a conf stands for what that
task of an earlier run pushed. After the logs of each run, a line that begins with ``OUTCOME`` says as JSON what became
of it.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.dag_processing.dagbag import DagBag
from airflow.models.hitl import HITLDetail  # noqa: TID251 # what Airflow's API writes when a person answers
from airflow.models.taskinstance import TaskInstance  # noqa: TID251 # the same
from airflow.models.trigger import handle_event_submit  # noqa: TID251 # the same
from airflow.models.xcom import XComModel  # noqa: TID251 # the table itself, in a process that has the database
from airflow.triggers.base import TriggerEvent
from airflow.utils.session import create_session
from sqlalchemy.exc import OperationalError

from airflow_video_providers.core.polling.timing import TIMING
from airflow_video_providers.core.vendors import catalogue

if TYPE_CHECKING:
    from collections.abc import Iterator


def main() -> None:
    for model in catalogue.models():
        for _ in range(30):  # the simulator's jobs take a second; Mochi would not be looked at for half a minute
            TIMING.record(model, 1.0)
    bag = DagBag(os.environ["AIRFLOW__CORE__DAGS_FOLDER"], bundle_name="dags-folder")
    done: dict[str, Any] = {}
    for name, dag_id, conf, how in json.load(sys.stdin):
        moment = how.get("logical_date")
        with person(how.get("answers", {})) as questions:
            run = bag.dags[dag_id].test(
                run_conf={key: filled(value, done) for key, value in conf.items()},
                **({"logical_date": datetime.fromisoformat(moment)} if moment else {}),
            )
        done[name] = {**outcome(run), "questions": questions}
        print(f"\nOUTCOME {json.dumps(done[name])}", flush=True)


@contextmanager
def person(answers: dict[str, str]) -> Iterator[dict[str, str]]:
    """Answers what Airflow asks people, as its API does, while a run waits for it; collects the questions."""
    questions: dict[str, str] = {}
    over = threading.Event()

    def answer() -> None:
        while not over.wait(0.5):
            with suppress(OperationalError), create_session() as session:  # SQLite is busy now and then
                for asked in session.query(HITLDetail).filter(HITLDetail.responded_at.is_(None)).all():
                    ti = session.query(TaskInstance).filter(TaskInstance.id == asked.ti_id).one()
                    if ti.state != "awaiting_input" or ti.task_id not in answers:
                        continue
                    questions[ti.task_id] = str(asked.body)
                    asked.chosen_options, asked.params_input = [answers[ti.task_id]], {}
                    asked.responded_at = datetime.now(UTC)
                    event = TriggerEvent(asked.as_resume_event_payload())
                    handle_event_submit(event, task_instance=ti, session=session)

    thread = threading.Thread(target=answer, daemon=True)
    if answers:
        thread.start()
    try:
        yield questions
    finally:
        over.set()
        if answers:
            thread.join()


def filled(value: Any, done: dict[str, Any]) -> Any:
    """The value of a conf, or what it stands for."""
    name, _, key = value.partition("/") if isinstance(value, str) else ("", "", "")
    return done[name]["xcoms"][key] if name in done else value


def outcome(run: Any) -> dict[str, Any]:
    """The states of a run's tasks, and all that they pushed; mapped ones as ``task[0]``."""
    with create_session() as session:
        pushed = session.query(XComModel).filter(XComModel.dag_id == run.dag_id, XComModel.run_id == run.run_id).all()
        xcoms = {f"{named(found)}/{found.key}": XComModel.deserialize_value(found) for found in pushed}
    return {
        "state": str(run.state),
        "tasks": {named(ti): [str(ti.state), ti.try_number] for ti in run.get_task_instances()},
        "xcoms": {key: value for key, value in xcoms.items() if not key.partition("/")[2].startswith("_")},
    }


def named(what: Any) -> str:
    """A task, or one of a mapped task's."""
    return what.task_id if what.map_index < 0 else f"{what.task_id}[{what.map_index}]"


if __name__ == "__main__":
    main()
