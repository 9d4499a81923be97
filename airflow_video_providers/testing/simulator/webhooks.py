"""The vendors' callbacks: at least once, terminal or on every poll cycle; fal's and Replicate's are signed.

Invented, because Pixazo's page is silent, and the same for all: the attempts (at once, after 1 s, after 5 s, where
``webhook_attempts`` says nothing else), five callbacks in a row that nobody took as the end of deliveries to an address,
and the poll cycle (1 s, in the ``real`` profile 15 s).
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .faults import Fault
    from .jobs import Job
    from .world import World

TERMINAL = ("COMPLETED", "FAILED", "ERROR", "CANCELLED")
GIVE_UP_AFTER = 5
HANDLER_SECONDS = 5.0
_TICK = 0.02
#: Makes the headers of a call from the job's id, the body and the time.
Sign = Callable[[str, bytes, float], "dict[str, str]"]


@dataclass
class Subscription:
    """One job's callbacks, until the terminal one was sent.

    :param sign: The headers of a call with this body, at this time; None: the vendor does not sign.
    """

    job: Job
    url: str
    mode: str
    body: Callable[[str], dict[str, Any]]
    next_cycle: float
    sign: Sign | None = None


class Webhooks:
    """Watches jobs that were submitted with a webhook and calls back.

    :param world: Its clock decides when, its list of deliveries remembers what came of it.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self._waiting: list[Subscription] = []
        self._failures: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._watcher: asyncio.Task[None] | None = None
        self._client: httpx.AsyncClient | None = None

    def complaint(self, headers: Mapping[str, str]) -> str | None:
        """What is wrong with the webhook headers of a submit, if anything."""
        url, mode = headers.get("x-webhook-url"), headers.get("x-webhook-mode", "terminal")
        if url is None:
            return None
        plain = url.startswith("http://") and self.world.options.allow_http_webhooks
        if not url.startswith("https://") and not plain:
            return "X-Webhook-URL must be an HTTPS URL"
        return None if mode in ("terminal", "sync") else "X-Webhook-Mode must be terminal or sync"

    def expect(
        self, job: Job, url: str, mode: str, body: Callable[[str], dict[str, Any]], sign: Sign | None = None
    ) -> None:
        """Call back about a job.

        :param body: The callback's body for a state.
        :param sign: How the vendor signs it.
        """
        self._waiting.append(Subscription(job, url, mode, body, job.submitted + self._cycle, sign))
        if self._watcher is None or self._watcher.done():
            self._watcher = asyncio.create_task(self._watch())

    @property
    def _cycle(self) -> float:
        return 15.0 if self.world.options.profile == "real" else 1.0

    def early(self, faults: Sequence[Fault]) -> bool:
        """Does a submit with these faults end at once, and call back before its own answer?"""
        return any(fault.kind == "webhook_early" for fault in [*faults, *self.world.book.entries])

    async def answered(self, job: Job) -> None:
        """Call back about a job that has ended, and wait until the receiver has answered, or was given time to."""
        mine = [waiting for waiting in self._waiting if waiting.job is job]
        self._waiting = [waiting for waiting in self._waiting if waiting.job is not job]
        before = set(self._tasks)
        for waiting in mine:
            self._tick(waiting, self.world.clock.now())
        if sent := self._tasks - before:
            await asyncio.wait(sent, timeout=HANDLER_SECONDS)

    def reset(self) -> None:
        """Forget every job and stop what is on its way."""
        self._waiting.clear()
        self._failures.clear()
        for task in self._tasks:
            task.cancel()

    async def close(self) -> None:
        """Stop for good."""
        self.reset()
        if self._watcher:
            self._watcher.cancel()
        if self._client:
            await self._client.aclose()

    async def _watch(self) -> None:
        while self._waiting:
            now = self.world.clock.now()
            self._waiting = [waiting for waiting in self._waiting if not self._tick(waiting, now)]
            await asyncio.sleep(_TICK)

    def _tick(self, waiting: Subscription, now: float) -> bool:
        """Send what is due; true when nothing more will be."""
        state = waiting.job.state(now)
        kinds = {
            fault.kind: fault for fault in waiting.job.faults + self.world.book.entries if fault.stage == "webhook"
        }
        if "webhook_lost" in kinds:
            return state in TERMINAL
        late = kinds["webhook_delayed"].seconds(10) if "webhook_delayed" in kinds else 0.0
        times = 2 if "webhook_duplicate" in kinds else 1
        storm = int(kinds["webhook_storm"].seconds(50)) if "webhook_storm" in kinds else 1
        if state not in TERMINAL or now < waiting.job.finished + late:
            if waiting.mode == "sync" and state not in TERMINAL and now >= waiting.next_cycle:
                waiting.next_cycle = now + self._cycle
                self._send(waiting, [state] * times, storm)
            return False
        states = [state] * times
        self._send(waiting, [*states, "PROCESSING"] if "webhook_out_of_order" in kinds else states, storm)
        return True

    def _routed(self, url: str) -> str:
        parts = urlsplit(url)
        route = self.world.options.webhook_route(parts.hostname or "")
        return parts._replace(scheme="http", netloc=route).geturl() if route else url

    def _send(self, waiting: Subscription, states: list[str], at_once: int = 1) -> None:
        for _ in range(at_once):
            task = asyncio.create_task(self._deliver(waiting, states))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _deliver(self, waiting: Subscription, states: list[str]) -> None:
        for state in states:
            await self._deliver_one(waiting, state)

    async def _deliver_one(self, waiting: Subscription, state: str) -> None:
        self._client = self._client or httpx.AsyncClient(timeout=HANDLER_SECONDS, trust_env=False)
        body = json.dumps(waiting.body(state)).encode()
        for attempt, delay in enumerate(self.world.options.webhook_attempts, 1):
            if self._failures.get(waiting.url, 0) >= GIVE_UP_AFTER:
                return
            await self.world.clock.sleep_until(self.world.clock.now() + delay)
            headers = {"content-type": "application/json"}
            if waiting.sign is not None:
                headers |= waiting.sign(waiting.job.request_id, body, time.time())  # as the receiver's clock says
            try:
                sent = await self._client.post(self._routed(waiting.url), content=body, headers=headers)
                outcome: int | str = sent.status_code
            except httpx.HTTPError as error:
                outcome = type(error).__name__
            self.world.deliveries.append(
                {
                    "request_id": waiting.job.request_id,
                    "url": waiting.url,
                    "status": state,
                    "attempt": attempt,
                    "outcome": outcome,
                }
            )
            if isinstance(outcome, int) and 200 <= outcome < 300:
                self._failures[waiting.url] = 0
                return
        self._failures[waiting.url] = self._failures.get(waiting.url, 0) + 1
