"""The table: one row per fault, numbers per purchase, so that a sample of any size gives the same text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.faults.money.cases import Case
    from tests.faults.money.lane import Purchase

_HEAD = ("fault", "where", "ledger", "tries", "POSTs", "jobs", "charges", "final state")


def render(results: Mapping[Case, Sequence[Purchase]]) -> str:
    """A Markdown table."""
    rows: list[tuple[str, ...]] = [_HEAD]
    for case, purchases in results.items():
        rows.append((
            case.fault,
            case.phase,
            "directory" if case.directory else "state store",
            *(_each([getattr(p, name) for p in purchases]) for name in ("tries", "posts", "jobs", "charges")),
            " / ".join(sorted({purchase.state for purchase in purchases})),
        ))  # fmt: skip
    return markdown(rows)


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns are as wide as they need."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    lines.insert(1, " | ".join("-" * width for width in widths))
    return "".join(f"| {line} |\n" for line in lines)


def _each(numbers: Sequence[int]) -> str:
    return str(numbers[0]) if len(set(numbers)) == 1 else f"{min(numbers)} to {max(numbers)}"


def wrong(results: Mapping[Case, Sequence[Purchase]]) -> list[str]:
    """Every purchase that cost more than it may."""
    return [
        f"{case.fault} ({case.phase}): {purchase}"
        for case, purchases in results.items()
        for purchase in purchases
        if purchase.trouble or not _in_order(purchase) or (case.callbacks and purchase.state != "success")
    ]


def _in_order(purchase: Purchase) -> bool:
    """A success is one job and one charge, an unknown outcome at most one of each, any other end nothing."""
    if purchase.state == "success":
        return (purchase.jobs, purchase.charges) == (1, 1)
    if purchase.state == "failed: SubmissionOutcomeUnknownError":
        return purchase.jobs == purchase.charges <= 1
    return purchase.state.startswith("failed: ") and (purchase.jobs, purchase.charges) == (0, 0)
