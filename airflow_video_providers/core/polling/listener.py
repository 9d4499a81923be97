"""Who counts polls, where anybody does."""

from __future__ import annotations

from typing import Protocol


class Listener(Protocol):
    """Who counts polls."""

    def polled(self, model: str, /) -> object:
        """A poll was sent for a job of this model."""

    def throttled(self, model: str, /) -> object:
        """A poll was answered with a rate limit."""

    def woken(self, model: str, /) -> object:
        """A job is polled because the vendor has called about it."""

    def trust_lost(self, model: str, /) -> object:
        """A job had ended, and nobody had called."""


class _NoListener:
    def polled(self, model: str, /) -> None: ...
    def throttled(self, model: str, /) -> None: ...
    def woken(self, model: str, /) -> None: ...
    def trust_lost(self, model: str, /) -> None: ...


NO_LISTENER = _NoListener()
