"""The bytes of a clip: checked before they are believed, and read a piece at a time."""

from __future__ import annotations

import json
import os
import re
import stat
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from airflow_video_providers.core.errors import VideoProviderError
from airflow_video_providers.core.landing.manifest import MAX_BYTES
from airflow_video_providers.core.landing.other_media import kind_of
from airflow_video_providers.core.storage.address import without_secret
from airflow_video_providers.integration.object_storage import AirflowFilesystems
from airflow_video_providers.plugin.console.clips import Clip, NoClipError

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Bytes that are in memory at a time.
PIECE = 1024 * 1024
#: Seconds for which an address that the storage signs may be used.
SIGNED_FOR = 300
#: Seconds for which a file that was checked is believed.
_BELIEVED = 300
_BEGINNINGS = {
    "mp4": re.compile(rb".{4}(ftyp|styp|moov|mdat|free|skip|wide)", re.DOTALL),
    "mov": re.compile(rb".{4}(ftyp|moov|mdat|free|skip|wide)", re.DOTALL),
    "webm": re.compile(rb"\x1a\x45\xdf\xa3"), "mkv": re.compile(rb"\x1a\x45\xdf\xa3"),
}  # fmt: skip


class Files:
    """Opens clips. What was checked once is believed for some minutes: a player asks for many ranges."""

    def __init__(self) -> None:
        self._believed: dict[Clip, float] = {}
        self._lock = threading.Lock()

    def open(self, clip: Clip) -> LocalFile | StoredFile:
        """The file, after a check of the record beside it and at its own beginning.

        :raises NoClipError: it cannot be reached, or is not what its manifest says.
        """
        file = LocalFile(clip) if clip.local else StoredFile(clip)
        try:
            with self._lock:
                believed = self._believed.get(clip, 0.0) > time.monotonic()
            if not believed:
                _check(file, clip)
                with self._lock:
                    if len(self._believed) > 1000:
                        self._believed.clear()
                    self._believed[clip] = time.monotonic() + _BELIEVED
        except BaseException:
            file.close()
            raise
        return file


def _check(file: LocalFile | StoredFile, clip: Clip) -> None:
    try:
        record = json.loads(file.record())
        entries = [one for output in record["outputs"] for one in (output, output.get("poster") or {})]
        agrees = any(
            (one.get("key"), one.get("bytes"), one.get("sha256")) == (clip.key, clip.size, clip.sha256)
            for one in entries
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        agrees = False
    if not agrees:
        raise NoClipError("The manifest beside the file says something else than the task's.")
    if not _begins_as(clip, file.read(0, 16)):
        raise NoClipError("The file does not begin as a clip does.")


def _begins_as(clip: Clip, head: bytes) -> bool:
    video = _BEGINNINGS.get(clip.key.rpartition(".")[2])
    return bool(video.match(head)) if video else kind_of(head) == clip.content_type


class LocalFile:
    """A file on a disk that this server sees.

    :raises NoClipError: it does not see it, or a link leads out of the root.
    """

    def __init__(self, clip: Clip) -> None:
        self._clip = clip
        self._handle = _open_below(clip.where.prefix, clip.key)
        if os.fstat(self._handle).st_size != clip.size:
            self.close()
            raise NoClipError("The file has another size than its manifest says.")

    def record(self) -> bytes:
        """The manifest beside it."""
        handle = _open_below(self._clip.where.prefix, self._clip.manifest_key)
        try:
            return os.pread(handle, MAX_BYTES, 0)
        finally:
            os.close(handle)

    def read(self, start: int, stop: int) -> bytes:
        """Some bytes of it."""
        return os.pread(self._handle, stop - start, start)

    def signed(self) -> None:
        """A disk signs nothing."""

    def close(self) -> None:
        """Let go of it."""
        with suppress(OSError):
            os.close(self._handle)


def _open_below(root: str, key: str) -> int:
    """A regular file whose real place is below the root's real place."""
    real_root, real = os.path.realpath(root), os.path.realpath(os.path.join(root, key))
    if os.path.commonpath((real_root, real)) != real_root:
        raise NoClipError("The file lies outside of the place that its manifest names.")
    try:
        handle = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise NoClipError(
            f"This server does not see {without_secret(real)} ({error.strerror}): it lies on a worker's own disk, or has "
            "been removed. Land to a bucket, or to a directory that the API server mounts as well."
        ) from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise NoClipError("There is no regular file.")
    return handle


class StoredFile:
    """An object in a bucket, through the Airflow connection that its manifest names.

    :raises NoClipError: the storage cannot be reached from this server.
    """

    def __init__(self, clip: Clip) -> None:
        self._clip = clip
        self._root = clip.where.root
        try:
            self._fs = AirflowFilesystems().open(clip.where)
        except VideoProviderError as failed:
            raise NoClipError(f"This server cannot reach the storage: {failed.what}") from None

    def record(self) -> bytes:
        """The manifest beside it."""
        return self._bytes(self._clip.manifest_key, 0, MAX_BYTES)

    def read(self, start: int, stop: int) -> bytes:
        """Some bytes of it: one ranged request."""
        return self._bytes(self._clip.key, start, stop)

    def _bytes(self, key: str, start: int, stop: int) -> bytes:
        try:
            return bytes(self._fs.cat_file(f"{self._root}/{key}", start=start, end=stop))
        except FileNotFoundError:
            raise NoClipError(f"There is no {self._clip.where.address}/{key} any more.") from None
        except Exception as failed:  # noqa: BLE001 - each storage's library has errors of its own
            raise NoClipError(f"The storage does not give it: {type(failed).__name__}.") from None

    def signed(self) -> str | None:
        """An address at the storage itself, good for minutes; None where it signs none."""
        with suppress(Exception):
            address = str(self._fs.sign(f"{self._root}/{self._clip.key}", expiration=SIGNED_FOR))
            return address if urlsplit(address).scheme in ("https", "http") else None
        return None

    def close(self) -> None:
        """Nothing is held."""


def pieces(file: LocalFile | StoredFile, start: int, stop: int) -> Iterator[bytes]:
    """The bytes from ``start`` up to ``stop``, some at a time."""
    try:
        while start < stop:
            piece = file.read(start, min(stop, start + PIECE))
            if not piece:
                return
            start += len(piece)
            yield piece
    finally:
        file.close()
