"""A film in fragments: each ``moof`` describes the samples of the ``mdat`` behind it, and ``sidx`` all of them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from airflow_video_providers.core.landing.mp4_boxes import numbers

if TYPE_CHECKING:
    from airflow_video_providers.core.landing.mp4_boxes import Boxes

_BASE_GIVEN, _DESCRIPTION, _DURATION, _SIZE, _BASE_IS_MOOF = 0x1, 0x2, 0x8, 0x10, 0x20000
_RUN_OFFSET, _RUN_FIRST_FLAGS = 0x1, 0x4
_RUN_DURATION, _RUN_SIZE, _RUN_FLAGS, _RUN_SHIFT = 0x100, 0x200, 0x400, 0x800


class Fragments:
    """Adds up what the fragments say.

    :param boxes: Counts the file's boxes.
    """

    def __init__(self, boxes: Boxes) -> None:
        self._boxes = boxes
        self.remarks: list[str] = []
        self.samples: Counter[int] = Counter()
        self.durations: Counter[int] = Counter()
        self.end = 0
        self.promised_end = 0
        self.promised_s = 0.0

    def add(self, moof: bytes | bytearray, start: int, defaults: dict[int, tuple[int, int]]) -> None:
        """Take one fragment.

        :param start: The byte at which its box begins.
        :param defaults: (duration, size) of a sample by track, as the ``moov`` has it.
        """
        end: int | None = None
        for kind, traf in self._boxes.children(memoryview(moof)):
            if kind == b"traf":
                end = self._track(traf, start, start if end is None else end, defaults)
        self.end = max(self.end, end or 0)

    def _track(self, traf: memoryview, start: int, follows: int, defaults: dict[int, tuple[int, int]]) -> int:
        header = self._boxes.find(traf, b"tfhd")
        if header is None or len(header) < 8:
            return follows
        flags, number = int.from_bytes(header[1:4]), int.from_bytes(header[4:8])
        duration, size = defaults.get(number, (0, 0))
        base, at = start if flags & _BASE_IS_MOOF else follows, 8
        if flags & _BASE_GIVEN:
            base, at = int.from_bytes(header[at : at + 8]), at + 8
        at += 4 if flags & _DESCRIPTION else 0
        if flags & _DURATION:
            duration, at = int.from_bytes(header[at : at + 4]), at + 4
        if flags & _SIZE:
            size = int.from_bytes(header[at : at + 4])
        end = base
        for kind, run in self._boxes.children(traf):
            if kind == b"trun" and len(run) >= 8:
                end = self._run(run, number, base, end, duration, size)
        return end

    def _run(self, run: memoryview, number: int, base: int, follows: int, duration: int, size: int) -> int:
        flags, count, at = int.from_bytes(run[1:4]), int.from_bytes(run[4:8]), 8
        start = follows
        if flags & _RUN_OFFSET:
            start, at = base + int.from_bytes(run[at : at + 4], signed=True), at + 4
        at += 4 if flags & _RUN_FIRST_FLAGS else 0
        columns = sum(bool(flags & bit) for bit in (_RUN_DURATION, _RUN_SIZE, _RUN_FLAGS, _RUN_SHIFT))
        if columns and count * columns * 4 > len(run) - at:
            count = max(0, len(run) - at) // (columns * 4)
            self.remarks.append("a table of its fragments is shorter than it says")
        rows = numbers(run[at : at + count * columns * 4], 4)
        self.samples[number] += count
        self.durations[number] += sum(rows[::columns]) if flags & _RUN_DURATION else count * duration
        sizes = rows[bool(flags & _RUN_DURATION) :: columns] if flags & _RUN_SIZE else None
        return start + (sum(sizes) if sizes is not None else count * size)

    def index(self, sidx: bytes | bytearray, end: int) -> None:
        """Take a ``sidx``: the lengths of all the fragments that follow it.

        :param end: The byte behind its box.
        """
        view = memoryview(sidx)
        wide = 8 if len(view) and view[0] == 1 else 4
        at = 12 + 2 * wide
        if len(view) < at + 4:
            return
        ticks, rows = int.from_bytes(view[8:12]), int.from_bytes(view[at + 2 : at + 4])
        entries = numbers(view[at + 4 : at + 4 + rows * 12], 4)
        sizes = sum(size & 0x7FFFFFFF for size in entries[::3])
        self.promised_end = max(self.promised_end, end + int.from_bytes(view[at - wide : at]) + sizes)
        self.promised_s = max(self.promised_s, sum(entries[1::3]) / ticks if ticks else 0.0)
