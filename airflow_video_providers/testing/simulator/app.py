"""The ASGI application: finds the vendor, records, answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .admin import Admin
from .appypie import AppyPie
from .fal import Fal
from .faults import FaultError
from .hosts import OF_VENDORS, OwnHosts, bare
from .media import Media
from .options import Options
from .pixazo import Pixazo
from .replicate import Replicate
from .segmind import Segmind
from .state import StateFile
from .webhooks import Webhooks
from .wire import Answer, Call, deliver, read_body
from .world import World

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from starlette.types import Receive, Scope, Send

    from .gateway import Gateway


class Simulator:
    """The vendors, their media host and the admin routes, as one ASGI application.

    Nothing may be wrapped around it: faults of the connection reach for uvicorn's transport.

    :param options: The settings it starts with.
    :param more: Gateways of other vendors, each under its name as the first part of the path.
    :param listening: The address that it listens on, which is one of the names that it answers to.
    :param state: A file that keeps what it knows over a restart; None: it starts with nothing.
    :raises ValueError: the file cannot be used.
    """

    def __init__(
        self,
        options: Options | None = None,
        more: Sequence[type[Gateway]] = (),
        *,
        listening: str = "127.0.0.1",
        state: Path | None = None,
    ) -> None:
        kinds: tuple[type[Gateway], ...] = (Pixazo, AppyPie, Segmind, Fal, Replicate, *more)
        self.world = World(options or Options(), {kind.name: kind.key_header for kind in kinds})
        self.webhooks = Webhooks(self.world)
        self.hosts = OwnHosts(listening)
        self.state = StateFile(state) if state else None
        if self.state:
            self.state.load(self.world)
        self.admin = Admin(self.world, self.webhooks)
        self.media = Media(self.world)
        gateways: tuple[Gateway, ...] = (
            Pixazo(self.world, self.webhooks),
            AppyPie(self.world),
            Segmind(self.world),
            Fal(self.world, self.webhooks),
            Replicate(self.world, self.webhooks),
            *(kind(self.world) for kind in more),
        )
        self.gateways = {gateway.name: gateway for gateway in gateways}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            if not self.hosts.has(headers.get("host", "127.0.0.1"), self.world.options.hosts):
                message = "I am not known under this name; --known-as gives me one more."
                await deliver(Answer(421, {"error": "Simulator", "message": message}), scope, receive, send)
                return
            body = await read_body(receive)
            if body is None:
                await deliver(Answer(413, {"error": "Simulator", "message": "too large"}), scope, receive, send)
                return
            root = f"{scope['scheme']}://{headers.get('host', '127.0.0.1')}"
            path, query = scope["path"], scope["query_string"].decode("latin-1")
            call = Call(scope["method"], path, query, headers, body, root, root)
            await deliver(await self._answer(call), scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while (message := await receive())["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        await self.webhooks.close()
        if self.state:
            self.state.close()
        await send({"type": message["type"] + ".complete"})

    async def _answer(self, call: Call) -> Answer:
        if call.path.startswith("/_sim/"):
            return await self._steered(call)
        gateway = self._gateway(call)
        entry, size = self.world.record(call, gateway.name if gateway else None)
        self.world.watch(call, gateway.name if gateway else None)
        try:
            if gateway:
                answer = await gateway.serve(call)
            elif call.path.startswith("/media/"):
                answer = self.media.serve(call)
            else:
                answer = Answer(404, {"error": "Simulator", "message": f"Nothing is simulated at {call.path}."})
        except FaultError as error:
            answer = Answer(400, {"error": "Simulator", "message": str(error)})
        entry["status"] = answer.status if answer.delivery in ("whole", "slow") else answer.delivery
        if self.state:
            self.state.save(self.world, entry, size)
        return answer

    async def _steered(self, call: Call) -> Answer:
        answer = await self.admin.serve(call)
        if self.state and call.method != "GET":
            if call.path == "/_sim/reset":
                self.state.empty()
            self.state.save(self.world)
        return answer

    def _gateway(self, call: Call) -> Gateway | None:
        """The vendor of a call, by prefix, else by host, else by its key's header and its path."""
        first, _, rest = call.path[1:].partition("/")
        if first in self.gateways:
            call.path, call.base = f"/{rest}", f"{call.root}/{first}"
            return self.gateways[first]
        if first in ("media", "_foreign"):
            return None
        if name := OF_VENDORS.get(bare(call.headers.get("host", ""))):
            return self.gateways[name]
        if "x-api-key" in call.headers:
            return self.gateways["segmind"]
        if "ocp-apim-subscription-key" in call.headers:
            return self.gateways["appypie" if first.startswith("fal-ai-") else "pixazo"]
        return None
