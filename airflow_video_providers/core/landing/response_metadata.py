"""What a server says about the file it sends: length, validator, digests, and how a part fits the whole."""

from __future__ import annotations

import base64
import math
import re
import zlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from airflow_video_providers.core.errors import OutputRejectedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: Words that servers write in Content-Encoding and that name no coding of the bytes.
_CODINGS = ("gzip", "x-gzip")
_KNOWN_CODINGS = (*_CODINGS, "br", "zstd", "deflate", "compress", "x-compress", "dcb", "dcz")
_MOST_LAYERS = 3
_GZIP_MAGIC = b"\x1f\x8b"
_ALGORITHMS = {"md5": "md5", "sha-256": "sha256", "sha-512": "sha512"}
#: No wait that a server asks for is taken to be longer.
_LONGEST_WAIT = 86_400.0
_DIGEST = re.compile(r"(md5|sha-256|sha-512)\s*=\s*:?([A-Za-z0-9+/]+={0,2}):?", re.IGNORECASE)
_CONTENT_RANGE = re.compile(r"bytes\s+(\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", re.ASCII)
_LENGTH = re.compile(r"\d{1,18}", re.ASCII)


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
    """Undoes the compression of a server that compresses unasked. Such an answer cannot be resumed.

    A server that says so of bytes that are no gzip is not believed, and files of several members are read whole.
    """

    _PIECE = 1 << 20  # a few bytes may hold gigabytes: they are let out piece by piece, and counted

    def __init__(self) -> None:
        self._decoder = zlib.decompressobj(wbits=31)
        self._head: bytes | None = b""
        self._plain = False
        self._members = 0

    def described(self, status: int) -> Representation | None:
        """What is known of the file: nothing, for length, validator and digests are those of the compressed one."""
        return Representation() if status == 200 else None

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """The file's own bytes in what came."""
        if self._head is not None:  # a member begins, or something else
            data = self._head + data
            if len(data) < len(_GZIP_MAGIC):
                self._head = data
                return
            self._head = None
            self._plain = not self._members and not data.startswith(_GZIP_MAGIC)
        if self._plain:
            yield data
            return
        more = bool(data)
        while more:
            if self._decoder.eof:
                if not data.startswith(_GZIP_MAGIC[: len(data)]):
                    return  # padding behind the last member
                if len(data) < len(_GZIP_MAGIC):
                    self._head = data
                    return
                self._decoder = zlib.decompressobj(wbits=31)
            try:
                piece = self._decoder.decompress(data, self._PIECE)
            except zlib.error as broken:
                raise OutputRejectedError(
                    f"The file came compressed unasked, and cannot be decompressed: {broken}.",
                    reason="content_encoding",
                ) from None
            if self._decoder.eof:
                self._members += 1
                data = self._decoder.unused_data
                more = bool(data)
            else:
                data = self._decoder.unconsumed_tail
                more = bool(data) or len(piece) == self._PIECE
            if piece:
                yield piece

    @property
    def whole(self) -> bool:
        """Has the compressed file come to its end?"""
        return self._plain or (self._members > 0 and self._decoder.eof)


class Decoding:
    """What ``Content-Encoding`` says, as far as it is to be believed.

    The file was asked for as it is. Words that are no coding (``aws-chunked``, ``none``, ``identity``, an empty one)
    mean nothing; gzip is undone where the bytes are gzip; of any other the bytes themselves decide.

    :raises OutputRejectedError: if more layers are named than anybody needs.
    """

    def __init__(self, header: str) -> None:
        words = [word.strip().lower() for word in header.split(",")]
        self.codings = [word for word in words if word in _KNOWN_CODINGS]
        layers = len(self.codings) if self.codings and all(word in _CODINGS for word in self.codings) else 0
        if len(self.codings) > _MOST_LAYERS:
            raise OutputRejectedError(
                f"The file came with {len(self.codings)} layers of compression.", reason="content_encoding"
            )
        self._layers = [Gunzip() for _ in range(layers)]

    def described(self, status: int, headers: dict[str, str]) -> Representation | None:
        """What is known of the file, see :func:`read_headers`."""
        return self._layers[0].described(status) if self._layers else read_headers(status, headers)

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """The file's own bytes in what came."""
        return self._undo(len(self._layers), data)

    def _undo(self, layers: int, data: bytes) -> Iterator[bytes]:
        if not layers:
            yield data
            return
        for outer in self._layers[len(self._layers) - layers].pieces(data):
            yield from self._undo(layers - 1, outer)

    @property
    def whole(self) -> bool:
        """Has each compressed layer come to its end?"""
        return all(layer.whole for layer in self._layers)


def by_name(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers by lower-case name, as text; one that came several times as one list."""
    found: dict[str, str] = {}
    for raw, value in headers:
        name, text = raw.decode("latin-1").lower(), value.decode("latin-1")
        found[name] = f"{found[name]}, {text}" if name in found else text
    return found


def location(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """Where an answer leads, read as browsers do: raw UTF-8, and any other byte as itself."""
    for name, value in headers:
        if name.lower() == b"location":
            try:
                return value.decode("utf-8")
            except UnicodeDecodeError:
                return "".join(chr(byte) if byte < 0x80 else f"%{byte:02X}" for byte in value)
    return None


def retry_after(headers: dict[str, str], now: datetime) -> float:
    """Seconds that the server asks to wait, 0 where it names none: a number, with a fraction or not, or a date."""
    text = headers.get("retry-after", "").strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            moment = parsedate_to_datetime(text)
            seconds = ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now).total_seconds()
        except (ValueError, TypeError, IndexError, OverflowError):
            return 0.0
    return min(max(seconds, 0.0), _LONGEST_WAIT) if math.isfinite(seconds) else 0.0


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
    length = headers.get("content-length", "").strip()
    digests = _whole_file_digests(headers)
    if (md5 := _decoded(headers.get("content-md5", ""), 16)) is not None:
        digests["md5"] = md5
    return Representation(0, int(length) if _LENGTH.fullmatch(length) else None, etag, digests)


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
    except ValueError:  # binascii's own error is one
        return None
    return value if len(value) == size else None
