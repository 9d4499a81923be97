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
_FIND = Command(
    "find",
    "ask the vendor's history which job a submit without an answer has bought; exit status 1 where it stays unknown",
    "ledger_find:run",
    (*_TASK_INSTANCE, _MAP_INDEX),
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

_SINCE: Argument = (
    ("--from",),
    {"dest": "since", "metavar": "DAY", "help": "a day or a time, UTC where it names no zone"},
)
_UNTIL: Argument = (
    ("--to",),
    {"dest": "until", "metavar": "DAY", "help": "a day, which is in it whole, or a time, just before which it ends"},
)
_SPEND = Command(
    "spend",
    "what was spent, by the estimates: charged, of unknown outcome, and how many were not charged",
    "ledger_spend:run",
    (
        (
            ("--by",),
            {
                "choices": ("model", "dag", "day", "connection"),
                "default": "model",
                "help": "by what it is summed; model",
            },
        ),
        _SINCE,
        _UNTIL,
        OUTPUT,
    ),
)
_RECONCILE = Command(
    "reconcile",
    "a vendor's invoice beside the ledger: what differs, what only one side knows, and the difference in cents",
    "ledger_reconcile:run",
    (
        (("invoice",), {"metavar": "INVOICE.csv", "help": "CSV with a header, in UTF-8"}),
        (
            ("--id-column",),
            {"metavar": "NAME", "help": "column with the vendor's job ids; request_id where there is one"},
        ),
        (("--amount-column",), {"metavar": "NAME", "default": "amount", "help": "column with US dollars; amount"}),
        (
            ("--time-column",),
            {"metavar": "NAME", "help": "column with the time: without ids, lines are matched by time and amount"},
        ),
        (("--delimiter",), {"metavar": "CHARACTER", "help": "between cells; found by the header"}),
        (("--decimal",), {"choices": (".", ","), "help": "what stands before the cents; a point"}),
        (
            ("--time-format",),
            {"metavar": "FORMAT", "help": "as strptime takes it, for example %%d.%%m.%%Y %%H:%%M; ISO 8601"},
        ),
        (("--timezone",), {"metavar": "NAME", "default": "UTC", "help": "of times that name none; UTC"}),
        (
            ("--minutes",),
            {"type": int, "default": 30, "metavar": "N", "help": "how far a line's time may be from the purchase; 30"},
        ),
        (("--conn-id",), {"metavar": "CONN_ID", "help": "the account that the invoice is about"}),
        (("--vendor",), {"metavar": "VENDOR", "help": "the vendor that it is from"}),
        _SINCE,
        _UNTIL,
        OUTPUT,
    ),
)

_AUDIT = Command(
    "audit",
    "purchases, tries, ids, charges, estimates and manifests with sha256 in one JSON file, and its check against the storage",
    "ledger_audit:run",
    (
        _SINCE,
        _UNTIL,
        (("--file",), {"metavar": "FILE", "help": "where it is written; standard output"}),
        (
            ("--manifests-only",),
            {"action": "store_true", "help": "read manifests, and not every landed file, when it is made"},
        ),
        (
            ("--verify",),
            {"metavar": "FILE", "help": "check an audit and the storage instead, without ledger and database"},
        ),
        (("--sha256",), {"metavar": "DIGEST", "help": "with --verify: what was printed when it was made"}),
        (
            ("--storage",),
            {
                "action": "append",
                "metavar": "ADDRESS",
                "help": "an output path with its connection, for what landed below it; may be repeated",
            },
        ),
    ),
)

GROUP = Group(
    "video-ledger",
    "What was bought from AI video vendors, what it cost, and what to do about it by hand",
    (_LIST, _ATTACH, _FIND, _FORGET, _SPEND, _RECONCILE, _AUDIT),
)


def get_commands() -> list[CLICommand]:
    """The commands for Airflow's own command line; named in the provider's metadata under ``cli``."""
    return [GROUP.for_airflow()]


def main(arguments: Sequence[str] | None = None) -> int:
    """``python -m airflow_video_providers.ledger``."""
    return GROUP.main("airflow_video_providers.ledger", arguments)
