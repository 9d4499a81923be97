"""Trouble with the ledger's store that passes, and trouble that does not.

An outage is no verdict: what is learned about a purchase is written again until it is stored, or Airflow ends
the process. Airflow does: where its API server is away, heartbeats fail too, and the supervisor kills the task;
``execution_timeout`` and a person's word hold at any time, because nothing here catches them. A definite refusal
(no permission, no room, a 4xx) is asked again for a minute and no longer, since waiting cannot help, the caller
still has the job, and every later task that knows it writes the receipt again.
"""

from __future__ import annotations

import errno
import random
from typing import TYPE_CHECKING, TypeVar

from airflow_video_providers.core.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from logging import Logger

_T = TypeVar("_T")

#: Seconds for which a definite refusal is asked again after the paid call, and any trouble before it.
PATIENCE = 60.0
#: Seconds of silence between two log lines about the same trouble.
_LOG_EVERY = 300.0
_LONGEST_PAUSE = 15.0
_REFUSALS = frozenset(
    {
        errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOENT, errno.ENOTDIR, errno.EISDIR,
        errno.ENAMETOOLONG, errno.ELOOP, errno.EEXIST, errno.EFBIG, errno.EINVAL, errno.ENOTSUP,
    }
)  # fmt: skip
#: Statuses of the 4xx family that pass by themselves.
_PASSING = frozenset({408, 409, 423, 425, 429})


def refused_for_good(error: BaseException | None) -> bool:
    """Did the store say no, rather than not answer?"""
    if isinstance(error, LedgerError):
        return refused_for_good(error.__cause__) if error.__cause__ is not None else True
    if isinstance(error, EOFError | BrokenPipeError):  # Airflow's supervisor is gone: nobody would end this process
        return True
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _REFUSALS
    if isinstance(error, FileNotFoundError | PermissionError | TypeError | ValueError | RecursionError):
        return True
    status = _status(error)
    return status is not None and 400 <= status < 500 and status not in _PASSING


def _status(error: BaseException | None) -> int | None:
    """The HTTP status in an exception of a storage's library, or of Airflow's Task SDK."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # botocore
        response = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    detail = getattr(getattr(error, "error", None), "detail", None)  # Airflow's Task SDK
    candidates = (
        response,
        getattr(response, "status_code", None),
        *(getattr(error, name, None) for name in ("status_code", "status", "code")),
        detail.get("status_code") if isinstance(detail, dict) else None,
    )
    return next((int(found) for found in candidates if isinstance(found, int | str) and str(found).isdigit()), None)


def pauses(first: float = 1.0, longest: float = _LONGEST_PAUSE) -> Iterator[float]:
    """Growing pauses with jitter, in seconds, without an end."""
    pause = first
    while True:
        yield pause * random.uniform(0.8, 1.2)  # noqa: S311 - jitter, no secret
        pause = min(pause * 2, longest)


def outlast(operation: Callable[[], _T], sleep: Callable[[float], None]) -> _T:
    """Repeat an operation that may be repeated, for a minute of trouble that may pass; then raise as it does."""
    slept = 0.0
    growing = pauses()
    while True:
        try:
            return operation()
        except Exception as error:
            if slept >= PATIENCE or refused_for_good(error):
                raise
        pause = next(growing)
        sleep(pause)
        slept += pause


def persist(write: Callable[[], None], what: str, *, sleep: Callable[[float], None], log: Logger) -> bool:
    """Write until it is stored, or refused for good for a minute.

    :param what: What is written, as the beginning of a sentence, for the log.
    :returns: Is it stored?
    """
    slept = refused = quiet = 0.0
    growing = pauses()
    while True:
        try:
            write()
        except LedgerError as failure:
            final = refused_for_good(failure)
            refused = refused if final else 0.0
            if slept == 0 or quiet >= _LOG_EVERY:
                log.error(  # noqa: TRY400 - not a trace: what must be found is in this line
                    "%s is not stored: %s It is written again until it is.", what, failure.what
                )
                quiet = 0.0
            if refused >= PATIENCE:
                log.error("%s is not stored after %.0f s of refusals: %s", what, slept, failure.what)  # noqa: TRY400
                return False
        else:
            if slept:
                log.info("%s is stored, %.0f s late.", what, slept)
            return True
        pause = next(growing)
        sleep(pause)
        slept, quiet, refused = slept + pause, quiet + pause, refused + pause if final else 0.0
