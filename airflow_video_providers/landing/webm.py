"""WebM and Matroska: walk the EBML elements while the bytes pass by, and read what they say.

The layout is RFC 8794 (EBML) and RFC 9559 (Matroska): a row of elements, each with an id and a length in front.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from airflow_video_providers.landing.container import MediaInfo, malformed, rejected

if TYPE_CHECKING:
    from collections.abc import Iterator

EBML_MAGIC = b"\x1a\x45\xdf\xa3"
_EBML, _SEGMENT, _INFO, _TRACKS, _CLUSTER = 0x1A45DFA3, 0x18538067, 0x1549A966, 0x1654AE6B, 0x1F43B675
_LARGEST_KEPT = 4 * 1024 * 1024
_MEDIA_TYPES = {b"webm": "video/webm", b"matroska": "video/x-matroska"}


def _length(first: int) -> int:
    """How many bytes a variable-length number has, by its first byte."""
    return 9 - first.bit_length()


def _number(data: bytes) -> int | None:
    """A variable-length number without its marker; None where all its bits are set ("unknown")."""
    ones = (1 << 7 * len(data)) - 1
    value = int.from_bytes(data) & ones
    return None if value == ones else value


class WebmWalk:
    """Takes the file in pieces of any size; knows at the end whether it was whole."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._left = 0
        self._at = 0
        self._segment_end: int | None = None
        self._kept: dict[int, bytes] = {}
        self._keeping: tuple[int, bytearray] | None = None
        self._clusters = 0

    def feed(self, data: bytes) -> None:
        """Take the next piece.

        :raises OutputRejectedError: as soon as the elements make no sense.
        """
        view, at = memoryview(data), 0
        while at < len(view):
            if self._left:
                taken = min(self._left, len(view) - at)
                if self._keeping is not None:
                    self._keeping[1].extend(view[at : at + taken])
                self._left -= taken
                at += taken
                self._end_of_element()
            else:
                taken = 1
                self._head.append(view[at])
                at += 1
                self._maybe_open_element()
            self._at += taken

    def _maybe_open_element(self) -> None:
        head = self._head
        id_length = _length(head[0])
        if id_length > 4:
            raise malformed(f"byte {self._at} begins no element")
        if len(head) <= id_length:
            return
        if not head[id_length]:
            raise malformed(f"an element near byte {self._at} has an impossible length")
        if len(head) < id_length + _length(head[id_length]):
            return
        name, size = int.from_bytes(head[:id_length]), _number(bytes(head[id_length:]))
        head.clear()
        if name == _SEGMENT:
            self._segment_end = None if size is None else self._at + 1 + size
            return
        self._clusters += name == _CLUSTER
        if size is None:
            if name != _CLUSTER:
                raise malformed(f"the element {name:#x} has no length")
            return  # a live recording: its blocks follow as if they were siblings
        self._left = size
        if name in (_EBML, _INFO, _TRACKS):
            if size > _LARGEST_KEPT:
                raise malformed(f"the element {name:#x} says that it is {size} bytes long")
            self._keeping = (name, bytearray())
        self._end_of_element()

    def _end_of_element(self) -> None:
        if not self._left and self._keeping is not None:
            name, data = self._keeping
            self._kept[name], self._keeping = bytes(data), None

    def close(self, size: int) -> MediaInfo:
        """Nothing more comes.

        :param size: How many bytes there were.
        :raises OutputRejectedError: if the last element is not complete, or there is no picture in it.
        """
        missing = max(self._left, (self._segment_end or 0) - size)
        if missing > 0 or self._head:
            raise rejected(f"The file is cut: {max(missing, 1)} bytes or more are missing after {size}", "truncated")
        if _TRACKS not in self._kept or not self._clusters:
            raise rejected(f"The file ends after {size} bytes without its pictures", "truncated")
        return self._probe()

    def _probe(self) -> MediaInfo:
        doctype = dict(_elements(self._kept.get(_EBML, b""))).get(0x4282, b"").rstrip(b"\0")
        info = dict(_elements(self._kept.get(_INFO, b"")))
        scale = int.from_bytes(info.get(0x2AD7B1, b"\x0f\x42\x40"))
        duration = _float(info.get(0x4489, b""))
        codecs, width, height, fps = [], 0, 0, None
        for name, body in _elements(self._kept[_TRACKS]):
            if name != 0xAE:
                continue
            track = dict(_elements(body))
            codecs.append(track.get(0x86, b"").decode("ascii", "replace"))
            if track.get(0x83) == b"\x01" and not width:
                picture = dict(_elements(track.get(0xE0, b"")))
                width, height = int.from_bytes(picture.get(0xB0, b"")), int.from_bytes(picture.get(0xBA, b""))
                frame_ns = int.from_bytes(track.get(0x23E383, b""))
                fps = round(1e9 / frame_ns, 3) if frame_ns else None
        if not width:
            raise rejected("The file holds no picture track", "not_a_video")
        media_type = _MEDIA_TYPES.get(doctype, "video/x-matroska")
        return MediaInfo(
            media_type=media_type,
            container="webm" if media_type == "video/webm" else "mkv",
            duration_s=round(duration * scale / 1e9, 3) if duration else None,
            width=width,
            height=height,
            fps=fps,
            codecs=tuple(codecs),
        )


def _float(data: bytes) -> float:
    if len(data) not in (4, 8):
        return 0.0
    return float(struct.unpack(">f" if len(data) == 4 else ">d", data)[0])


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        id_length = _length(data[at])
        size_at = at + id_length
        if size_at >= len(data):
            raise malformed("an element inside its header is cut")
        body = size_at + _length(data[size_at])
        size = _number(data[size_at:body])
        if size is None or body + size > len(data):
            raise malformed("an element inside its header runs past the header's end")
        yield int.from_bytes(data[at:size_at]), data[body : body + size]
        at = body + size
