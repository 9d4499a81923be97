"""The border: what comes from outside is bounded, decoded, checked and made printable here.

Vendors' answers pass through it on their way in: bytes are counted after decompression while they come, JSON is
read as its header says or not at all, ids are plain or refused, and whatever is kept as text is short and printable.
Nothing here raises anything but ``ValueError`` and what httpx calls a broken answer.
"""

from __future__ import annotations

import codecs
import json
import math
import re
import zlib
from typing import TYPE_CHECKING, Any

import httpx
from pydantic_core import from_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: No vendor's JSON is longer; in bytes after decompression, and on the wire as well.
MOST_JSON = 4 * 1024 * 1024
#: In so many pieces at most: a server that sends a byte at a time costs a hundred times the work.
MOST_PIECES = 20_000
#: Of texts that are kept or shown, in characters.
LONGEST_TEXT = 200
LONGEST_ID = 256
#: Output addresses of one job.
MOST_OUTPUTS = 100

_PIECE = 64 * 1024
_MOST_CODINGS = 3
#: Codecs that JSON may come in. Python knows others that are slow, or no text.
_CHARSETS = ("utf-8", "utf-16", "utf-32", "ascii", "iso8859", "cp125", "gb", "big5", "shift_jis", "euc_", "koi8")
#: Numbers that Python reads as infinite, or cannot print. The text may be a string's: read more closely then.
_LARGE_NUMBER = re.compile(r"[0-9]{300}|[0-9.][eE]\+?[0-9]{3}")
#: Half of a surrogate pair.
_HALF = re.compile(r"\\u[dD][89abAB]..(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB]..)\\u[dD][c-fC-F]..")


# Texts.


def printable(text: object, limit: int = LONGEST_TEXT) -> str:
    """One short line, fit for logs, metadata and terminals: white space is one space, what cannot be seen is escaped."""
    return _short(_escaped(" ".join(str(text)[: 4 * limit].split())), limit)


def escaped(value: object, limit: int = LONGEST_TEXT) -> str:
    """A value as a person may read it who wants to know which characters it holds: quoted, and short."""
    text = str(value)[: 4 * limit]
    return f"'{_short(_escaped(text), limit)}'"


def plain_id(text: str) -> bool:
    """May this be kept as an id? It is not empty, short, and holds printable characters only."""
    return 0 < len(text) <= LONGEST_ID and text.isprintable() and bool(text.strip())


def header(headers: Mapping[str, str], name: str, limit: int = LONGEST_TEXT) -> str | None:
    """A header's value as it may be kept; None where there is none."""
    value = headers.get(name)
    return None if value is None else printable(value, limit)


