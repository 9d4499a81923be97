"""An ASGI app that is built at its first request, so that declaring it costs no import."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import Any


class LazyApp:
    """Stands where an app is mounted, and builds it when somebody asks.

    :param factory: ``"<module>:<function>"``; the function takes nothing and returns the ASGI app.
    """

    def __init__(self, factory: str) -> None:
        self._factory = factory
        self._app: Any = None
        self._building = asyncio.Lock()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass a request on."""
        if self._app is None:
            async with self._building:
                if self._app is None:
                    self._app = await asyncio.to_thread(self._build)
        await self._app(scope, receive, send)

    def _build(self) -> Any:
        module, _, function = self._factory.partition(":")
        return getattr(import_module(module), function)()
