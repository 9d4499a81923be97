"""What may be spent, asked directly before an intent is stored and never for a job that is bought already."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Self

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.purchase.pricing import money
from airflow_video_providers.core.purchase.reservations import Reservations
from airflow_video_providers.core.vendors.field_errors import shown
from airflow_video_providers.core.vendors.fields import switch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_video_providers.core.purchase.pricing import Estimate
    from airflow_video_providers.core.purchase.records import Attempt, Key
    from airflow_video_providers.core.purchase.stores.base import Store

_COST, _RUN_COST = "max_cost_usd", "max_run_cost_usd"


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

    def grant(self, cost: Estimate, attempt: Attempt, store: Store, *, uncharged: Sequence[Key]) -> None:
        """Refuse the attempt, or reserve its estimate; asked twice for one attempt, it counts once.

        :param store: Of the ledger: where the sum over a run is kept.
        :param uncharged: Earlier attempts of this buyer that cost nothing: what they hold is given back first.
        :raises InvalidRequestError: nothing was sent.
        :raises LedgerError: what is reserved could not be read or written; nothing was sent.
        """
        self.check(cost, model=attempt.model)
        if self.max_run_cost_usd is None:
            return
        if not store.shared:
            raise InvalidRequestError(
                "max_run_cost_usd is set, and there is no ledger that all tasks of the run share.",
                field=_RUN_COST,
                remedy="Set ledger_path in [video_providers]: Airflow's own state store is not shared between tasks.",
                model=attempt.model,
            )
        self._of_run(attempt, store).reserve(
            attempt.key, cost.usd or Decimal(0), limit=self.max_run_cost_usd, released=uncharged, model=attempt.model
        )

    def give_back(self, attempt: Attempt, store: Store) -> None:
        """Release what was reserved for an attempt that cost nothing.

        :raises LedgerError: it could not be written; the next try releases it.
        """
        if self.max_run_cost_usd is not None:
            self._of_run(attempt, store).release([attempt.key])

    @staticmethod
    def _of_run(attempt: Attempt, store: Store) -> Reservations:
        return Reservations(store, attempt.dag_id, attempt.run_id)

    @property
    def limited(self) -> bool:
        """Is there any cap?"""
        return self.max_cost_usd is not None or self.max_run_cost_usd is not None


def _limits(given: Mapping[str, Any]) -> dict[str, Decimal]:
    """The limits that are set; a form that was not filled in, and a template that rendered to nothing, set none."""
    named = {name: given.get(name) for name in (_COST, _RUN_COST)}
    blank = {name for name, value in named.items() if value is None or (isinstance(value, str) and not value.strip())}
    return {name: money(value, name) for name, value in named.items() if name not in blank}
