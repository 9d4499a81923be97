"""How soon a task that was put off may be on its way again: not before Airflow's scheduler has heard that it was put off.

The process that has deferred or rescheduled a task ends, and its executor reports that as a success. Where the task is on
its way again before the scheduler reads the report, the scheduler takes it for the end of the task, which has not ended,
and fails the task: one that is scheduled, queued or running on Airflow 3.1, queued or running on 3.2 and 3.3
(``process_executor_events`` of ``airflow/jobs/scheduler_job_runner.py``). Nobody else can see whether it was read.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

#: Seconds. A scheduler at rest reads reports once a second; of busy ones that failed tasks in this way three to seven
#: seconds have been reported.
HEARD_AFTER = 10.0


def soonest(moment: datetime, now: datetime) -> datetime:
    """When a task that is wanted back at ``moment`` may come back."""
    return max(moment, now + timedelta(seconds=HEARD_AFTER))
