"""The local file that a download grows in, until it is verified.

Each one is locked as long as its process lives. A process that was killed leaves its file behind, unlocked,
and the next landing on this machine sweeps it away; files of other machines (on a shared disk) go after a day.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import secrets
import shutil
import socket
import stat
import tempfile
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from airflow_video_providers.core.errors import DownloadError

if TYPE_CHECKING:
    from types import TracebackType

_PREFIX = ".airflow-video-"
_SUFFIX = ".part"
_FOREIGN_AGE = 86_400.0
_SPARE = 16 * 1024 * 1024
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def _machine() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def sweep(directory: str, *, now: float | None = None) -> None:
    """Remove what killed landings left in a directory.

    :param directory: Where to search; files of other makers are not touched.
    :param now: Seconds since the epoch, by default the clock's.
    """
    try:
        names = [name for name in os.listdir(directory) if name.startswith(_PREFIX) and name.endswith(_SUFFIX)]
    except OSError:  # nothing there, or not to be listed: whether a landing can work there is its spool's to say
        return
    for name in names:
        path = os.path.join(directory, name)
        try:
            handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
        except OSError:  # gone, or somebody else's
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            age = (time.time() if now is None else now) - os.fstat(handle).st_mtime
            # a lock is only known to hold on the machine that took it
            if name.startswith(f"{_PREFIX}{_machine()}-") or age > _FOREIGN_AGE:
                os.unlink(path)
        except OSError:  # locked: its landing lives
            continue
        finally:
            os.close(handle)


class Spool:
    """A locked temporary file. Left as a context it is gone, unless its store moved it away.

    :param directory: Where it lies; for a local store the final directory, so that the move is atomic.
    :param mode: Its permissions before the umask; the landed file keeps them where it is only moved.
    :raises DownloadError: if it cannot be made or locked there.
    """

    def __init__(self, directory: str, mode: int = 0o600) -> None:
        self._handle, self.path = _create(directory, mode)
        self._directory = directory

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()

    def discard(self) -> None:
        """Remove the file and let go of it; a second call does nothing."""
        if self._handle < 0:
            return
        try:
            os.unlink(self.path)
        except OSError:
            pass  # it has its final name by now; what cannot be removed is swept later, and undoes no landing
        finally:
            os.close(self._handle)
            self._handle = -1

    def write(self, data: bytes) -> None:
        """Append.

        :raises DownloadError: if the disk is full or fails.
        """
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._handle, view) :]
        except OSError as failed:
            raise _refused(self._directory, "write to", failed) from failed

    def restart(self) -> None:
        """Forget everything that was written."""
        try:
            os.ftruncate(self._handle, 0)
            os.lseek(self._handle, 0, os.SEEK_SET)
        except OSError as failed:
            raise _refused(self._directory, "write to", failed) from failed

    def require_room(self, size: int) -> None:
        """Refuse before the first byte what does not fit.

        :param size: Bytes still to come.
        :raises DownloadError: if the disk has not that much room, and a little to spare.
        """
        try:
            free = shutil.disk_usage(self._directory).free
        except OSError as failed:
            raise _refused(self._directory, "read the free space of", failed) from failed
        if free < size + _SPARE:
            raise DownloadError(
                f"{size} bytes are to come, {_SPARE} more are kept free, and {self._directory} has {free}.",
                reason="disk_full",
                remedy=f"Make room for {size + _SPARE - free} bytes there, or let TMPDIR (for a landing on disk: output_path) "
                "name another directory; then run the download again: the job is paid for and is not bought again.",
            )


def private_directory(name: str) -> str:
    """A directory for temporary files that nobody else can plant anything in; made where it is missing.

    :param name: Its name below the system's directory for temporary files (``TMPDIR``).
    :raises DownloadError: if it is somebody else's, a link, or writable by others. Nothing was bought.
    """
    path = os.path.join(tempfile.gettempdir(), name)
    try:
        with suppress(FileExistsError):
            os.mkdir(path, 0o700)
        found = os.lstat(path)
        why = None
        if not stat.S_ISDIR(found.st_mode):
            why = "is no directory"
        elif found.st_uid != os.getuid():
            why = "belongs to another user"
        elif found.st_mode & 0o022:
            why = "can be written to by others"
        elif found.st_mode & 0o077:
            os.chmod(path, 0o700)
    except OSError as failed:
        why = f"cannot be used ({failed.strerror or failed})"
    if why is None:
        return path
    raise DownloadError(
        f"{path} {why}: what lies there may be anybody's.",
        reason="storage",
        remedy="Find out who made it and remove it, or let TMPDIR name another directory; then run the task again.",
        charged="no",
    )


def _create(directory: str, mode: int) -> tuple[int, str]:
    for _ in range(100):
        path = os.path.join(directory, f"{_PREFIX}{_machine()}-{secrets.token_hex(8)}{_SUFFIX}")
        # not mkstemp: its 0600 would stay on a landed file, where the umask has the word
        try:
            handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, mode)
        except OSError as failed:
            raise _refused(directory, "make a file in", failed) from failed
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if os.fstat(handle).st_nlink:
                return handle, path
        except OSError as failed:  # a network disk without locks
            with suppress(OSError):
                os.unlink(path)
            os.close(handle)
            raise _refused(directory, "lock a file in", failed) from failed
        os.close(handle)  # a sweep came between creation and lock
    raise DownloadError(f"No temporary file can be made in {directory}.", reason="disk_full")


def _refused(directory: str, verb: str, failed: OSError) -> DownloadError:
    return DownloadError(
        f"The worker cannot {verb} {directory}: {failed.strerror or failed}.",
        reason="disk_full" if failed.errno in _FULL else "storage",
        remedy="Make room there, let the worker write and lock files there, or let TMPDIR (for a landing on disk: "
        "output_path) name another directory; then run the download again: the job is paid for and is not bought again.",
    )
