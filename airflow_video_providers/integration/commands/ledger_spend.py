"""``video-ledger spend``: what was spent, by model, DAG, day or connection."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TextIO

from airflow_video_providers.core.accounting.entries import period
from airflow_video_providers.core.accounting.spend import spent, total
from airflow_video_providers.integration.commands.accounts import read_accounts
from airflow_video_providers.integration.ledger_listing import printable

if TYPE_CHECKING:
    import argparse


def run(args: argparse.Namespace, out: TextIO) -> int:
    """Print the sums; 1 where records are damaged, whose money is in none of them."""
    within = period(args.since, args.until)
    accounts = read_accounts()
    entries = [entry for entry in accounts.entries if entry.attempt.created_at in within]
    sums, whole = spent(entries, args.by), total(entries)
    accounts.report()
    if args.output == "json":
        rows = [{args.by: name, **found.to_dict()} for name, found in sums.items()]
        answer = {"by": args.by, "rows": rows, "total": whole.to_dict(), "damaged": len(accounts.flaws)}
        out.write(json.dumps(answer, indent=2) + "\n")
    else:
        width = max(map(len, [*sums, "all"]))
        out.writelines(f"{printable(name).ljust(width)}  {found}\n" for name, found in {**sums, "all": whole}.items())
    return 1 if accounts.flaws else 0
