"""What may be spent, asked directly before an intent is stored and never for a job that is bought already."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Self

from airflow_video_providers.core.errors import InvalidRequestError, LedgerError
from airflow_video_providers.core.purchase.budget import Budget
from airflow_video_providers.core.purchase.pricing import money
from airflow_video_providers.core.purchase.reservations import OverLimitError, Reservations
from airflow_video_providers.core.vendors.field_errors import shown
from airflow_video_providers.core.vendors.fields import switch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from airflow_video_providers.core.purchase.pricing import Estimate
    from airflow_video_providers.core.purchase.records import Attempt, Key
    from airflow_video_providers.core.purchase.stores.base import Store

_COST, _RUN_COST, _BUDGET = "max_cost_usd", "max_run_cost_usd", "budget"


@dataclass(frozen=True)
class Limits:
    """What may be spent. Of two limits the stricter one holds.

    :param max_cost_usd: The most that one submit may be estimated to cost.
    :param max_run_cost_usd: The most that all submits of a DAG run together may be estimated to cost.
    :param allow_unknown_price: Buy under ``max_cost_usd`` although no price is known. Nobody can allow that under a sum:
        what is not known cannot be added up.
    :param budget: The most that all submits of the connection may be estimated to cost in a period.
    :param owners: It is a ``max_cost_usd`` of the connection's that allows no unknown price, which no task can lift.
    """

    max_cost_usd: Decimal | None = None
    max_run_cost_usd: Decimal | None = None
    allow_unknown_price: bool = False
    budget: Budget | None = None
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

        :param extra: The connection's extra: ``max_cost_usd``, ``max_run_cost_usd``, ``budget``, ``allow_unknown_price``.
        :raises InvalidRequestError: one of them is malformed.
        """
        own = _limits({_COST: max_cost_usd, _RUN_COST: max_run_cost_usd})
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
        kept = _COST in owners and not waived
        both = [own, owners]
        return cls(
            max_cost_usd=min((limits[_COST] for limits in both if _COST in limits), default=None),
            max_run_cost_usd=min((limits[_RUN_COST] for limits in both if _RUN_COST in limits), default=None),
            allow_unknown_price=(allow_unknown_price or (_COST in owners and _COST not in own)) and not kept,
            budget=Budget.of(extra.get(_BUDGET)),
            owners=kept,
        )

    @property
    def sums(self) -> list[str]:
        """The names of the limits that are sums over several submits."""
        return [
            name for name, limit in ((_RUN_COST, self.max_run_cost_usd), (_BUDGET, self.budget)) if limit is not None
        ]

    def check(self, cost: Estimate, *, model: str) -> None:
        """Refuse a submit that may not be bought, whatever else is.

        :raises InvalidRequestError: nothing was sent.
        """
        if cost.usd is None:
            self._check_unknown(model)
        elif self.max_cost_usd is not None and cost.usd > self.max_cost_usd:
            raise InvalidRequestError(
                f"The request costs {cost}; max_cost_usd is ${self.max_cost_usd}.",
                field=_COST,
                value=str(cost.usd),
                allowed=f"at most ${self.max_cost_usd}",
                remedy="Ask for a cheaper video, or raise max_cost_usd on the task and in the connection's extra.",
                model=model,
            )

    def _check_unknown(self, model: str) -> None:
        if self.sums:
            name, way_out = (
                self.sums[0],
                "take the limit away: what is not known cannot be added up, and nobody can allow it",
            )
            whose = f"{name} is set"
        elif self.max_cost_usd is None or self.allow_unknown_price:
            return
        elif self.owners:
            name, whose = _COST, "The connection's extra sets a limit"
            way_out = "let the connection's owner set allow_unknown_price to true there: a task cannot lift it"
        else:
            name, whose, way_out = _COST, "A limit is set", "set allow_unknown_price=True"
        raise InvalidRequestError(
            f"{whose}, and the price of this request is not known.",
            field=name,
            remedy=f"Put the account's own price into prices of the connection's extra, or {way_out}.",
            model=model,
        )

    def refuse_sums(self, why: str, remedy: str, *, model: str) -> None:
        """Refuse to buy under a limit that is a sum, where nothing keeps that sum.

        :param why: Why nothing does, as the end of a sentence.
        :raises InvalidRequestError: there is such a limit. Nothing was sent.
        """
        if self.sums:
            raise InvalidRequestError(
                f"{self.sums[0]} is set, and {why}.", field=self.sums[0], remedy=remedy, model=model
            )

    def grant(self, cost: Estimate, attempt: Attempt, store: Store, *, uncharged: Sequence[Key]) -> None:
        """Refuse the attempt, or reserve its estimate; asked twice for one attempt, it counts once.

        :param store: Of the ledger: where the sums are kept.
        :param uncharged: Earlier attempts of this buyer that cost nothing: what they hold is given back first.
        :raises InvalidRequestError: nothing was sent.
        :raises LedgerError: what is reserved could not be read or written; nothing was sent.
        """
        self._check_all(cost, attempt, store)
        usd = cost.usd or Decimal(0)  # unknown under no sum: nothing is reserved
        reserved: list[Reservations] = []
        for reservations, limit, refusal in self._shared(attempt, store):
            try:
                reservations.reserve(attempt, usd, limit=limit, released=uncharged)
            except OverLimitError as over:
                for earlier in reserved:
                    with suppress(LedgerError):  # its next try finds it again
                        earlier.release([attempt.key])
                raise refusal(over.reserved, usd) from None
            reserved.append(reservations)

    def foresee(self, cost: Estimate, attempt: Attempt, store: Store, *, uncharged: Sequence[Key]) -> None:
        """Refuse what :meth:`grant` would refuse now, before something is done for the purchase. Nothing stays reserved.

        :raises InvalidRequestError: nothing was sent.
        :raises LedgerError: what is reserved could not be read or written; nothing was sent.
        """
        self._check_all(cost, attempt, store)
        usd = cost.usd or Decimal(0)
        if any(reservations.reserved() + usd > limit for reservations, limit, _ in self._shared(attempt, store)):
            self.grant(cost, attempt, store, uncharged=uncharged)  # which may find room after all
            self.give_back(attempt, store)

    def _check_all(self, cost: Estimate, attempt: Attempt, store: Store) -> None:
        self.check(cost, model=attempt.model)
        if not store.shared:
            self.refuse_sums(
                "there is no ledger that all tasks share",
                "Set ledger_path in [video_providers]: Airflow's own state store is not shared between tasks.",
                model=attempt.model,
            )

    def give_back(self, attempt: Attempt, store: Store) -> None:
        """Release what was reserved for an attempt that cost nothing.

        :raises LedgerError: it could not be written; the next try releases it.
        """
        for reservations, _, _ in self._shared(attempt, store):
            reservations.release([attempt.key])

    def _shared(
        self, attempt: Attempt, store: Store
    ) -> Iterator[tuple[Reservations, Decimal, Callable[[Decimal, Decimal], InvalidRequestError]]]:
        """Each sum that this attempt counts in, its limit, and the refusal of what would pass it."""
        if (most := self.max_run_cost_usd) is not None:

            def over_run(reserved: Decimal, usd: Decimal) -> InvalidRequestError:
                return InvalidRequestError(
                    f"This DAG run has reserved ${reserved} of ${most}; this submit would add ${usd}.",
                    field=_RUN_COST,
                    value=str(reserved + usd),
                    allowed=f"at most ${most}",
                    remedy="Raise max_run_cost_usd, or submit less in one run. What is given back can be spent by a retry.",
                    model=attempt.model,
                    retryable=True,
                )

            yield Reservations.of_run(store, attempt.dag_id, attempt.run_id), most, over_run
        if (budget := self.budget) is not None:
            period = budget.period(attempt.created_at)

            def over_budget(reserved: Decimal, usd: Decimal) -> InvalidRequestError:
                return InvalidRequestError(
                    f"The connection {attempt.conn_id!r} has spent or reserved ${reserved} of the ${budget.usd} that its "
                    f"owner allows per {budget.per}; this submit would add ${usd}. The {budget.per} ends at "
                    f"{period.ends:%Y-%m-%d %H:%M} UTC.",
                    field=_BUDGET,
                    value=str(reserved + usd),
                    allowed=f"at most ${budget.usd} per {budget.per}",
                    remedy=f"Run the task again after {period.ends:%Y-%m-%d %H:%M} UTC, or raise budget in the connection's "
                    "extra.",
                    model=attempt.model,
                    retryable=True,
                )

            yield Reservations.of_period(store, str(attempt.conn_id), period.name), budget.usd, over_budget


def _limits(given: Mapping[str, Any]) -> dict[str, Decimal]:
    """The limits that are set; a form that was not filled in, and a template that rendered to nothing, set none."""
    named = {name: given.get(name) for name in (_COST, _RUN_COST)}
    blank = {name for name, value in named.items() if value is None or (isinstance(value, str) and not value.strip())}
    return {name: money(value, name) for name, value in named.items() if name not in blank}
