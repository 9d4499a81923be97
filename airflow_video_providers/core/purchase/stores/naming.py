"""Keys as names of files and objects, and records as their bytes."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.purchase.records import digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_video_providers.core.purchase.records import Key

_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.+")
_LONGEST_PART = 150


def encode(part: str) -> str:
    """A part of a key as a file name: readable, the same on every backend, and different for different parts."""
    safe = "".join(c if c in _PLAIN else "".join(f"={byte:02X}" for byte in c.encode()) for c in part)
    if safe.startswith("."):
        safe = "=2E" + safe[1:]
    if len(safe) > _LONGEST_PART:
        safe = f"{safe[:100]}=={digest(part)[:32]}"
    return safe


def decode(names: Sequence[str]) -> Key | None:
    """The key whose parts :func:`encode` gave these names; None where one was too long to be kept whole."""
    if any("==" in name for name in names):
        return None
    raw = (re.sub(rb"=([0-9A-F]{2})", lambda found: bytes.fromhex(found[1].decode()), name.encode()) for name in names)
    return tuple(part.decode(errors="replace") for part in raw)


def render(value: dict[str, Any]) -> bytes:
    """A record's bytes."""
    return json.dumps(value, indent=1, sort_keys=True).encode()
