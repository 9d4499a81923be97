"""``video-ledger find``: ask the vendor's history which job a submit without an answer has bought."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.purchase.find import find_job
from airflow_video_providers.core.purchase.records import Identity
from airflow_video_providers.hooks.base import VideoHook
from airflow_video_providers.integration.commands.opened import see_the_database, the_ledger

if TYPE_CHECKING:
    import argparse


def run(args: argparse.Namespace, out: TextIO) -> int:
    """Answer a task instance's open attempts, where exactly one job fits; 1 where one stays unknown."""
    ledger, identity = the_ledger(), Identity(args.dag_id, args.run_id, args.task_id, args.map_index)
    if not ledger.store.shared:
        raise InvalidRequestError(
            "Airflow's state store shows a task its own attempts only, and who else may hold a job is not known.",
            remedy="Set [video_providers] ledger_path.",
            field="ledger_path",
        )
    see_the_database()
    unknown = 0
    for attempt in [one for one in ledger.attempts(identity) if one.open]:
        hook = VideoHook.for_model(attempt.model, attempt.conn_id)
        if hook.vendor_class.history_kept is None:
            raise InvalidRequestError(
                f"{hook.vendor_class.title} shows no history of what it was sent.",
                remedy="Search its console, then attach or forget.",
                model=attempt.model,
                field="model",
            )
        try:
            found = find_job(attempt, ledger, hook.get_conn().history)
        finally:
            hook.close()
        when = f"The submit of {attempt.created_at:%Y-%m-%d %H:%M:%S} UTC"
        if found is None:
            unknown += 1
            out.write(
                f"{when} stays unknown: not exactly one job fits it alone. It may have been bought all the same.\n"
            )
        else:
            out.write(
                f"{when} has bought job {found.request_id}. Clear the task: it takes that job and buys nothing.\n"
            )
    return 1 if unknown else 0
