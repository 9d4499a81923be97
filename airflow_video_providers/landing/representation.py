"""What a server says about the file it sends: length, validator, digests, and how a part fits the whole."""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_video_providers.exceptions import OutputRejectedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_ALGORITHMS = {"md5": "md5", "sha-256": "sha256", "sha-512": "sha512"}
_DIGEST = re.compile(r"(md5|sha-256|sha-512)\s*=\s*:?([A-Za-z0-9+/]+={0,2}):?", re.IGNORECASE)
_CONTENT_RANGE = re.compile(r"bytes\s+(\d+)-(\d+)/(\d+|\*)")


@dataclass(frozen=True)
class Representation:
    """One answer's description of the file.

    :param start: Which byte of the file the answer begins with.
    :param total: Length of the whole file, None where the server does not say.
    :param etag: A strong validator, None for a weak one or none: only a strong one allows to go on later.
    :param digests: Expected digests of the whole file, by their name in ``hashlib``.
    """

    start: int = 0
    total: int | None = None
    etag: str | None = None
    digests: dict[str, bytes] = field(default_factory=dict)


class Gunzip:
    """Undoes the compression of a server that compresses unasked. Such an answer cannot be resumed."""

    _PIECE = 1 << 20  # a few bytes may hold gigabytes: they are let out piece by piece, and counted

    def __init__(self) -> None:
        self._decoder = zlib.decompressobj(wbits=31)

    def described(self, status: int) -> Representation | None:
        """What is known of the file: nothing, for length, validator and digests are those of the compressed one."""
        return Representation() if status == 200 else None

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """The file's own bytes in what came."""
        more = bool(data)
        while more and not self.whole:
            try:
                piece = self._decoder.decompress(data, self._PIECE)
            except zlib.error as broken:
                raise OutputRejectedError(
                    f"The file came compressed unasked, and cannot be decompressed: {broken}.",
                    reason="content_encoding",
                ) from None
            data = self._decoder.unconsumed_tail
            more = bool(data) or len(piece) == self._PIECE
            yield piece

    @property
    def whole(self) -> bool:
        """Has the compressed file come to its end?"""
        return self._decoder.eof


def by_name(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers by lower-case name, as text."""
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}


def retry_after(headers: dict[str, str]) -> float:
    """Seconds that the server asks to wait, 0 where it names none."""
    text = headers.get("retry-after", "")
    return float(text) if text.isdecimal() else 0.0


def read_headers(status: int, headers: dict[str, str]) -> Representation | None:
    """Read an answer's headers.

    :param headers: By lower-case name.
    :return: None for a part that does not say where it belongs, which is of no use.
    """
    tag = headers.get("etag", "")
    etag = tag if len(tag) > 2 and tag.startswith('"') and tag.endswith('"') else None
    if status == 206:
        part = _CONTENT_RANGE.fullmatch(headers.get("content-range", "").strip())
        if part is None:
            return None
        total = None if part[3] == "*" else int(part[3])
        return Representation(int(part[1]), total, etag, _whole_file_digests(headers))
    length = headers.get("content-length", "")
    digests = _whole_file_digests(headers)
    if (md5 := _decoded(headers.get("content-md5", ""), 16)) is not None:
        digests["md5"] = md5
    return Representation(0, int(length) if length.isdecimal() else None, etag, digests)


def _whole_file_digests(headers: dict[str, str]) -> dict[str, bytes]:
    """``Repr-Digest`` (RFC 9530), ``Digest`` (RFC 3230) and Google's header: all of the file, also beside a part."""
    sizes = {"md5": 16, "sha256": 32, "sha512": 64}
    found: dict[str, bytes] = {}
    for name in ("x-goog-hash", "digest", "repr-digest"):
        for algorithm, text in _DIGEST.findall(headers.get(name, "")):
            known = _ALGORITHMS[algorithm.lower()]
            if (value := _decoded(text, sizes[known])) is not None:
                found[known] = value
    return found


def _decoded(text: str, size: int) -> bytes | None:
    try:
        value = base64.b64decode(text.strip(), validate=True)
    except binascii.Error:
        return None
    return value if len(value) == size else None
