"""The simulator's own routes under ``/_sim``."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING, Any

from .faults import KINDS, parse
from .images import fetch
from .wire import Answer, Call

if TYPE_CHECKING:
    from .webhooks import Webhooks
    from .world import World


class Admin:
    """Time, faults, settings, and what happened.

    :param world: What is shown and changed.
    :param webhooks: Emptied by a reset, too.
    """

    def __init__(self, world: World, webhooks: Webhooks) -> None:
        self.world = world
        self.webhooks = webhooks

    async def serve(self, call: Call) -> Answer:
        """Answer one call; what is wrong with it is said with a 400.

        A page in a browser may send a form anywhere, but JSON only where the other side has agreed to it.
        """
        if call.method == "POST" and not call.is_json:
            return Answer(415, {"error": "Simulator", "message": "Send JSON, and say so in Content-Type."})
        body = call.json if isinstance(call.json, dict) else {}
        try:
            name = call.path.removeprefix("/_sim/")
            if (call.method, name) == ("POST", "images"):  # in a thread: a file that was uploaded is fetched from here
                jobs, part = list(self.world.store.order), str(body.get("part", ""))
                return Answer(200, {"images": await asyncio.to_thread(fetch, jobs, part)})
            content = self._act(call.method, name, body, call.parameters)
        except (ValueError, TypeError) as error:
            return Answer(400, {"error": "Simulator", "message": str(error)})
        return (
            Answer(404, {"error": "Simulator", "message": "no such route"}) if content is None else Answer(200, content)
        )

    def _act(self, method: str, name: str, body: dict[str, Any], query: dict[str, str]) -> Any:
        world = self.world
        match method, name:
            case "GET", "health":
                return {"status": "ok", "now": world.clock.now(), "frozen": world.clock.frozen}
            case "POST", "advance":
                world.clock.advance(float(body.get("seconds", 0)))
                return {"now": world.clock.now()}
            case "POST", "reset":
                self.webhooks.reset()
                world.reset()
                return {"status": "ok"}
            case "GET", "ledger":
                return world.store.ledger(world.clock.now())
            case "GET", "requests":
                wanted = query.get("vendor")
                return {"requests": [entry for entry in world.requests if wanted in (None, entry["vendor"])]}
            case "GET", "violations":
                return {"violations": list(world.violations)}
            case "GET", "webhooks":
                return {"deliveries": list(world.deliveries)}
            case "GET" | "POST" | "DELETE", "faults":
                return self._faults(method, body)
            case "GET", "options":
                return dataclasses.asdict(world.options)
            case "POST", "options":
                world.configure(body)
                return dataclasses.asdict(world.options)
            case _:
                return None

    def _faults(self, method: str, body: dict[str, Any]) -> Any:
        book = self.world.book
        if method == "DELETE":
            book.entries.clear()
        elif method == "POST":
            fault = parse(str(body.get("name", "")), body.get("on"))
            if body.get("on") not in (None, fault.stage):
                raise ValueError(f"The fault {fault.name!r} strikes at {', '.join(KINDS[fault.kind].stages)}.")
            count = body.get("count", 1)
            fault.left = None if count is None else int(count)
            fault.probability = float(body.get("probability", 1.0))
            fault.vendor = body.get("vendor")
            book.entries.append(fault)
        return {
            "armed": [fault.to_json() for fault in book.entries],
            "kinds": {name: {"help": kind.help, "on": list(kind.stages)} for name, kind in KINDS.items()},
        }
