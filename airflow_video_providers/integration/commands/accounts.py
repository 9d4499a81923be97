"""What the accounting commands share: the ledger read whole, each attempt with what became of it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow_video_providers.core.accounting.entries import Counts, Entry, each_job_once
from airflow_video_providers.integration import ledger_listing as listing
from airflow_video_providers.integration.commands.opened import the_ledger

if TYPE_CHECKING:
    from airflow_video_providers.core.purchase.ledger import Flaw

_COUNTS: dict[str, Counts] = {
    listing.BOUGHT: "charged",
    listing.LANDED: "charged",
    listing.REJECTED: "charged",
    listing.LOST: "charged",
    listing.IN_FLIGHT: "unknown",
    listing.UNKNOWN: "unknown",
    listing.FREE: "not charged",
    listing.NOT_BOUGHT: "not charged",
    listing.FORGOTTEN: "not charged",
}
_UNCHARGED = frozenset({listing.FREE, listing.NOT_BOUGHT})


@dataclass(frozen=True)
class Accounts:
    """All of a ledger.

    :param kind: Which ledger it is, in words.
    :param flaws: Records that are damaged: what they bought is in no sum.
    """

    kind: str
    entries: list[Entry]
    flaws: list[Flaw]

    def report(self) -> None:
        """Say on standard error what is not in the sums."""
        sys.stderr.writelines(f"{listing.describe(flaw)}\n" for flaw in self.flaws)
        if self.flaws:
            sys.stderr.write(f"{len(self.flaws)} damaged records: what they bought is in no sum.\n")


def read_accounts() -> Accounts:
    """Read the ledger.

    :raises InvalidRequestError: there is none.
    :raises LedgerError: it could not be read.
    """
    from airflow_video_providers.integration.state_store_admin import is_state_store

    ledger = the_ledger()
    found = ledger.overview()
    rows, view = listing.rows(found, datetime.now(UTC), everything=True)
    if view.trouble:
        sys.stderr.write(f"Airflow cannot be asked about its tasks ({view.trouble}): what they pushed is not known.\n")
    state_store = is_state_store(ledger.store)
    if state_store:
        sys.stderr.write("Airflow's state store forgets a DAG run that is deleted: what it bought is not here.\n")
    kind = "Airflow's state store" if state_store else "ledger_path"
    return Accounts(kind, each_job_once(map(_entry, rows)), found.flaws)


def _entry(row: listing.Row) -> Entry:
    charged = row.ending.charged if row.ending is not None else None
    reported = charged or str((row.attempt.job or {}).get("charged") or "unknown")
    if row.state in _UNCHARGED:
        reported = "no"
    if row.state == listing.FAILED:
        return Entry(row.attempt, row.state, "charged" if reported == "yes" else "unknown", reported, row.ending)
    return Entry(row.attempt, row.state, _COUNTS[row.state], reported, row.ending)
