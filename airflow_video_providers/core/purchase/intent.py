"""What is about to be bought, as it is recorded before the paid call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from airflow_video_providers.core.purchase.records import digest

if TYPE_CHECKING:
    from decimal import Decimal

    from airflow_video_providers.core.purchase.records import Attempt


@dataclass(frozen=True)
class Intent:
    """What is about to be bought. Digests only: a prompt is never kept.

    :param request_sha256: Digest of the rendered request, with the digest of each stored input in place of its address: for
        drift and reuse.
    :param sent_sha256: Digest of the body as it is sent, without a callback's address: what the vendor's history shows is
        compared with it. None in records of an older version.
    :param own_seed: The seed of ours in it, by which no other submit sends the same.
    :param field_digests: A short digest per field of the request, so that a warning can name what changed.
    :param estimated_cost_usd: Estimated price in US dollars; None where no price is known.
    :param cost_basis: Where the estimate comes from.
    """

    model: str
    conn_id: str | None
    request_sha256: str
    field_digests: dict[str, str]
    estimated_cost_usd: Decimal | None = None
    cost_basis: str | None = None
    sent_sha256: str | None = None
    own_seed: int | None = None

    @classmethod
    def of(
        cls,
        *,
        model: str,
        request: dict[str, Any],
        conn_id: str | None = None,
        estimated_cost_usd: Decimal | None = None,
        cost_basis: str | None = None,
        sent_sha256: str | None = None,
        own_seed: int | None = None,
    ) -> Self:
        """The intent to send ``request``, rendered."""
        fields = {name: digest(value)[:16] for name, value in request.items()}
        return cls(model, conn_id, digest(request), fields, estimated_cost_usd, cost_basis, sent_sha256, own_seed)

    @property
    def price(self) -> str:
        """The estimate for people."""
        if self.estimated_cost_usd is None:
            return "an unknown price"
        return f"about ${self.estimated_cost_usd} ({self.cost_basis or 'no basis given'})"

    def drift(self, attempt: Attempt) -> list[str]:
        """Names of what differs between an earlier attempt and what a try would send now."""
        names = [name for name in ("model", "conn_id") if getattr(attempt, name) != getattr(self, name)]
        if attempt.request_sha256 in (None, self.request_sha256):
            return names
        before, now = attempt.field_digests, self.field_digests
        return names + sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))


def one_spelling(conn_id: str) -> str:
    """A connection's id as the budget and the hold of its account are kept.

    Airflow looks for ``AIRFLOW_CONN_<ID>`` in upper case, so one connection answers to many spellings.
    """
    return conn_id.upper().lower()  # upper first, as Airflow does: two lower-case letters may have one upper case
