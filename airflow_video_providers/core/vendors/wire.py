"""What a submit is on the wire: the body and the headers that a vendor makes of a typed request."""

from __future__ import annotations

import hashlib
import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Wire(NamedTuple):
    """A submit as it goes over the wire.

    :param body: The JSON body, whole: wrapped, renamed, with the model in it, as the vendor wants it.
    :param headers: What the vendor wants to be told in headers. Never the key: the client adds it.
    """

    body: dict[str, Any]
    headers: Mapping[str, str] = MappingProxyType({})

    def sha256(self) -> str:
        """Digest of the body as it is sent, whatever the order of its fields: what a lost answer is found by."""
        return body_digest(self.body)


def body_digest(body: Any) -> str:
    """SHA-256 of a JSON value, whatever the order of its fields."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
