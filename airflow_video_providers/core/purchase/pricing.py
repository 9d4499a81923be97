"""Price estimates, and the limits that refuse before anything is sent. Pure; an unknown price is never 0."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.purchase.price_list import rows_of
from airflow_video_providers.core.vendors.field_errors import shown
from airflow_video_providers.core.vendors.fields import bounded, switch

if TYPE_CHECKING:
    from collections.abc import Mapping
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


_COST, _RUN_COST = "max_cost_usd", "max_run_cost_usd"


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
    :returns: No price where the list has no row for this request, or a price per second meets no length: never 0, and
        never the documented price, which is not this account's.
    :raises InvalidRequestError: ``prices`` is malformed.
    """
    rows = rows_of(type(request), prices)
    usd, basis = (request.price() if rows is None else request.price_in(rows)) or (None, None)
    usd = bounded(usd)  # a private model's own
    return Estimate(usd, basis if usd is not None else None)


@dataclass(frozen=True)
class Limits:
    """What may be spent. Of two limits the stricter one holds.

    :param max_cost_usd: The most that one submit may be estimated to cost.
    :param max_run_cost_usd: The most that all submits of a DAG run together may be estimated to cost.
    :param allow_unknown_price: Buy under a limit although no price is known; such a submit counts as nothing.
    :param owners: It is a limit of the connection's that does not allow it, which no task can lift.
    """

    max_cost_usd: Decimal | None = None
    max_run_cost_usd: Decimal | None = None
    allow_unknown_price: bool = False
    owners: bool = field(default=False, compare=False)

    @classmethod
    def of(
        cls,
        extra: Mapping[str, Any],
        *,
        max_cost_usd: object = None,
        max_run_cost_usd: object = None,
        allow_unknown_price: bool = False,
    ) -> Self:
        """The limits of a submit, from its own arguments and its connection's extra.

        The connection's limits are its owner's: a task may add stricter ones of its own, and ``allow_unknown_price`` of
        the task lifts those alone.

        :param extra: The connection's extra: ``max_cost_usd``, ``max_run_cost_usd``, ``allow_unknown_price``.
        :raises InvalidRequestError: one of them is malformed.
        """
        own = _limits({"max_cost_usd": max_cost_usd, "max_run_cost_usd": max_run_cost_usd})
        owners = _limits(extra)
        try:
            waived = switch(extra, "allow_unknown_price", default=False)
        except ValueError:
            raise InvalidRequestError(
                f"allow_unknown_price in the connection's extra is {shown(extra['allow_unknown_price'])}; "
                "it must be true or false.",
                field="allow_unknown_price",
                allowed="true or false",
            ) from None
        kept = bool(owners) and not waived
        allowed = (allow_unknown_price or not own) and not kept if own or owners else allow_unknown_price
        both = [own, owners]
        return cls(
            max_cost_usd=min((limits[_COST] for limits in both if _COST in limits), default=None),
            max_run_cost_usd=min((limits[_RUN_COST] for limits in both if _RUN_COST in limits), default=None),
            allow_unknown_price=allowed,
            owners=kept,
        )

    def check(self, cost: Estimate, *, model: str) -> None:
        """Refuse a submit that may not be bought.

        :raises InvalidRequestError: nothing was sent.
        """
        if cost.usd is None:
            if self.limited and not self.allow_unknown_price:
                whose, way_out = "A limit is set", "set allow_unknown_price=True"
                if self.owners:
                    whose = "The connection's extra sets a limit"
                    way_out = "let the connection's owner set allow_unknown_price to true there: a task cannot lift it"
                raise InvalidRequestError(
                    f"{whose}, and the price of this request is not known.",
                    field=_COST if self.max_cost_usd is not None else _RUN_COST,
                    remedy=f"Put the account's own price into prices of the connection's extra, or {way_out}.",
                    model=model,
                )
        elif self.max_cost_usd is not None and cost.usd > self.max_cost_usd:
            raise InvalidRequestError(
                f"The request costs {cost}; max_cost_usd is ${self.max_cost_usd}.",
                field="max_cost_usd",
                value=str(cost.usd),
                allowed=f"at most ${self.max_cost_usd}",
                remedy="Ask for a cheaper video, or raise max_cost_usd on the task and in the connection's extra.",
                model=model,
            )

    @property
    def limited(self) -> bool:
        """Is there any cap?"""
        return self.max_cost_usd is not None or self.max_run_cost_usd is not None


def _limits(given: Mapping[str, Any]) -> dict[str, Decimal]:
    """The limits that are set; a form that was not filled in, and a template that rendered to nothing, set none."""
    named = {name: given.get(name) for name in (_COST, _RUN_COST)}
    blank = {name for name, value in named.items() if value is None or (isinstance(value, str) and not value.strip())}
    return {name: money(value, name) for name, value in named.items() if name not in blank}
