"""The trigger that waits for a vendor's call about a submit whose answer was lost."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_video_providers.core.polling.mailbox import attempt_mark
from airflow_video_providers.triggers.first_event import until_heard
from airflow_video_providers.triggers.video import mail_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from airflow_video_providers.core.polling.mailbox import Mail


class CallbackTrigger(BaseTrigger):
    """Waits until a call has named the job of an attempt, or until its time is over, and fires one event.

    The event is ``{"status": "named" | "timeout", "attempt": [...], "request_ids": [...]}``. It writes nothing and asks
    no vendor: the task checks what was named when it resumes.

    :param conn_id: The connection that bought.
    :param attempt: The attempt's key in the ledger, as JSON.
    :param end_time: Until when to wait, in seconds since 1970; by default not at all.
    :param known: Ids that were named before and were not believed, as JSON: they end no wait.
    """

    def __init__(
        self,
        conn_id: str = "",
        attempt: str = "[]",
        end_time: float | None = None,
        known: str = "[]",
        **_of_another_version: Any,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # Airflow's is untyped
        self.conn_id = conn_id
        self.attempt = attempt
        self.end_time = time.time() if end_time is None else end_time
        self.known = known

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Where this class lives, and the arguments that make its like."""
        return f"{__name__}.{type(self).__name__}", {
            "conn_id": self.conn_id,
            "attempt": self.attempt,
            "end_time": self.end_time,
            "known": self.known,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and fire one event, whatever happens."""
        ids: list[str] = []
        began = asyncio.get_running_loop().time()
        try:
            ids = await self._named()
        except Exception:
            self.log.exception("The wait for a call broke off. The task reads the mailbox itself.")
        await until_heard(self, began)
        payload = {"status": "named" if ids else "timeout", "attempt": json.loads(self.attempt), "request_ids": ids}
        yield TriggerEvent(payload)  # type: ignore[no-untyped-call] # Airflow's is untyped

    async def _named(self) -> list[str]:
        attempt, known = tuple(json.loads(self.attempt)), set(json.loads(self.known))
        reader, news = mail_of(self.conn_id), asyncio.Event()

        def called(_: Mail) -> None:
            news.set()

        expected = reader.expect(attempt_mark(attempt), called)
        try:
            async with asyncio.timeout(max(0.0, self.end_time - time.time())):
                while True:
                    await news.wait()
                    news.clear()
                    if reader.mailbox is not None:
                        ids = await asyncio.to_thread(reader.mailbox.ids_for, attempt)
                        if set(ids) - known:
                            return ids
        except TimeoutError:
            return []
        finally:
            expected.close()
