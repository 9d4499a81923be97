"""What a storage is: where a landed file goes.

Nothing is ever opened for writing under a final name: fsspec commits what was written so far when an
exception leaves such a ``with``. A store takes a finished, verified local file, puts it in one step, and
checks what the storage then holds.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from airflow_video_providers.core.errors import InvalidRequestError, LandingError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_video_providers.core.storage.output_path import OutputPath

_BLOCK = 4 * 1024 * 1024
_ENCRYPTION = ("ServerSideEncryption", "SSEKMSKeyId", "SSEKMSEncryptionContext", "BucketKeyEnabled")


@dataclass(frozen=True)
class VerifiedFile:
    """A verified local file and what is known about it."""

    path: str
    size: int
    sha256: str
    content_type: str
    metadata: dict[str, str]

    @cached_property
    def md5(self) -> bytes:
        """The digest that some storages speak; not asked for where it is not needed."""
        running = hashlib.md5(usedforsecurity=False)
        for piece in file_pieces(self.path):
            running.update(piece)
        return running.digest()


class Store(Protocol):
    """What landing needs of a storage. Keys are relative to the store's root, with slashes."""

    #: The root's address without the connection, as Athena or another program names it.
    uri: str
    #: The root's address for ``ObjectStoragePath``, with the connection.
    path: str

    def spool_directory(self, key: str) -> str:
        """The local directory in which a download for ``key`` grows."""

    def spool_mode(self) -> int:
        """Permissions of the growing file, before the umask."""

    def size(self, key: str) -> int | None:
        """Bytes stored under a key, None where there is nothing."""

    def holds(self, key: str, size: int, sha256: str) -> bool:
        """Is a file of this size stored there? Its digest counts where the storage has one at hand."""

    def read(self, key: str) -> Iterator[bytes]:
        """The stored bytes, in pieces."""

    def remove(self, key: str) -> None:
        """Remove what is stored under a key, if anything is."""

    def put(self, verified: VerifiedFile, key: str, *, overwrite: bool) -> None:
        """Store a file in one step, and check what is stored then.

        :raises FileExistsError: if there is something and ``overwrite`` is False.
        :raises LandingError: if the storage refuses, or holds something else afterwards.
        """


def check_encryption(
    encryption: Mapping[str, Any] | None, where: OutputPath | None, *, money: str | None = None
) -> None:
    """Are these arguments that S3 takes? A key of one's own is not among them: it would stand in clear text.

    :param encryption: ``ServerSideEncryption`` (``"aws:kms"``), ``SSEKMSKeyId``, ``SSEKMSEncryptionContext``,
        ``BucketKeyEnabled``.
    :param where: The output path, where it is known; of the storages S3 alone takes such arguments.
    :raises InvalidRequestError: if one of them is none of these, or the storage is not S3.
    """
    if not encryption:
        return
    allowed = ", ".join(_ENCRYPTION)
    wrong = (
        sorted(str(name)[:60] for name in encryption if name not in _ENCRYPTION)
        if isinstance(encryption, Mapping)
        else ["it"]
    )
    if wrong:
        what = f"encryption holds {', '.join(wrong)}; S3 takes {allowed}."
    elif where is not None and where.family != "s3":
        what = "encryption is an argument of S3; other storages encrypt as their owner has set them up."
    else:
        return
    raise InvalidRequestError(what, field="encryption", value=wrong or None, allowed=allowed, money=money)


def final(error: LandingError) -> LandingError:
    """The error, where a retry cannot help: somebody has to correct something first."""
    return error.replace(retryable=False)


def conflict(what: str, remedy: str | None = None) -> LandingError:
    """The error for a name that holds something else: a retry cannot help, somebody has to check."""
    remedy = remedy or "Check it; then remove it, or land with overwrite=True. The job is not bought again."
    return final(LandingError(f"{what}.", reason="conflict", remedy=remedy))


def replaced(where: str) -> LandingError:
    """The error for a name under which somebody else has stored something since: it is theirs, and is left alone."""
    return LandingError(
        f"{where} was written by another program at the same moment.",
        reason="replaced",
        remedy="Run the download again: it finds out what is there now. The job is paid for and is not bought again.",
    )


def sha256_of(pieces: Iterator[bytes]) -> str:
    """Digest of a stream of bytes, in hexadecimal."""
    running = hashlib.sha256()
    for piece in pieces:
        running.update(piece)
    return running.hexdigest()


def open_regular(path: str) -> BinaryIO:
    """A regular file, to be read: a device may never end, and whoever opens a named pipe waits for a writer, who may never come.

    :raises OSError: also where it is anything else.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "it is no regular file", path)
    return os.fdopen(handle, "rb")


def file_pieces(path: str, block: int = _BLOCK) -> Iterator[bytes]:
    """A local file in pieces.

    :raises OSError: also where it is no regular file.
    """
    with open_regular(path) as file:
        while piece := file.read(block):
            yield piece
