"""``video-ledger attach`` and ``forget``: a person's answers to unknown outcomes, one or many."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.purchase.records import Identity
from airflow_video_providers.integration.airflow_view import view_of_airflow
from airflow_video_providers.integration.commands.opened import one_by_one, the_ledger
from airflow_video_providers.integration.ledger_bulk import Answer, answers_in, attach, forget
from airflow_video_providers.integration.ledger_listing import Row

if TYPE_CHECKING:
    import argparse


def run_attach(args: argparse.Namespace, out: TextIO) -> int:
    """Write that a task instance's job is the one with this request_id; or all answers of a file."""
    if args.from_file:
        if args.dag_id or args.request_id:
            raise InvalidRequestError("--from-file names the task instances.", field="--from-file", allowed="no others")
        found, blank = answers_in(Path(args.from_file))
        if blank:
            sys.stderr.write(f"{blank} rows name no request_id: left out.\n")
    else:
        found = [Answer(_identity(args), args.request_id, args.model, args.conn_id, args.status_route)]
    ledger, now = the_ledger(), datetime.now(UTC)
    view = view_of_airflow(answer.identity for answer in found)
    return one_by_one(found, lambda one: out.write(attach(ledger, one, view, now, dry_run=args.dry_run) + "\n"))


def run_forget(args: argparse.Namespace, out: TextIO) -> int:
    """Write that nothing came of a task instance's open attempts; or of all that are open in a run."""
    ledger, now = the_ledger(), datetime.now(UTC)
    if args.all:
        dag_id, run_id = args.of_dag or args.dag_id, args.of_run or args.run_id
        if not (dag_id and run_id) or args.task_id:
            raise InvalidRequestError("--all needs --dag-id and --run-id, and no task.", field="--all")
        overview = ledger.overview(dag_id, run_id)
        unread = {Identity.of_key(flaw.key or ()) for flaw in overview.flaws}
        named = {attempt.identity for attempt in overview.attempts if attempt.open} | {one for one in unread if one}
        found = sorted((one for one in named if (one.dag_id, one.run_id) == (dag_id, run_id)), key=str)
    else:
        found = [_identity(args)]
    view = view_of_airflow(found)
    word = "Would forget" if args.dry_run else "Forgotten"

    def one(identity: Identity) -> None:
        for attempt in forget(ledger, identity, view, now, dry_run=args.dry_run):
            task = view.tasks.get(identity)
            row = Row(attempt, attempt.state.value, now - attempt.created_at, task.state if task else None)
            out.write(f"{word}: {row}\n")

    status = one_by_one(found, one)
    out.write("Clear the task: it buys again.\n" if found else "Nothing is open there.\n")
    return status


def _identity(args: argparse.Namespace) -> Identity:
    return Identity(args.dag_id, args.run_id, args.task_id, args.map_index)
