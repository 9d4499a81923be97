"""What an author writes as ``output_path``: read and checked in one place, without network and without a connection.

Imports nothing that a DAG file would not want to pay for while it is parsed.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.storage.address import UNPRINTABLE, without_secret

if TYPE_CHECKING:
    from collections.abc import Callable

#: What each scheme of the object stores belongs to; the family decides how it is spoken to.
FAMILIES = {
    "s3": "s3", "s3a": "s3", "s3n": "s3",
    "gs": "gs", "gcs": "gs",
    "abfs": "abfs", "abfss": "abfs", "adl": "abfs",
}  # fmt: skip
_LOCAL = ("", "file", "local")
# fsspec knows these too; they can be read from, or stand before another address, and hold nothing
_NOT_WRITABLE = {
    "http", "https", "data", "git", "github", "gist", "gitlab", "jlab", "jupyter", "reference", "zip", "tar", "libarchive",
    "cached", "blockcache", "filecache", "simplecache", "dir", "generic", "wandb", "async_wrapper", "asyncwrapper",
    "asynclocal", "dask", "pyscript", "dvc",
}  # fmt: skip
_EXAMPLE = "s3://conn_id@bucket/prefix, gs://, abfs://, /data/videos, file:///data/videos"
_AZURE_HOST = re.compile(r"([^@]+)@[^@]+\.(?:dfs|blob)\.[a-z0-9.-]+\Z", re.IGNORECASE)


@dataclass(frozen=True)
class OutputPath:
    """An ``output_path``, taken apart.

    :param scheme: In lower case; empty for a local directory.
    :param conn_id: The Airflow connection; None for the machine's own credentials.
    :param container: Bucket, container or host; empty for a local directory.
    :param prefix: Below the container, without slashes at its ends; for a local directory its absolute path.
    """

    scheme: str
    conn_id: str | None
    container: str
    prefix: str

    @property
    def family(self) -> str:
        """``s3``, ``gs``, ``abfs``, or empty where the storage is of none of these."""
        return FAMILIES.get(self.scheme, "")

    @property
    def root(self) -> str:
        """Container and prefix."""
        return f"{self.container}/{self.prefix}".rstrip("/")

    @property
    def address(self) -> str:
        """Without the connection, as any program names it."""
        return f"{self.scheme}://{self.root}"

    @property
    def address_with_connection(self) -> str:
        """As ``ObjectStoragePath`` takes it."""
        return f"{self.scheme}://{self.conn_id}@{self.root}" if self.conn_id else self.address

    @property
    def bucket(self) -> str:
        """The bucket or container; with an S3 access point its whole ARN."""
        if self.container.startswith("arn:") and self.container.endswith((":accesspoint", ":bucket")):
            return f"{self.container}/{self.prefix.split('/', 1)[0]}"
        return self.container


def text_of(value: Any) -> Any:
    """A path object as the text that stands for it, with its connection; anything else as it is."""
    if isinstance(value, str):
        return value
    if hasattr(value, "protocol") and hasattr(value, "path"):  # ObjectStoragePath, in some releases a PathLike too
        return value.path if value.protocol in ("", "file", "local") else str(value)
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def read_output_path(
    output_path: Any, *, known: Callable[[str], bool] | None = None, money: str | None = None
) -> OutputPath:
    """Read an ``output_path``.

    :param output_path: Text or a path object.
    :param known: Asked about a scheme that fsspec does not know.
    :param money: What a refusal means for the bill; by default that nothing was charged.
    :raises InvalidRequestError: if no video can be landed there; the text says how it is written.
    """
    given = text_of(output_path)

    def refuse(why: str, allowed: str = _EXAMPLE) -> InvalidRequestError:
        shown = without_secret(given) if isinstance(given, str) else f"of type {type(given).__name__}"
        return InvalidRequestError(
            f"output_path {shown!r} {why}." if isinstance(given, str) else f"output_path is {shown}; it {why}.",
            field="output_path", value=shown, allowed=allowed, money=money,
            remedy=f"Write it as {allowed}.",
        )  # fmt: skip

    if not isinstance(given, str):
        raise refuse("must be text or a path object")
    if not given.strip():
        raise refuse("is empty")
    if given != given.strip() or UNPRINTABLE.search(given):
        raise refuse("begins or ends with a space, or holds a character that cannot be printed")
    try:
        parts = urlsplit(given)
    except ValueError as broken:
        raise refuse(f"cannot be read: {broken}") from None
    scheme = parts.scheme.lower()
    if scheme in _LOCAL:
        return OutputPath("", None, "", _local_directory(given, parts, refuse))
    if not re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", given):
        raise refuse("has no // behind its scheme")
    return _remote(scheme, parts, refuse, known)


def _local_directory(given: str, parts: Any, refuse: Any) -> str:
    """An absolute path; in a ``file://`` address percent signs are read, as :meth:`pathlib.Path.as_uri` writes them."""
    if not parts.scheme:
        if given.startswith("~"):
            raise refuse("begins with ~, and a worker's home is not the author's", "/home/airflow/videos")
        if not os.path.isabs(given):
            wrong = re.match(r"([a-z0-9]+):?/+", given, re.IGNORECASE)
            hint = f"{wrong[1]}://..." if wrong and wrong[1].lower() in FAMILIES else _EXAMPLE
            raise refuse("is no absolute path", hint)
        return given
    if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        raise refuse("is no absolute path", "/data/videos, file:///data/videos")
    if "?" in given or "#" in given:
        raise refuse(
            "holds ? or #, which end the path of an address",
            "%3F and %23 in a file:// address, or a path without file://",
        )
    decoded = unquote(parts.path)
    if UNPRINTABLE.search(decoded):
        raise refuse("holds a character that cannot be printed")
    return decoded


def _remote(scheme: str, parts: Any, refuse: Any, known: Callable[[str], bool] | None) -> OutputPath:
    user, _, container = parts.netloc.rpartition("@")
    if scheme in ("wasb", "wasbs", "az") or _AZURE_HOST.match(parts.netloc):
        name = (user or container).split(":", 1)[0]
        right = f"abfs://conn_id@{name}{parts.path}" if name else "abfs://conn_id@container/prefix"
        raise refuse("is written as Azure's own tools write it; here an Airflow connection stands before the @", right)
    if ":" in unquote(user) or (":" in container and not container.startswith("arn:") and scheme in FAMILIES):
        raise refuse("holds a password", f"{scheme}://conn_id@bucket/..., with the secret in that Airflow connection")
    if scheme in _NOT_WRITABLE or not _known(scheme, known):
        raise refuse(f"is an address of {scheme}://, where nothing can be stored")
    prefix = "/".join(part for part in parts.path.split("/") if part)
    nowhere = not container and (scheme in FAMILIES or not prefix)
    if nowhere or parts.query or parts.fragment or parts.path.endswith("?") or {"..", "."} & set(prefix.split("/")):
        raise refuse(
            "is no address of a bucket and a prefix", f"{scheme}://conn_id@bucket/prefix, without ? and # and .."
        )
    return OutputPath(scheme, user or None, container, prefix)


def _known(scheme: str, also: Callable[[str], bool] | None) -> bool:
    if scheme in FAMILIES:
        return True
    from fsspec.registry import known_implementations, registry

    return scheme in known_implementations or scheme in registry or (also is not None and also(scheme))
