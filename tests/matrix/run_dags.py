"""Runs DAGs of ``dags/`` one after the other with ``dag.test()``: ``run_dags.py <output_path> <dag>[@<ledger>]...``

After the logs of its tasks, a line that begins with ``OUTCOME`` says as JSON what became of each.
"""

from __future__ import annotations

import json
import os
import sys

import pipelines


def main(output_path: str, *runs: str) -> None:
    for run in runs:
        dag_id, _, ledger = run.partition("@")
        os.environ["AIRFLOW__VIDEO_PROVIDERS__LEDGER_PATH"] = ledger
        dag_run = getattr(pipelines, dag_id).test(run_conf={"output_path": output_path})
        tasks = {ti.task_id: {"state": str(ti.state), "tries": ti.try_number} for ti in dag_run.get_task_instances()}
        outcome = {"run_id": dag_run.run_id, "state": str(dag_run.state), "tasks": tasks}
        print(f"\nOUTCOME {json.dumps(outcome)}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
