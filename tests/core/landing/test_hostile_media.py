"""What a container claims costs no more than the bytes that came, and nothing of it makes a record unreadable."""

from __future__ import annotations

import json
import struct
import tracemalloc
from functools import cache, reduce
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_video_providers.core.errors import OutputRejectedError
from airflow_video_providers.core.landing.manifest import encode, output_entry
from airflow_video_providers.core.landing.media_info import EXTENSIONS, MediaInfo
from airflow_video_providers.core.landing.verify import Inspector
from tests.faults.landing.clips import box, element, full, mp4, webm
from tests.support import work
from tests.support.films import film

MOST_SECONDS, MOST_BYTES = 1.0, 100_000_000
FTYP, MDAT = box(b"ftyp", b"isom", bytes(4)), box(b"mdat", bytes(100))
MVHD = full(b"mvhd", struct.pack(">IIII", 0, 0, 1000, 5000), bytes(80))
LIVE_WEBM = element(0x1A45DFA3, element(0x4282, b"webm")) + bytes.fromhex("1853806701ffffffffffffff")
HUGE = struct.pack(">I", 0xFFFFFFFF)


def look(data: bytes) -> MediaInfo | str:
    """The container as landing reads it; the reason where it is refused."""
    inspector = Inspector(tuple(EXTENSIONS))
    try:
        for at in range(0, len(data), 65_536):
            inspector.feed(data[at : at + 65_536])
        return inspector.close()
    except OutputRejectedError as refused:
        text, reason = str(refused), str(refused.reason)
    assert len(text) < 1000
    assert text.isprintable()
    return reason


def checked(data: bytes) -> MediaInfo | str:
    """The same, where the entry in the manifest is strict JSON with short and printable texts in it."""
    found = look(data)
    if isinstance(found, MediaInfo):
        entry = output_entry(0, "clip.mp4", len(data), "0" * 64, found)
        again = json.loads(encode(entry), parse_constant=pytest.fail)
        assert again == entry
        assert len(encode(entry)) < 8_000
        for text in [*again["codecs"], *again.get("remarks", [])]:
            assert text.isascii()
            assert text.isprintable()
            assert len(text) <= 120
    return found


def track(*tables: bytes) -> bytes:
    entry = box(b"avc1", bytes(24), struct.pack(">HH", 320, 240), bytes(50))
    media = box(
        b"mdia",
        full(b"mdhd", struct.pack(">IIII", 0, 0, 24, 120), bytes(4)),
        full(b"hdlr", bytes(4), b"vide", bytes(13)),
        box(b"minf", box(b"stbl", full(b"stsd", struct.pack(">I", 1), entry), *tables)),
    )
    return box(b"trak", full(b"tkhd", bytes(80)), media)


def rows(count: int, width: int, row: bytes | None = None) -> bytes:
    return struct.pack(">I", count) + (row or bytes(width)) * count


def moov(*parts: bytes) -> bytes:
    return box(b"moov", MVHD, *parts)


def fragment(run: bytes) -> bytes:
    return box(b"moof", box(b"traf", full(b"tfhd", struct.pack(">I", 1)), run))


def webm_with(*parts: bytes) -> bytes:
    return element(0x1A45DFA3, element(0x4282, b"webm")) + element(0x18538067, *parts, element(0x1F43B675, b"x" * 8))


def webm_track(*parts: bytes) -> bytes:
    return element(0xAE, element(0x83, b"\1"), *parts)


