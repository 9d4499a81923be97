"""What a storage holds of a landed job: the manifest and the files that it names, read anew and digested."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from airflow_video_providers.core.errors import InvalidRequestError, VideoProviderError
from airflow_video_providers.core.landing.manifest import MAX_BYTES, SCHEMA_VERSION, manifest_schema, without_queries
from airflow_video_providers.core.storage.open import check_output_path, open_store

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_video_providers.core.storage.base import Store

_UNSAFE = ("", ".", "..")


@dataclass(frozen=True)
class Landed:
    """A manifest as it was found.

    :param sha256: Of its bytes; None where there is none.
    :param files: Key, address, bytes and sha256 of each file that it names, as it says.
    :param problems: What is wrong, in words; empty where all is as it should be.
    """

    uri: str
    sha256: str | None = None
    record: dict[str, Any] = field(default_factory=dict)
    files: tuple[dict[str, Any], ...] = ()
    problems: tuple[str, ...] = ()


class Storages:
    """The storages of landed files, each opened once.

    :param addresses: Output paths with their connections, ``s3://conn_id@bucket/prefix``, for what lies below them.
        Anything else is read with the machine's own credentials.
    :raises InvalidRequestError: one of them is no output path.
    """

    def __init__(self, addresses: Sequence[str] = ()) -> None:
        self._given = {check_output_path(one, money="Nothing was read.").address: one for one in addresses}
        self._open: dict[str, Store] = {}

    def place(self, uri: str) -> tuple[Store, str]:
        """The storage in which an address without a connection lies, and the key there.

        :raises VideoProviderError: it cannot be opened.
        """
        try:
            parts = urlsplit(uri)
        except ValueError:
            parts = None
        if parts is None or not uri.isprintable():
            raise InvalidRequestError(f"{uri!r:.200} is no address of a landed file.", money="Nothing was read.")
        if parts.scheme in ("", "file"):
            return self._store("/"), unquote(parts.path).lstrip("/")
        below = [address for address in self._given if uri.startswith(f"{address}/")]
        root = max(below, key=len, default=f"{parts.scheme}://{parts.netloc}")
        return self._store(self._given.get(root, root)), uri[len(root) + 1 :]

    def _store(self, root: str) -> Store:
        if root not in self._open:
            self._open[root] = open_store(root)
        return self._open[root]

    def read_manifest(self, uri: str) -> Landed:
        """Read a manifest, and find what is wrong with it as a record of this package.

        :raises VideoProviderError: the storage cannot be read.
        """
        store, key = self.place(uri)
        size = store.size(key)
        if size is None:
            return Landed(uri, problems=("the manifest is missing",))
        if size > MAX_BYTES:
            return Landed(uri, problems=(f"the manifest has {size} bytes, more than a manifest",))
        data = b"".join(_as_long_as(size, store.read(key)))
        found = Landed(uri, hashlib.sha256(data).hexdigest())
        record = _record(data)
        if record is None:
            return Landed(uri, found.sha256, problems=("the manifest is no record of this package",))
        described = [*record["outputs"], *(output["poster"] for output in record["outputs"] if "poster" in output)]
        files = tuple({name: entry[name] for name in ("key", "uri", "bytes", "sha256")} for entry in described)
        astray = tuple(
            f"the manifest names {entry['uri']}, which does not lie beside it"
            for entry in files
            if not _beside(uri, entry)
        )
        return Landed(uri, found.sha256, record, () if astray else files, astray)

    def check_file(self, entry: dict[str, Any]) -> str | None:
        """What is wrong with a file that a manifest names: None where its bytes are those that landed.

        :raises VideoProviderError: the storage cannot be read.
        """
        store, key = self.place(entry["uri"])
        size = store.size(key)
        if size is None:
            return f"{entry['uri']} is missing"
        if size != entry["bytes"]:
            return f"{entry['uri']} has {size} bytes, and {entry['bytes']} landed"
        running = hashlib.sha256()
        for piece in _as_long_as(size, store.read(key)):
            running.update(piece)
        return (
            None
            if running.hexdigest() == entry["sha256"]
            else f"{entry['uri']} holds other bytes than those that landed"
        )


def _as_long_as(size: int, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The bytes of a file of this size; of one that goes on behind it only so many that their digest is another one."""
    for piece in pieces:
        yield piece
        size -= len(piece)
        if size < 0:
            return


def problem_of(error: VideoProviderError) -> str:
    """An error of a storage as a problem of what lies there."""
    if isinstance(error, InvalidRequestError):
        return error.what
    return f"the storage cannot be read ({type(error).__name__}: {error.what})"


def _record(data: bytes) -> dict[str, Any] | None:
    import jsonschema

    try:
        found = json.loads(data, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or found.get("schema_version") != SCHEMA_VERSION or without_queries(found) != found:
        return None
    return found if jsonschema.Draft202012Validator(manifest_schema()).is_valid(found) else None


def _no_constant(word: str) -> float:
    raise ValueError(word)


def _beside(uri: str, entry: dict[str, Any]) -> bool:
    """Does a file lie where a landing puts it: under the manifest's own root, at its key?"""
    parts = entry["key"].split("/")
    root = uri.rsplit("/", len(parts))[0] if uri.count("/") > len(parts) else uri
    return not any(part in _UNSAFE for part in parts) and bool(entry["uri"] == f"{root}/{entry['key']}")
