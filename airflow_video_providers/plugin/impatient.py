"""A server's side of a connection that does not wait for callers who send nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio

#: Seconds for the head of a request to come.
PATIENCE = 5.0


class ImpatientProtocol(H11Protocol):
    """Closes a connection whose first request has not begun in time: the server itself would wait for ever, and a few hundred
    such callers would take all its places.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as the server's own
        """Somebody has connected."""
        super().connection_made(transport)
        self._late = self.loop.call_later(PATIENCE, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        self._late.cancel()
        super().connection_lost(exc)

    def _give_up(self) -> None:
        if self.cycle is None:
            self.transport.close()
