"""The way out by hand: what is open, what was bought and never landed, attach a job, forget an intent.

``python -m airflow_video_providers.ledger ...``, and ``airflow video-ledger ...`` on Airflow 3.2 and newer.
It reads the ledger directory where one is configured, and otherwise, on Airflow 3.3, the rows of the state
store in the metadata database, so that it has to run where Airflow's own commands run. Where there is
neither there is nothing to list, and only the operator's ``request_id`` attaches.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from airflow_video_providers.core.errors import InvalidRequestError, VideoProviderError
from airflow_video_providers.core.purchase.ledger import Ledger
from airflow_video_providers.core.purchase.records import Identity
from airflow_video_providers.integration.airflow_view import view_of_airflow
from airflow_video_providers.integration.ledger_bulk import FIELDS, Answer, answers_in, attach, forget
from airflow_video_providers.integration.ledger_config import ledger_path, open_directory
from airflow_video_providers.integration.ledger_listing import Row, describe, printable, rows, summary
from airflow_video_providers.integration.ledger_output import answers_only

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow.cli.cli_config import CLICommand

Argument = tuple[tuple[str, ...], dict[str, Any]]


class _Instead(argparse.Action):
    """An option that stands instead of the positional arguments, which argparse cannot say."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: Any, values: Any, option: str | None = None) -> None:  # noqa: ARG002 - argparse's signature
        for action in parser._actions:  # noqa: SLF001 - argparse looks at it when everything is read
            if not action.option_strings:
                action.required = False
        setattr(namespace, self.dest, True if self.nargs == 0 else values)


_TASK_INSTANCE: tuple[Argument, ...] = (
    (("dag_id",), {"help": "DAG of the submit"}),
    (("run_id",), {"help": "its run"}),
    (("task_id",), {"help": "its task"}),
)
_DRY_RUN: Argument = (("--dry-run",), {"action": "store_true", "help": "say what would be written, and write nothing"})
_MAP_INDEX: Argument = (("--map-index",), {"type": int, "default": -1, "help": "for a mapped task"})


def list_command(args: argparse.Namespace, out: TextIO) -> int:
    """Print what is not finished, oldest first."""
    below = [part for part in (args.dag_id, args.run_id if args.dag_id else None) if part is not None]
    found = _ledger().overview(*below)
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


def attach_command(args: argparse.Namespace, out: TextIO) -> int:
    """Write that a task instance's job is the one with this request_id; or all answers of a file."""
    if args.from_file:
        if args.dag_id or args.request_id:
            raise InvalidRequestError("--from-file names the task instances.", field="--from-file", allowed="no others")
        found, blank = answers_in(Path(args.from_file))
        if blank:
            sys.stderr.write(f"{blank} rows name no request_id: left out.\n")
    else:
        found = [Answer(_identity(args), args.request_id, args.model, args.conn_id, args.status_route)]
    ledger, now = _ledger(), datetime.now(UTC)
    view = view_of_airflow(answer.identity for answer in found)
    return _one_by_one(found, lambda one: out.write(attach(ledger, one, view, now, dry_run=args.dry_run) + "\n"))


def forget_command(args: argparse.Namespace, out: TextIO) -> int:
    """Write that nothing came of a task instance's open attempts; or of all that are open in a run."""
    ledger, now = _ledger(), datetime.now(UTC)
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

    status = _one_by_one(found, one)
    out.write("Clear the task: it buys again.\n" if found else "Nothing is open there.\n")
    return status


_T = TypeVar("_T")


def _one_by_one(found: Sequence[_T], do: Callable[[_T], object]) -> int:
    """Each for itself: what is refused for one holds up no other. 1 where any was refused."""
    refused = 0
    for one in found:
        try:
            do(one)
        except VideoProviderError as error:
            if len(found) == 1:
                raise
            refused += 1
            sys.stderr.write(f"{printable(str(error))}\n")
    return 1 if refused else 0


@dataclass(frozen=True)
class _Command:
    name: str
    help: str
    run: Callable[[argparse.Namespace, TextIO], int]
    arguments: tuple[Argument, ...]


