"""The campaign's table: one row per fault and ledger, written and read."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from tests.faults.money.table import markdown

#: Seconds beyond a triggerer's silence in which its jobs have to be somebody else's.
TAKEOVER_SLACK = 5.0
NOTHING = "-"


@dataclass
class Row:
    """What one fault did, before the way out.

    :param asked: Videos that were asked for.
    :param posts: Paid calls that arrived at the vendors.
    :param charges: Jobs that the vendors charged.
    :param duplicates: Requests that were accepted more than once.
    :param landed: Charged jobs whose clip lies whole in the storage, with its manifest.
    :param listed: Charged jobs without a clip that the ledger's command lists.
    :param lost: Charged jobs that are neither.
    :param failures: Tasks that ended failed, by the class of their error.
    :param takeover: Seconds until the last job of a silent triggerer was another's; None: no triggerer was struck.
    :param finally_landed: Clips after attach, forget and Clear.
    """

    fault: str
    ledger: str
    asked: int
    posts: int
    charges: int
    duplicates: int
    landed: int
    listed: int
    lost: int
    failures: dict[str, int] = field(default_factory=dict)
    takeover: float | None = None
    finally_landed: int = 0

    def wrong(self, silence: float) -> list[str]:
        """What no campaign may show.

        :param silence: Seconds after which a triggerer counts as dead.
        """
        rules = {
            "more was charged than was asked for": self.charges > self.asked,
            "more was charged than was posted": self.charges > self.posts,
            "something was bought twice": self.duplicates > 0,
            "something charged is neither landed nor listed": self.lost > 0,
            "the sums do not fit": self.landed + self.listed + self.lost != self.charges,
            "not everything has landed after the way out": self.finally_landed != self.asked,
            f"the takeover took {self.takeover} s": (self.takeover or 0) > silence + TAKEOVER_SLACK,
        }
        return [f"{self.fault} ({self.ledger}): {text}" for text, broken in rules.items() if broken]

    def cells(self) -> tuple[str, ...]:
        """As the table shows it."""
        failures = ", ".join(f"{number} {name}" for name, number in sorted(self.failures.items()))
        numbers = [self.asked, self.posts, self.charges, self.duplicates, self.landed, self.listed, self.lost]
        takeover = NOTHING if self.takeover is None else f"{self.takeover:.1f} s"
        return (self.fault, self.ledger, *map(str, numbers), failures or NOTHING, takeover, str(self.finally_landed))


HEAD = (
    "fault", "ledger", "asked", "POSTs", "charges", "duplicates", "landed", "listed", "lost", "failures by class",
    "takeover", "after the way out",
)  # fmt: skip
assert len(HEAD) == len(fields(Row))


def render(rows: list[Row]) -> str:
    """The Markdown table."""
    return markdown([HEAD, *(row.cells() for row in rows)])


def parse(text: str) -> list[Row]:
    """The rows of a table that :func:`render` wrote.

    :raises ValueError: it is not such a table.
    """
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.strip().splitlines()]
    if not lines or tuple(lines[0]) != HEAD:
        raise ValueError(f"The columns are {', '.join(lines[0] if lines else ['missing'])}, not {', '.join(HEAD)}.")
    return [_row(cells) for cells in lines[2:]]


def _row(cells: list[str]) -> Row:
    fault, ledger, *numbers, failures, takeover, finally_landed = cells
    asked, posts, charges, duplicates, landed, listed, lost = map(int, numbers)
    counted = [part.partition(" ") for part in failures.split(", ")] if failures != NOTHING else []
    return Row(
        fault, ledger, asked, posts, charges, duplicates, landed, listed, lost,
        {name: int(number) for number, _, name in counted},
        None if takeover == NOTHING else float(takeover.removesuffix(" s")),
        int(finally_landed),
    )  # fmt: skip
