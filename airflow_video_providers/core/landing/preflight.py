"""Can a video land there? Asked in the worker, before one is bought."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from airflow_video_providers.core.errors import InvalidRequestError, LandingError
from airflow_video_providers.core.storage.address import without_secret
from airflow_video_providers.core.storage.open import check_output_path, open_store

_MONEY = "Nothing was bought."


def preflight(output_path: str) -> None:
    """Open what ``output_path`` names, leave nothing there, and refuse where nothing could land.

    A storage that answers "forbidden" says nothing about writing, and does not refuse.

    :raises InvalidRequestError: nothing can land there, now or at the next try. Nothing was bought.
    :raises LandingError: the connection or the storage cannot be asked right now. Nothing was bought; a retry may help.
    """
    place = check_output_path(output_path)
    if not place.scheme:
        _check_directory(place.prefix)
        return
    try:
        open_store(output_path)
    except LandingError as failed:
        if failed.retryable:
            raise failed.replace(
                charged="no",
                money=_MONEY,
                remedy="Run the task again; if it stays so, correct output_path or its connection.",
            ) from failed.__cause__
        raise InvalidRequestError(
            failed.what,
            money=_MONEY,
            remedy="Correct output_path, its connection, or what the worker has installed; then run the task again.",
            field="output_path",
            value=without_secret(output_path),
        ) from failed


def _check_directory(path: str) -> None:
    """The landing makes what is missing below the nearest directory that exists."""
    wanted = found = Path(os.path.abspath(path))
    why = None
    try:
        while not os.path.lexists(found):
            found = found.parent
        if not found.is_dir():
            why = "is no directory"
        else:
            with tempfile.TemporaryFile(dir=found):  # its rights alone say too little, of /proc for one
                pass
            longest = os.pathconf(found, "PC_NAME_MAX")
            if any(len(os.fsencode(part)) > longest for part in wanted.relative_to(found).parts):
                why = f"takes no name of more than {longest} bytes"
    except PermissionError:
        why = "cannot be written to by this worker"
    except (OSError, ValueError) as failed:
        why = f"cannot be used: {getattr(failed, 'strerror', None) or failed}"
    if why is not None:
        raise InvalidRequestError(
            f"Nothing can land at output_path {path!r}: {str(found)!r} {why}.",
            money=_MONEY,
            remedy="Let the worker write there, or name another output_path; then run the task again.",
            field="output_path",
            value=path,
        )
