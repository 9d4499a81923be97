"""The ledger in a bucket or container: shared by all tasks, on every version of Airflow.

One directory belongs to one Airflow deployment: two deployments that run the same DAG would take each
other's jobs for their own. Every worker has to reach the same one. Nothing in it may be deleted while a
run can still be cleared. No prompt, key or signed address is written.
"""

from __future__ import annotations

import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.errors import LedgerError
from airflow_video_providers.core.purchase.stores.base import LARGEST, DamagedRecordError, Found, parse
from airflow_video_providers.core.purchase.stores.local_directory import LocalDirectory
from airflow_video_providers.core.purchase.stores.naming import decode, encode, render

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_video_providers.core.purchase.records import Key

__all__ = ["LocalDirectory", "ObjectDirectory"]

#: Requests under way, and records in memory, while a listing is read.
_READ_AT_ONCE = 32
_HELD_AT_ONCE = 512


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
            return parse(self._fs.cat_file(path), path)
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
        self._fs.pipe_file(self._path(key), render(value))

    def remove(self, key: Key) -> None:
        """Delete the record, if it is there."""
        with suppress(FileNotFoundError):
            self._fs.rm_file(self._path(key))

    def names(self, prefix: Key) -> list[str]:
        """The last parts of the keys below ``prefix``."""
        return [key[-1] for path in self._below(prefix) if (key := self._key(path))]

    def list(self, prefix: Key) -> Iterator[Found]:
        """All records below ``prefix``: read side by side, so many at once and no more."""
        below = self._below(prefix)
        sound = [path for path, size in below.items() if size <= LARGEST]
        for path in below.keys() - set(sound):
            yield Found(path, self._key(path), why=f"has {below[path]} bytes, more than a record")
        yield from self.found(sound)

    def found(self, sound: Sequence[str]) -> Iterator[Found]:
        """The records at these addresses: read side by side, so many at once and no more."""
        for start in range(0, len(sound), _HELD_AT_ONCE):
            batch = sound[start : start + _HELD_AT_ONCE]
            texts: dict[str, Any] = self._fs.cat(batch, on_error="return", batch_size=_READ_AT_ONCE)
            for path, text in sorted(texts.items()):
                if isinstance(text, FileNotFoundError):
                    continue  # it has gone since
                yield self._found(path, text)

    def _found(self, path: str, text: Any) -> Found:
        key = self._key(path)
        if isinstance(text, Exception):
            return Found(path, key, why=f"cannot be read ({type(text).__name__}: {text})")
        try:
            return Found(path, key, parse(text, path))
        except DamagedRecordError as damage:
            return Found(path, key, why=damage.why)

    def _below(self, prefix: Key) -> dict[str, int]:
        """Addresses and sizes of the records below ``prefix``."""
        return {path: int(info.get("size") or 0) for path, info in self.listed(prefix).items()}

    def listed(self, prefix: Key) -> dict[str, dict[str, Any]]:
        """Addresses of the records below ``prefix``, and what the storage says of each: size, time, digest."""
        self._fs.invalidate_cache()
        found = self._fs.find("/".join([self._root, *map(encode, prefix)]), detail=True)
        return {path: info for path, info in sorted(found.items()) if path.endswith(".json")}

    def _key(self, path: str) -> Key | None:
        inside = path.removesuffix(".json").partition(f"{self._root.strip('/')}/")[2]
        return decode(inside.split("/")) if inside else None

    def _create(self, key: Key, value: dict[str, Any]) -> bool:
        try:
            self._fs.pipe_file(self._path(key), render(value), mode="create")
        except Exception:
            # Refused, or repeated below us after a lost answer, or not written at all: the record shows.
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
