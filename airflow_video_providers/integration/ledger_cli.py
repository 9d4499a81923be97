"""The ledger by hand: what is open, what was bought and never landed, what it cost, attach a job, forget an intent.

``python -m airflow_video_providers.ledger ...``, and ``airflow video-ledger ...`` on Airflow 3.2 and newer.
It reads the ledger directory where one is configured, and otherwise, on Airflow 3.3, the rows of the state
store in the metadata database, so that it has to run where Airflow's own commands run. Where there is
neither there is nothing to list, and only the operator's ``request_id`` attaches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_video_providers.integration.commands import OUTPUT, Argument, Command, Group, Instead

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.cli.cli_config import CLICommand

_TASK_INSTANCE: tuple[Argument, ...] = (
    (("dag_id",), {"help": "DAG of the submit"}),
    (("run_id",), {"help": "its run"}),
    (("task_id",), {"help": "its task"}),
)
_DRY_RUN: Argument = (("--dry-run",), {"action": "store_true", "help": "say what would be written, and write nothing"})
_MAP_INDEX: Argument = (("--map-index",), {"type": int, "default": -1, "help": "for a mapped task"})

_LIST = Command(
    "list",
    "what is in flight, unknown, or bought and not landed, and how the rest ended",
    "ledger_list:run",
    (
        (("--dag-id",), {"help": "of this DAG only"}),
        (("--run-id",), {"help": "of this run only"}),
        (("--open",), {"action": "store_true", "help": "only what nobody knows the outcome of"}),
        (("--all",), {"action": "store_true", "help": "what is finished, too"}),
        OUTPUT,
    ),
)
_ATTACH = Command(
    "attach",
    "give a task instance the job that was found at the vendor",
    "ledger_answers:run_attach",
    (
        *_TASK_INSTANCE,
        (("request_id",), {"help": "the vendor's id of the job"}),
        _MAP_INDEX,
        (
            ("--from-file",),
            {
                "action": Instead,
                "metavar": "FILE",
                "help": "CSV with a header, or JSON: dag_id, run_id, task_id, map_index, request_id, and where the ledger "
                "does not know them model, conn_id, status_route",
            },
        ),
        _DRY_RUN,
        (("--model",), {"help": "model id, where the ledger knows none"}),
        (("--conn-id",), {"help": "connection, where the ledger knows none"}),
        (("--status-route",), {"default": "default", "help": "legacy for an id of Pixazo's older status call"}),
    ),
)
_FORGET = Command(
    "forget",
    "nothing was bought: let the next try of a task instance buy",
    "ledger_answers:run_forget",
    (
        *_TASK_INSTANCE,
        _MAP_INDEX,
        (
            ("--all",),
            {
                "action": Instead,
                "nargs": 0,
                "default": False,
                "help": "all that are open in the run of --dag-id and --run-id",
            },
        ),
        (("--dag-id",), {"dest": "of_dag", "help": "with --all"}),
        (("--run-id",), {"dest": "of_run", "help": "with --all"}),
        _DRY_RUN,
    ),
)

GROUP = Group("video-ledger", "What was bought from AI video vendors, and what to do about it by hand", (_LIST, _ATTACH, _FORGET))  # fmt: skip


def get_commands() -> list[CLICommand]:
    """The commands for Airflow's own command line; named in the provider's metadata under ``cli``."""
    return [GROUP.for_airflow()]


def main(arguments: Sequence[str] | None = None) -> int:
    """``python -m airflow_video_providers.ledger``."""
    return GROUP.main("airflow_video_providers.ledger", arguments)
