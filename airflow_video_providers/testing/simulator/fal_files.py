"""fal's files: what is uploaded for a request, and for how long a request's outputs live."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING

from .clock import iso_millis
from .wire import Answer

if TYPE_CHECKING:
    from .wire import Call
    from .world import World

_TOKEN = "simulated-upload-token-0123456789"  # noqa: S105 # invented


def token(world: World) -> Answer:
    """What the file host wants to see, for who has the key."""
    body = {"token": _TOKEN, "token_type": "Bearer", "base_url": "https://v3.fal.media"}
    return Answer(200, body | {"expires_at": iso_millis(world.clock.now() + 3600.0)})


def take(world: World, call: Call) -> Answer | None:
    """Take a file, and say where it is; None where the token is not there, as when the key comes in its place."""
    if call.headers.get("authorization") != f"Bearer {_TOKEN}":
        return None
    name = f"{uuid.uuid4().hex}_{call.headers.get('x-fal-file-name', 'upload.bin')}"
    world.uploads[name] = (call.body, call.headers.get("content-type", "application/octet-stream"))
    return Answer(200, {"access_url": f"{call.root}/media/_upload/{name}"})


def lifetime(header: str | None) -> int | None:
    """For how many seconds a request's outputs live; None for ever, 0 where the header is not understood."""
    if header is None:
        return None
    try:
        seconds = json.loads(header)["expiration_duration_seconds"]
    except (ValueError, TypeError, LookupError):
        return 0
    return seconds if seconds is None or (isinstance(seconds, int) and not isinstance(seconds, bool)) else 0
