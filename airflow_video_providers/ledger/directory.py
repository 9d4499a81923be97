"""The ledger in a directory, on local or object storage: shared by all tasks, on every version of Airflow.

One directory belongs to one Airflow deployment: two deployments that run the same DAG would take each
other's jobs for their own. Every worker has to reach the same one. Nothing in it may be deleted while a
run can still be cleared. No prompt, key or signed address is written.
"""

from __future__ import annotations

import json
import os
import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_video_providers.exceptions import LedgerError
from airflow_video_providers.ledger.records import digest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_video_providers.ledger.records import Key

_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.+")
_LONGEST_PART = 150


def encode(part: str) -> str:
    """A part of a key as a file name: readable, the same on every backend, and different for different parts."""
    safe = "".join(c if c in _PLAIN else "".join(f"={byte:02X}" for byte in c.encode()) for c in part)
    if safe.startswith("."):
        safe = "=2E" + safe[1:]
    if len(safe) > _LONGEST_PART:
        safe = f"{safe[:100]}=={digest(part)[:32]}"
    return safe


def _render(value: dict[str, Any]) -> bytes:
    return json.dumps(value, indent=1, sort_keys=True).encode()


def _parse(text: bytes, name: object) -> dict[str, Any]:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise TypeError(f"{name} is not a record")
    return value


class LocalDirectory:
    """A directory that every worker mounts. Create-only is ``os.link``: a whole record or none.

    Holds on local file systems and on NFS; a file system without hard links refuses it with its own error.

    :param root: Has to exist: a volume that is not mounted must not look like an empty ledger.
    """

    shared = True

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise FileNotFoundError(f"{root} is not a directory; create it, or mount it on this worker")
        self._root = root

    def read(self, key: Key) -> dict[str, Any] | None:
        """The record, or None where there is none."""
        path = self._path(key)
        try:
            return _parse(path.read_bytes(), path)
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
            spool.unlink()
        _sync(path.parent)
        return True

    def holds(self, key: Key, claim: str) -> bool:
        """Is it the record with this claim that stands there?"""
        return (self.read(key) or {}).get("claim") == claim

    def replace(self, key: Key, value: dict[str, Any]) -> None:
        """Write the record, atomically."""
        path = self._path(key)
        self._spool(path, value).replace(path)
        _sync(path.parent)

    def list(self, prefix: Key) -> Iterator[dict[str, Any]]:
        """All records below ``prefix``."""
        for path in sorted(self._root.joinpath(*map(encode, prefix)).rglob("*.json")):
            yield _parse(path.read_bytes(), path)

    def _path(self, key: Key) -> Path:
        *folders, name = map(encode, key)
        return self._root.joinpath(*folders, f"{name}.json")

    def _spool(self, path: Path, value: dict[str, Any]) -> Path:
        for folder in reversed(path.relative_to(self._root).parents[:-1]):
            directory = self._root / folder
            if not directory.is_dir():
                directory.mkdir(exist_ok=True)
                _sync(directory.parent)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
        with os.fdopen(handle, "wb") as file:
            file.write(_render(value))
            file.flush()
            os.fsync(file.fileno())
        return Path(name)


def _sync(directory: Path) -> None:
    """Make a new name survive a crash of the machine."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class ObjectDirectory:
    """A prefix in a bucket or container. Create-only is the storage's own conditional write.

    S3 has ``If-None-Match``, Google Cloud Storage a generation of 0, Azure ``overwrite=False``. A service that
    accepts the condition and ignores it would let two tries buy, so the first write of each process proves
    it on a marker. On S3 the connection needs ``s3:ListBucket`` too: without it a missing record answers 403.

    :param filesystem: An fsspec filesystem for one of :data:`EXCLUSIVE`.
    :param root: The prefix, as that filesystem writes it.
    """

    #: Protocols whose filesystem is known to have create-only writes.
    EXCLUSIVE = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "adl"})
    shared = True

    def __init__(self, filesystem: Any, root: str) -> None:
        self._fs = filesystem
        self._root = root.rstrip("/")
        self._proven = False

    def read(self, key: Key) -> dict[str, Any] | None:
        """The record, or None where there is none."""
        path = self._path(key)
        try:
            return _parse(self._fs.cat_file(path), path)
        except FileNotFoundError:
            return None

    def create(self, key: Key, value: dict[str, Any]) -> bool:
        """Write the record if it is not there."""
        if not self._proven:
            self._prove()
        return self._create(key, value)

    def holds(self, key: Key, claim: str) -> bool:
        """Is it the record with this claim that stands there?"""
        return (self.read(key) or {}).get("claim") == claim

    def replace(self, key: Key, value: dict[str, Any]) -> None:
        """Write the record; on object storage a write is whole or does not happen."""
        self._fs.pipe_file(self._path(key), _render(value))

    def list(self, prefix: Key) -> Iterator[dict[str, Any]]:
        """All records below ``prefix``."""
        self._fs.invalidate_cache()
        found = self._fs.find("/".join([self._root, *map(encode, prefix)]))
        records = [path for path in found if path.endswith(".json")]
        if records:  # all at once; fsspec raises FileNotFoundError for none
            for path, text in sorted(self._fs.cat(records).items()):
                yield _parse(text, path)

    def _create(self, key: Key, value: dict[str, Any]) -> bool:
        try:
            self._fs.pipe_file(self._path(key), _render(value), mode="create")
        except Exception:
            # Refused, or repeated below us after a lost answer, or not written at all: the record tells.
            stored = self.read(key)
            if stored is None:
                raise
            return stored == value
        return True

    def _prove(self) -> None:
        marker = ("ledger",)
        for _ in range(2):  # the first one may be the first of all
            if not self._create(marker, {"claim": uuid.uuid4().hex}):
                self._proven = True
                return
        raise LedgerError(
            "This storage ignores create-only writes: two tries could both buy.",
            remedy="Set [video_providers] ledger_path to a storage that honours them.",
        )

    def _path(self, key: Key) -> str:
        return "/".join([self._root, *map(encode, key)]) + ".json"
