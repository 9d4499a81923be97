"""The worker's own disk, or one that is mounted there: a link or a rename, and both the file and its name are synced."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_video_providers.core.errors import LandingError
from airflow_video_providers.core.storage.base import VerifiedFile, file_pieces, replaced

if TYPE_CHECKING:
    from collections.abc import Iterator

# some mounted file systems know no sync, of a directory above all; the bytes are as safe there as they can be
_NO_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF)
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS, errno.EACCES)


class LocalStore:
    """A directory.

    :param root: Absolute path.
    """

    def __init__(self, root: str) -> None:
        self._root = os.path.abspath(root)
        self.uri = self.path = Path(self._root).as_uri()

    def _at(self, key: str) -> str:
        return os.path.join(self._root, *key.split("/"))

    def spool_directory(self, key: str) -> str:
        """The final directory itself, so that the move is within one file system."""
        directory = os.path.dirname(self._at(key))
        try:
            os.makedirs(directory, exist_ok=True)
        except OSError as failed:
            raise _refused(directory, failed) from failed
        return directory

    def spool_mode(self) -> int:
        """What any program's new file has, for it becomes the landed one."""
        return 0o666

    def size(self, key: str) -> int | None:
        """Bytes in the file, None where there is none."""
        try:
            found = _stat(self._at(key))
        except OSError as failed:
            raise _refused(self._at(key), failed) from failed
        return None if found is None else found.st_size

    def holds(self, key: str, size: int, sha256: str) -> bool:  # noqa: ARG002 # other storages have it at hand
        """Is a file of this size stored there?"""
        return self.size(key) == size

    def read(self, key: str) -> Iterator[bytes]:
        """The file in pieces."""
        try:
            yield from file_pieces(self._at(key))
        except OSError as failed:
            raise _refused(self._at(key), failed) from failed

    def remove(self, key: str) -> None:
        """Remove the file, if there is one."""
        try:
            Path(self._at(key)).unlink(missing_ok=True)
        except OSError as failed:
            raise _refused(self._at(key), failed) from failed

    def put(self, verified: VerifiedFile, key: str, *, overwrite: bool) -> None:
        """Give the spooled file its name: it is there whole or not at all, also after a power cut."""
        final = self._at(key)
        try:
            _sync(verified.path)
            written = os.stat(verified.path)
            ours = written.st_dev, written.st_ino
            if overwrite:
                os.replace(verified.path, final)
            else:
                _link(verified.path, final)
            _sync(os.path.dirname(final))
            stored = _stat(final)
        except FileExistsError:
            raise
        except OSError as failed:
            raise _refused(final, failed) from failed
        if stored is None or (stored.st_dev, stored.st_ino) != ours:
            raise replaced(final)
        if stored.st_size != verified.size:
            self.remove(key)  # nothing unverified keeps its final name
            raise LandingError(
                f"{final} has {stored.st_size} bytes after {verified.size} were written.", reason="stored"
            )


def _stat(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


def _link(source: str, final: str) -> None:
    try:
        os.link(source, final)
    except FileExistsError:
        raise
    except OSError as failed:
        if failed.errno not in _NO_LINKS:
            raise
        # a file system without hard links: the check and the rename are two steps, which is the best there is
        if os.path.lexists(final):
            raise FileExistsError(final) from None
        os.replace(source, final)
    else:
        os.unlink(source)


def _sync(path: str) -> None:
    try:
        handle = os.open(path, os.O_RDONLY)
    except PermissionError:
        return  # a directory to write to and not to read: nothing there can be asked for
    try:
        os.fsync(handle)
    except OSError as failed:
        if failed.errno not in _NO_SYNC:
            raise
    finally:
        os.close(handle)


def _refused(path: str, failed: OSError) -> LandingError:
    return LandingError(
        f"{path} cannot be used: {failed.strerror or failed}.",
        reason="storage",
        remedy="Let the worker read and write there, then run the download again: the job is paid for and is not "
        "bought again.",
    )
