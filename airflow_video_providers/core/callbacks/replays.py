"""Signed calls that were taken already: a signature says who made a call, and not for which address."""

from __future__ import annotations

import hashlib
from collections import OrderedDict

#: Calls that are remembered; of more, the oldest are forgotten.
MOST = 10_000


class Replays:
    """Which signed call named which attempt, in this process. A signature holds for minutes, and so does this."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._seen: OrderedDict[bytes, tuple[object, ...]] = OrderedDict()

    def is_replay(self, vendor_id: str, body: bytes, attempt: tuple[object, ...]) -> bool:
        """Has the same body come with another attempt's address? A vendor's own repeat comes with the same.

        What was signed is marked, and not how the signature is written: that can be written in several ways. Every byte of the
        body is signed, and it holds the job's id, so that no two jobs have one body.
        """
        mark = hashlib.sha256(vendor_id.encode() + b"\n" + body).digest()
        known = self._seen.setdefault(mark, attempt)
        while len(self._seen) > self._most:
            self._seen.popitem(last=False)
        return known != attempt
