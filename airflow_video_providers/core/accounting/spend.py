"""What was spent, by model, DAG, day or connection: what vendors say that jobs cost, else what they were estimated at."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from airflow_video_providers.core.accounting.entries import Counts, Entry

#: By what may be summed, and what an entry stands under then.
BY: Mapping[str, Callable[[Entry], str]] = {
    "model": lambda entry: entry.attempt.model,
    "dag": lambda entry: entry.attempt.dag_id,
    "day": lambda entry: entry.attempt.created_at.astimezone(UTC).date().isoformat(),
    "connection": lambda entry: entry.attempt.conn_id or "not known",
}


@dataclass
class Sum:
    """Some entries together.

    :param usd: The sum of those whose cost or price is known.
    :param real: How many of them are in it with what the vendor says that they cost, and ``real_usd`` the sum of these.
    :param unpriced: How many have no known price and are not in the sum: they are not 0.
    """

    count: int = 0
    usd: Decimal = Decimal(0)
    unpriced: int = 0
    real: int = 0
    real_usd: Decimal = Decimal(0)

    def add(self, entry: Entry) -> None:
        """Take an entry in."""
        self.count += 1
        if entry.usd is None:
            self.unpriced += 1
        else:
            self.usd += entry.usd
        if entry.cost is not None:
            self.real += 1
            self.real_usd += entry.cost

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON; the amount as text, as it was counted."""
        real = {"as_the_vendor_says": {"count": self.real, "usd": str(self.real_usd)}} if self.real else {}
        return {"count": self.count, "usd": str(self.usd), "without_price": self.unpriced, **real}

    def __str__(self) -> str:
        if not self.count:
            return "0"
        rest = f" and {self.unpriced} of unknown price" if self.unpriced else ""
        if not self.real:
            return f"{self.count}, about ${self.usd:f}{rest}"
        if self.real == self.count:
            return f"{self.count}, ${self.usd:f} as the vendor says"
        return f"{self.count}, about ${self.usd:f}, ${self.real_usd:f} of it for {self.real} as the vendor says{rest}"


@dataclass
class Spend:
    """The sums of one key: what was charged, what nobody knows, and what certainly was not charged."""

    charged: Sum
    unknown: Sum
    not_charged: Sum

    @classmethod
    def empty(cls) -> Spend:
        """Nothing yet."""
        return cls(Sum(), Sum(), Sum())

    def of(self, counts: Counts) -> Sum:
        """The sum that such entries belong to."""
        return {"charged": self.charged, "unknown": self.unknown, "not charged": self.not_charged}[counts]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "charged": self.charged.to_dict(),
            "unknown": self.unknown.to_dict(),
            "not_charged": {"count": self.not_charged.count},
        }

    def __str__(self) -> str:
        return f"charged {self.charged}; unknown {self.unknown}; not charged {self.not_charged.count}"


def spent(entries: Iterable[Entry], by: str) -> dict[str, Spend]:
    """The sums by one of :data:`BY`, sorted. A job that two attempts hold counts once."""
    found: dict[str, Spend] = defaultdict(Spend.empty)
    for entry in entries:
        if not entry.again:
            found[BY[by](entry)].of(entry.counts).add(entry)
    return dict(sorted(found.items()))


def total(entries: Iterable[Entry]) -> Spend:
    """The sums of all."""
    found = Spend.empty()
    for entry in entries:
        if not entry.again:
            found.of(entry.counts).add(entry)
    return found
