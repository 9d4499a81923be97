"""``video-ledger reconcile``: a vendor's invoice beside the ledger."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from airflow_video_providers.core.accounting.entries import period
from airflow_video_providers.core.accounting.invoice import Columns, read_invoice
from airflow_video_providers.core.accounting.reconcile import AGREES, Match, Reconciled, cents, reconcile
from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.integration.commands.accounts import read_accounts
from airflow_video_providers.integration.ledger_listing import printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from airflow_video_providers.core.accounting.entries import Entry
    from airflow_video_providers.core.accounting.invoice import Line

_MOST_MINUTES = 7 * 24 * 60
#: So many open attempts are named that a line may answer.
_MOST_ANSWERS = 3


def run(args: argparse.Namespace, out: TextIO) -> int:
    """Print what differs; 0 where every cent is explained."""
    if not 0 <= args.minutes <= _MOST_MINUTES:
        raise InvalidRequestError(f"--minutes is {args.minutes}.", field="--minutes", allowed=f"0 to {_MOST_MINUTES}")
    within = period(args.since, args.until)
    columns = Columns(args.id_column, args.amount_column, args.time_column, args.delimiter, args.decimal, args.time_format,
                      args.timezone)  # fmt: skip
    invoice = read_invoice(Path(args.invoice), columns)
    accounts = read_accounts()
    entries = [
        entry
        for entry in accounts.entries
        if (args.conn_id is None or entry.attempt.conn_id == args.conn_id)
        and (args.vendor is None or entry.attempt.model.partition(":")[0] == args.vendor)
    ]
    found = reconcile(invoice, entries, within=within, tolerance=timedelta(minutes=args.minutes))
    accounts.report()
    if args.output == "json":
        out.write(json.dumps({**_answer(found), "damaged": len(accounts.flaws)}, indent=2) + "\n")
    else:
        out.writelines(f"{printable(line)}\n" for line in _lines(found))
    return 0 if found.agrees and not accounts.flaws else 1


def _lines(found: Reconciled) -> Iterator[str]:
    for match in found.matches:
        if match.kind == AGREES:
            continue
        numbers = ", ".join(str(line.number) for line in match.lines)
        estimate = "no estimate" if match.entry.usd is None else f"estimate ${match.entry.usd:f}"
        yield (
            f"{match.kind}: line {numbers}, ${match.invoiced:f}; ledger: {match.entry.state}, {estimate}, {_job(match.entry)}: "
            f"{cents(match.difference)}"
        )
    for line, answers in found.only_invoice:
        yield f"only the invoice: line {line.number}, {_id(line)}, ${line.usd:f}{_may_answer(line, answers)}"
    for entry in found.only_ledger:
        yield f"only the ledger: {entry.state}, {_estimate(entry)}, {_job(entry)}"
    for entry in found.open:
        yield f"not billed, outcome unknown: {entry.state}, {_estimate(entry)}, {_job(entry)}"
    kinds = Counter(match.kind for match in found.matches)
    yield (
        f"{kinds[AGREES]} agree, {len(found.matches) - kinds[AGREES]} differ, {len(found.only_invoice)} only on the invoice, "
        f"{len(found.only_ledger)} only in the ledger, {len(found.open)} unknown outcomes not billed."
    )
    unpriced = sum(entry.counts == "charged" and entry.usd is None for entry in _entries(found))
    rest = f", and {unpriced} of unknown price" if unpriced else ""
    yield (
        f"The invoice says ${found.invoiced:f}, the ledger about ${found.counted:f}{rest}: difference {cents(found.difference)}."
    )


def _entries(found: Reconciled) -> list[Entry]:
    return [*(match.entry for match in found.matches), *found.only_ledger]


def _estimate(entry: Entry) -> str:
    return "price unknown" if entry.usd is None else f"about ${entry.usd:f}"


def _job(entry: Entry) -> str:
    attempt = entry.attempt
    what = f"request_id={attempt.request_id}" if attempt.request_id else attempt.reason or "no answer"
    return f"{attempt.created_at:%Y-%m-%d %H:%M:%S} {attempt.model} {attempt.identity.as_arguments()} {what}"


def _id(line: Line) -> str:
    return (
        f"request_id={line.request_id}" if line.request_id else f"{line.at:%Y-%m-%d %H:%M:%S}" if line.at else "no id"
    )


def _may_answer(line: Line, answers: Sequence[Entry]) -> str:
    if not answers:
        return ""
    named = "; ".join(
        f"`attach {entry.attempt.identity.as_arguments()} {line.request_id or '<its id>'}`"
        for entry in answers[:_MOST_ANSWERS]
    )
    more = f" and {len(answers) - _MOST_ANSWERS} more" if len(answers) > _MOST_ANSWERS else ""
    return f". It may be the lost answer of an unknown outcome: {named}{more}"


def _answer(found: Reconciled) -> dict[str, Any]:
    return {
        "matches": [_match(match) for match in found.matches],
        "only_invoice": [{**_line(line), "may_answer": [_entry(one) for one in answers]} for line, answers in found.only_invoice],
        "only_ledger": [_entry(entry) for entry in found.only_ledger],
        "unknown_not_billed": [_entry(entry) for entry in found.open],
        "invoice_usd": str(found.invoiced),
        "ledger_usd": str(found.counted),
        "difference_cents": f"{found.difference * 100:f}",
        "agrees": found.agrees,
    }  # fmt: skip


def _match(match: Match) -> dict[str, Any]:
    lines, difference = [_line(line) for line in match.lines], f"{match.difference * 100:f}"
    return {"kind": match.kind, "lines": lines, "difference_cents": difference, **_entry(match.entry)}


def _line(line: Line) -> dict[str, Any]:
    return {"line": line.number, "invoice_usd": str(line.usd), "invoice_request_id": line.request_id,
            "time": line.at.isoformat() if line.at else None}  # fmt: skip


def _entry(entry: Entry) -> dict[str, Any]:
    attempt = entry.attempt
    return {
        "state": entry.state, "counts": entry.counts, "estimate_usd": None if entry.usd is None else str(entry.usd),
        "request_id": attempt.request_id, "model": attempt.model, "conn_id": attempt.conn_id,
        "dag_id": attempt.dag_id, "run_id": attempt.run_id, "task_id": attempt.task_id, "map_index": attempt.map_index,
        "attempt": attempt.number, "created_at": attempt.created_at.isoformat(),
    }  # fmt: skip
