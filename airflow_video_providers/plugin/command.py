"""``airflow video-callbacks``: the receiver as a process of its own, so that the API server stays unexposed.

``python -m airflow_video_providers.plugin.command`` on Airflow 3.1, which has no commands of providers.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.errors import InvalidRequestError, VideoProviderError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import uvicorn
    from airflow.cli.cli_config import CLICommand

#: Connections at once; whoever comes on top is asked to come again.
MOST_CONNECTIONS = 256
_HELP = "take the calls of vendors about jobs, and write them below ledger_path"
_ARGUMENTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("--port", {"type": int, "required": True, "help": "the port to listen on"}),
    (
        "--host",
        {"default": "127.0.0.1", "help": "the address to listen on; 127.0.0.1 by default, for a proxy beside it"},
    ),
)


def get_commands() -> list[CLICommand]:
    """The command for Airflow's own command line; named in the provider's metadata under ``cli``."""
    from airflow.cli.cli_config import ActionCommand, Arg

    arguments = tuple(Arg((name,), **options) for name, options in _ARGUMENTS)  # type: ignore[no-untyped-call] # Airflow's is untyped
    return [ActionCommand("video-callbacks", _HELP, run, arguments)]


def run(args: argparse.Namespace) -> None:
    """Serve until the process is asked to end."""
    sys.exit(serve(args.host, args.port))


def serve(host: str, port: int) -> int:
    """Serve until the process is asked to end; 2 where the configuration does not allow it."""
    from airflow_video_providers.integration import callbacks, metrics
    from airflow_video_providers.integration.ledger_config import ledger_path
    from airflow_video_providers.plugin.receiver import ReceiverApp

    try:
        if not callbacks.secrets() or not ledger_path():
            raise InvalidRequestError(
                "The receiver needs callback_secret and ledger_path in the section [video_providers].",
                remedy="Set both as they are set for the workers, then start it again.",
            )
        callbacks.open_mailbox("check")
    except VideoProviderError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    metrics.prepare()
    server(ReceiverApp(), host, port).run()
    return 0


def server(app: Any, host: str, port: int) -> uvicorn.Server:
    """The server of the process. Without an access log: the address of a call holds its token."""
    import uvicorn

    from airflow_video_providers.plugin.impatient import ImpatientProtocol

    return uvicorn.Server(
        uvicorn.Config(
            app, host=host, port=port, http=ImpatientProtocol, ws="none", access_log=False, log_level="warning",
            server_header=False, date_header=False, timeout_keep_alive=5, limit_concurrency=MOST_CONNECTIONS,
            h11_max_incomplete_event_size=16 * 1024,
        )
    )  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """``python -m airflow_video_providers.plugin.command``."""
    parser = argparse.ArgumentParser("python -m airflow_video_providers.plugin.command", description=_HELP)
    for name, options in _ARGUMENTS:
        parser.add_argument(name, **options)
    args = parser.parse_args(arguments)
    return serve(args.host, args.port)


if __name__ == "__main__":
    sys.exit(main())
