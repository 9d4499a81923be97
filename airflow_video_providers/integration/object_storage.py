"""Buckets through Airflow's connections, for the landing: the adapter that :mod:`core.storage.open` is given.

Importing this module is enough: whatever is opened from then on is opened through Airflow.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.errors import LandingError
from airflow_video_providers.core.storage.address import wrong_type
from airflow_video_providers.core.storage.base import final
from airflow_video_providers.core.storage.errors import refused
from airflow_video_providers.core.storage.open import PlainFilesystems, use
from airflow_video_providers.integration.held_connection import held

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_video_providers.core.storage.output_path import OutputPath

_EXTRAS = {"s3": "amazon", "gs": "google", "gcs": "google", "abfs": "azure", "abfss": "azure"}


class AirflowFilesystems(PlainFilesystems):
    """The storages of Airflow's providers, with Airflow's connections."""

    def knows(self, scheme: str) -> bool:
        """Is there a provider for it?"""
        from airflow.sdk.io import has_fs

        return bool(has_fs(scheme))

    def open(self, where: OutputPath) -> Any:
        """The filesystem, through the connection that the address names, or with the machine's own credentials."""
        scheme, conn_id = where.scheme, where.conn_id
        try:
            if conn_id is None:
                return self._connected(where)
            with _connection(scheme, conn_id):
                return self._connected(where)
        except LandingError:
            raise
        except ImportError as missing:
            hint = f" Install airflow-video-providers[{_EXTRAS[scheme]}]." if scheme in _EXTRAS else ""
            raise final(LandingError(f"{scheme}:// needs a package: {missing}.{hint}", reason="storage")) from missing
        except Exception as failed:
            through = f" with the connection {conn_id!r}" if conn_id else ""
            raise refused(f"{scheme}:// cannot be opened{through}", failed).replace(reason="connection") from failed

    def _connected(self, where: OutputPath) -> Any:
        from airflow.sdk.io import attach, has_fs

        if has_fs(where.scheme):
            # kept for the process: a client costs a third of a second of CPU
            return attach(where.scheme, where.conn_id).fs
        return super().open(where)


@contextlib.contextmanager
def _connection(scheme: str, conn_id: str) -> Iterator[None]:
    """A missing connection must be an error: the providers would go on with the machine's own credentials."""
    from airflow.providers.common.compat.sdk import AirflowNotFoundException

    with contextlib.ExitStack() as stack:
        try:
            kind = str(stack.enter_context(held(conn_id)).conn_type)
        except AirflowNotFoundException as missing:
            raise LandingError(
                f"Airflow says that it has no connection {conn_id!r}, which output_path names; it says the same where "
                "its database or its secrets backend is away.",
                reason="connection",
                remedy="Create it or correct output_path; if it exists, run the task again: the job is not bought "
                "again.",
            ) from missing
        if (wrong := wrong_type(scheme, conn_id, kind)) is not None:
            raise final(
                LandingError(
                    wrong,
                    reason="connection",
                    remedy="Name a connection of that type in the path; a job that is paid for is not bought again.",
                )
            )
        yield


use(AirflowFilesystems())
