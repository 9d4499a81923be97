"""The boxes of ISO/IEC 14496-12 inside a piece of memory, and the tables in them, with a bound on the work.

Counts and lengths in a file are claims. Nothing here takes more time or memory than the bytes that are there.
"""

from __future__ import annotations

import sys
from array import array
from typing import TYPE_CHECKING

from airflow_video_providers.core.landing.media_info import malformed

if TYPE_CHECKING:
    from collections.abc import Iterator

#: In the whole file. A film with a fragment per frame has a dozen a frame; these take a fifth of a second.
MOST_BOXES = 100_000


class Boxes:
    """Walks boxes and counts them, over all the pieces of one file.

    :param most: More boxes than this are no film.
    """

    def __init__(self, most: int = MOST_BOXES) -> None:
        self._most = most
        self._left = most

    def count(self) -> None:
        """One more box.

        :raises OutputRejectedError: if there are too many.
        """
        self._left -= 1
        if self._left < 0:
            raise malformed(f"it has more than {self._most} boxes")

    def children(self, view: memoryview) -> Iterator[tuple[bytes, memoryview]]:
        """Name and body of each box in a row.

        :raises OutputRejectedError: if one runs past the end, or there are too many.
        """
        at = 0
        while at + 8 <= len(view):
            size, header = int.from_bytes(view[at : at + 4]), 8
            if size == 1:
                size, header = int.from_bytes(view[at + 8 : at + 16]), 16
            elif size == 0:
                size = len(view) - at
            if size < header or at + size > len(view):
                raise malformed("a box inside its moov or moof runs past the end of that")
            self.count()
            yield bytes(view[at + 4 : at + 8]), view[at + header : at + size]
            at += size

    def find(self, view: memoryview | None, *names: bytes) -> memoryview | None:
        """The body of the first box of a name, inside the first of another, and so on; None where one is missing."""
        for name in names:
            if view is None:
                return None
            view = next((body for kind, body in self.children(view) if kind == name), None)
        return view


def numbers(data: memoryview, width: int) -> array[int]:
    """Big-endian whole numbers of 1, 2, 4 or 8 bytes each; what is left over at the end is no number."""
    found = array({1: "B", 2: "H", 4: "I", 8: "Q"}[width])
    found.frombytes(data[: len(data) // width * width])
    if sys.byteorder == "little":
        found.byteswap()
    return found


def table(body: memoryview | None, *, columns: int = 1, width: int = 4, head: int = 8) -> tuple[array[int], bool]:
    """A table that has its number of rows in the four bytes in front of it.

    :param head: Where its first row begins.
    :return: All its numbers, row by row, and whether as many rows are there as it claims.
    """
    if body is None or len(body) < head:
        return numbers(memoryview(b""), width), True
    claimed = int.from_bytes(body[head - 4 : head]) * columns * width
    there = len(body) - head
    return numbers(body[head : head + min(claimed, there // (columns * width) * columns * width)], width), (
        claimed <= there
    )
