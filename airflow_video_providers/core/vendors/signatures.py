"""Calls that a vendor has signed: is the signature its own, and is it of this moment?"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: How far a call's own time may be from ours: what Standard Webhooks asks for. A later call is a replay.
TOLERANCE = timedelta(minutes=5)
#: Signatures of one call that are tried: one for each key of a vendor that changes them.
MOST_SIGNATURES = 8


def is_fresh(timestamp: str, now: datetime) -> bool:
    """Is a time in seconds since 1970 of this moment?"""
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 10):
        return False
    return abs(datetime.fromtimestamp(int(timestamp), UTC) - now) <= TOLERANCE


def standard_webhook(headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: datetime) -> bool:
    """Is a call signed as Standard Webhooks has it: HMAC-SHA256 over ``<id>.<timestamp>.<body>``?

    :param headers: With names in lower case.
    :param secrets: ``whsec_`` and base64; each is tried.
    """
    message_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not message_id or not is_fresh(timestamp, now):
        return False
    given = [
        signature.removeprefix("v1,")
        for signature in headers.get("webhook-signature", "").split(" ")[:MOST_SIGNATURES]
        if signature.startswith("v1,")
    ]
    signed = f"{message_id}.{timestamp}.".encode() + body
    wanted = [base64.b64encode(hmac.digest(key, signed, "sha256")).decode() for key in map(_secret, secrets) if key]
    return any(hmac.compare_digest(one.encode(), other.encode()) for one in wanted for other in given)


def _secret(text: str) -> bytes:
    try:
        return base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except (ValueError, binascii.Error):
        return b""


def ed25519(headers: Mapping[str, str], names: Sequence[str], body: bytes, keys: Sequence[str], now: datetime) -> bool:
    """Is a call signed with Ed25519 over some headers' values and the body's SHA-256 in hex, one a line?

    :param names: The signed headers in order, then the one that holds the time, then the one with the signature in hex.
    :param keys: Public keys in base64url, as a JSON Web Key's ``x``; each is tried.
    """
    *signed, stamped, signature = names
    values = [headers.get(name, "") for name in (*signed, stamped)]
    if not all(values) or not is_fresh(values[-1], now):
        return False
    try:
        given = bytes.fromhex(headers.get(signature, ""))
    except ValueError:
        return False
    message = "\n".join([*values, hashlib.sha256(body).hexdigest()]).encode("latin-1", "replace")
    return any(_fits(key, given, message) for key in keys)


def _fits(key: str, signature: bytes, message: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        raw = base64.urlsafe_b64decode(key + "=" * (-len(key) % 4))
        Ed25519PublicKey.from_public_bytes(raw).verify(signature, message)
    except (ValueError, binascii.Error, InvalidSignature):
        return False
    return True


def public_keys(document: Any) -> list[str]:
    """The Ed25519 keys of a JSON Web Key Set, in the order in which it has them."""
    found = document.get("keys") if isinstance(document, dict) else None
    keys = [key for key in found if isinstance(key, dict)] if isinstance(found, list) else []
    return [
        key["x"]
        for key in keys[:MOST_SIGNATURES]
        if key.get("kty") == "OKP" and key.get("crv", "Ed25519") == "Ed25519" and isinstance(key.get("x"), str)
    ]
