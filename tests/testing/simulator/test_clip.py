"""The videos are real: every frame decodes, and has the size, length and colour that was asked for."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest

from airflow_video_providers.testing.simulator.clip import ClipSpec, clip, colour_of, stream_head

if TYPE_CHECKING:
    from .conftest import Desk

av = pytest.importorskip("av")


def bare_stream(data: bytes) -> bytes:
    """The coded video without its container, which would hide a wrong size in it (Annex B)."""
    config = data.index(b"avcC") + 4
    sps_end = config + 8 + int.from_bytes(data[config + 6 : config + 8], "big")
    pps_end = sps_end + 3 + int.from_bytes(data[sps_end + 1 : sps_end + 3], "big")
    units = [data[config + 8 : sps_end], data[sps_end + 3 : pps_end]]
    position = data.index(b"mdat") + 4
    while position < len(data):
        size = int.from_bytes(data[position : position + 4], "big")
        units.append(data[position + 4 : position + 4 + size])
        position += 4 + size
    return b"".join(b"\0\0\0\1" + unit for unit in units)


def decode(data: bytes) -> tuple[list[Any], float]:
    """Every frame, and the seconds that the container claims."""
    av.logging.set_level(av.logging.WARNING)
    with av.logging.Capture() as complaints, av.open(io.BytesIO(data)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        seconds = float(stream.duration * stream.time_base)
    assert complaints == []
    return frames, seconds


def planes(frame: Any) -> list[set[int]]:
    """The values that occur in luma and chroma."""
    found = []
    for plane in frame.planes:
        data, stride = bytes(plane), plane.line_size
        found.append(
            {value for row in range(plane.height) for value in data[row * stride : row * stride + plane.width]}
        )
    return found


SIZES = [
    ClipSpec(1280, 720, 24, 120),
    ClipSpec(848, 480, 16, 52),
    ClipSpec(3840, 2160, 24, 4),
    ClipSpec(2520, 1080, 24, 6),
    ClipSpec(270, 480, 12.5, 7),
    ClipSpec(360, 640, 30, 300),
    ClipSpec(2, 2, 7, 1),
    ClipSpec(16, 34, 24, 3),
    ClipSpec(34, 16, 24, 3),
]


@pytest.mark.parametrize("spec", SIZES, ids=str)
def test_every_frame_decodes_with_the_right_size_length_and_colour(spec: ClipSpec) -> None:
    colour = colour_of(str(spec))
    frames, seconds = decode(clip(spec, colour))
    assert len(frames) == spec.frames
    assert seconds == pytest.approx(spec.seconds)
    for frame in (frames[0], frames[-1]):
        assert (frame.width, frame.height) == (spec.width, spec.height)
        assert planes(frame) == [{value} for value in colour]
    with av.open(io.BytesIO(bare_stream(clip(spec, colour))), format="h264") as stream:
        sizes = [(frame.width, frame.height) for frame in stream.decode(video=0)]
    assert sizes == [(spec.width, spec.height)] * spec.frames


def test_frames_are_numbered_as_the_standard_wants_even_where_decoders_forgive() -> None:
    units = bare_stream(clip(ClipSpec(2, 2, 24, 300), (99, 111, 122))).split(b"\0\0\0\1")[4:]
    numbers = [int.from_bytes(unit[1:3], "big") >> 1 & 0xFF for unit in units]
    assert numbers == [number % 256 for number in range(1, 300)]


def test_five_seconds_of_720p_are_a_few_kilobytes() -> None:
    assert len(clip(ClipSpec(), (99, 111, 122))) < 8192


def test_the_index_comes_before_the_frames_and_the_bytes_are_the_same_each_time() -> None:
    data = clip(ClipSpec(), colour_of("job/0"))
    clip.cache_clear()
    assert data == clip(ClipSpec(), colour_of("job/0"))
    assert data[4:8] == b"ftyp"
    assert data.index(b"moov") < data.index(b"mdat")


def test_each_job_has_its_own_colour_that_every_player_can_show() -> None:
    colours = {colour_of(f"job-{number}") for number in range(200)}
    assert len(colours) > 180
    assert all(16 <= luma <= 235 and 16 <= min(blue, red) <= max(blue, red) <= 240 for luma, blue, red in colours)


@pytest.mark.parametrize(
    ("width", "height", "fps", "frames"), [(3, 2, 24, 1), (2, 0, 24, 1), (2, 2, 0, 1), (2, 2, 24, 0)]
)
def test_an_impossible_clip_is_refused(width: int, height: int, fps: float, frames: int) -> None:
    with pytest.raises(ValueError, match="A clip"):
        ClipSpec(width, height, fps, frames)


def test_the_head_of_a_stream_is_a_video_of_its_own() -> None:
    head = stream_head(100_000)
    frames, seconds = decode(head + bytes(100_000 - len(head)))
    assert (len(frames), seconds) == (24, 1.0)


@pytest.mark.parametrize(
    ("vendor", "path", "fields", "size", "seconds"),
    [
        ("pixazo", "pixverse-v6-text-to-video", {"resolution": "360p", "aspect_ratio": "9:16", "duration": 3}, (360, 640), 3),
        ("pixazo", "pixverse-c1-text-to-video", {"resolution": "540p", "aspect_ratio": "21:9", "duration": 1}, (1260, 540), 1),
        ("pixazo", "pixverse-v6-text-to-video", {}, (1280, 720), 5),
        ("pixazo", "pixverse", {"resolution": "1080p", "aspect_ratio": "3:4", "duration": 3}, (1080, 1440), 3),
        ("pixazo", "pixverse-i2v", {"image_url": "https://x.example/y", "resolution": "1080p", "duration": "5"}, (1920, 1080), 5),
        ("appypie", None, {}, (848, 480), 5),
        ("segmind", None, {"frames": 52, "fps": 16}, (848, 480), 3.25),
        ("segmind", None, {"frames": 1, "fps": 30}, (848, 480), 1 / 30),
    ],
)  # fmt: skip
def test_size_and_length_follow_the_request(
    desk: Desk, vendor: str, path: str | None, fields: dict[str, Any], size: tuple[int, int], seconds: float
) -> None:
    where = f"/{path}/v1/{path}-request" if path else None
    url = desk.finished(vendor, path=where, body={"prompt": "a fox"} | fields)
    frames, length = decode(desk.http.get(url).content)
    assert (frames[0].width, frames[0].height) == size
    assert length == pytest.approx(seconds)
