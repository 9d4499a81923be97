"""``video-ledger list``: what is not finished, and what is damaged."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TextIO

from airflow_video_providers.integration.commands.opened import the_ledger
from airflow_video_providers.integration.ledger_listing import describe, printable, rows, summary
from airflow_video_providers.integration.ledger_mail import answered_by_mail

if TYPE_CHECKING:
    import argparse

    from airflow_video_providers.core.errors import VideoProviderError
    from airflow_video_providers.core.purchase.ledger import Ledger, Overview
    from airflow_video_providers.core.purchase.records import Attempt


def run(args: argparse.Namespace, out: TextIO) -> int:
    """Print what is not finished, oldest first."""
    below = [part for part in (args.dag_id, args.run_id if args.dag_id else None) if part is not None]
    ledger, now = the_ledger(), datetime.now(UTC)
    found = _with_mail(ledger, ledger.overview(*below), now)
    listed, view = rows(found, now, everything=args.all)
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


def _with_mail(ledger: Ledger, found: Overview, now: datetime) -> Overview:
    """What the ledger holds, with what callbacks have named of attempts that no task waits for."""

    def trouble(attempt: Attempt, error: VideoProviderError) -> None:
        sys.stderr.write(
            printable(f"Calls about the submit of {attempt.identity} could not be checked: {error}") + "\n"
        )

    answered = answered_by_mail(ledger, found.attempts, now, trouble=trouble)
    for attempt in answered.values():
        sys.stderr.write(
            printable(
                f"A call of the vendor has named the job of {attempt.identity} (attempt {attempt.number}), and the vendor has "
                f"it: {attempt.request_id} was bought, and is listed so."
            )
            + "\n"
        )
    return replace(found, attempts=[answered.get(attempt.key, attempt) for attempt in found.attempts])
