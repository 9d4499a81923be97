"""What a connection's owner lets all DAGs together spend in a period: ``"budget": {"usd": 50, "per": "day"}``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal, Self

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.purchase.pricing import money
from airflow_video_providers.core.vendors.field_errors import shown

if TYPE_CHECKING:
    from decimal import Decimal

PERIODS = ("day", "week", "month")


@dataclass(frozen=True)
class Period:
    """A day, a week from Monday or a month, in UTC.

    :param name: Its name in the ledger.
    :param ends: When the next one begins.
    """

    name: str
    ends: datetime


@dataclass(frozen=True)
class Budget:
    """The most that the submits of one connection may be estimated to cost in a period.

    :param usd: US dollars.
    :param per: The period, by the calendar and in UTC.
    """

    usd: Decimal
    per: Literal["day", "week", "month"]

    @classmethod
    def of(cls, value: object) -> Self | None:
        """The budget in a connection's extra; None where there is none.

        :param value: A dict, or the same as JSON text, as a form and a URI hold it.
        :raises InvalidRequestError: it is none: nothing is bought under a limit that cannot be read.
        """
        given = value
        if isinstance(value, str):
            try:
                given = json.loads(value) if value.strip() else None
            except (ValueError, RecursionError):
                raise _refusal(value) from None
        if given is None:
            return None
        if not isinstance(given, Mapping) or given.keys() != {"usd", "per"} or given["per"] not in PERIODS:
            raise _refusal(value)
        return cls(money(given["usd"], "budget"), given["per"])

    def period(self, now: datetime) -> Period:
        """The period that ``now`` falls into."""
        day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        if self.per == "day":
            return Period(f"day-{day:%Y-%m-%d}", day + timedelta(days=1))
        if self.per == "week":
            monday = day - timedelta(days=day.weekday())
            return Period(f"week-{monday:%Y-%m-%d}", monday + timedelta(days=7))
        first = day.replace(day=1)
        return Period(f"month-{first:%Y-%m}", (first + timedelta(days=32)).replace(day=1))


def _refusal(value: object) -> InvalidRequestError:
    allowed = '{"usd": <US dollars>, "per": "day"}, or "week", or "month"'
    return InvalidRequestError(
        f"budget in the connection's extra is {shown(value)}; it must be {allowed}.",
        field="budget",
        value=value,
        allowed=allowed,
    )
