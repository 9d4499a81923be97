"""When a trigger may fire: not before Airflow's scheduler has heard that the task was deferred.

The process that has deferred a task ends, and its executor reports that as a success. Where the task is on its way again
before the scheduler reads the report, the scheduler takes it for the end of the task, which has not ended, and fails the
task: one that is scheduled, queued or running on Airflow 3.1, queued or running on 3.2 and 3.3
(``process_executor_events`` of ``airflow/jobs/scheduler_job_runner.py``). A trigger cannot see whether it was read.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.triggers.base import BaseTrigger

#: Seconds from a trigger's start in a triggerer to its first event. A scheduler at rest reads reports once a second; of
#: busy ones that failed tasks in this way three to seven seconds have been reported.
HEARD_AFTER = 10.0


async def until_heard(trigger: BaseTrigger, began: float) -> None:
    """Return when the trigger may fire; at once where no triggerer runs it, as in ``dag.test()``: no scheduler is there.

    :param began: When it began to run, by the event loop's clock.
    """
    if getattr(trigger, "trigger_id", None) is not None:
        await asyncio.sleep(began + HEARD_AFTER - asyncio.get_running_loop().time())
