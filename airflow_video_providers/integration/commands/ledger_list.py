"""``video-ledger list``: what is not finished, and what is damaged."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TextIO

from airflow_video_providers.integration.commands.opened import the_ledger
from airflow_video_providers.integration.ledger_listing import describe, rows, summary

if TYPE_CHECKING:
    import argparse


def run(args: argparse.Namespace, out: TextIO) -> int:
    """Print what is not finished, oldest first."""
    below = [part for part in (args.dag_id, args.run_id if args.dag_id else None) if part is not None]
    found = the_ledger().overview(*below)
    listed, view = rows(found, datetime.now(UTC), everything=args.all)
    listed = [row for row in listed if row.attempt.open or not args.open]
    flaws = [flaw for flaw in found.flaws if args.run_id is None or args.run_id in (flaw.key or ())]
    if args.run_id:
        listed = [row for row in listed if row.attempt.run_id == args.run_id]
    if view.trouble:
        sys.stderr.write(f"Airflow cannot be asked about its tasks ({view.trouble}): an intent younger than an hour counts "
                         "as in flight.\n")  # fmt: skip
    if args.output == "json":
        damaged = [{"state": "damaged", "name": flaw.name, "why": flaw.why, "key": flaw.key} for flaw in flaws]
        out.write(json.dumps([row.to_dict() for row in listed] + damaged, indent=2) + "\n")
        return 0
    out.writelines(f"{row}\n" for row in listed)
    out.writelines(f"{describe(flaw)}\n" for flaw in flaws)
    out.write(f"{summary(listed, flaws)}\n")
    return 0
