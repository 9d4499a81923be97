"""The name of an attempt that an address can carry: signed, with an end, without a secret in it.

It stands in the query of an address that was written before the vendor's id existed. Whoever reads it in a proxy's log
can cause a poll, and offer an id for this one attempt, which is checked like any other.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from airflow_video_providers.core.purchase.records import CALLBACK_LIFETIME, Identity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_video_providers.core.purchase.records import Attempt

_VERSION = 1
#: Set before what is signed, so that a signature made with this secret for anything else says nothing here.
_PURPOSE = b"airflow-video-providers callback\n"
#: Characters; four ids of 250 characters fit.
LONGEST = 1800
#: The name of the token in the query. Airflow's access log masks values of this name.
PARAMETER = "token"


@dataclass(frozen=True)
class Claim:
    """What a token says: about which attempt a call is.

    :param vendor: Who was asked to call.
    :param conn_id: The connection that bought.
    :param number: The attempt's number among those of its task instance.
    :param expires: Until when a call is taken (UTC).
    """

    vendor: str
    conn_id: str
    identity: Identity
    number: int
    expires: datetime

    @classmethod
    def of(cls, attempt: Attempt) -> Claim:
        """The claim of an attempt that is about to be sent."""
        expires = (attempt.created_at + CALLBACK_LIFETIME).replace(microsecond=0)
        return cls(attempt.model.partition(":")[0], str(attempt.conn_id), attempt.identity, attempt.number, expires)


def issue(claim: Claim, secret: str) -> str:
    """The token for a claim."""
    who = claim.identity
    fields = [
        _VERSION, claim.vendor, claim.conn_id, who.dag_id, who.run_id, who.task_id, who.map_index, claim.number,
        int(claim.expires.timestamp()),
    ]  # fmt: skip
    payload = _encoded(json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode())
    return f"{payload}.{_encoded(_signature(payload, secret))}"


def address(url: str, token: str) -> str:
    """Where the vendor is to call."""
    return f"{url}{'&' if '?' in url else '?'}{urlencode({PARAMETER: token})}"


def read(token: str, secrets: Sequence[str], now: datetime) -> Claim | None:
    """What a token says; None where it is not ours, or its time is over.

    Every secret is tried, each in a time that does not depend on what differs.

    :param secrets: The secrets that are accepted: one, and while it is changed two.
    """
    payload, _, signature = token.partition(".")
    given = _decoded(signature) if len(token) <= LONGEST else None
    if given is None or not payload.isascii():
        return None
    genuine = [hmac.compare_digest(given, _signature(payload, secret)) for secret in secrets]
    if not any(genuine):
        return None
    try:
        version, vendor, conn_id, dag_id, run_id, task_id, map_index, number, expires = json.loads(
            _decoded(payload) or ""
        )
        claim = Claim(
            vendor, conn_id, Identity(dag_id, run_id, task_id, map_index), number, datetime.fromtimestamp(expires, UTC)
        )
    except (ValueError, TypeError):  # signed by another version of this package
        return None
    return claim if version == _VERSION and now < claim.expires else None


def _signature(payload: str, secret: str) -> bytes:
    return hmac.digest(secret.encode(), _PURPOSE + payload.encode(), "sha256")


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decoded(text: str) -> bytes | None:
    """The bytes of a text that :func:`_encoded` made, and of no other spelling of the same bytes."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        return None
    return raw if _encoded(raw) == text else None
