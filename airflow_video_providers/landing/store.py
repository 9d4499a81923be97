"""Where a landed file goes. One spot in landing knows Airflow, and only when a connection is asked for.

Nothing is ever opened for writing under a final name: fsspec commits what was written so far when an
exception leaves such a ``with``. A store takes a finished, verified local file, puts it in one step, and
looks at what the storage then holds.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from airflow_video_providers.exceptions import InvalidRequestError, LandingError
from airflow_video_providers.held_connection import held
from airflow_video_providers.landing.output_path import OutputPath, read_output_path
from airflow_video_providers.landing.storage_errors import refused
from airflow_video_providers.storage_address import wrong_type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_T = TypeVar("_T")
_BLOCK = 4 * 1024 * 1024
_ENCRYPTION = ("ServerSideEncryption", "SSEKMSKeyId", "SSEKMSEncryptionContext", "BucketKeyEnabled")
_EXTRAS = {"s3": "amazon", "gs": "google", "gcs": "google", "abfs": "azure", "abfss": "azure"}


@dataclass(frozen=True)
class Parcel:
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

    def sha256(self, key: str) -> str | None:
        """The digest that the storage keeps beside the bytes, where it keeps one."""

    def read(self, key: str) -> Iterator[bytes]:
        """The stored bytes, in pieces."""

    def remove(self, key: str) -> None:
        """Remove what is stored under a key, if anything is."""

    def put(self, parcel: Parcel, key: str, *, overwrite: bool) -> None:
        """Store a file in one step, and check what is stored then.

        :raises FileExistsError: if there is something and ``overwrite`` is False.
        :raises LandingError: if the storage refuses, or holds something else afterwards.
        """


def open_store(output_path: object, *, encryption: Mapping[str, Any] | None = None) -> Store:
    """Connect to the storage that ``output_path`` names, and find out at once whether that works.

    :param output_path: ``/data``, ``file:///data``, ``s3://conn_id@bucket/prefix``, ``gs://``, ``abfs://`` or any
        other scheme that fsspec knows. Without a connection id the machine's own credentials are used.
    :param encryption: What S3 is told with each upload, see :func:`check_encryption`.
    :raises InvalidRequestError: if it is no such path.
    :raises LandingError: if the connection is missing or of another kind, or a package is missing.
    """
    money = "The job is paid for; nothing was fetched."
    where = check_output_path(output_path, money=money)
    check_encryption(encryption, where, money=money)
    if not where.scheme:
        from airflow_video_providers.landing.local import LocalStore

        return LocalStore(where.prefix)
    from airflow_video_providers.landing.object_store import ObjectStore

    filesystem = _outside_a_loop(lambda: _filesystem(where))
    store = ObjectStore(filesystem, where, encryption)
    store.check()
    return store


def check_output_path(output_path: object, *, money: str | None = None) -> OutputPath:
    """Can a video be landed there, as far as the text alone tells? Asks no network and no connection.

    :param output_path: Text or a path object, as for :func:`open_store`.
    :param money: What a refusal means for the bill; by default that nothing was charged.
    :raises InvalidRequestError: if it cannot; the text says how such a path is written.
    """
    return read_output_path(output_path, known=_airflow_knows, money=money)


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
        what = f"encryption holds {', '.join(wrong)}; S3 is told {allowed}."
    elif where is not None and where.family != "s3":
        what = "encryption is an argument of S3; other storages encrypt as their owner has set them up."
    else:
        return
    raise InvalidRequestError(what, field="encryption", value=wrong or None, allowed=allowed, money=money)


def _airflow_knows(scheme: str) -> bool:
    try:
        from airflow.sdk.io import has_fs
    except ImportError:
        return False
    return bool(has_fs(scheme))


def _outside_a_loop(call: Callable[[], _T]) -> _T:
    """The providers use ``asyncio.run`` to find credentials; where a loop runs already that loses them."""
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return call()
    with ThreadPoolExecutor(1) as aside:
        return aside.submit(call).result()


def _filesystem(where: OutputPath) -> Any:
    scheme, conn_id = where.scheme, where.conn_id
    try:
        if conn_id is None:
            return _connected(where)
        with _connection(scheme, conn_id):
            return _connected(where)
    except LandingError:
        raise
    except ImportError as missing:
        hint = f" Install airflow-video-providers[{_EXTRAS[scheme]}]." if scheme in _EXTRAS else ""
        raise final(LandingError(f"{scheme}:// needs a package: {missing}.{hint}", reason="storage")) from missing
    except Exception as failed:
        through = f" with the connection {conn_id!r}" if conn_id else ""
        error = refused(f"{scheme}:// cannot be opened{through}", failed)
        error.reason = "connection"
        raise error from failed


def _connected(where: OutputPath) -> Any:
    scheme, conn_id = where.scheme, where.conn_id
    try:
        from airflow.sdk.io import attach, has_fs
    except ModuleNotFoundError:
        known = False
    else:
        known = has_fs(scheme)
    if known:
        return attach(scheme, conn_id).fs  # kept for the process: a client costs a third of a second of CPU
    if conn_id is not None:
        raise final(LandingError(f"No installed Airflow provider connects to {scheme}://.", reason="connection"))
    from fsspec.core import url_to_fs

    return url_to_fs(where.address)[0]  # some need the host


@contextlib.contextmanager
def _connection(scheme: str, conn_id: str) -> Iterator[None]:
    """A missing connection must be an error: the providers would go on with the machine's own credentials."""
    from airflow.providers.common.compat.sdk import AirflowNotFoundException

    with contextlib.ExitStack() as stack:
        try:
            kind = str(stack.enter_context(held(conn_id)).conn_type)
        except AirflowNotFoundException as missing:
            raise LandingError(
                f"Airflow says that it has no connection {conn_id!r}, which output_path names; it says the same where "
                "its database or its secrets backend is away.",
                reason="connection",
                remedy="Create it or correct output_path; if it exists, run the task again: the job is not bought "
                "again.",
            ) from missing
        if (wrong := wrong_type(scheme, conn_id, kind)) is not None:
            raise final(
                LandingError(
                    wrong,
                    reason="connection",
                    remedy="Name a connection of that type in the path; a job that is paid for is not bought again.",
                )
            )
        yield


def final(error: LandingError) -> LandingError:
    """The error, where a retry cannot help: somebody has to correct something first."""
    error.retryable = False
    return error


def conflict(what: str, remedy: str | None = None) -> LandingError:
    """The error for a name that holds something else: a retry cannot help, somebody has to look."""
    remedy = remedy or "Look at it; then remove it, or land with overwrite=True. The job is not bought again."
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


def file_pieces(path: str, block: int = _BLOCK) -> Iterator[bytes]:
    """A local file in pieces."""
    with open(path, "rb") as file:
        while piece := file.read(block):
            yield piece
