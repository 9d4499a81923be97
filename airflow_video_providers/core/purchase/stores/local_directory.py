"""The ledger in a directory that every worker mounts."""

from __future__ import annotations

import errno
import os
import stat
import uuid
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.purchase.stores.base import LARGEST, DamagedRecordError, Found, parse
from airflow_video_providers.core.purchase.stores.naming import decode, encode, render

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_video_providers.core.purchase.records import Key

#: What file systems say that cannot sync, or cannot sync a directory. A crash of the machine may then lose a name.
_NO_SYNC = frozenset({
    errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF, errno.EACCES, errno.EPERM, errno.EISDIR,
    errno.ENOTTY,
})  # fmt: skip


class LocalDirectory:
    """A directory that every worker mounts. Create-only is ``os.link``: a whole record or none.

    Holds on local file systems and on NFS; a file system without hard links refuses it with its own error. Modes
    are what the umask leaves, so that a group may share the directory. Only regular files are opened.

    :param root: Has to exist: a volume that is not mounted must not look like an empty ledger.
    """

    shared = True

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise FileNotFoundError(f"{root} is not a directory; create it, or mount it on this worker")
        self._root = root

    def read(self, key: Key) -> dict[str, Any] | None:
        """The record, or None where there is none."""
        try:
            return _read(self._path(key))
        except FileNotFoundError:
            return None

    def create(self, key: Key, value: dict[str, Any]) -> bool:
        """Write the record if it is not there."""
        path = self._path(key)
        spool = self._spool(path, value)
        try:
            os.link(spool, path)
        except FileExistsError:
            # NFS may repeat a link whose answer was lost: then it is our own record that stands there.
            return self.read(key) == value
        finally:
            spool.unlink(missing_ok=True)
        _sync_directory(path.parent)
        return True

    def holds(self, key: Key, claim: str) -> bool:
        """Is it the record with this claim that stands there?"""
        return (self.read(key) or {}).get("claim") == claim

    def replace(self, key: Key, value: dict[str, Any]) -> None:
        """Write the record, atomically."""
        path = self._path(key)
        spool = self._spool(path, value)
        try:
            spool.replace(path)
        finally:
            spool.unlink(missing_ok=True)
        _sync_directory(path.parent)

    def remove(self, key: Key) -> None:
        """Delete the record, if it is there."""
        self._path(key).unlink(missing_ok=True)

    def names(self, prefix: Key) -> list[str]:
        """The last parts of the keys below ``prefix``."""
        return [key[-1] for path in _below(self._root.joinpath(*map(encode, prefix))) if (key := self._key(path))]

    def list(self, prefix: Key) -> Iterator[Found]:
        """All records below ``prefix``."""
        for path in _below(self._root.joinpath(*map(encode, prefix))):
            if (found := self.found(path)) is not None:
                yield found

    @property
    def root(self) -> Path:
        """The directory."""
        return self._root

    def found(self, path: Path) -> Found | None:
        """The record in one file below the root, as a listing finds it; None where it has gone since."""
        name, key = str(path), self._key(path)
        try:
            return Found(name, key, _read(path))
        except FileNotFoundError:
            return None
        except DamagedRecordError as damage:
            return Found(name, key, why=damage.why)
        except OSError as error:
            return Found(name, key, why=f"cannot be read ({error.strerror or error})")

    def _key(self, path: Path) -> Key | None:
        return decode(path.relative_to(self._root).with_suffix("").parts)

    def _path(self, key: Key) -> Path:
        *folders, name = map(encode, key)
        return self._root.joinpath(*folders, f"{name}.json")

    def _spool(self, path: Path, value: dict[str, Any]) -> Path:
        for folder in reversed(path.relative_to(self._root).parents[:-1]):
            directory = self._root / folder
            if not directory.is_dir():
                directory.mkdir(exist_ok=True)
                _sync_directory(directory.parent)
        spool = path.parent / f".{uuid.uuid4().hex}.part"
        handle = os.open(spool, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)  # less the umask
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(render(value))
                file.flush()
                _sync(file.fileno())
        except BaseException:
            with suppress(OSError):
                spool.unlink()
            raise
        return spool


def _below(top: Path) -> list[Path]:
    """Everything below ``top`` that is named as a record is, whatever it is."""
    return sorted(
        Path(folder, name)
        for folder, folders, files in os.walk(top)
        for name in [*files, *folders]
        if name.endswith(".json") and not name.startswith(".")
    )


def _read(path: Path) -> dict[str, Any]:
    """What a regular file holds. A pipe would hold up whoever opens it, and a link leads elsewhere."""
    name = str(path)
    kind = os.lstat(path).st_mode
    if not stat.S_ISREG(kind):
        raise DamagedRecordError(name, "is no regular file")
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise DamagedRecordError(name, "is no regular file")
        return parse(file.read(LARGEST + 1), name)


def _sync_directory(directory: Path) -> None:
    """Make a new name survive a crash of the machine, where the file system can."""
    try:
        handle = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in _NO_SYNC:
            return
        raise
    try:
        _sync(handle)
    finally:
        os.close(handle)


def _sync(handle: int) -> None:
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
