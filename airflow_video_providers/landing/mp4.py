"""MP4 and QuickTime: walk the boxes while the bytes pass by, keep the ``moov`` and read what it says.

The layout is ISO/IEC 14496-12: a file is a row of boxes, each with its length in front. A file that was cut
anywhere ends inside a box, and no library is needed to see that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_video_providers.landing.container import MediaInfo, malformed, rejected

if TYPE_CHECKING:
    from collections.abc import Iterator

_LARGEST_MOOV = 64 * 1024 * 1024
_MOST_BOXES = 1_000_000
# Pictures and sound share the container; only a brand tells them apart before the moov.
_OTHER_BRANDS = {b"heic", b"heix", b"mif1", b"avif", b"avis", b"M4A ", b"M4B "}
_MOOV_FIRST_BRAND = b"qt  "


class Mp4Walk:
    """Takes the file in pieces of any size; knows at the end whether it was whole.

    :param media_type: ``"video/mp4"`` or ``"video/quicktime"``, as the first bytes said.
    """

    def __init__(self, media_type: str) -> None:
        self._media_type = media_type
        self._head = bytearray()
        self._left = 0
        self._to_the_end = False
        self._kept: bytearray | None = None
        self._box = ""
        self._boxes = 0
        self._moov: bytes | None = None
        self._seen: set[str] = set()

    def feed(self, data: bytes) -> None:
        """Take the next piece.

        :raises OutputRejectedError: as soon as the boxes make no sense.
        """
        view, at = memoryview(data), 0
        while at < len(view) and not self._to_the_end:
            if self._left:
                taken = min(self._left, len(view) - at)
                if self._kept is not None:
                    self._kept += view[at : at + taken]
                self._left -= taken
                at += taken
                self._end_of_box()
            else:
                wanted = 16 if self._head[:4] == b"\0\0\0\1" and len(self._head) >= 8 else 8
                taken = min(wanted - len(self._head), len(view) - at)
                self._head += view[at : at + taken]
                at += taken
                self._maybe_open_box()

    def _maybe_open_box(self) -> None:
        if len(self._head) < 8:
            return
        size = int.from_bytes(self._head[:4])
        if size == 1 and len(self._head) < 16:
            return
        header = len(self._head)
        if size == 1:
            size = int.from_bytes(self._head[8:16])
        name = bytes(self._head[4:8])
        self._head.clear()
        self._boxes += 1
        if not all(32 <= byte < 127 or byte == 0xA9 for byte in name) or self._boxes > _MOST_BOXES:
            raise malformed(f"box {self._boxes} is named {name!r}, which is no box")
        self._box = name.decode("latin-1")
        self._seen.add(self._box)
        if size == 0:
            self._to_the_end = True
            return
        if size < header:
            raise malformed(f"the box {self._box!r} says that it is {size} bytes long")
        self._left = size - header
        if self._box == "moov":
            if self._left > _LARGEST_MOOV:
                raise malformed(f"its moov says that it is {size} bytes long")
            self._kept = bytearray()
        self._end_of_box()

    def _end_of_box(self) -> None:
        if not self._left and self._kept is not None:
            self._moov, self._kept = bytes(self._kept), None

    def close(self, size: int) -> MediaInfo:
        """Nothing more comes.

        :param size: How many bytes there were.
        :raises OutputRejectedError: if the last box is not complete, or there is no picture in it.
        """
        if self._left:
            raise rejected(
                f"The file is cut: its box {self._box!r} is {self._left} bytes longer than the {size} bytes that came",
                "truncated",
            )
        if self._head:
            raise rejected(f"The file is cut inside the head of a box, after {size} bytes", "truncated")
        if self._moov is None or not self._seen & {"mdat", "moof"}:
            missing = "moov" if self._moov is None else "mdat"
            raise rejected(f"The file ends after {size} bytes without its box {missing!r}", "truncated")
        return _probe(self._moov, self._media_type, size)


def media_type_of(head: bytes) -> str | None:
    """What the first 16 bytes say: an MP4, a QuickTime film, or None for anything else."""
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        if brand in _OTHER_BRANDS:
            return None
        return "video/quicktime" if brand == _MOOV_FIRST_BRAND else "video/mp4"
    return "video/quicktime" if head[4:8] in (b"moov", b"wide", b"mdat") else None


def _children(view: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    at = 0
    while at + 8 <= len(view):
        size, header = int.from_bytes(view[at : at + 4]), 8
        if size == 1:
            size, header = int.from_bytes(view[at + 8 : at + 16]), 16
        elif size == 0:
            size = len(view) - at
        if size < header or at + size > len(view):
            raise malformed("a box inside its moov runs past the moov's end")
        yield bytes(view[at + 4 : at + 8]), view[at + header : at + size]
        at += size


def _find(view: memoryview, *names: bytes) -> memoryview | None:
    found: memoryview | None = view
    for name in names:
        found = next((body for kind, body in _children(found) if kind == name), None) if found is not None else None
    return found


def _clock(header: memoryview | None) -> tuple[int, int]:
    """(ticks per second, duration in ticks) of an mvhd or mdhd."""
    if header is None or len(header) < 20:
        return 0, 0
    at, wide = (20, 8) if header[0] == 1 else (12, 4)
    duration = int.from_bytes(header[at + 4 : at + 4 + wide])
    return int.from_bytes(header[at : at + 4]), 0 if duration == (1 << 8 * wide) - 1 else duration


def _table(view: memoryview | None, width: int) -> Iterator[memoryview]:
    if view is None or len(view) < 8:
        return
    count = min(int.from_bytes(view[4:8]), (len(view) - 8) // width)
    for row in range(count):
        yield view[8 + row * width : 8 + (row + 1) * width]


def _codec(stsd: memoryview | None) -> tuple[str | None, int, int]:
    """(codec, width, height) of the first sample entry; AVC with its profile, as RFC 6381 writes it."""
    if stsd is None or len(stsd) < 16:
        return None, 0, 0
    entry = stsd[8:]
    name = bytes(entry[4:8]).decode("latin-1").strip()
    if len(entry) < 86:
        return name, 0, 0
    width, height = int.from_bytes(entry[32:34]), int.from_bytes(entry[34:36])
    if name in ("avc1", "avc3"):
        config = next(
            (body for kind, body in _children(entry[86 : int.from_bytes(entry[:4])]) if kind == b"avcC"), None
        )
        if config is not None and len(config) >= 4:
            name = f"{name}.{bytes(config[1:4]).hex()}"
    return name, width, height


def _probe(moov: bytes, media_type: str, size: int) -> MediaInfo:
    view = memoryview(moov)
    ticks, duration = _clock(_find(view, b"mvhd"))
    if not duration and (mehd := _find(view, b"mvex", b"mehd")) is not None:
        duration = int.from_bytes(mehd[4:])
    codecs: list[str] = []
    width = height = 0
    fps: float | None = None
    for kind, track in _children(view):
        handler = _find(track, b"mdia", b"hdlr") if kind == b"trak" else None
        tables = _find(track, b"mdia", b"minf", b"stbl") if handler is not None else None
        if handler is None or tables is None:
            continue
        codec, entry_width, entry_height = _codec(_find(tables, b"stsd"))
        codecs += [codec] if codec else []
        last = max(
            [int.from_bytes(row) for row in _table(_find(tables, b"stco"), 4)]
            + [int.from_bytes(row) for row in _table(_find(tables, b"co64"), 8)],
            default=0,
        )
        if last >= size:
            raise rejected(f"The file is cut: its index points to byte {last} of {size}", "truncated")
        if bytes(handler[8:12]) == b"vide" and not width:
            width, height = entry_width, entry_height
            track_ticks, track_duration = _clock(_find(track, b"mdia", b"mdhd"))
            frames = sum(int.from_bytes(row[:4]) for row in _table(_find(tables, b"stts"), 8))
            if track_ticks and track_duration and frames:
                fps = round(frames * track_ticks / track_duration, 3)
    if not width:
        raise rejected("The file holds no picture track", "not_a_video")
    return MediaInfo(
        media_type=media_type,
        container="mov" if media_type == "video/quicktime" else "mp4",
        duration_s=round(duration / ticks, 3) if ticks and duration else None,
        width=width,
        height=height,
        fps=fps,
        codecs=tuple(codecs),
    )
