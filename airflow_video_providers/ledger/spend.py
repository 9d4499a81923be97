"""Price estimates and the guards that refuse before anything is sent. Pure; an unknown price is never 0."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Self

from airflow_video_providers.exceptions import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_video_providers.ledger.budget import RunBudget
    from airflow_video_providers.ledger.records import Key


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

    :raises InvalidRequestError: it is not an amount of zero or more.
    """
    try:
        amount = Decimal(str(value).strip())
    except InvalidOperation:
        amount = Decimal(-1)
    if isinstance(value, bool) or not amount.is_finite() or amount < 0:
        raise InvalidRequestError(
            f"{field} is {value!r}; it must be an amount of US dollars, zero or more.",
            field=field,
            value=value,
            allowed="an amount of US dollars, zero or more",
        )
    return amount


def estimate(
    model: str,
    *,
    documented: tuple[Decimal | None, str | None] | None,
    prices: object = None,
    seconds: Decimal | None = None,
) -> Estimate:
    """What a request costs: by the account's own price, or else by the vendor's documents.

    :param documented: The catalogue's price of this request and its basis.
    :param prices: ``prices`` of the connection's extra: per model id an amount per generation, or
        ``{"usd": 0.045, "per": "second"}``; or all of it as JSON text.
    :param seconds: Length of the video; without it a price per second is no price.
    :raises InvalidRequestError: ``prices`` is malformed.
    """
    line = _price_list(prices).get(model)
    if line is None:
        usd, basis = documented or (None, None)
        return Estimate(usd, basis if usd is not None else None)
    name = f"prices[{model!r}]"
    per = line.get("per", "generation") if isinstance(line, Mapping) else "generation"
    usd = money(line.get("usd") if isinstance(line, Mapping) else line, name)
    if per == "generation":
        return Estimate(usd, "the connection's prices: per generation")
    if per != "second":
        raise _bad_price(name, line)
    return Estimate() if seconds is None else Estimate(usd * seconds, "the connection's prices: per second")


def _price_list(prices: object) -> Mapping[str, Any]:
    """The connection's prices: a form and a URI hold them as JSON text."""
    if isinstance(prices, str):
        try:
            prices = json.loads(prices) if prices.strip() else None
        except ValueError:
            raise _bad_price("prices", prices) from None
    if prices is None:
        return {}
    if not isinstance(prices, Mapping):
        raise _bad_price("prices", prices)
    return prices


def _bad_price(field: str, value: object) -> InvalidRequestError:
    allowed = '{"<model id>": <US dollars>} or {"<model id>": {"usd": <US dollars>, "per": "second"}}'
    return InvalidRequestError(
        f"{field} in the connection's extra is {value!r}; prices must be {allowed}.",
        field=field,
        value=value,
        allowed=allowed,
    )


@dataclass(frozen=True)
class Limits:
    """What may be spent. Of two limits the stricter one holds.

    :param max_cost_usd: The most that one submit may be estimated to cost.
    :param max_run_cost_usd: The most that all submits of a DAG run together may be estimated to cost.
    :param allow_unknown_price: Buy under a limit although no price is known; such a submit counts as nothing.
    """

    max_cost_usd: Decimal | None = None
    max_run_cost_usd: Decimal | None = None
    allow_unknown_price: bool = False

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

        :param extra: The connection's extra: ``max_cost_usd``, ``max_run_cost_usd``.
        :raises InvalidRequestError: one of them is malformed.
        """
        return cls(
            max_cost_usd=_stricter("max_cost_usd", max_cost_usd, extra),
            max_run_cost_usd=_stricter("max_run_cost_usd", max_run_cost_usd, extra),
            allow_unknown_price=allow_unknown_price,
        )

    def check(self, cost: Estimate, *, model: str) -> None:
        """Refuse a submit that may not be bought.

        :raises InvalidRequestError: nothing was sent.
        """
        if cost.usd is None:
            if self.limited and not self.allow_unknown_price:
                raise InvalidRequestError(
                    "The price of this request is not known, and a limit is set.",
                    field="max_cost_usd" if self.max_cost_usd is not None else "max_run_cost_usd",
                    remedy=(
                        "Put the account's own price into prices of the connection's extra, or set "
                        "allow_unknown_price=True."
                    ),
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


def _stricter(field: str, own: object, extra: Mapping[str, Any]) -> Decimal | None:
    given = [money(value, field) for value in (own, extra.get(field)) if value not in (None, "")]
    return min(given, default=None)


@dataclass(frozen=True)
class Guard:
    """The :class:`~airflow_video_providers.ledger.purchase.Allowance` of one submit.

    :param budget: The run's budget; has to be there where ``limits.max_run_cost_usd`` is set.
    :param switch: Asked first: raises where nothing may be bought at all.
    """

    model: str
    cost: Estimate
    limits: Limits
    budget: RunBudget | None = None
    switch: Callable[[], None] | None = None

    def grant(self, key: Key, *, uncharged: Sequence[Key]) -> None:
        """Refuse, or reserve the estimate in the run's budget.

        :raises InvalidRequestError: nothing was sent.
        :raises LedgerError: the budget could not be read or written; nothing was sent.
        """
        if self.switch is not None:
            self.switch()
        self.limits.check(self.cost, model=self.model)
        if self.limits.max_run_cost_usd is None:
            return
        if self.budget is None:
            raise InvalidRequestError(
                "max_run_cost_usd is set, and there is no ledger that all tasks of the run share.",
                field="max_run_cost_usd",
                remedy=("Set ledger_path in [video_providers]: Airflow's own state store is not shared between tasks."),
                model=self.model,
            )
        self.budget.reserve(
            key, self.cost.usd or Decimal(0), limit=self.limits.max_run_cost_usd, released=uncharged, model=self.model
        )

    def give_back(self, key: Key) -> None:
        """Release what was reserved for an attempt that cost nothing."""
        if self.budget is not None and self.limits.max_run_cost_usd is not None:
            self.budget.release([key])