LARGE: dict[str, Any] = {
    "two million empty boxes": lambda: FTYP + box(b"free") * 2_000_000,
    "many boxes that are allowed": lambda: FTYP + box(b"free") * 95_000 + moov(track()) + MDAT,
    "rows of stts": lambda: FTYP + moov(track(full(b"stts", rows(1_900_000, 8)))) + MDAT,
    "rows of everything": lambda: FTYP + moov(
        track(
            full(b"stsz", bytes(4), rows(1_000_000, 4)),
            full(b"stsc", rows(500_000, 12, struct.pack(">III", 1, 1, 1))),
            full(b"stco", rows(1_000_000, 4)),
        )
    ) + MDAT,
    "rows of co64": lambda: FTYP + moov(track(full(b"co64", rows(1_900_000, 8)))) + MDAT,
    "eight million rows": lambda: FTYP + moov(track(full(b"stts", rows(8_000_000, 8)))) + MDAT,
    "thousands of tracks": lambda: FTYP + moov(track() * 9_500) + MDAT,
    "empty tracks": lambda: FTYP + moov(box(b"trak") * 95_000) + MDAT,
    "thousands of fragments": lambda: FTYP + moov(track()) + fragment(full(b"trun", bytes(4))) * 20_000 + MDAT,
    "long runs": lambda: FTYP + moov(track()) + fragment(
        box(b"trun", b"\0\0\x0f\0", rows(60_000, 16, b"\xff" * 16))
    ) * 20 + MDAT,
    "a million elements": lambda: LIVE_WEBM + b"\xec\x80" * 1_000_000,
    "elements that are allowed": lambda: LIVE_WEBM + b"\xec\x80" * 95_000,
    "thousands of WebM tracks": lambda: webm_with(element(0x1654AE6B, webm_track(b"\xec\x80" * 20) * 9_000)),
    "tracks full of nothing": lambda: webm_with(element(0x1654AE6B, webm_track(b"\xec\x80" * 9_000) * 25)),
}  # fmt: skip


@pytest.mark.parametrize("make", LARGE.values(), ids=LARGE)
def test_what_is_large_is_read_within_a_second(make: Any) -> None:
    data = make()
    work.bounded(MOST_SECONDS, lambda: checked(data))


@pytest.mark.parametrize("name", ["two million empty boxes", "a million elements"])
def test_more_boxes_or_elements_than_any_film_has_are_refused(name: str) -> None:
    assert look(LARGE[name]()) == "malformed"


@pytest.mark.parametrize("name", [name for name in LARGE if "rows" in name] + ["empty tracks"])
def test_what_is_large_is_read_within_a_hundred_megabytes(name: str) -> None:
    data = LARGE[name]()
    tracemalloc.start()
    try:
        look(data)
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    finally:
        tracemalloc.stop()


LYING: dict[str, tuple[bytes, str | None]] = {
    "counts that no table has": (
        moov(track(full(b"stsz", bytes(4), HUGE), full(b"stsc", HUGE), full(b"stco", HUGE), full(b"stts", HUGE))), None
    ),
    "a sample of four gigabytes": (
        moov(track(full(b"stsz", HUGE, HUGE), full(b"stsc", rows(1, 12, b"\0\0\0\1" * 3)), full(b"stco", rows(1, 4)))),
        "truncated",
    ),
    "samples without end": (moov(track(full(b"stts", rows(9, 8, HUGE + b"\0\0\0\1")))), None),
    "a chunk before the first": (moov(track(full(b"stsc", rows(2, 12, HUGE * 3)), full(b"stco", rows(2, 4)))), None),
    "a mehd of a thousand bytes": (moov(track(), box(b"mvex", full(b"mehd", b"\xff" * 1000))) + box(b"moof"), None),
    "a clock that stands": (box(b"moov", full(b"mvhd", bytes(16), bytes(80)), track()), None),
    "the longest duration": (
        box(b"moov", full(b"mvhd", bytes(16), struct.pack(">IQ", 1, 2**64 - 2), bytes(80), version=1), track()), None
    ),
    "a matrix of extremes": (moov(track()).replace(bytes(80), b"\x80\0\0\0" * 20, 2), None),
    "boxes in boxes": (box(b"moov", reduce(lambda inner, _: box(b"moov", inner), range(20_000), b"")), "not_a_video"),
    "a fragment before everything": (fragment(box(b"trun", b"\0\0\0\1", HUGE, b"\x80\0\0\0")) + moov(track()), None),
    "four thousand million samples": (
        moov(track()) + fragment(full(b"trun", HUGE)), None
    ),
    "a codec of control characters": (moov(track()).replace(b"avc1", b"\x1b\n\0\xff"), None),
}  # fmt: skip


@pytest.mark.parametrize(("film", "expected"), LYING.values(), ids=LYING)
def test_an_mp4_that_lies_is_refused_or_described_in_finite_words(film: bytes, expected: str | None) -> None:
    found = checked(FTYP + film + MDAT)
    assert (found if isinstance(found, str) else None) == expected


