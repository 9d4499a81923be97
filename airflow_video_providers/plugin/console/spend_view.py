"""The picture of what was spent, against the limits of the connections."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.purchase.budget import Budget
from airflow_video_providers.core.purchase.pricing import money
from airflow_video_providers.plugin.console import rights
from airflow_video_providers.plugin.console.render import usd

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_video_providers.plugin.console.purchases import Spending

#: Of one bar and the gap behind it, in the picture's own unit.
_STEP, _BAR = 10, 8
#: Limits that are no sum over time.
_PER_PURCHASE = {"max_cost_usd": "per submit", "max_run_cost_usd": "per DAG run"}


@dataclass(frozen=True)
class Bar:
    """One day."""

    x: int
    y: float
    width: int
    height: float
    title: str


@dataclass(frozen=True)
class Chart:
    """All days; the height is 100.

    :param limit: What all connections together may spend on a day, where each of them has such a limit.
    """

    bars: list[Bar]
    width: int
    highest: Decimal
    limit: Decimal | None = None
    line: float | None = None


@dataclass(frozen=True)
class Limit:
    """One limit of a connection, and what of it is spent, where that is a sum over time."""

    text: str
    usd: Decimal
    spent: Decimal | None = None
    per_day: bool = False


def chart_of(spending: Spending, limits: Mapping[str, list[Limit]]) -> Chart:
    """The picture."""
    daily = [[one.usd for one in limits.get(conn.name, ()) if one.per_day] for conn in spending.connections]
    limit = sum((min(found) for found in daily), Decimal(0)) if daily and all(daily) else None
    highest = max((day.usd for day in spending.days), default=Decimal(0))
    scale = max(highest, limit or Decimal(0)) or Decimal(1)

    def height(amount: Decimal) -> float:
        return round(float(amount / scale) * 94, 2)

    bars = [
        Bar(
            number * _STEP + 1,
            100 - height(day.usd),
            _BAR,
            height(day.usd),
            f"{day.name}: {usd(day.usd)}, {day.count} purchases",
        )
        for number, day in enumerate(spending.days)
    ]
    line = None if limit is None else 100 - height(limit)
    return Chart(bars, len(spending.days) * _STEP, highest, limit, line)


def limits_of(conn_ids: Iterable[str], user: Any, spent: Mapping[tuple[str, str], Decimal]) -> dict[str, list[Limit]]:
    """The limits that connections set, of those that this user may read.

    :param spent: By connection, and ``day``, ``week`` or ``month``, what was spent in the current one.
    """
    found: dict[str, list[Limit]] = {}
    for conn_id in conn_ids:
        if rights.may_see_connection(user, conn_id):
            with suppress(Exception):  # a connection that is gone, or a secrets backend that is away, sets none here
                found[conn_id] = _limits(conn_id, spent)
    return found


def _limits(conn_id: str, spent: Mapping[tuple[str, str], Decimal]) -> list[Limit]:
    from airflow.models.connection import Connection  # noqa: TID251 - a server process asks Airflow's own class

    extra = Connection.get_connection_from_secrets(conn_id).extra_dejson
    found = []
    for name, text in _PER_PURCHASE.items():
        with suppress(InvalidRequestError):
            if extra.get(name) not in (None, ""):
                amount = money(extra[name], name)
                found.append(Limit(f"{usd(amount)} {text}", amount))
    with suppress(InvalidRequestError):
        if (budget := Budget.of(extra.get("budget"))) is not None:
            now = spent.get((conn_id, budget.per), Decimal(0))
            found.append(Limit(f"{usd(budget.usd)} per {budget.per}", budget.usd, now, budget.per == "day"))
    return found
