"""What the ``moov`` of an MP4 or QuickTime film says: its tracks, and where the last byte of each one lies."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from operator import mul, sub
from typing import TYPE_CHECKING

from airflow_video_providers.core.landing.mp4_boxes import Boxes, numbers, table

if TYPE_CHECKING:
    from array import array

_PICTURES = (b"vide", b"pict")
_IDENTITY = (1, 0, 0, 1)
Matrix = tuple[int, int, int, int]


@dataclass(frozen=True)
class Track:
    """One track.

    :param size: Width and height before any turning, 0 where they are not said.
    :param ticks: Of its clock, per second.
    :param duration: Of all samples, in these ticks; 0 where it is not said.
    :param samples: How many its tables hold: frames, for a picture.
    :param end: The byte behind the last one that its tables point to.
    """

    number: int
    is_picture: bool
    codec: str
    size: tuple[int, int]
    matrix: Matrix
    ticks: int
    duration: int
    samples: int
    end: int


class Movie:
    """Reads a ``moov``.

    :param moov: Its body.
    :param boxes: Counts the file's boxes.
    :raises OutputRejectedError: if its boxes make no sense.
    """

    def __init__(self, moov: bytes | bytearray, boxes: Boxes) -> None:
        self._boxes = boxes
        self.remarks: list[str] = []
        self.tracks: list[Track] = []
        self.defaults: dict[int, tuple[int, int]] = {}
        self.promised = 0
        header: memoryview | None = None
        self.duration = self.ticks = 0
        traks = []
        for kind, body in boxes.children(memoryview(moov)):
            if kind == b"mvhd":
                header = body
                self.ticks, self.duration = _clock(header)
            elif kind == b"trak":
                traks.append(body)
            elif kind == b"mvex":
                self._extends(body)
        turned = _matrix(header, 36)
        for trak in traks:
            self._track(trak, turned)

    def _extends(self, mvex: memoryview) -> None:
        """What fragments take for granted: their whole length, and per track the (duration, size) of a sample."""
        for kind, body in self._boxes.children(mvex):
            if kind == b"mehd" and len(body) >= 8:
                self.promised = int.from_bytes(body[4 : 12 if body[0] == 1 else 8])
            elif kind == b"trex" and len(body) >= 20:
                number, _, duration, size = numbers(body[4:20], 4)
                self.defaults[number] = duration, size

    def _track(self, trak: memoryview, turned: Matrix) -> None:
        media = self._boxes.find(trak, b"mdia")
        handler = self._boxes.find(media, b"hdlr")
        tables = self._boxes.find(media, b"minf", b"stbl")
        if handler is None or tables is None:
            return
        found: dict[bytes, memoryview] = {}
        for kind, body in self._boxes.children(tables):
            found.setdefault(kind, body)
        header = self._boxes.find(trak, b"tkhd")
        is_picture = bytes(handler[8:12]) in _PICTURES
        codec, size = self._sample_entry(found.get(b"stsd"), is_picture)
        if is_picture and not all(size):
            size = _shown_size(header)
            self.remarks.append("its sample entry has no size")
        if codec == "encv":
            self.remarks.append("its picture is encrypted")
        ticks, duration = _clock(self._boxes.find(media, b"mdhd"))
        times = self._table("stts", found.get(b"stts"), columns=2)
        # not the mdhd's: that one counts the wait for frames that are shown in another order
        duration = sum(map(mul, times[::2], times[1::2])) or duration
        wide = header is not None and len(header) > 0 and header[0] == 1
        self.tracks.append(
            Track(
                number=int.from_bytes(header[20:24] if wide else header[12:16]) if header is not None else 0,
                is_picture=is_picture,
                codec=codec,
                size=size,
                matrix=_times(_matrix(header, 40), turned),
                ticks=ticks,
                duration=duration,
                samples=sum(times[::2]),
                end=self._end(found, counts_bytes=is_picture or not _counts_samples(found.get(b"stsd"))),
            )
        )

    def _table(self, name: str, body: memoryview | None, *, columns: int = 1, width: int = 4) -> array[int]:
        rows, whole = table(body, columns=columns, width=width)
        if not whole:
            self.remarks.append(f"its table {name} is shorter than it says")
        return rows

    def _sample_entry(self, stsd: memoryview | None, is_picture: bool) -> tuple[str, tuple[int, int]]:
        """Codec and size of the first sample entry; AVC with its profile, as RFC 6381 writes it."""
        if stsd is None or len(stsd) < 16:
            return "", (0, 0)
        entry = stsd[8 : 8 + int.from_bytes(stsd[8:12])]
        name = bytes(stsd[12:16]).decode("latin-1").strip()
        if not is_picture or len(entry) < 86:
            return name, (0, 0)
        if name in ("avc1", "avc3"):
            config = self._boxes.find(entry[86:], b"avcC")
            if config is not None and len(config) >= 4:
                name = f"{name}.{bytes(config[1:4]).hex()}"
        return name, (int.from_bytes(entry[32:34]), int.from_bytes(entry[34:36]))

    def _end(self, found: dict[bytes, memoryview], *, counts_bytes: bool) -> int:
        """The byte behind the last chunk; behind its first byte where its length is not said."""
        offsets = self._table("stco", found.get(b"stco")) or self._table("co64", found.get(b"co64"), width=8)
        if not offsets:
            return 0
        start = max(offsets)
        runs = self._table("stsc", found.get(b"stsc"), columns=3)
        sizes = found.get(b"stsz") or found.get(b"stz2")
        if not runs or sizes is None or len(sizes) < 12 or not counts_bytes:
            return start + 1
        before, count = _samples_of_chunk(offsets.index(start) + 1, runs[::3], runs[1::3])
        every, total = int.from_bytes(sizes[4:8]), int.from_bytes(sizes[8:12])
        if before < 0 or count < 0:
            return start + 1
        if b"stsz" not in found:  # every is the number of bits of each size: 4, 8 or 16
            if every == 4:
                pairs = sizes[12:][before // 2 : (before + count + 1) // 2]
                halves = [half for pair in pairs for half in (pair >> 4, pair & 15)]
                return start + sum(halves[before % 2 : before % 2 + count])
            listed, _ = table(sizes, head=12, width=2 if every == 16 else 1)
            return start + sum(listed[before : before + count])
        if every:
            return start + every * max(0, min(count, total - before))
        listed, whole = table(sizes, head=12)
        if not whole:
            self.remarks.append("its table stsz is shorter than it says")
        return start + sum(listed[before : before + count])


def _samples_of_chunk(number: int, firsts: array[int], counts: array[int]) -> tuple[int, int]:
    """(samples in the chunks before, samples in it); the table names only the chunks where the count changes."""
    rows = bisect_right(firsts, number)
    if not rows:
        return 0, 0
    chunks = map(sub, firsts[1:rows], firsts[: rows - 1])
    before = sum(map(mul, chunks, counts[: rows - 1]))
    return before + (number - firsts[rows - 1]) * counts[rows - 1], counts[rows - 1]


def _counts_samples(stsd: memoryview | None) -> bool:
    """QuickTime's compressed sound of version 1 counts samples of sound where others count bytes."""
    return stsd is not None and len(stsd) >= 26 and int.from_bytes(stsd[24:26]) == 1


