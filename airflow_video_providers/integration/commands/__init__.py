"""Commands for Airflow's command line and for ``python -m``: what a group of them is, and how one is run.

A command's own module is imported when it runs: every start of ``airflow`` reads the groups.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow.cli.cli_config import ActionCommand, CLICommand

Argument = tuple[tuple[str, ...], dict[str, Any]]

OUTPUT: Argument = (("--output",), {"choices": ("text", "json"), "default": "text", "help": "text or json"})


class Instead(argparse.Action):
    """An option that stands instead of the positional arguments, which argparse cannot say."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: Any, values: Any, option: str | None = None) -> None:  # noqa: ARG002 - argparse's signature
        for action in parser._actions:  # noqa: SLF001 - argparse reads it when everything is read
            if not action.option_strings:
                action.required = False
        setattr(namespace, self.dest, True if self.nargs == 0 else values)


@dataclass(frozen=True)
class Command:
    """One command of a group.

    :param place: ``module:function`` in this folder. The function takes the arguments and the stream for the answer,
        and returns the exit status: 1 where something is not as it should be.
    """

    name: str
    help: str
    place: str
    arguments: tuple[Argument, ...] = ()

    def run(self, args: argparse.Namespace) -> int:
        """Run it. What it logs or prints meanwhile goes to standard error.

        :raises SystemExit: an error of this package, as one line that does nothing to a terminal.
        """
        from airflow_video_providers.core.errors import VideoProviderError
        from airflow_video_providers.integration.ledger_listing import printable
        from airflow_video_providers.integration.ledger_output import answers_only

        module, _, name = self.place.partition(":")
        run: Callable[[argparse.Namespace, TextIO], int] = getattr(import_module(f"{__name__}.{module}"), name)
        try:
            with answers_only() as out:
                return run(args, out)
        except VideoProviderError as error:
            raise SystemExit(printable(str(error))) from error

    def for_airflow(self) -> ActionCommand:
        """The command for Airflow's own command line."""
        from airflow.cli.cli_config import ActionCommand, Arg

        arguments = [Arg(flags, **options) for flags, options in self.arguments]  # type: ignore[no-untyped-call] # Airflow's
        return ActionCommand(name=self.name, help=self.help, func=_exiting(self), args=arguments)

    def main(self, module: str, arguments: Sequence[str] | None = None) -> int:
        """Run it as ``python -m <module> ...`` does, where it is in no group."""
        parser = argparse.ArgumentParser(f"python -m {module}", description=self.help)
        return self.answered(self.reads(parser).parse_args(arguments))

    def reads(self, parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
        """The parser, with the command's arguments."""
        for flags, options in self.arguments:
            parser.add_argument(*flags, **options)
        return parser

    def answered(self, args: argparse.Namespace) -> int:
        """The exit status; a refusal is said on standard error."""
        try:
            return self.run(args)
        except SystemExit as refused:
            sys.stderr.write(f"{refused}\n")
            return 1


@dataclass(frozen=True)
class Group:
    """Commands under one name."""

    name: str
    help: str
    commands: tuple[Command, ...]

    def for_airflow(self) -> CLICommand:
        """The group for Airflow's own command line."""
        from airflow.cli.cli_config import GroupCommand

        return GroupCommand(
            name=self.name, help=self.help, subcommands=[command.for_airflow() for command in self.commands]
        )

    def parser(self, module: str) -> argparse.ArgumentParser:
        """What reads the arguments of ``python -m <module> <command> ...``."""
        parser = argparse.ArgumentParser(f"python -m {module}", description=self.help)
        groups = parser.add_subparsers(required=True, metavar="COMMAND")
        for command in self.commands:
            command.reads(groups.add_parser(command.name, help=command.help)).set_defaults(command=command)
        return parser

    def main(self, module: str, arguments: Sequence[str] | None = None) -> int:
        """Run a command as ``python -m <module> <command> ...`` does."""
        args = self.parser(module).parse_args(arguments)
        command: Command = args.command
        return command.answered(args)


def _exiting(command: Command) -> Callable[[argparse.Namespace], None]:
    def run(args: argparse.Namespace) -> None:
        if status := command.run(args):
            raise SystemExit(status)

    return run
