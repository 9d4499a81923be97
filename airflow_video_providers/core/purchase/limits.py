"""The guard of one submit: its limits, and the budget of its DAG run."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from airflow_video_providers.core.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_video_providers.core.purchase.pricing import Estimate, Limits
    from airflow_video_providers.core.purchase.records import Key
    from airflow_video_providers.core.purchase.run_budget import RunBudget


@dataclass(frozen=True)
class Guard:
    """The :class:`~airflow_video_providers.core.purchase.submit_once.Allowance` of one submit.

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