def _clock(header: memoryview | None) -> tuple[int, int]:
    """(ticks per second, duration in ticks) of an mvhd or mdhd."""
    if header is None or len(header) < 20:
        return 0, 0
    at, wide = (20, 8) if header[0] == 1 else (12, 4)
    duration = int.from_bytes(header[at + 4 : at + 4 + wide])
    return int.from_bytes(header[at : at + 4]), 0 if duration == (1 << 8 * wide) - 1 else duration


def _matrix(header: memoryview | None, at: int) -> Matrix:
    """The four numbers of an mvhd or tkhd that turn a picture; of none where they are missing or all zero.

    :param at: Where the matrix begins in version 0.
    """
    if header is None or not len(header):
        return _IDENTITY
    at += 12 if header[0] == 1 else 0
    if len(header) < at + 36:
        return _IDENTITY
    a, b, c, d = (int.from_bytes(header[at + n : at + n + 4], signed=True) for n in (0, 4, 12, 16))
    return (a, b, c, d) if a * d != b * c else _IDENTITY


def _times(first: Matrix, then: Matrix) -> Matrix:
    (a, b, c, d), (e, f, g, h) = first, then
    return a * e + b * g, a * f + b * h, c * e + d * g, c * f + d * h


def _shown_size(tkhd: memoryview | None) -> tuple[int, int]:
    """The size of a tkhd, whole pixels of a 16.16 number."""
    at = 0 if tkhd is None or not len(tkhd) else 88 if tkhd[0] == 1 else 76
    return (
        (0, 0) if tkhd is None or not at else (int.from_bytes(tkhd[at : at + 2]), int.from_bytes(tkhd[at + 4 : at + 6]))
    )


def turn_of(matrix: Matrix) -> tuple[bool, str]:
    """What a player does with a frame before it shows it.

    :return: Whether width and height change places, and the filters that do it.
    """
    a, b, c, d = matrix
    across = abs(b * c) > abs(a * d)
    x, y = (c, b) if across else (a, d)
    steps = [("transpose=cclock_flip", across), ("hflip", x < 0), ("vflip", y < 0)]
    return across, ",".join(name for name, needed in steps if needed)
