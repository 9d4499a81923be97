"""What was spent, from the index: what vendors say that jobs cost, else estimates of what may have been charged. Never a bill."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from airflow_video_providers.plugin.console.purchases import Filter, Spend, Spending

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_video_providers.plugin.console.index import Index

#: Days of the picture of what was spent.
DAYS = 30
_COST = "word NOT IN ('not bought', 'failed without charge', 'forgotten')"
#: Of several purchases ``a`` that hold one job, whoever made them, one counts: the oldest that knows a price, or else the oldest.
_EACH_JOB_ONCE = f"""NOT EXISTS (
    SELECT 1 FROM purchases b WHERE b.request_id = a.request_id AND b.model = a.model AND {_COST}
    AND (COALESCE(b.real, b.micros) IS NULL, b.created, b.source) < (COALESCE(a.real, a.micros) IS NULL, a.created, a.source))"""
#: What holds a reservation of its connection's budget: also what was bought and has failed later, charged or not.
_RESERVES = "state NOT IN ('rejected', 'void', 'forgotten')"


def spending(index: Index, wanted: Filter, today: date) -> Spending:
    """What was spent in the last :data:`DAYS` days (UTC), by day, model and connection, as ``video-ledger spend`` counts it."""
    mine, values = replace(wanted, state="").conditions()
    first = today - timedelta(days=DAYS - 1)
    days = {str(first + timedelta(days=step)): Spend(str(first + timedelta(days=step))) for step in range(DAYS)}
    models: dict[str, Spend] = {}
    connections: dict[str, Spend] = {}
    rows = index.rows(
        "SELECT date(created, 'unixepoch') AS day, model, COALESCE(conn_id, 'not known') AS conn, SUM(COALESCE(real, micros)), "
        f"COUNT(*), SUM(COALESCE(real, micros) IS NULL), SUM(real IS NOT NULL) FROM purchases a WHERE {_COST} AND created >= ? AND {mine} "
        f"AND {_EACH_JOB_ONCE} GROUP BY day, model, conn",
        datetime.combine(first, datetime.min.time(), UTC).timestamp(), *values,
    )  # fmt: skip
    for day, model, conn_id, *amounts in rows:
        days.setdefault(day, Spend(day)).add(*amounts)
        models.setdefault(model, Spend(model)).add(*amounts)
        connections.setdefault(conn_id, Spend(conn_id)).add(*amounts)
    return Spending(
        sorted(days.values(), key=lambda one: one.name), _dearest(models.values()), _dearest(connections.values())
    )


def spent_now(index: Index, wanted: Filter, today: date) -> dict[tuple[str, str], Decimal]:
    """What each connection has spent in the current day, week and month (UTC): estimates, which its limits count."""
    mine, values = Filter(wanted.dags).conditions()
    spans = {"day": today, "week": today - timedelta(days=today.weekday()), "month": today.replace(day=1)}
    found: dict[tuple[str, str], Decimal] = {}
    for span, first in spans.items():
        rows = index.rows(
            f"SELECT COALESCE(conn_id, 'not known'), SUM(micros) FROM purchases WHERE {_RESERVES} AND created >= ? "
            f"AND {mine} GROUP BY 1", datetime.combine(first, datetime.min.time(), UTC).timestamp(), *values,
        )  # fmt: skip
        found |= {(conn_id, span): Decimal(micros or 0).scaleb(-6) for conn_id, micros in rows}
    return found


def _dearest(found: Iterable[Spend]) -> list[Spend]:
    return sorted(found, key=lambda one: (-one.usd, -one.count, one.name))
