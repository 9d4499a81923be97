"""The route that answers with the video itself: its answer grows beside its place, and appears when it is whole."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_video_providers.core.border import BodyReader
from airflow_video_providers.core.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

#: No file of that route is larger, unless the caller says so.
MOST_VIDEO = 4 * 1024**3


def streamed(response: httpx.Response, part: Path, max_bytes: int) -> bool:
    """Write a video into its place; False where the answer is no video, and is read as any other."""
    if not response.is_success or "json" in response.headers.get("content-type", "").lower():
        return False
    reader = BodyReader(response.headers, max_bytes, pieces=None)
    with part.open("wb") as file:
        for piece in response.stream:  # type: ignore[union-attr] # a synchronous transport's
            file.writelines(reader.take(piece))
    reader.finish()
    return True


@contextmanager
def part_of(target: Path) -> Iterator[Path]:
    """A place beside ``target`` to write to first; asked for before anything is bought.

    :raises InvalidRequestError: nothing can be written there. Nothing was sent.
    """
    try:
        if target.is_dir():
            raise IsADirectoryError(f"{target} is a directory")
        folder = tempfile.TemporaryDirectory(dir=target.parent, prefix=".video-")
    except OSError as error:
        raise InvalidRequestError(
            f"Nothing can be written to {target} ({error}).",
            remedy="Name a file in a folder that exists and may be written to.",
            field="path",
            value=str(target),
        ) from error
    with folder:
        yield Path(folder.name, "part")
