"""Standard output for the answer alone: whatever logs or prints meanwhile goes to standard error."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Libraries that log each request of a listing in a line, or a dozen.
_CHATTY = (
    "azure",
    "botocore",
    "aiobotocore",
    "boto3",
    "s3fs",
    "gcsfs",
    "adlfs",
    "fsspec",
    "google",
    "urllib3",
    "aiohttp",
)


@contextmanager
def answers_only() -> Iterator[TextIO]:
    """Where a command writes its answer.

    Logging that was set up earlier may hold the old stream itself, or the descriptor: both lead to standard error
    until the command ends.
    """
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    real = sys.stdout
    real.flush()
    try:
        ours = real.fileno() == 1
    except (OSError, ValueError):  # a test, or a program that calls the command, has put a stream of its own there
        ours = False
    if not ours:
        with redirect_stdout(sys.stderr):
            yield real
        return
    kept = os.dup(1)
    os.dup2(2, 1)
    out = os.fdopen(kept, "w", encoding=real.encoding, errors="backslashreplace", closefd=False)
    try:
        with redirect_stdout(sys.stderr):
            yield out
    finally:
        real.flush()
        try:
            out.close()
        except BrokenPipeError:  # whoever read it has seen enough
            os.dup2(2, kept)
        os.dup2(kept, 1)
        os.close(kept)
