"""When a trigger may fire for the first time: not before Airflow's scheduler has heard that the task was deferred."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from airflow_video_providers.integration.heard import HEARD_AFTER

if TYPE_CHECKING:
    from airflow.triggers.base import BaseTrigger


async def until_heard(trigger: BaseTrigger, began: float) -> None:
    """Return when the trigger may fire; at once where no triggerer runs it, as in ``dag.test()``: no scheduler is there.

    :param began: When it began to run, by the event loop's clock.
    """
    if getattr(trigger, "trigger_id", None) is not None:
        await asyncio.sleep(began + HEARD_AFTER - asyncio.get_running_loop().time())
