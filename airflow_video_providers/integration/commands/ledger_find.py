"""``video-ledger find``: ask the vendor's history which job a submit without an answer has bought."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, TextIO

from airflow_video_providers.core.purchase.records import Identity
from airflow_video_providers.integration.airflow_view import view_of_airflow
from airflow_video_providers.integration.commands.opened import see_the_database, the_ledger
from airflow_video_providers.integration.ledger_history import Histories

if TYPE_CHECKING:
    import argparse


def run(args: argparse.Namespace, out: TextIO) -> int:
    """Answer a task instance's open attempts, where exactly one job fits; 1 where one stays unknown."""
    ledger, identity = the_ledger(), Identity(args.dag_id, args.run_id, args.task_id, args.map_index)
    see_the_database()
    with Histories(ledger) as histories:
        asked = histories.answer(identity, view_of_airflow([identity]), datetime.now(UTC))
    out.writelines(f"{one}\n" for one in asked)
    return 1 if any(one.found is None for one in asked) else 0
