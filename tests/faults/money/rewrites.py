"""What the wire makes of a vendor's answer on its way to the task."""

from __future__ import annotations

import gzip
import json
from functools import cache


@cache
def bomb() -> bytes:
    """0.3 MB that unpack to 300 MB."""
    body = gzip.compress(b'{"status": "' + b"0" * 300_000_000)
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


def with_stray(answer: bytes) -> bytes:
    """The answer on a connection that stays open, and behind it one that tells of another job's video."""
    video = "https://media.invalid/of-somebody-else.mp4"
    other = {
        "request_id": "of-somebody-else",
        "status": "COMPLETED",
        "video": {"url": video},
        "output": {"media_url": [video]},
    }
    body = json.dumps(other).encode()
    stray = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    head, _, rest = answer.partition(b"\r\n\r\n")
    kept = [line for line in head.split(b"\r\n") if line.lower() != b"connection: close"]
    return b"\r\n".join(kept) + b"\r\n\r\n" + rest + stray
