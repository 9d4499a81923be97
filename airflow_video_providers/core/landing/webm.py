"""WebM and Matroska: walk the EBML elements while the bytes pass by, and read what they say.

The layout is RFC 8794 (EBML) and RFC 9559 (Matroska): a row of elements, each with an id and a length in front.
"""

from __future__ import annotations

import math
import struct
from collections import Counter
from typing import TYPE_CHECKING

from airflow_video_providers.core.landing.media_info import MediaInfo, Picture, described, malformed, rejected

if TYPE_CHECKING:
    from collections.abc import Iterator

EBML_MAGIC = b"\x1a\x45\xdf\xa3"
_EBML, _SEGMENT, _INFO, _TRACKS, _CLUSTER = 0x1A45DFA3, 0x18538067, 0x1549A966, 0x1654AE6B, 0x1F43B675
_LARGEST_KEPT = 512 * 1024
#: In the whole file: a live recording has one element a frame at the walk's level, any other one a cluster.
_MOST_ELEMENTS = 100_000
_MOST_IN_HEADER = 10_000
#: Beyond these a cluster is one thing, and its frames are not counted.
_MOST_COUNTED = 60_000
_BLOCK_GROUP, _BLOCK, _SIMPLE_BLOCK = 0xA0, 0xA1, 0xA3
_LONGEST_HEAD = 20
# its frames that are shown and those that are not come in blocks of their own
_HIDES_FRAMES = b"V_VP8"
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
        self._rest = b""
        self._left = 0
        self._at = 0
        self._segment_end: int | None = None
        self._kept: dict[int, bytes] = {}
        self._keeping: tuple[int, bytearray] | None = None
        self._clusters = 0
        self._elements = 0
        self._behind: int | None = None
        self._cluster_end = 0
        self._blocks: Counter[int] = Counter()
        self._counts = self._readable = True

    def feed(self, data: bytes) -> None:
        """Take the next piece.

        :raises OutputRejectedError: as soon as the elements make no sense.
        """
        if self._rest:
            data, self._rest = self._rest + data, b""
        view, at = memoryview(data), 0
        while at < len(view) and self._behind is None:
            if self._left:
                taken = min(self._left, len(view) - at)
                if self._keeping is not None:
                    self._keeping[1].extend(view[at : at + taken])
                self._left -= taken
                self._end_of_element()
            else:
                taken = self._open(bytes(view[at : at + _LONGEST_HEAD]))
                if not taken:
                    self._rest = bytes(view[at:])
                    return
            at += taken
            self._at += taken

    def _open(self, head: bytes) -> int:
        """Begin an element, if its head is here. Returns the head's length, 0 if more of it is to come."""
        if self._is_over():
            self._behind = self._at
            return len(head)
        room = self._cluster_end - self._at
        if 0 < room <= len(head):
            head = head[:room]
        id_length = _length(head[0])
        if id_length > 4:
            return self._no_element(f"byte {self._at} begins no element")
        if len(head) <= id_length:
            return self._no_element("") if len(head) == room else 0
        if not head[id_length]:
            return self._no_element(f"an element near byte {self._at} has an impossible length")
        length = id_length + _length(head[id_length])
        if len(head) < length:
            return self._no_element("") if len(head) == room else 0
        name, size = int.from_bytes(head[:id_length]), _number(head[id_length:length])
        if room > 0 and (size is None or length + size > room):
            return self._no_element(f"an element near byte {self._at} runs past its cluster")
        if name in (_BLOCK, _SIMPLE_BLOCK) and size:
            if len(head) < length + min(8, size):
                return 0
            self._blocks[_number(head[length : length + _length(head[length])]) or 0] += 1
        self._elements += 1
        if self._elements > _MOST_ELEMENTS:
            raise malformed(f"it has more than {_MOST_ELEMENTS} elements")
        self._begin(name, size, self._at + length)
        return length

    def _no_element(self, what: str) -> int:
        """Players look for the next cluster and lose the rest of this one; outside of any there is nothing to look for."""
        if self._at >= self._cluster_end:
            raise malformed(what)
        self._left, self._readable = self._cluster_end - self._at - 1, False
        return 1

    def _is_over(self) -> bool:
        """Whether the film that has a length ends here, with all that a film needs; what follows is none of it."""
        return self._segment_end is not None and self._at >= self._segment_end and self._is_film()

    def _is_film(self) -> bool:
        return _TRACKS in self._kept and self._clusters > 0

    def _begin(self, name: int, size: int | None, body: int) -> None:
        if name == _SEGMENT:
            self._segment_end = None if size is None else body + size
            return
        self._clusters += name == _CLUSTER
        if size is None:
            if name != _CLUSTER:
                raise malformed(f"the element {name:#x} has no length")
            return  # a live recording: its blocks follow as if they were siblings
        if name == _CLUSTER:
            self._counts = self._counts and self._elements < _MOST_COUNTED
        if (name == _CLUSTER and self._counts) or (name == _BLOCK_GROUP and self._at < self._cluster_end):
            self._cluster_end = max(self._cluster_end, body + size)
            return  # what is in it follows
        self._left = size
        if name in (_EBML, _INFO, _TRACKS) and name not in self._kept:
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
        missing = max(self._left, self._cluster_end - size, (self._segment_end or 0) - size)
        if missing > 0 or self._rest:
            raise rejected(f"The file is cut: {max(missing, 1)} bytes or more are missing after {size}", "truncated")
        if not self._is_film():
            raise rejected(f"The file ends after {size} bytes without its pictures", "truncated")
        remarks = [] if self._behind is None else [f"{size - self._behind} bytes stand behind its end"]
        if not self._readable:
            remarks.append("a part of its pictures or sound cannot be read")
        return self._probe(remarks)

    def _probe(self, remarks: list[str]) -> MediaInfo:
        doctype = _fields(self._kept.get(_EBML, b"")).get(0x4282, b"").rstrip(b"\0")
        info = _fields(self._kept.get(_INFO, b""))
        duration = _float(info.get(0x4489, b"")) * _whole(info.get(0x2AD7B1, b"\x0f\x42\x40")) / 1e9
        tracks = [_fields(body) for name, body in _elements(self._kept[_TRACKS]) if name == 0xAE]
        pictures = [track for track in tracks if track.get(0x83, b"").lstrip(b"\0") == b"\x01"]
        if not pictures:
            raise rejected("The file holds no picture track", "not_a_video")
        picture = next((track for track in pictures if all(_size(track))), pictures[0])
        frame_ns = _whole(picture.get(0x23E383, b""))
        across, turn = _turn(_fields(picture.get(0xE0, b"")))
        width, height = _size(picture)
        media_type = _MEDIA_TYPES.get(doctype, "video/x-matroska")
        return described(
            media_type,
            "webm" if media_type == "video/webm" else "mkv",
            duration_s=duration or None,
            size=(height, width) if across else (width, height),
            fps=1e9 / frame_ns if frame_ns else None,
            codecs=[track.get(0x86, b"")[:64].decode("latin-1").rstrip("\0") for track in tracks],
            remarks=remarks,
            picture=Picture(frames=self._frames(picture), turn=turn, readable=self._readable),
        )

    def _frames(self, track: dict[int, bytes]) -> int | None:
        counts = self._counts and track.get(0x86) != _HIDES_FRAMES
        return (self._blocks[_whole(track.get(0xD7, b""))] or None) if counts else None


