"""CI has a limit: its table names what it runs, and the minutes fit."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MINUTES = 45
#: What is about money, about the border, and about a cluster that dies never leaves CI.
NEVER_LEAVES = {"make test", "make chaos FAST=1"}


def rows() -> dict[str, float]:
    """Command -> minutes, as docs/ci.md has them."""
    lines = [line for line in (ROOT / "docs" / "ci.md").read_text().splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0].strip("`"): float(row[1]) for row in cells}


def test_the_table_names_what_ci_runs_and_its_minutes_fit() -> None:
    commands = [line for line in (ROOT / ".ci" / "run").read_text().splitlines() if line.startswith("make ")]
    assert list(rows()) == commands
    assert sum(rows().values()) <= MINUTES
    assert set(commands) >= NEVER_LEAVES
    assert commands[-1] == "make chaos FAST=1"
