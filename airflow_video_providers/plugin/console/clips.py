"""A landed file, found by its manifest alone, and never anywhere else.

A manifest in XCom is what a task said, and whoever writes a DAG can say anything. So nothing is served on its word:
the record that the landing left beside the files has to say the same, the file lies below the manifest's own root,
links included, and it begins as a video, a picture or a sound does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.errors import VideoProviderError
from airflow_video_providers.core.jobs import OutputRole
from airflow_video_providers.core.landing.manifest import extension
from airflow_video_providers.core.storage.address import without_secret
from airflow_video_providers.core.storage.output_path import read_output_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_video_providers.core.storage.output_path import OutputPath

_PART = re.compile(r"[A-Za-z0-9._=-]+")


class NoClipError(Exception):
    """There is nothing to serve; its text says why, for people."""


@dataclass(frozen=True)
class Clip:
    """One landed file.

    :param where: The root that its manifest names.
    :param key: Below the root.
    :param manifest_key: Of the record that has to lie beside it.
    """

    where: OutputPath
    key: str
    manifest_key: str
    size: int
    sha256: str
    content_type: str

    @property
    def local(self) -> bool:
        """Does it lie on a disk, which may be another machine's?"""
        return not self.where.scheme

    @property
    def shown(self) -> str:
        """Its address, for people."""
        root = self.where.prefix.rstrip("/") if self.local else self.where.address
        return without_secret(f"{root}/{self.key}")


def clip_of(manifest: Mapping[str, Any], index: int, *, poster: bool = False) -> Clip:
    """The file that a manifest names, checked as far as the text says.

    :raises NoClipError: it names none, or one that no landing of this package would have named.
    """
    try:
        entry = next(one for one in manifest["outputs"] if one["index"] == index)
        first = entry
        entry = entry["poster"] if poster else entry
        key, uri, path = (str(entry[name]) for name in ("key", "uri", "path"))
        clip_type, size, sha256 = str(entry["content_type"]), int(entry["bytes"]), str(entry["sha256"])
        first_key, role = str(first["key"]), OutputRole(first.get("role", OutputRole.VIDEO))
        root, manifest_uri = path.removesuffix(f"/{key}"), str(manifest["manifest_uri"])
        manifest_key = manifest_uri.removeprefix(uri.removesuffix(key))
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError, StopIteration):
        raise NoClipError("The task's manifest names no such file.") from None
    named = (
        root != path
        and uri.endswith(f"/{key}")
        and manifest_key != manifest_uri
        and size > 0
        and all(map(_plain_key, (key, manifest_key)))
        and key.rpartition(".")[2] == ("jpg" if poster else extension(role, clip_type) or None)
        and (not poster or clip_type == "image/jpeg")
        and _beside(manifest_key, first_key, index, role)
        and (not poster or key.rpartition(".")[0] == first_key.rpartition(".")[0])
    )
    try:
        where = read_output_path(root or "/")
    except VideoProviderError:
        named = False
    if not named or (where.scheme and not where.family):
        raise NoClipError("The task's manifest names a file where no landing of this package puts one.")
    return Clip(where, key, manifest_key, size, sha256, clip_type)


def _plain_key(key: str) -> bool:
    return all(_PART.fullmatch(part) and not part.startswith(".") for part in key.split("/"))


def _beside(manifest_key: str, key: str, index: int, role: OutputRole) -> bool:
    """Do both come from one layout, with the manifest's name in place of the output's number and role?"""
    stem, record = key.rpartition(".")[0], manifest_key.removesuffix(".json")
    number = str(index) if role is OutputRole.VIDEO else f"{index}-{role.replace('_', '-')}"
    return manifest_key.endswith(".json") and any(
        record == f"{stem[: at.start()]}manifest{stem[at.end() :]}" for at in re.finditer(re.escape(number), stem)
    )


def asked_range(header: str | None, size: int) -> tuple[int, int] | None:
    """The one range that a header asks for, as start and stop; None for all of it.

    :raises ValueError: it lies outside of the file.
    """
    found = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", (header or "").strip())
    if found is None or found[0] == "bytes=-":
        return None
    first, last = found[1], found[2]
    if not first:
        start, stop = max(0, size - int(last)), size
    else:
        start, stop = int(first), min(size, int(last) + 1) if last else size
    if start >= size or stop <= start:
        raise ValueError("no such range")
    return start, stop