def _size(track: dict[int, bytes]) -> tuple[int, int]:
    picture = _fields(track.get(0xE0, b""))
    return _whole(picture.get(0xB0, b"")), _whole(picture.get(0xBA, b""))


def _turn(picture: dict[int, bytes]) -> tuple[bool, str]:
    """Whether width and height change places, and the filters that turn a frame: a flat picture may be rolled."""
    projection = _fields(picture.get(0x7670, b""))
    roll = _float(projection.get(0x7675, b""))
    if not projection or _whole(projection.get(0x7671, b"")) or not math.isfinite(roll):
        return False, ""
    return {
        90: (True, "transpose=cclock_flip,vflip"),
        180: (False, "hflip,vflip"),
        270: (True, "transpose=cclock_flip,hflip"),
    }.get(round(roll) % 360, (False, ""))


def _whole(data: bytes) -> int:
    """A whole number; 0 for one of more than the eight bytes that RFC 8794 allows."""
    return int.from_bytes(data) if len(data) <= 8 else 0


def _float(data: bytes) -> float:
    if len(data) not in (4, 8):
        return 0.0
    return float(struct.unpack(">f" if len(data) == 4 else ">d", data)[0])


def _fields(data: bytes) -> dict[int, bytes]:
    return dict(_elements(data))


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = count = 0
    while at < len(data):
        count += 1
        if count > _MOST_IN_HEADER:
            raise malformed(f"its header has more than {_MOST_IN_HEADER} elements in a row")
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
