"""Price estimates. Pure; an unknown price is never 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.purchase.price_list import rows_of
from airflow_video_providers.core.vendors.field_errors import shown
from airflow_video_providers.core.vendors.fields import bounded

if TYPE_CHECKING:
    from decimal import Decimal

    from airflow_video_providers.core.vendors.models import VideoModel


@dataclass(frozen=True)
class Estimate:
    """What a request is thought to cost.

    :param usd: US dollars; None where no price is known.
    :param basis: Where the number comes from.
    """

    usd: Decimal | None = None
    basis: str | None = None

    def __str__(self) -> str:
        return "an unknown price" if self.usd is None else f"${self.usd} ({self.basis})"


def money(value: object, field: str) -> Decimal:
    """US dollars from what an author or a connection's extra says.

    :raises InvalidRequestError: it is not an amount of zero or more, to one million.
    """
    amount = bounded(value)
    if amount is None:
        allowed = "an amount of US dollars, zero or more"
        raise InvalidRequestError(
            f"{field} is {shown(value)}; it must be {allowed}.", field=field, value=value, allowed=allowed
        )
    return amount


def estimate(request: VideoModel, prices: object = None) -> Estimate:
    """What a request costs: by the connection's own price list of its model, or else by the vendor's documents.

    :param prices: ``prices`` of the connection's extra: :mod:`airflow_video_providers.core.purchase.price_list`.
    :returns: No price where the list has no row for this request, or a price per second has no length: never 0, and
        never the documented price, which is not this account's.
    :raises InvalidRequestError: ``prices`` is malformed.
    """
    rows = rows_of(type(request), prices)
    usd, basis = (request.price() if rows is None else request.price_in(rows)) or (None, None)
    usd = bounded(usd)  # a private model's own
    return Estimate(usd, basis if usd is not None else None)
