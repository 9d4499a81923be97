"""Buckets and whatever else fsspec reaches: one upload, then a check of what is stored."""

from __future__ import annotations

import base64
import logging
import secrets
import tempfile
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.errors import LandingError
from airflow_video_providers.core.storage.base import VerifiedFile, final, replaced
from airflow_video_providers.core.storage.errors import code_of, is_forbidden, refused
from airflow_video_providers.core.storage.stored import IN_FLIGHT, PART, WRITE, Stored, of_s3, wrong_etag

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_video_providers.core.storage.output_path import OutputPath


class ObjectStore:
    """A prefix in a bucket.

    :param filesystem: The fsspec filesystem, connected.
    :param where: The address, as the author wrote it.
    :param encryption: Arguments of S3's own that each upload carries.
    """

    def __init__(self, filesystem: Any, where: OutputPath, encryption: Mapping[str, Any] | None = None) -> None:
        self._fs = filesystem
        self._where = where
        self._may_not_list = False
        self._family = where.family
        self._encryption = dict(encryption or {})
        # a filesystem of another kind knows itself what of an address is its path
        self._root = where.root if self._family else str(filesystem._strip_protocol(where.address)).rstrip("/")  # noqa: SLF001
        self.uri = where.address
        self.path = where.address_with_connection

    def check(self) -> None:
        """Find out now, not after the download, whether the bucket can be reached.

        A refusal to show it says nothing about the right to write there.

        :raises LandingError: if it cannot be reached, does not exist, or the credentials are not good.
        """
        if not self._family:
            return  # what a root is differs too much
        if self._family == "abfs":  # the SDK logs each request of an upload in a dozen lines of the task's log
            logging.getLogger("azure.core.pipeline.policies.http_logging_policy").setLevel(logging.WARNING)
        try:
            self._fs.info(self._where.bucket)
        except FileNotFoundError as missing:
            raise final(
                LandingError(
                    f"The bucket {self._where.bucket!r} of {self.uri} does not exist.",
                    reason="storage",
                    remedy="Create it, or correct output_path, then run the download again: the job is not bought again.",
                )
            ) from missing
        except Exception as failed:
            code = self._own_code(failed)
            if code is not None:
                raise refused(f"{self.uri} cannot be reached", failed, code=code) from failed

    def _own_code(self, failed: Exception) -> str | None:
        """The code of a refusal; None where the account may only not list. An answer to HEAD has no text, hence no code."""
        code = code_of(failed) or type(failed).__name__
        if self._family == "s3" and code.isdigit():
            if self._may_not_list:  # asked once: a landing has several keys that are not there yet
                return None
            try:
                self._fs.call_s3("get_object", Bucket=self._where.bucket, Key=self._name("_"))
            except Exception as said:  # noqa: BLE001 - s3fs raises many kinds; only the code in it is wanted
                given = code_of(said)
                self._may_not_list = isinstance(said, FileNotFoundError) or is_forbidden(said)
                return None if self._may_not_list else given or code
            return None
        return None if is_forbidden(failed) else code

    def _at(self, key: str) -> str:
        return f"{self._root}/{key}"

    def _name(self, key: str) -> str:
        return self._at(key)[len(self._where.bucket) + 1 :]

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

    def _stored(self, key: str, *, written: bool = False) -> Stored | None:
        """What is there. None where there is nothing, and where the account may not ask for what is not there.

        :param written: It was just written: then a refusal says that the account may not read.
        """
        try:
            self._fs.invalidate_cache()  # listings that other code in this process has seen
            if self._family == "s3":
                head = self._fs.call_s3("head_object", Bucket=self._where.bucket, Key=self._name(key))
                return of_s3(head)
            info = dict(self._fs.info(self._at(key)))
        except FileNotFoundError:
            return None
        except Exception as failed:
            # without the right to list, a missing key is refused: the write that only creates will find out
            if self._family and not written and self._own_code(failed) is None:
                return None
            raise refused(f"{self.uri} cannot be read", failed) from failed
        if info.get("type") == "directory":
            return None
        size = int(info["size"])
        if self._family == "gs":
            metadata = info.get("metadata") or {}
            md5 = base64.b64decode(info.get("md5Hash") or "") or None
            return Stored(size, metadata.get("sha256"), md5, write=metadata.get(WRITE))
        given = (info.get("content_settings") or {}).get("content_md5") if self._family == "abfs" else None
        return Stored(size, md5=bytes(given) if given else None)

    def size(self, key: str) -> int | None:
        """Bytes stored under a key, None where there is nothing, or nothing is known."""
        stored = self._stored(key)
        return None if stored is None else stored.size

    def holds(self, key: str, size: int, sha256: str) -> bool:
        """Is this stored there? S3 and Google have the digest that an upload of this package has left beside the bytes."""
        stored = self._stored(key)
        return stored is not None and stored.size == size and stored.sha256 in (None, sha256)

    def read(self, key: str) -> Iterator[bytes]:
        """The stored bytes, in parts."""
        try:
            with self._fs.open(self._at(key), "rb", block_size=PART, cache_type="none") as file:
                while piece := file.read(PART):
                    yield piece
        except Exception as failed:
            raise refused(f"{self.uri}/{key} cannot be read", failed) from failed

    def remove(self, key: str) -> None:
        """Remove what is stored under a key, if anything is."""
        try:
            self._fs.rm_file(self._at(key))
        except FileNotFoundError:
            return
        except Exception as failed:
            raise refused(f"{self.uri}/{key} cannot be removed", failed) from failed

    def put(self, verified: VerifiedFile, key: str, *, overwrite: bool) -> None:
        """Upload, then compare size and digest with what the storage says it holds."""
        write = secrets.token_hex(8)
        try:
            if self._family:
                options = self._options(verified, write)
                mode = "overwrite" if overwrite else "create"
                self._fs.put_file(verified.path, self._at(key), mode=mode, **options)
            else:
                self._move_in(verified, key, overwrite, write)
        except (FileExistsError, LandingError):
            raise
        except Exception as failed:
            if not overwrite and code_of(failed) in ("ConditionalRequestConflict", "PreconditionFailed", "412", "409"):
                raise FileExistsError(key) from failed  # somebody is writing it at this moment
            raise refused(f"{self.uri}/{key} cannot be written", failed) from failed
        self._compare(verified, key, write)

    def _move_in(self, verified: VerifiedFile, key: str, overwrite: bool, write: str) -> None:
        """Under a name of its own first: fsspec's plain upload leaves what it has written so far."""
        final = self._at(key)
        folder, _, name = final.rpartition("/")
        part = f"{folder}/.{name}.{write}.part"
        with suppress(NotImplementedError, FileExistsError):
            self._fs.makedirs(folder, exist_ok=True)
        try:
            self._fs.put_file(verified.path, part)
            if int(self._fs.info(part)["size"]) != verified.size:
                raise LandingError(f"{self.uri}/{key} did not arrive whole.", reason="stored")
            if self._fs.exists(final):
                if not overwrite:
                    raise FileExistsError(final)
                self._fs.rm_file(final)
            self._fs.mv(part, final)
        finally:
            with suppress(Exception):  # it has its final name by now, or the storage no longer answers
                if self._fs.exists(part):
                    self._fs.rm_file(part)

    def _compare(self, verified: VerifiedFile, key: str, write: str) -> None:
        try:
            stored = self._stored(key, written=True)
        except LandingError as failed:
            unsure = f" What was just written to {self.uri}/{key} is not verified, and is adopted if it is right."
            raise failed.replace(what=failed.what + unsure) from failed.__cause__
        wrong = self._wrong(verified, stored)
        if wrong is None:
            return
        if stored is None or not self._is_ours(verified, stored, write):
            raise replaced(f"{self.uri}/{key}")
        error = LandingError(f"{self.uri}/{key} does not hold what was sent: {wrong}.", reason="stored")
        try:
            self.remove(key)  # nothing unverified keeps its final name, or the next try takes it for somebody else's
        except LandingError as stays:
            error = error.replace(
                what=f"{error.what} It is still there: {stays.what}",
                remedy=f"Remove {self.uri}/{key}, then run the download again: the job is not bought again.",
            )
        raise error

    def _is_ours(self, verified: VerifiedFile, stored: Stored, write: str) -> bool:
        if self._family in ("s3", "gs"):
            return stored.write == write
        return self._family == "" or stored.md5 == verified.md5  # Azure keeps the digest that the sender named

    def _wrong(self, verified: VerifiedFile, stored: Stored | None) -> str | None:
        """What the storage says of the bytes, where that is wrong."""
        if stored is None:
            return "nothing is there"
        if stored.size != verified.size:
            return f"{stored.size} bytes instead of {verified.size}"
        if stored.md5 is not None and stored.md5 != verified.md5:
            return f"md5 {stored.md5.hex()}, expected {verified.md5.hex()}"
        return None if stored.etag is None else wrong_etag(verified, stored.etag)

    def _options(self, verified: VerifiedFile, write: str) -> dict[str, Any]:
        metadata = {**verified.metadata, WRITE: write}
        match self._family:
            case "s3":
                return {
                    "ContentType": verified.content_type,
                    "Metadata": metadata,
                    "chunksize": PART,
                    "max_concurrency": IN_FLIGHT,
                    **self._encryption,
                }
            case "gs":
                return {
                    "content_type": verified.content_type,
                    "metadata": metadata,
                    "consistency": "none",  # its own check cannot be distinguished from an upload that failed
                    "chunksize": PART,
                }
        # its metadata= raises; and a digest of the whole is kept only if the sender names it
        return {
            "content_settings": {"content_type": verified.content_type, "content_md5": bytearray(verified.md5)},
            "max_concurrency": IN_FLIGHT,
            "validate_content": True,
        }
