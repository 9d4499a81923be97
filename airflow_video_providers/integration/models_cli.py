"""Models from the command line: which there are, what they take, what a request costs. Buys nothing; ``fetch`` and ``check`` ask the
vendor.

``airflow video-models ...`` on Airflow 3.2 and newer, and ``python -m airflow_video_providers.models ...`` everywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_video_providers.integration.commands import OUTPUT, Argument, Command, Group

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.cli.cli_config import CLICommand

_CONN_ID: Argument = (
    ("--conn-id",),
    {"help": "an Airflow connection, for its own prices; without it, the documented ones"},
)

_LIST = Command(
    "list",
    "the models, their fields and their prices",
    "models:run_list",
    (
        (("models",), {"nargs": "*", "metavar": "MODEL", "help": "model ids, or a vendor's id; all by default"}),
        _CONN_ID,
        OUTPUT,
    ),
)
_ESTIMATE = Command(
    "estimate",
    "what a request is thought to cost, for example: pixazo:pixverse-v6-image-to-video '{\"duration\": 5}'",
    "models:run_estimate",
    (
        (("model",), {"metavar": "MODEL", "help": "a model's id"}),
        (
            ("request",),
            {
                "nargs": "?",
                "default": "{}",
                "metavar": "JSON",
                "help": "its fields; those that no price hangs on may lack",
            },
        ),
        (("--schema",), {"metavar": "FILE", "help": "of a model that the catalogue does not list: its pinned schema"}),
        _CONN_ID,
        OUTPUT,
    ),
)

_ASKED: Argument = (("--conn-id",), {"help": "the Airflow connection to ask with; the vendor's default one otherwise"})
_FETCH = Command(
    "fetch",
    "save the schema of a model that the catalogue does not list, for schema=... in a DAG; asks the vendor, buys nothing",
    "schemas:run_fetch",
    (
        (("model",), {"metavar": "MODEL", "help": "for example fal:fal-ai/kling-video/v2.1/standard/text-to-video"}),
        (("--into",), {"metavar": "FILE", "help": "where to; schemas/<name>.json by default"}),
        (("--overwrite",), {"action": "store_true", "help": "replace a file that is there"}),
        _ASKED,
    ),
)
_CHECK = Command(
    "check",
    "what has changed at the vendor since files were fetched; exit status 1 where something has",
    "schemas:run_check",
    ((("files",), {"nargs": "+", "metavar": "FILE", "help": "files that fetch has written"}), _ASKED),
)

GROUP = Group(
    "video-models", "AI video models: fields, prices, and what a request costs", (_LIST, _ESTIMATE, _FETCH, _CHECK)
)


def get_commands() -> list[CLICommand]:
    """The commands for Airflow's own command line; named in the provider's metadata under ``cli``."""
    return [GROUP.for_airflow()]


def main(arguments: Sequence[str] | None = None) -> int:
    """``python -m airflow_video_providers.models``."""
    return GROUP.main("airflow_video_providers.models", arguments)
