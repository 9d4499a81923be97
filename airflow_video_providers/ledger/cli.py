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
from typing import TYPE_CHECKING, Any

from airflow_video_providers.exceptions import InvalidRequestError, VideoProviderError
from airflow_video_providers.jobs import VideoJob
from airflow_video_providers.ledger import gestures
from airflow_video_providers.ledger.book import Ledger
from airflow_video_providers.ledger.config import ledger_path, open_directory
from airflow_video_providers.ledger.records import Identity

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow.cli.cli_config import CLICommand

    from airflow_video_providers.ledger.records import Attempt

Argument = tuple[tuple[str, ...], dict[str, Any]]

_TASK_INSTANCE: tuple[Argument, ...] = (
    (("dag_id",), {"help": "DAG of the submit"}),
    (("run_id",), {"help": "its run"}),
    (("task_id",), {"help": "its task"}),
)
_MAP_INDEX: Argument = (("--map-index",), {"type": int, "default": -1, "help": "for a mapped task"})


def list_command(args: argparse.Namespace) -> None:
    """Print what is not finished, oldest first."""
    attempts = [
        attempt
        for attempt in _ledger().unfinished()
        if args.dag_id in (None, attempt.dag_id) and (attempt.open or not args.open)
    ]
    if args.output == "json":
        _say(json.dumps([attempt.to_dict() for attempt in attempts], indent=2))
        return
    for attempt in attempts:
        _say(_line(attempt))
    _say(f"{sum(a.open for a in attempts)} open, {sum(not a.open for a in attempts)} bought and not landed.")


def attach_command(args: argparse.Namespace) -> None:
    """Write that a task instance's job is the one with this request_id."""
    ledger, identity = _ledger(), _identity(args)
    known = ledger.attempts(identity)
    model = args.model or (known[-1].model if known else None)
    if model is None:
        raise InvalidRequestError(
            f"The ledger knows nothing of {identity}, so the model has to be named.",
            field="--model",
            remedy="Check the names, or add --model and --conn-id.",
        )
    conn_id = args.conn_id or (known[-1].conn_id if known else None)
    job = VideoJob(
        model=model,
        request_id=args.request_id,
        conn_id=conn_id,
        status_route=args.status_route,
        estimated_cost_usd=known[-1].estimated_cost_usd if known else None,
        cost_basis=known[-1].cost_basis if known else None,
    )
    gestures.attach(ledger, identity, job, now=datetime.now(UTC))
    _say(f"{identity} has job {args.request_id} now. Clear the task: it re-attaches and buys nothing.")


def forget_command(args: argparse.Namespace) -> None:
    """Write that nothing came of a task instance's open attempts."""
    identity = _identity(args)
    for attempt in gestures.forget(_ledger(), identity):
        _say(f"Forgotten: {_line(attempt)}")
    _say("Clear the task: it buys again.")


@dataclass(frozen=True)
class _Command:
    name: str
    help: str
    run: Callable[[argparse.Namespace], None]
    arguments: tuple[Argument, ...]


_COMMANDS = (
    _Command(
        "list",
        "open intents, and jobs that were bought and never landed",
        list_command,
        (
            (("--dag-id",), {"help": "of this DAG only"}),
            (("--open",), {"action": "store_true", "help": "open intents only"}),
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
            (("--model",), {"help": "model id, where the ledger knows none"}),
            (("--conn-id",), {"help": "connection, where the ledger knows none"}),
            (("--status-route",), {"default": "default", "help": "legacy for an id of Pixazo's older status call"}),
        ),
    ),
    _Command(
        "forget",
        "nothing was bought: let the next try of a task instance buy",
        forget_command,
        (*_TASK_INSTANCE, _MAP_INDEX),
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
        args.run(args)
    except VideoProviderError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _exiting(run: Callable[[argparse.Namespace], None]) -> Callable[[argparse.Namespace], None]:
    def command(args: argparse.Namespace) -> None:
        try:
            run(args)
        except VideoProviderError as error:
            raise SystemExit(str(error)) from error

    return command


def _ledger() -> Ledger:
    if path := ledger_path():
        # As Airflow's own `connections` does: without it a connection that stands in the database is not found.
        os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")
        return Ledger(open_directory(path))
    try:
        from airflow_video_providers.ledger.metadata import MetadataStore

        return Ledger(MetadataStore())
    except ImportError as error:
        raise InvalidRequestError(
            "There is no ledger: no ledger_path is set, and this Airflow has no state store.",
            field="ledger_path",
            remedy="Set ledger_path in [video_providers], or run the task with request_id to attach a job.",
        ) from error


def _identity(args: argparse.Namespace) -> Identity:
    return Identity(args.dag_id, args.run_id, args.task_id, args.map_index)


def _line(attempt: Attempt) -> str:
    price = "price unknown" if attempt.estimated_cost_usd is None else f"about ${attempt.estimated_cost_usd}"
    what = f"request_id={attempt.request_id}" if attempt.request_id else (attempt.reason or "no answer")
    when = f"{attempt.created_at:%Y-%m-%d %H:%M:%S}"
    return "  ".join([attempt.state.value.ljust(9), when, attempt.model, price, attempt.identity.as_arguments(), what])


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
