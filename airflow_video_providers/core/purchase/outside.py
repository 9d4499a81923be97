"""What a purchase needs of the world outside: whom to ask, and how to pause."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from logging import Logger

    from airflow_video_providers.core.jobs import VideoJob
    from airflow_video_providers.core.purchase.order import Order


@dataclass(frozen=True)
class Outside:
    """What a purchase needs of the world: whom to ask, and how to pause.

    :param poll: Reads a job's state at the vendor. Called only after a Clear.
    :param ready: Asked directly before an intent is stored: raises where nothing may be bought now. Buys nothing. Returns
        the order as it will be sent: its stored inputs are signed or uploaded here, so that the intent records what is sent.
    :param finished: Asked of the job that a Clear finds, before the vendor is: the job as it is finished, where its
        file is kept for a second opinion; it is kept whatever the vendor says.
    :param keeps: Asked of a finished job that a Clear would buy again: True keeps it, because what was paid for has
        not reached its place yet.
    :param clock: The time in UTC.
    :param sleep: How to pause: before the paid call while the ledger is away, after it until the ledger has stored
        what came of it, and while another process of this task instance is buying.
    """

    log: Logger
    poll: Callable[[VideoJob], VideoJob]
    ready: Callable[[Order], Order] = lambda order: order
    finished: Callable[[VideoJob], VideoJob | None] = lambda _job: None
    keeps: Callable[[VideoJob], bool] = lambda _job: False
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], None] = time.sleep
