"""Runs example DAGs one after the other with ``dag.test()``, in one process: the first run costs ten seconds more.

Its input says which: ``[[name, dag_id, conf], ...]``; a text ``"<name>/<task>/<key>"`` in a conf stands for what that
task of an earlier run pushed. After the logs of each run, a line that begins with ``OUTCOME`` says as JSON what became
of it.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from airflow.dag_processing.dagbag import DagBag
from airflow.models.xcom import XComModel  # noqa: TID251 # the table itself, in a process that has the database
from airflow.utils.session import create_session

from airflow_video_providers.core.polling.timing import TIMING
from airflow_video_providers.core.vendors import catalogue


def main() -> None:
    for model in catalogue.models():
        for _ in range(30):  # the simulator's jobs take a second; Mochi would not be looked at for half a minute
            TIMING.record(model, 1.0)
    bag = DagBag(os.environ["AIRFLOW__CORE__DAGS_FOLDER"], bundle_name="dags-folder")
    done: dict[str, Any] = {}
    for name, dag_id, conf in json.load(sys.stdin):
        run = bag.dags[dag_id].test(run_conf={key: filled(value, done) for key, value in conf.items()})
        done[name] = outcome(run)
        print(f"\nOUTCOME {json.dumps(done[name])}", flush=True)


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
