"""What takes the ledger's records into the index: only what has changed since, whatever keeps the ledger."""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from airflow_video_providers.core.purchase.records import SUBMITS
from airflow_video_providers.core.purchase.settlements import KIND
from airflow_video_providers.core.purchase.stores.base import LARGEST

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow_video_providers.core.purchase.records import Key
    from airflow_video_providers.core.purchase.stores.base import Found
    from airflow_video_providers.core.purchase.stores.local_directory import LocalDirectory
    from airflow_video_providers.core.purchase.stores.object_directory import ObjectDirectory
    from airflow_video_providers.plugin.console.index import Index

#: What the pages read of a ledger.
KINDS = (SUBMITS, KIND)
#: A folder that changed this recently may change again without showing it: its time has a coarse grain.
_SETTLED_NS = 2 * 10**9
#: What of a listing changes with a write, and when that was; each storage has its own words.
_TIMES = ("LastModified", "last_modified", "updated", "mtime", "created")
_VERSION = ("ETag", "etag", "md5Hash", "size", *_TIMES)


#: What one slice may cost, in checks of a folder: a tenth of a second of CPU, as measured.
SLICE = 25_000
#: What each step costs: a check that finds nothing changed, a listing, a record that is read, an object of a bucket.
CHECK, LIST, RECORD, OBJECT = 1, 6, 25, 250


@dataclass(frozen=True)
class Progress:
    """How much of what has changed is in the index.

    :param total: None as long as more may be found.
    """

    done: int
    total: int | None = None


class Feed(Protocol):
    """Keeps an index up to date."""

    #: Seconds for which an index counts as up to date.
    fresh_for: float

    def slices(self, index: Index) -> Iterator[Progress]:
        """Take in what has changed, a slice at each step; what fits into one ends without a word of progress.

        How jobs ended comes before who bought them, so that an index that is not whole yet shows nothing as bought and
        not landed that has landed.
        """


@dataclass
class _Changes:
    """What a walk has found: records to read with their versions and times, and those that are gone."""

    records: list[tuple[str, str, float]] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)


class DirectoryFeed:
    """A directory. Writing a record changes its folder's time, so that what has not changed costs one check each."""

    fresh_for = 2.0

    def __init__(self, store: LocalDirectory) -> None:
        self._store = store

    def slices(self, index: Index) -> Iterator[Progress]:
        """Read the folders that have changed since they were read."""
        os.stat(self._store.root)  # a volume that is no longer mounted is no empty ledger
        known, held, left = index.folders(), _Held(index), SLICE
        below, seen, changed, found = _children(known), set[str](), dict[str, int](), _Changes()
        waiting = [str(self._store.root / kind) for kind in KINDS]
        while waiting:
            if left <= 0:
                yield Progress(len(found.records))
                left = SLICE
            folder = waiting.pop()
            left -= CHECK
            try:
                stamp = os.stat(folder).st_mtime_ns
            except FileNotFoundError:
                continue
            seen.add(folder)
            if known.get(folder) == stamp:
                waiting += below.get(folder, ())
                continue
            left -= LIST
            changed[folder] = stamp if time.time_ns() - stamp > _SETTLED_NS else 0
            waiting += self._list(folder, held.versions(folder), found)
        done, total = 0, len(found.records)
        while done < total:
            if left < RECORD:
                yield Progress(done, total)
                left = SLICE
            batch = found.records[done : done + left // RECORD]
            self._take_in(index, batch)
            done, left = done + len(batch), left - RECORD * len(batch)
        os.stat(self._store.root)
        lost = known.keys() - seen
        found.gone += [source for folder in lost for source in held.versions(folder)]
        if found.gone or lost or changed:
            with index.writing():
                index.remove(found.gone)
                index.know_folders(changed, lost)

    @staticmethod
    def _list(folder: str, before: dict[str, str], found: _Changes) -> list[str]:
        """Note which records of a folder are new, have changed, or are gone; returns the folders in it."""
        folders, present = [], set()
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if not entry.name.endswith(".json"):
                    folders += [entry.path] if entry.is_dir(follow_symlinks=False) else []
                    continue
                present.add(entry.path)
                status = entry.stat(follow_symlinks=False)
                version = f"{status.st_mtime_ns} {status.st_ino} {status.st_size}"
                if before.get(entry.path) != version:
                    found.records.append((entry.path, version, status.st_mtime))
        found.gone += before.keys() - present
        return folders

    def _take_in(self, index: Index, batch: list[tuple[str, str, float]]) -> None:
        with index.writing():
            for path, version, at in batch:
                if (found := self._store.found(Path(path))) is not None:
                    _take_in(index, found, version, at)


class _Held:
    """What an index holds of each folder; asked for only where something has changed."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._folders: dict[str, dict[str, str]] | None = None

    def versions(self, folder: str) -> dict[str, str]:
        if self._folders is None:
            self._folders = {}
            for source, stamp in self._index.stamps().items():
                self._folders.setdefault(source.rpartition("/")[0], {})[source] = stamp
        return self._folders.get(folder, {})


class BucketFeed:
    """A prefix in a bucket: one listing, and what is new or another version is read."""

    fresh_for = 60.0

    def __init__(self, store: ObjectDirectory) -> None:
        self._store = store

    def slices(self, index: Index) -> Iterator[Progress]:
        """List, which is one step, and read what has changed."""
        listed = {path: info for kind in reversed(KINDS) for path, info in self._store.listed((kind,)).items()}
        versions = {path: " ".join(str(info.get(name)) for name in _VERSION) for path, info in listed.items()}
        known = index.stamps()
        changed = [path for path, version in versions.items() if known.get(path) != version]
        if gone := known.keys() - versions.keys():
            with index.writing():
                index.remove(gone)
        step = SLICE // OBJECT
        for start in range(0, len(changed), step):
            if start:
                yield Progress(start, len(changed))
            with index.writing():
                for found in self._store.found(changed[start : start + step]):
                    _take_in(index, found, versions[found.name], _written(listed[found.name]))


def _written(info: dict[str, Any]) -> float:
    """When an object was written, as its storage says; now where it does not."""
    for moment in (info.get(name) for name in _TIMES):
        if isinstance(moment, datetime):
            return in_utc(moment)
        if isinstance(moment, str):
            with suppress(ValueError):
                return in_utc(datetime.fromisoformat(moment))
    return time.time()


def in_utc(moment: datetime) -> float:
    """Seconds since the epoch; a time without a zone is one in UTC."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _children(folders: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for folder in folders:
        found.setdefault(folder.rpartition("/")[0], []).append(folder)
    return found


def _take_in(index: Index, found: Found, version: str, at: float) -> None:
    key: Key | None = found.key
    if found.value is None:
        index.put_flaw(found.name, version, key, found.why or "is no record")
        return
    index.put(found.name, version, key, json.dumps(found.value)[: LARGEST + 1], at)