def _escaped(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _short(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 3] + "..."


# JSON.


def json_object(content: bytes, content_type: str | None = None) -> dict[str, Any] | None:
    """The JSON object in a body; None where it holds anything else, or nothing that can be used."""
    try:
        value = json_value(content, content_type)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def json_value(content: bytes | str, content_type: str | None = None) -> Any:
    """The JSON in a body.

    :raises ValueError: it is none, nested too deeply, or holds a number that is not finite or far too long.
    """
    text = content if isinstance(content, str) else body_text(content, content_type)
    if len(text) > MOST_JSON:
        raise ValueError("too long")
    try:
        value = from_json(text, allow_inf_nan=False)
    except ValueError:
        if not _HALF.search(text):
            raise
        value = from_json(_HALF.sub(r"\\ufffd", text), allow_inf_nan=False)  # half an emoji, cut by somebody's limit
    if _LARGE_NUMBER.search(text):
        _check_numbers(value)
    return value


def body_text(content: bytes, content_type: str | None = None) -> str:
    """A body as text: by its byte order mark, else as the header's charset says; what does not fit is replaced."""
    encoding: str = json.detect_encoding(content)  # from its mark, or from where its zeros stand
    if encoding == "utf-8":
        encoding = _charset(content_type) or encoding
    return content.decode(encoding, "replace").removeprefix("\ufeff")


def _charset(content_type: str | None) -> str | None:
    named = re.search(r"charset\s*=\s*[\"']?([\w.:-]{1,40})", content_type or "", re.IGNORECASE | re.ASCII)
    try:
        known = codecs.lookup(named[1]).name if named else ""
    except LookupError:
        return None
    return known if known.startswith(_CHARSETS) else None


def _check_numbers(value: Any) -> None:
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            left.extend(one.values())
        elif isinstance(one, list):
            left.extend(one)
        elif isinstance(one, float) and not math.isfinite(one):
            raise ValueError("a number is not finite")
        elif isinstance(one, int) and one.bit_length() > 1024:
            raise ValueError("a number is far too long")


# Bytes.


class TooLong(httpx.RemoteProtocolError):
    """More came than any answer of a vendor's has."""


class BodyReader:
    """Takes a body in, piece by piece, without its content codings, and never more than ``limit`` bytes of it.

    :param headers: The answer's headers.
    :param limit: Bytes that may come, on the wire and after decompression.
    :param pieces: In how many pieces at most.
    """

    def __init__(self, headers: Mapping[str, str], limit: int = MOST_JSON, pieces: int | None = MOST_PIECES) -> None:
        self._limit = limit
        self._pieces = pieces
        self._came = self._held = 0
        named = [coding.strip().lower() for coding in headers.get("content-encoding", "").split(",")]
        codings = [_CODINGS[coding] for coding in named if coding in _CODINGS]
        if unread := {"br", "zstd", "compress"}.intersection(named):
            raise httpx.DecodingError(f"the answer came in the coding {unread.pop()!r}, which was not asked for")
        if len(codings) > _MOST_CODINGS:
            raise httpx.DecodingError(f"the answer is encoded {len(codings)} times")
        self._decoders = [_Inflate(*coding) for coding in reversed(codings)]

    def take(self, piece: bytes) -> Iterator[bytes]:
        """What a piece from the wire holds, in pieces of 64 KiB at most.

        :raises TooLong: it is more than may come.
        :raises httpx.DecodingError: it cannot be decompressed.
        """
        self._came += len(piece)
        if self._pieces is not None:
            self._pieces -= 1
            if self._pieces < 0:
                raise httpx.RemoteProtocolError("the answer came in far too many pieces")
        if self._came > self._limit:
            raise self._too_much()
        for decoded in _through(self._decoders, piece):
            self._held += len(decoded)
            if self._held > self._limit:
                raise self._too_much()
            yield decoded

    def finish(self) -> None:
        """The body has ended.

        :raises httpx.DecodingError: its compressed form has not.
        """
        if any(decoder.cut for decoder in self._decoders):
            raise httpx.DecodingError("the compressed answer is cut")

    def _too_much(self) -> TooLong:
        return TooLong(f"the answer is longer than {self._limit:,} bytes")


class _Inflate:
    """zlib's formats, so that no call makes more than one piece."""

    def __init__(self, window: int, fallback: int | None = None) -> None:
        self._window = window
        self._fallback = fallback
        self._head = b""
        self._zlib = zlib.decompressobj(window)
        self._begun = False

    @property
    def cut(self) -> bool:
        """Has it begun and not come to its end?"""
        return self._begun and not self._zlib.eof

    def take(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._zlib.eof:  # another member, or what some servers leave behind the last one
                if data[0] != 0x1F or not self._window & 16:
                    return
                self._zlib = zlib.decompressobj(self._window)
            try:
                out = self._zlib.decompress(data, _PIECE)
            except zlib.error as error:
                if not self._fallback:
                    raise httpx.DecodingError(str(error)) from None
                self._window, self._fallback = self._fallback, None
                self._zlib = zlib.decompressobj(self._window)
                data = self._head + data
                continue
            self._begun = True
            if self._fallback:  # the first two bytes show
                self._head += data[:2]
                self._fallback = self._fallback if len(self._head) < 2 else None
            if out:
                yield out
            data = self._zlib.unused_data if self._zlib.eof else self._zlib.unconsumed_tail
        while not self._zlib.eof and (out := self._zlib.decompress(b"", _PIECE)):
            yield out


#: Windows for zlib; what is called deflate comes with and without a frame. A word that is no coding is passed over.
_CODINGS = {
    "gzip": (16 + zlib.MAX_WBITS,),
    "x-gzip": (16 + zlib.MAX_WBITS,),
    "deflate": (zlib.MAX_WBITS, -zlib.MAX_WBITS),
}


def _through(decoders: list[_Inflate], piece: bytes) -> Iterator[bytes]:
    if not decoders:
        yield piece
        return
    first, *rest = decoders
    for decoded in first.take(piece):
        yield from _through(rest, decoded)
