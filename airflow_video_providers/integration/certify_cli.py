"""``airflow video-certify``: one real clip of a model, as a transcript that says what its vendor really answers.

``python -m airflow_video_providers.certify`` on Airflow 3.1, which has no commands of providers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_video_providers.integration.commands import Command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.cli.cli_config import CLICommand

COMMAND = Command(
    "video-certify",
    "buy the cheapest clip of a model and keep what the vendor answers, or compare what was kept with documents and simulator; "
    "exit status 1 where something differs",
    "certify:run",
    (
        (("--conn-id",), {"help": "the Airflow connection to buy with; its key pays"}),
        (
            ("--max-usd",),
            {"metavar": "USD", "help": "the most that the clip may be estimated to cost; an unknown price is refused"},
        ),
        (("--model",), {"help": "a model's id; by default the one with the cheapest known price that needs no image"}),
        (
            ("--request",),
            {
                "metavar": "JSON",
                "default": "{}",
                "help": "fields that are to be set, such as image_url; the rest is chosen",
            },
        ),
        (
            ("--schema",),
            {
                "metavar": "FILE",
                "help": "of a model that the catalogue does not list: its pinned schema, which is held against what the vendor shows now",
            },
        ),
        (
            ("--output",),
            {
                "metavar": "PLACE",
                "default": "certified",
                "help": "where the clip lands, as output_path; the folder certified",
            },
        ),
        (
            ("--transcript",),
            {
                "metavar": "FILE",
                "help": "the transcript to write; <vendor>-<model>.json in the current folder by default",
            },
        ),
        (
            ("--yes",),
            {"action": "store_true", "help": "buy it; without this, only what would be bought and spent is said"},
        ),
        (
            ("--offline",),
            {
                "metavar": "TRANSCRIPT",
                "help": "compare this transcript, without network, connection and key; buys nothing",
            },
        ),
    ),
)


def get_commands() -> list[CLICommand]:
    """The command for Airflow's own command line; named in the provider's metadata under ``cli``."""
    return [COMMAND.for_airflow()]


def main(arguments: Sequence[str] | None = None) -> int:
    """``python -m airflow_video_providers.certify``."""
    return COMMAND.main("airflow_video_providers.certify", arguments)
