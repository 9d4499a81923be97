"""Buckets and whatever else fsspec reaches: one upload, then a look at what is stored."""

from __future__ import annotations

import base64
import hashlib
import logging
import math
import re
import tempfile
from typing import TYPE_CHECKING, Any

from airflow_video_providers.exceptions import LandingError
from airflow_video_providers.landing.store import Parcel, file_pieces, final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_video_providers.landing.output_path import OutputPath

# Upload part size and parts in flight: the libraries' own defaults hold 400 MB in memory.
_PART = 8 * 1024 * 1024
_IN_FLIGHT = 4
# S3 checks each part's CRC on arrival; digesting a large file once more costs as much as its upload.
_DIGEST_UP_TO = 64 * 1024 * 1024


class ObjectStore:
    """A prefix in a bucket.

    :param filesystem: The fsspec filesystem, connected.
    :param where: The address, as the author wrote it.
    """

    def __init__(self, filesystem: Any, where: OutputPath) -> None:
        self._fs = filesystem
        self._where = where
        self._family = where.family
        self._root = where.root
        self.uri = f"{where.scheme}://{where.root}"
        self.path = f"{where.scheme}://{where.conn_id}@{where.root}" if where.conn_id else self.uri

    def check(self) -> None:
        """Find out now, not after the download, whether the bucket can be reached.

        :raises LandingError: if it cannot, or does not exist.
        """
        if not self._family:
            return  # what a root is differs too much
        if self._family == "abfs":  # the SDK tells each request of an upload in a dozen lines of the task's log
            logging.getLogger("azure.core.pipeline.policies.http_logging_policy").setLevel(logging.WARNING)
        bucket = self._where.bucket
        try:
            self._fs.info(bucket)
        except FileNotFoundError as missing:
            raise final(
                LandingError(f"The bucket {bucket!r} of {self.uri} does not exist.", reason="storage")
            ) from missing
        except Exception as failed:
            if isinstance(failed, PermissionError) or getattr(failed, "code", None) == 403:
                return  # many may write objects and not look at the bucket
            raise self._refused(f"{self.uri} cannot be reached", failed) from failed

    def _at(self, key: str) -> str:
        return f"{self._root}/{key}"

    def _name(self, key: str) -> str:
        return self._at(key)[len(self._where.bucket) + 1 :]

    def _refused(self, what: str, failed: Exception) -> LandingError:
        return LandingError(f"{what}: {type(failed).__name__}: {failed}.", reason="storage")

    def spool_directory(self, key: str) -> str:  # noqa: ARG002 - a local store needs it
        """The system's directory for temporary files (``TMPDIR`` moves it)."""
        try:
            return tempfile.gettempdir()
        except OSError as none:
            raise LandingError(
                f"The worker has no directory for temporary files: {none.strerror or none}.",
                reason="storage",
                remedy="Let TMPDIR name one that the worker may write to, then run the download again: the job is paid "
                "for and is not bought again.",
            ) from none

    def spool_mode(self) -> int:
        """Nobody else reads the directory for temporary files."""
        return 0o600

    def _info(self, key: str) -> dict[str, Any] | None:
        try:
            self._fs.invalidate_cache()  # listings that other code in this process has seen
            return dict(self._fs.info(self._at(key)))
        except FileNotFoundError:
            return None
        except Exception as failed:
            raise self._refused(f"{self.uri} cannot be read", failed) from failed

    def size(self, key: str) -> int | None:
        """Bytes stored under a key, None where there is nothing."""
        info = self._info(key)
        return None if info is None or info.get("type") == "directory" else int(info["size"])

    def read(self, key: str) -> Iterator[bytes]:
        """The stored bytes, in parts."""
        try:
            with self._fs.open(self._at(key), "rb", block_size=_PART, cache_type="none") as file:
                while piece := file.read(_PART):
                    yield piece
        except Exception as failed:
            raise self._refused(f"{self.uri}/{key} cannot be read", failed) from failed

    def remove(self, key: str) -> None:
        """Remove what is stored under a key, if anything is."""
        try:
            self._fs.rm_file(self._at(key))
        except FileNotFoundError:
            return
        except Exception as failed:
            raise self._refused(f"{self.uri}/{key} cannot be removed", failed) from failed

    def put(self, parcel: Parcel, key: str, *, overwrite: bool) -> None:
        """Upload, then compare size and digest with what the storage says it holds."""
        ours = not self._family  # fsspec's own put_file leaves what it has written so far
        try:
            self._fs.put_file(
                parcel.path, self._at(key), mode="overwrite" if overwrite else "create", **self._options(parcel)
            )
            ours = True  # before that, what is there may be somebody else's
            self._compare(parcel, key)
        except FileExistsError:
            raise
        except LandingError as wrong:
            if ours:
                self._take_back(key, wrong)
            raise
        except Exception as failed:
            error = self._refused(f"{self.uri}/{key} cannot be written", failed)
            if ours:
                self._take_back(key, error)
            raise error from failed

    def _take_back(self, key: str, error: LandingError) -> None:
        """Nothing unverified keeps its final name, or the next try takes it for somebody else's."""
        try:
            self.remove(key)
        except LandingError as stays:
            error.what += f" It is still there: {stays.what}"
            error.remedy = f"Remove {self.uri}/{key}, then run the download again: the job is not bought again."

    def _compare(self, parcel: Parcel, key: str) -> None:
        info = self._info(key) or {}
        wrong = self._wrong_digest(parcel, key, info)
        if info.get("size") != parcel.size:
            wrong = f"{info.get('size')} bytes instead of {parcel.size}"
        if wrong is not None:
            raise LandingError(f"{self.uri}/{key} does not hold what was sent: {wrong}.", reason="stored")

    def _options(self, parcel: Parcel) -> dict[str, Any]:
        match self._family:
            case "s3":
                return {
                    "ContentType": parcel.content_type,
                    "Metadata": parcel.metadata,
                    "chunksize": _PART,
                    "max_concurrency": _IN_FLIGHT,
                }
            case "gs":
                return {
                    "content_type": parcel.content_type,
                    "metadata": parcel.metadata,
                    "consistency": "none",  # its own look cannot be told from an upload that failed
                    "chunksize": _PART,
                }
            case "abfs":  # its metadata= raises; and a digest of the whole is kept only if the sender names it
                return {
                    "content_settings": {
                        "content_type": parcel.content_type,
                        "content_md5": bytearray(parcel.md5),
                    },
                    "max_concurrency": _IN_FLIGHT,
                    "validate_content": True,
                }
        return {}

    def _wrong_digest(self, parcel: Parcel, key: str, info: dict[str, Any]) -> str | None:
        """What the storage says of the bytes, where that is wrong."""
        if self._family == "s3":
            head = self._fs.call_s3("head_object", Bucket=self._where.bucket, Key=self._name(key))
            if head.get("ServerSideEncryption") not in (None, "AES256") or "SSECustomerAlgorithm" in head:
                return None  # then the ETag is no digest of the bytes
            return _wrong_etag(parcel, str(head.get("ETag", "")).strip('"'))
        given: Any = None
        if self._family == "gs":
            given = base64.b64decode(info.get("md5Hash") or "")
        if self._family == "abfs":
            given = (info.get("content_settings") or {}).get("content_md5")
        if given and bytes(given) != parcel.md5:
            return f"md5 {bytes(given).hex()}, expected {parcel.md5.hex()}"
        return None


def _wrong_etag(parcel: Parcel, given: str) -> str | None:
    """An S3 ETag is the digest of an object sent at once, or a digest of the parts' digests and their number."""
    parts = 1 if parcel.size < 2 * _PART else math.ceil(parcel.size / _PART)
    found = re.fullmatch(r"([0-9a-f]{32})(?:-(\d+))?", given)
    if found is None:
        return None  # a storage with ETags of its own
    if int(found[2] or 1) != parts:
        return f"{found[2] or 1} parts instead of {parts}"
    if parcel.size > _DIGEST_UP_TO:
        return None
    expected = parcel.md5
    if parts > 1:
        digests = [hashlib.md5(piece, usedforsecurity=False).digest() for piece in file_pieces(parcel.path, _PART)]
        expected = hashlib.md5(b"".join(digests), usedforsecurity=False).digest()
    return f"ETag {given}, expected {expected.hex()}" if found[1] != expected.hex() else None
