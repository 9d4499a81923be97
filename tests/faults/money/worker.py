"""A worker: for each line on stdin it runs one try as Airflow does, with a supervisor, in a process of its own."""

from __future__ import annotations

import json
import os
import sys
import uuid
from typing import Any

# Brought in once, so that each forked task starts warm.
import airflow.dag_processing.dagbag
import airflow.sdk.execution_time.task_runner  # noqa: F401
from airflow.executors.workloads.base import BundleInfo
from airflow.sdk.api.datamodels._generated import TaskInstance
from airflow.sdk.execution_time import supervisor

#: How often the supervisor looks whether its task is still there, and how late it notices the end; seconds.
supervisor.MIN_HEARTBEAT_INTERVAL = 0.1


def main() -> None:
    """Until stdin ends."""
    for line in sys.stdin:
        wanted: dict[str, Any] = json.loads(line)
        for name, value in wanted["environment"].items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        code = supervisor.supervise_task(
            ti=TaskInstance(
                id=uuid.UUID(wanted["id"]), dag_id="money", run_id=wanted["run_id"], task_id=wanted["task_id"],
                try_number=wanted["try_number"], map_index=-1, dag_version_id=uuid.uuid4(),
            ),
            bundle_info=BundleInfo(name="faults", version=None),
            dag_rel_path="money.py",
            token="none",
            server=wanted["server"],
            log_path=wanted["log"],
        )  # fmt: skip
        print(f"exit {code}", flush=True)


if __name__ == "__main__":
    main()
