"""MP4 and QuickTime: walk the boxes while the bytes pass by, keep the ``moov`` and read what it says.

The layout is ISO/IEC 14496-12: a file is a row of boxes, each with its length in front. A file that was cut
anywhere ends inside a box, or before the last byte that its index points to; no library is needed to see that.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from airflow_video_providers.core.landing.media_info import MediaInfo, Picture, described, malformed, rejected
from airflow_video_providers.core.landing.mp4_boxes import Boxes
from airflow_video_providers.core.landing.mp4_fragments import Fragments
from airflow_video_providers.core.landing.mp4_movie import Movie, Track, turn_of

if TYPE_CHECKING:
    from airflow_video_providers.core.errors import OutputRejectedError

_HEAD = struct.Struct(">I4s")
_LARGEST_KEPT = {b"moov": 16 * 1024 * 1024, b"moof": 1024 * 1024, b"sidx": 1024 * 1024}
#: Of these boxes the first bytes are enough.
_BEGINNING = {b"ftyp": 4, b"uuid": 16}
_C2PA = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_BEFORE_FTYP = {b"free", b"skip", b"uuid", b"styp", b"pnot", b"junk", b"wide"}
_QUICKTIME_FIRST = {b"moov", b"wide", b"mdat", b"pnot"}
_KNOWN = frozenset(
    b"ftyp styp moov moof mdat imda free skip wide junk uuid meta meco udta mfra sidx ssix prft emsg pdin pnot".split()
)
# Pictures share the container; only a brand distinguishes them before the moov.
_STILLS = {b"heic", b"heix", b"mif1", b"avif"}
_DATA = {b"mdat", b"moof"}
_MOOV_FIRST_BRAND = b"qt  "
# Fragments may fall short of the length that was promised by this much: sound and picture rarely end together.
_SHORT_S, _SHORT_PART = 0.5, 0.05


def media_type_of(head: bytes) -> str | None:
    """What the first 16 bytes say: an MP4, a QuickTime film, or None for anything else."""
    name, brand = head[4:8], head[8:12]
    if name == b"ftyp":
        if brand in _STILLS:
            return None
        return "video/quicktime" if brand == _MOOV_FIRST_BRAND else "video/mp4"
    if name in _QUICKTIME_FIRST:
        return "video/quicktime"
    return "video/mp4" if name in _BEFORE_FTYP and head[:4] != bytes(4) else None


class Mp4Walk:
    """Takes the file in pieces of any size; knows at the end whether it was whole.

    :param media_type: ``"video/mp4"`` or ``"video/quicktime"``, as the first bytes said; a later ``ftyp`` decides.
    """

    def __init__(self, media_type: str) -> None:
        self._media_type = media_type
        self._boxes = Boxes()
        self._rest = b""
        self._name = b""
        self._start = self._next = 0
        self._left: int | None = 0
        self._kept: bytearray | None = None
        self._keep = 0
        self._behind: int | None = None
        self._movie: Movie | None = None
        self._fragments = Fragments(self._boxes)
        self._seen: set[bytes] = set()
        self._content_credentials = False
        self._remarks: list[str] = []

    def feed(self, data: bytes) -> None:
        """Take the next piece.

        :raises OutputRejectedError: as soon as the boxes make no sense.
        """
        if self._rest:
            data, self._rest = self._rest + data, b""
        view, at = memoryview(data), 0
        while at < len(view) and self._behind is None:
            if self._left == 0:
                header = self._open(view[at : at + 16])
                if not header:
                    self._rest = bytes(view[at:])
                    return
                at += header
            else:
                taken = len(view) - at if self._left is None else min(self._left, len(view) - at)
                if self._kept is not None:
                    self._kept += view[at : at + min(taken, self._keep - len(self._kept))]
                    if self._left is None and len(self._kept) == self._keep and self._name not in _BEGINNING:
                        raise malformed(f"its {self._text()} is longer than {self._keep} bytes")
                at += taken
                if self._left is not None:
                    self._left -= taken
            if self._left == 0:
                self._close_box()

    def _open(self, head: memoryview) -> int:
        """Begin a box, if its head is here. Returns the head's length, 0 if more of it is to come."""
        if len(head) < 8:
            return 0
        size, name = _HEAD.unpack_from(head)
        length = 8
        if size == 1:
            if len(head) < 16:
                return 0
            size, length = int.from_bytes(head[8:16]), 16
        self._boxes.count()
        if name not in _KNOWN and not all(32 <= byte < 127 or byte == 0xA9 for byte in name):
            return self._trail(f"at byte {self._next} stands {name!r}, which is no box", length)
        if 0 < size < length:
            return self._trail(f"the box {name.decode('latin-1')!r} says that it is {size} bytes long", length)
        self._name, self._start, self._next = name, self._next, self._next + size
        self._left = size - length if size else None
        self._keep = _BEGINNING.get(name) or _LARGEST_KEPT.get(name, 0)
        self._kept = bytearray() if self._keep else None
        if name in _LARGEST_KEPT and size - length > self._keep:
            raise malformed(f"its {self._text()} says that it is {size} bytes long")
        if size == 0 and name != b"mdat":
            self._remarks.append(f"its last box, {self._text()}, has no length")
        if name in (b"mdat", b"moof", b"mfra"):
            self._seen.add(name)
        elif name == b"ftyp" and self._start:
            self._remarks.append("other boxes stand before its ftyp")
        return length

    def _trail(self, what: str, length: int) -> int:
        """No box begins here: bytes behind a film that has all its parts, or no film."""
        if not self._is_film():
            raise malformed(what)
        self._behind = self._next
        return length

    def _is_film(self) -> bool:
        return self._movie is not None and bool(self._seen & _DATA)

    def _text(self) -> str:
        return self._name.decode("latin-1")

    def _close_box(self) -> None:
        kept, self._kept = self._kept, None
        if kept is None:
            return
        if self._name == b"uuid":
            self._content_credentials = self._content_credentials or kept == _C2PA
        elif self._name == b"ftyp":
            if self._start and len(kept) == 4:
                self._media_type = "video/quicktime" if kept == _MOOV_FIRST_BRAND else "video/mp4"
        elif self._name == b"sidx":
            self._fragments.index(kept, self._next)
        elif self._name == b"moof":
            self._fragments.add(kept, self._start, self._movie.defaults if self._movie is not None else {})
        elif self._movie is None:
            self._movie = Movie(kept, self._boxes)
        else:
            self._remarks.append("it has more than one moov, and the first one counts")

    def close(self, size: int) -> MediaInfo:
        """Nothing more comes.

        :param size: How many bytes there were.
        :raises OutputRejectedError: if the last box is not complete, or there is no picture in it.
        """
        if self._left is None:
            self._close_box()
        if self._left or self._rest:
            self._unfinished(size)
        movie, end = self._movie, size if self._behind is None else self._behind
        if movie is None or not self._seen & _DATA:
            missing = "moov" if movie is None else "mdat"
            raise rejected(f"The file ends after {size} bytes without its box {missing!r}", "truncated")
        last = max([track.end for track in movie.tracks] + [self._fragments.end, self._fragments.promised_end])
        if last > end:
            raise rejected(f"The file is cut: its index points to byte {last - 1} of {end}", "truncated")
        duration = self._duration(movie, end)
        if self._behind is not None:
            self._remarks.append(f"{size - self._behind} bytes stand behind its last box")
        return self._described(movie, duration, size)

    def _unfinished(self, size: int) -> None:
        """The file ends inside something: a box, which was cut, or bytes that are none."""
        whole = self._is_film()
        if self._left:
            if not whole or self._name in _KNOWN:
                raise rejected(
                    f"The file is cut: its box {self._text()!r} is {self._left} bytes longer than the {size} bytes "
                    "that came",
                    "truncated",
                )
            self._behind = self._start
        else:
            name = self._rest[4:8]
            is_head = any(known.startswith(name) for known in _KNOWN) if name else b"moof" in self._seen
            if not whole or is_head:
                raise rejected(f"The file is cut inside the head of a box, after {size} bytes", "truncated")
            self._behind = self._next

    def _duration(self, movie: Movie, end: int) -> float | None:
        """Seconds. Fragments add to what the moov holds, and must come to what it promised."""
        stated = movie.duration / movie.ticks if movie.ticks else 0.0
        if b"moof" not in self._seen:
            return stated or None
        fragments = self._fragments
        counted = max(
            ((t.duration + fragments.durations[t.number]) / t.ticks for t in movie.tracks if t.ticks), default=0.0
        )
        promised = movie.promised / movie.ticks if movie.ticks and movie.promised else fragments.promised_s
        short = promised - counted > max(_SHORT_S, _SHORT_PART * promised)
        if fragments.samples.total() and short:
            raise rejected(f"The file is cut: {counted:.1f} of {promised:.1f} seconds came", "truncated")
        if self._behind is not None and (short or not promised) and b"mfra" not in self._seen:
            raise malformed(f"at byte {end} stands no box, and whether the film ends there is not said")
        if not movie.promised:  # a sidx may be that of one fragment or of one track
            promised = max(promised, counted)
        return promised or stated or None

    def _described(self, movie: Movie, duration: float | None, size: int) -> MediaInfo:
        pictures = [track for track in movie.tracks if track.is_picture]
        if not pictures:
            raise _no_picture()
        picture = next((track for track in pictures if all(track.size)), pictures[0])
        frames: int | None = picture.samples + self._fragments.samples[picture.number]
        ticks = picture.duration + self._fragments.durations[picture.number]
        if not frames or frames > size:
            frames = None
        across, turn = turn_of(picture.matrix)
        width, height = picture.size
        return described(
            self._media_type,
            "mov" if self._media_type == "video/quicktime" else "mp4",
            duration_s=duration,
            size=(height, width) if across else (width, height),
            fps=frames * picture.ticks / ticks if frames and ticks else None,
            codecs=_codecs(movie.tracks),
            remarks=[*self._remarks, *movie.remarks, *self._fragments.remarks],
            content_credentials=self._content_credentials,
            picture=Picture(picture.number, frames, turn),
        )


def _codecs(tracks: list[Track]) -> list[str]:
    return [track.codec for track in tracks if track.codec]


def _no_picture() -> OutputRejectedError:
    return rejected("The file holds no picture track", "not_a_video")