_COMMANDS = (
    _Command(
        "list",
        "what is in flight, unknown, or bought and not landed, and how the rest ended",
        list_command,
        (
            (("--dag-id",), {"help": "of this DAG only"}),
            (("--run-id",), {"help": "of this run only"}),
            (("--open",), {"action": "store_true", "help": "only what nobody knows the outcome of"}),
            (("--all",), {"action": "store_true", "help": "what is finished, too"}),
            (("--output",), {"choices": ("text", "json"), "default": "text", "help": "text or json"}),
        ),
    ),
    _Command(
        "attach",
        "give a task instance the job that was found at the vendor",
        attach_command,
        (
            *_TASK_INSTANCE,
            (("request_id",), {"help": "the vendor's id of the job"}),
            _MAP_INDEX,
            (
                ("--from-file",),
                {"action": _Instead, "metavar": "FILE", "help": f"CSV with a header, or JSON: {FIELDS}"},
            ),
            _DRY_RUN,
            (("--model",), {"help": "model id, where the ledger knows none"}),
            (("--conn-id",), {"help": "connection, where the ledger knows none"}),
            (("--status-route",), {"default": "default", "help": "legacy for an id of Pixazo's older status call"}),
        ),
    ),
    _Command(
        "forget",
        "nothing was bought: let the next try of a task instance buy",
        forget_command,
        (
            *_TASK_INSTANCE,
            _MAP_INDEX,
            (
                ("--all",),
                {
                    "action": _Instead,
                    "nargs": 0,
                    "default": False,
                    "help": "all that are open in the run of --dag-id and --run-id",
                },
            ),
            (("--dag-id",), {"dest": "of_dag", "help": "with --all"}),
            (("--run-id",), {"dest": "of_run", "help": "with --all"}),
            _DRY_RUN,
        ),
    ),
)


def get_commands() -> list[CLICommand]:
    """The commands for Airflow's own command line; named in the provider's metadata under ``cli``."""
    from airflow.cli.cli_config import ActionCommand, Arg, GroupCommand

    return [
        GroupCommand(
            name="video-ledger",
            help="What was bought from AI video vendors, and what to do about it by hand",
            subcommands=[
                ActionCommand(
                    name=command.name,
                    help=command.help,
                    func=_exiting(command.run),
                    args=[Arg(flags, **options) for flags, options in command.arguments],  # type: ignore[no-untyped-call] # Airflow's
                )
                for command in _COMMANDS
            ],
        )
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """``python -m airflow_video_providers.ledger``."""
    parser = argparse.ArgumentParser("python -m airflow_video_providers.ledger", description=__doc__)
    groups = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in _COMMANDS:
        group = groups.add_parser(command.name, help=command.help)
        group.set_defaults(run=command.run)
        for flags, options in command.arguments:
            group.add_argument(*flags, **options)
    args = parser.parse_args(arguments)
    try:
        with answers_only() as out:
            return int(args.run(args, out))
    except VideoProviderError as error:
        sys.stderr.write(f"{printable(str(error))}\n")
        return 1


def _exiting(run: Callable[[argparse.Namespace, TextIO], int]) -> Callable[[argparse.Namespace], None]:
    def command(args: argparse.Namespace) -> None:
        try:
            with answers_only() as out:
                status = run(args, out)
        except VideoProviderError as error:
            raise SystemExit(printable(str(error))) from error
        if status:
            raise SystemExit(status)

    return command


def _ledger() -> Ledger:
    if path := ledger_path():
        # As Airflow's own `connections` does: without it a connection that stands in the database is not found.
        os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")
        return Ledger(open_directory(path))
    try:
        from airflow_video_providers.integration.state_store_admin import MetadataStore

        return Ledger(MetadataStore())
    except ImportError as error:
        raise InvalidRequestError(
            "There is no ledger: no ledger_path is set, and this Airflow has no state store.",
            field="ledger_path",
            remedy="Set ledger_path in [video_providers], or run the task with request_id to attach a job.",
        ) from error


def _identity(args: argparse.Namespace) -> Identity:
    return Identity(args.dag_id, args.run_id, args.task_id, args.map_index)
