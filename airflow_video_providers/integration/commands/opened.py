"""The ledger that a command works on."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, TypeVar

from airflow_video_providers.core.errors import InvalidRequestError, VideoProviderError
from airflow_video_providers.core.purchase.ledger import Ledger
from airflow_video_providers.integration.ledger_config import ledger_path, open_directory
from airflow_video_providers.integration.ledger_listing import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_T = TypeVar("_T")


def see_the_database() -> None:
    """As Airflow's own ``connections`` does: without it a connection that stands in the database is not found."""
    os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")


def the_ledger() -> Ledger:
    """The ledger directory where one is configured, and otherwise the rows of Airflow's state store.

    :raises InvalidRequestError: there is neither.
    :raises LedgerError: the directory cannot be opened.
    """
    if path := ledger_path():
        see_the_database()
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


def one_by_one(found: Sequence[_T], do: Callable[[_T], object]) -> int:
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