@pytest.mark.parametrize("duration", [float("nan"), float("inf"), float("-inf"), -1.0, 1e308, 5e-324])
def test_a_webm_s_duration_is_finite_or_left_out(duration: float) -> None:
    data = webm(100).replace(struct.pack(">d", 5000.0), struct.pack(">d", duration))
    found = checked(data)
    assert isinstance(found, MediaInfo)
    assert found.duration_s is None


def test_a_webm_s_numbers_and_texts_are_bounded() -> None:
    picture = element(0xE0, element(0xB0, b"\xff" * 5000), element(0xBA, b"\xff" * 8))
    tracks = webm_track(element(0x86, b"\x1b[31m\n" * 50_000), element(0x23E383, b"\xff" * 400), picture)
    found = checked(webm_with(element(0x1654AE6B, tracks)))
    assert isinstance(found, MediaInfo)
    assert (found.width, found.height, found.fps) == (None, None, None)
    assert len(found.codecs[0]) == 64


@cache
def seeds() -> list[bytes]:
    """Films to begin with; made when a test asks for them, not when tests are collected."""
    return [
        film(), film(flags="faststart", sound=1.0), film(flags="frag_keyframe+empty_moov", sound=1.0),
        film(flags="dash+global_sidx+frag_keyframe"), film("libvpx-vp9", container="webm", sound=1.0), mp4(400), webm(400),
    ]  # fmt: skip


EXTREMES = st.sampled_from([bytes(4), b"\xff" * 4, b"\0\0\0\1", b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"moov", b"trak"])
CHANGES = st.lists(st.tuples(st.integers(0, 2**20), EXTREMES | st.binary(min_size=1, max_size=8)), max_size=12)


def bounded(data: bytes) -> None:
    work.bounded(MOST_SECONDS, lambda: checked(data))


@pytest.mark.fuzz
@given(st.deferred(lambda: st.sampled_from(seeds())), CHANGES, st.integers(0, 2**20))
def test_a_film_with_changed_bytes_is_a_value_or_a_refusal(
    seed: bytes, changes: list[tuple[int, bytes]], cut: int
) -> None:
    data = bytearray(seed)
    for at, new in changes:
        at %= len(data)
        data[at : at + len(new)] = new
    bounded(bytes(data[: cut % (2 * len(data)) or None]))


NAMES = st.sampled_from(
    b"moov trak mdia minf stbl stsd stts stsc stsz stco co64 mvhd mdhd tkhd hdlr mvex mehd trex moof traf tfhd trun "
    b"sidx mfra mdat ftyp free uuid".split()
)
TREES = st.recursive(
    st.binary(max_size=40),
    lambda inner: st.builds(lambda parts: b"".join(box(*part) for part in parts),
                            st.lists(st.tuples(NAMES, inner), max_size=6)),
    max_leaves=30,
)  # fmt: skip


@pytest.mark.fuzz
@given(TREES, st.binary(max_size=20))
def test_any_tree_of_boxes_is_a_value_or_a_refusal(tree: bytes, rest: bytes) -> None:
    bounded(FTYP + tree + rest)
    bounded(FTYP + moov(track()) + tree + MDAT + rest)
    bounded(FTYP + moov(track(tree)) + fragment(tree) + MDAT + rest)


IDS = st.sampled_from([0x1A45DFA3, 0x18538067, 0x1549A966, 0x1654AE6B, 0x1F43B675, 0xAE, 0xE0, 0x7670, 0x7675, 0x83,
                       0x86, 0xB0, 0xBA, 0x23E383, 0x4489, 0x2AD7B1, 0xA3, 0xEC])  # fmt: skip
EBML = st.recursive(
    st.binary(max_size=12) | st.floats(width=64).map(lambda number: struct.pack(">d", number)),
    lambda inner: st.builds(lambda parts: b"".join(element(*part) for part in parts),
                            st.lists(st.tuples(IDS, inner), max_size=6)),
    max_leaves=30,
)  # fmt: skip


@pytest.mark.fuzz
@given(EBML, EBML, st.binary(max_size=20))
def test_any_tree_of_elements_is_a_value_or_a_refusal(info: bytes, tracks: bytes, rest: bytes) -> None:
    bounded(webm_with(element(0x1549A966, info), element(0x1654AE6B, tracks)) + rest)
    bounded(webm_with(element(0x1654AE6B, webm_track(tracks))) + rest)
    bounded(LIVE_WEBM + info + tracks + rest)
