"""The choice of a storage for an ``output_path``.

What connects to a bucket is passed in: here stands what needs no Airflow, and Airflow's own, with its connections,
takes its place from :mod:`airflow_video_providers.integration.object_storage`.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from airflow_video_providers.core.errors import LandingError
from airflow_video_providers.core.storage.base import Store, check_encryption, final
from airflow_video_providers.core.storage.output_path import OutputPath, read_output_path

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_T = TypeVar("_T")


class Filesystems(Protocol):
    """What connects to a storage."""

    def knows(self, scheme: str) -> bool:
        """Is there a filesystem for a scheme that fsspec itself does not know?"""

    def open(self, where: OutputPath) -> Any:
        """The fsspec filesystem of an address, connected.

        :raises LandingError: if the connection is missing or of another kind, or a package is missing.
        """


class PlainFilesystems:
    """fsspec's own, with the machine's own credentials."""

    def knows(self, scheme: str) -> bool:  # noqa: ARG002 - fsspec knows none but its own
        """None but fsspec's own."""
        return False

    def open(self, where: OutputPath) -> Any:
        """The filesystem of an address that names no connection."""
        if where.conn_id is not None:
            raise final(
                LandingError(f"No installed Airflow provider connects to {where.scheme}://.", reason="connection")
            )
        from fsspec.core import url_to_fs

        return url_to_fs(where.address)[0]  # some need the host


_filesystems: Filesystems = PlainFilesystems()


def use(filesystems: Filesystems) -> None:
    """Connect through these from now on."""
    global _filesystems
    _filesystems = filesystems


def open_store(output_path: object, *, encryption: Mapping[str, Any] | None = None) -> Store:
    """Connect to the storage that ``output_path`` names, and find out at once whether that works.

    :param output_path: ``/data``, ``file:///data``, ``s3://conn_id@bucket/prefix``, ``gs://``, ``abfs://`` or any
        other scheme that fsspec knows. Without a connection id the machine's own credentials are used.
    :param encryption: What is sent to S3 with each upload, see :func:`check_encryption`.
    :raises InvalidRequestError: if it is no such path.
    :raises LandingError: if the connection is missing or of another kind, or a package is missing.
    """
    money = "The job is paid for; nothing was fetched."
    where = check_output_path(output_path, money=money)
    check_encryption(encryption, where, money=money)
    if not where.scheme:
        from airflow_video_providers.core.storage.local import LocalStore

        return LocalStore(where.prefix)
    from airflow_video_providers.core.storage.object_store import ObjectStore

    store = ObjectStore(open_filesystem(where), where, encryption)
    store.check()
    return store


def open_filesystem(where: OutputPath) -> Any:
    """The fsspec filesystem of an address in a bucket, connected.

    :raises LandingError: if the connection is missing or of another kind, or a package is missing.
    """
    return _outside_a_loop(lambda: _filesystems.open(where))


def check_output_path(output_path: object, *, money: str | None = None) -> OutputPath:
    """Can a video be landed there, as far as the text alone shows? Asks no network and no connection.

    :param output_path: Text or a path object, as for :func:`open_store`.
    :param money: What a refusal means for the bill; by default that nothing was charged.
    :raises InvalidRequestError: if it cannot; the text says how such a path is written.
    """
    return read_output_path(output_path, known=_filesystems.knows, money=money)


def _outside_a_loop(call: Callable[[], _T]) -> _T:
    """The providers use ``asyncio.run`` to find credentials; where a loop runs already that loses them."""
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return call()
    with ThreadPoolExecutor(1) as aside:
        return aside.submit(call).result()
