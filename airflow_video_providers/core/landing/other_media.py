"""A file beside the video: is it what its role promises, and whole as far as its own signature and size say?

A last frame or a poster has to be a picture, an audio a sound. Of any other file nothing is known: its bytes land as they
are, and are called what the vendor calls them where that is harmless.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from airflow_video_providers.core.jobs import OutputRole
from airflow_video_providers.core.landing import mp4
from airflow_video_providers.core.landing.media_info import MediaInfo, rejected

if TYPE_CHECKING:
    from collections.abc import Callable

#: What a landed file is called that is no video, by what it was found to be.
PICTURES = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp", "image/gif": "gif", "image/avif": "avif"}
SOUNDS = {
    "audio/mpeg": "mp3",
    "audio/wav": "wav",
    "audio/ogg": "ogg",
    "audio/flac": "flac",
    "audio/mp4": "m4a",
    "audio/aac": "aac",
    "audio/webm": "weba",
}
#: Of other files, by what the vendor says that they are; no page that a browser would run is among them.
OTHERS = {
    "application/octet-stream": "bin",
    "application/json": "json",
    "application/zip": "zip",
    "application/x-subrip": "srt",
    "text/vtt": "vtt",
    "text/plain": "txt",
    **PICTURES,
    **SOUNDS,
}
#: By role: what may land there.
TYPES = {
    OutputRole.LAST_FRAME: PICTURES,
    OutputRole.POSTER: PICTURES,
    OutputRole.AUDIO: SOUNDS,
    OutputRole.OTHER: OTHERS,
}
_HEAD, _TAIL = 64 * 1024, 1024
_ENOUGH = 16
#: Sizes that a RIFF file's writer leaves where it could not seek back.
_OPEN_SIZES = (0, 0xFFFF_FFFF)


def kind_of(head: bytes) -> str | None:
    """What a picture's or a sound's first bytes say that it is; None for anything else."""
    if head[:4] == b"RIFF":
        return {b"WEBP": "image/webp", b"WAVE": "audio/wav"}.get(head[8:12])
    if head[4:8] == b"ftyp":
        return {b"avif": "image/avif", b"avis": "image/avif", b"M4A ": "audio/mp4", b"M4B ": "audio/mp4"}.get(
            head[8:12]
        )
    if head[:2] in (b"\xff\xf1", b"\xff\xf9"):
        return "audio/aac"
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2:  # a frame of MPEG audio, layer III
        return "audio/mpeg"
    return next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), None)


def _media(head: bytes) -> str | None:
    return kind_of(head) or mp4.media_type_of(head[:_ENOUGH])


_MAGIC = {
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
    b"ID3": "audio/mpeg",
    b"OggS": "audio/ogg",
    b"fLaC": "audio/flac",
    b"\x1a\x45\xdf\xa3": "audio/webm",
}


class OtherInspector:
    """Takes a file beside the video as it passes by.

    :param role: What it has to be.
    :param said: What the vendor says that it is: believed of :attr:`OutputRole.OTHER` alone.
    """

    def __init__(self, role: OutputRole, said: str | None = None) -> None:
        self._role = role
        self._said = (said or "").partition(";")[0].strip().lower()
        self._head = self._tail = b""
        self._size = 0

    def feed(self, data: bytes) -> None:
        """Take the next piece.

        :raises OutputRejectedError: as soon as it is known that this is nothing to keep.
        """
        enough = self._size >= _ENOUGH
        self._size += len(data)
        if len(self._head) < _HEAD:
            self._head += data[: _HEAD - len(self._head)]
        self._tail = (self._tail + data)[-_TAIL:]
        if not enough and self._size >= _ENOUGH and self._role is not OutputRole.OTHER and _media(self._head) is None:
            raise self._no_such(f"it begins with {self._head[:_ENOUGH]!r}", keep=False)

    def close(self) -> MediaInfo:
        """Nothing more comes.

        :raises OutputRejectedError: it is not what its role promises, or not whole.
        """
        if not self._size:
            raise rejected("Nothing came", "truncated", keep=False)
        types = TYPES[self._role]
        if self._role is OutputRole.OTHER:
            return MediaInfo(self._said if self._said in types else "application/octet-stream")
        kind = _media(self._head)
        if kind is None or kind not in types:
            raise self._no_such(f"it is {kind or repr(self._head)}", keep=kind is not None)
        width, height = _sides(kind, self._head)
        if not self._whole(kind) or 0 in (width, height):
            raise rejected(f"The {self._name} is cut: it is {kind}, and its end is missing", "truncated")
        return MediaInfo(kind, width=width, height=height)

    @property
    def _name(self) -> str:
        return self._role.replace("_", " ")

    def _no_such(self, why: str, *, keep: bool) -> Exception:
        noun = "a sound" if self._role is OutputRole.AUDIO else "a picture"
        return rejected(
            f"What came as the {self._name} is not {noun} that is known here: {why}", "not_a_video", keep=keep
        )

    def _whole(self, kind: str) -> bool:
        if self._head[:4] == b"RIFF":
            (size,) = struct.unpack_from("<I", self._head, 4) if len(self._head) >= 8 else (0,)
            return self._size >= size + 8 or (kind == "audio/wav" and size in _OPEN_SIZES)
        end = {"image/png": b"IEND\xaeB`\x82", "image/jpeg": b"\xff\xd9", "image/gif": b";"}.get(kind, b"")
        return end in self._tail


def _sides(kind: str, head: bytes) -> tuple[int | None, int | None]:
    """Width and height, where the header says."""
    read: Callable[[bytes], tuple[int, int] | None] = _READERS.get(kind, lambda _head: None)
    try:
        return read(head) or (None, None)
    except (struct.error, IndexError):
        return None, None


def _png(head: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from(">II", head, 16)
    return width, height


def _gif(head: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from("<HH", head, 6)
    return width, height


def _webp(head: bytes) -> tuple[int, int] | None:
    match head[12:16]:
        case b"VP8X":
            return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
        case b"VP8L":
            bits = int.from_bytes(head[21:25], "little")
            return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        case b"VP8 ":
            width, height = struct.unpack_from("<HH", head, 26)
            return width & 0x3FFF, height & 0x3FFF
    return None


def _jpeg(head: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(head) and head[at] == 0xFF:
        marker, (length,) = head[at + 1], struct.unpack_from(">H", head, at + 2)
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", head, at + 5)
            return width, height
        at += 2 + max(length, 2)
    return None


_READERS: dict[str, Callable[[bytes], tuple[int, int] | None]] = {
    "image/png": _png,
    "image/gif": _gif,
    "image/webp": _webp,
    "image/jpeg": _jpeg,
}
