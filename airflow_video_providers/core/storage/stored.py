"""What a bucket says of an object, and whether it fits what was sent."""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.storage.base import VerifiedFile, file_pieces

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Bytes of a part of an upload, and parts in flight: the libraries' own defaults hold 400 MB in memory.
PART = 8 * 1024 * 1024
IN_FLIGHT = 4
# S3 checks each part's CRC on arrival; digesting a large file once more costs as much as its upload.
_DIGEST_UP_TO = 64 * 1024 * 1024
#: Names our own write among the metadata, so that nobody else's is ever removed.
WRITE = "write-id"


@dataclass(frozen=True)
class Stored:
    """What the storage says of an object. ``md5`` and ``write`` are None where it says nothing of the kind."""

    size: int
    sha256: str | None = None
    md5: bytes | None = None
    etag: str | None = None
    write: str | None = None


def of_s3(head: Mapping[str, Any]) -> Stored:
    """What S3 answers to HEAD."""
    metadata = {str(name).lower(): value for name, value in (head.get("Metadata") or {}).items()}
    plain = head.get("ServerSideEncryption") in (None, "AES256") and "SSECustomerAlgorithm" not in head
    etag = str(head.get("ETag", "")).strip('"') if plain else None  # else the ETag is no digest of the bytes
    return Stored(int(head["ContentLength"]), metadata.get("sha256"), None, etag, metadata.get(WRITE))


def wrong_etag(verified: VerifiedFile, given: str) -> str | None:
    """An S3 ETag is the digest of an object sent at once, or a digest of the parts' digests and their number."""
    parts = 1 if verified.size < 2 * PART else math.ceil(verified.size / PART)
    found = re.fullmatch(r"([0-9a-f]{32})(?:-(\d+))?", given)
    if found is None:
        return None  # a storage with ETags of its own
    if int(found[2] or 1) != parts:
        return f"{found[2] or 1} parts instead of {parts}"
    if verified.size > _DIGEST_UP_TO:
        return None
    expected = verified.md5
    if parts > 1:
        digests = [hashlib.md5(piece, usedforsecurity=False).digest() for piece in file_pieces(verified.path, PART)]
        expected = hashlib.md5(b"".join(digests), usedforsecurity=False).digest()
    return f"ETag {given}, expected {expected.hex()}" if found[1] != expected.hex() else None
