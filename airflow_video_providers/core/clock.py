"""The wall clock, for who is given no other."""

from __future__ import annotations

from datetime import UTC, datetime


def utcnow() -> datetime:
    """The current time, aware."""
    return datetime.now(UTC)
