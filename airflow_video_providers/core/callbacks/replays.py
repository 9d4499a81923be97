"""Signed calls that were taken already: a signature says who made a call, and not for which address."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Signatures that are remembered; of more, the oldest are forgotten.
MOST = 10_000


class Replays:
    """Which signed call named which attempt, in this process. A signature holds for minutes, and so does this."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._seen: OrderedDict[bytes, tuple[object, ...]] = OrderedDict()

    def is_replay(self, headers: Mapping[str, str], body: bytes, attempt: tuple[object, ...]) -> bool:
        """Has the same signature come with another attempt's address? A vendor's own repeat comes with the same."""
        signatures = "\n".join(value for name, value in sorted(headers.items()) if "signature" in name)
        mark = hashlib.sha256(signatures.encode() + b"\n" + body).digest()
        known = self._seen.setdefault(mark, attempt)
        while len(self._seen) > self._most:
            self._seen.popitem(last=False)
        return known != attempt
