"""Tiny real films, made by the encoders that come with PyAV, and what is done to them byte by byte."""

from __future__ import annotations

import struct
import tempfile
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av

from tests.faults.landing.clips import box

WIDTH, HEIGHT, RATE = 64, 48, 12
Options = dict[str, str]


def _frame(number: int, width: int, height: int) -> av.VideoFrame:
    """Left half dark and right half bright, a little different in each frame: which way is up can be told."""
    frame = av.VideoFrame(width, height, "yuv420p")
    for index, plane in enumerate(frame.planes):
        across = plane.width
        row = (
            bytes(128 for _ in range(across))
            if index
            else bytes((30 + number % 20) if x < across // 2 else 220 for x in range(across))
        )
        plane.update(row.ljust(plane.line_size, b"\0") * plane.height)
    return frame


@cache
def film(
    codec: str = "libx264",
    *,
    container: str = "mp4",
    seconds: float = 2.0,
    size: tuple[int, int] = (WIDTH, HEIGHT),
    sound: float = 0.0,
    late: float = 0.0,
    rate_changes: bool = False,
    flags: str = "",
    b_frames: int = 0,
) -> bytes:
    """A film.

    :param codec: An encoder of PyAV.
    :param container: A muxer of PyAV.
    :param sound: Seconds of a sound beside it, 0 for none.
    :param late: Seconds before the first picture.
    :param rate_changes: A quarter of the frame rate in the second half.
    :param flags: ``movflags`` of the muxer.
    """
    # one thread each: the encoders' pools spin for minutes where a machine has more to do than they expect
    quick = {"libx264": {"preset": "ultrafast"},
             "libx265": {"preset": "ultrafast", "x265-params": "log-level=none:pools=none:frame-threads=1"},
             "libsvtav1": {"preset": "13", "svtav1-params": "lp=1"},
             "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8"}}  # fmt: skip
    options: Options = {"movflags": flags} if flags else {}
    with tempfile.NamedTemporaryFile() as file, av.open(file.name, "w", format=container, options=options) as out:
        picture: Any = out.add_stream(codec, rate=RATE, options=quick.get(codec, {}))
        picture.width, picture.height, picture.pix_fmt = *size, "yuv420p"
        picture.time_base = Fraction(1, RATE * 100)
        picture.codec_context.time_base = Fraction(1, RATE * 100)
        picture.codec_context.thread_count = 1
        picture.codec_context.gop_size = RATE
        picture.codec_context.max_b_frames = b_frames
        voice: Any = None
        if sound:
            voice = out.add_stream("libopus" if container in ("webm", "matroska") else "aac", rate=48_000)
            voice.layout = "mono"
        shown = 0.0
        for number in range(int(seconds * RATE)):
            frame = _frame(number, *size)
            frame.time_base = Fraction(1, RATE * 100)
            frame.pts = int((late + shown) * RATE * 100)
            shown += (4 if rate_changes and number >= seconds * RATE / 2 else 1) / RATE
            frame.duration = RATE * 100 // RATE
            out.mux(picture.encode(frame))
        out.mux(picture.encode(None))
        if voice is not None:
            _add_sound(out, voice, sound)
        out.close()
        return Path(file.name).read_bytes()


def _add_sound(out: Any, voice: Any, seconds: float) -> None:
    for start in range(0, int(seconds * 48_000), 960):
        frame = av.AudioFrame(format="fltp", layout="mono", samples=960)
        frame.planes[0].update(bytes(960 * 4))
        frame.sample_rate, frame.pts, frame.time_base = 48_000, start, Fraction(1, 48_000)
        out.mux(voice.encode(frame))
    out.mux(voice.encode(None))


def at_box(data: bytes, name: bytes) -> int:
    """Where a box begins, at whatever depth."""
    return data.index(name) - 4


def size_of(data: bytes, name: bytes) -> int:
    return int.from_bytes(data[at_box(data, name) : at_box(data, name) + 4])


def patched(data: bytes, name: bytes, offset: int, new: bytes) -> bytes:
    """With other bytes in the body of the first box of a name."""
    at = at_box(data, name) + 8 + offset
    return data[:at] + new + data[at + len(new) :]


def rotated(data: bytes, degrees: int) -> bytes:
    """With a matrix that lets a player turn it clockwise."""
    one = 1 << 16
    a, b = {0: (one, 0), 90: (0, one), 180: (-one, 0), 270: (0, -one)}[degrees]
    matrix = struct.pack(">9i", a, b, 0, -b, a, 0, 0, 0, 1 << 30)
    return patched(data, b"tkhd", 40, matrix)


def open_ended(data: bytes) -> bytes:
    """With an ``mdat`` that goes to the end of the file, however long that is."""
    at = at_box(data, b"mdat")
    return data[:at] + bytes(4) + data[at + 4 :]


def moved(data: bytes, by: int) -> bytes:
    """With an index that points further back, for boxes that are put in front."""
    at = at_box(data, b"stco") + 12
    count = int.from_bytes(data[at : at + 4])
    offsets = struct.unpack(f">{count}I", data[at + 4 : at + 4 + 4 * count])
    return data[: at + 4] + struct.pack(f">{count}I", *(o + by for o in offsets)) + data[at + 4 + 4 * count :]


C2PA = box(b"uuid", bytes.fromhex("d8fec3d61b0e483c92975828877ec481"), bytes(4), b"manifest\0", bytes(8), b"jumbf")
