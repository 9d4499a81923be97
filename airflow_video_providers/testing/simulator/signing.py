"""How fal and Replicate sign their calls, from their documents and from what receivers of them do.

Invented: the keys, which are the same in every simulator, and fal's user id.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

USER_ID = "simulated-user"
_SEED = hashlib.sha256(b"the simulator's key of fal").digest()
#: As Replicate's ``GET /v1/webhooks/default/secret`` gives it.
WEBHOOK_SECRET = f"whsec_{base64.b64encode(hashlib.sha256(b'the secret of Replicate').digest()).decode()}"


def _private() -> Ed25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(_SEED)


def key_set() -> dict[str, Any]:
    """fal's JSON Web Key Set."""
    x = base64.urlsafe_b64encode(_private().public_key().public_bytes_raw()).rstrip(b"=").decode()
    return {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": x}]}


def sign_as_fal(request_id: str, body: bytes, now: float) -> dict[str, str]:
    """Ed25519, in hex, over four lines; the last is the body's digest."""
    signed = [request_id, USER_ID, str(int(now))]
    message = "\n".join([*signed, hashlib.sha256(body).hexdigest()]).encode()
    values = [*signed, _private().sign(message).hex()]
    names = ("request-id", "user-id", "timestamp", "signature")
    return {f"x-fal-webhook-{name}": value for name, value in zip(names, values, strict=True)}


def sign_as_replicate(request_id: str, body: bytes, now: float) -> dict[str, str]:
    """Standard Webhooks. The message's id is the same when it is sent again."""
    message_id, timestamp = f"msg_{request_id}", str(int(now))
    key = base64.b64decode(WEBHOOK_SECRET.removeprefix("whsec_"))
    signature = hmac.digest(key, f"{message_id}.{timestamp}.".encode() + body, "sha256")
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{base64.b64encode(signature).decode()}",
    }
