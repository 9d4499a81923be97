"""A container is read while it passes by, in pieces of any size, and a cut is seen wherever it is."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_video_providers.core.errors import InvalidRequestError, OutputRejectedError
from airflow_video_providers.core.landing.media_info import EXTENSIONS, MediaInfo
from airflow_video_providers.core.landing.verify import Inspector, checked_media_types
from tests.faults.landing.clips import HTML, box, element, full, mp4, webm

ALL = tuple(EXTENSIONS)
MP4_INFO = MediaInfo("video/mp4", "mp4", 5.0, 848, 480, 24.0, ("avc1.64001f",))
WEBM_INFO = MediaInfo("video/webm", "webm", 5.0, 640, 360, 25.0, ("V_VP9",))


def look(data: bytes, sizes: list[int] | None = None, media_types: tuple[str, ...] = ALL) -> MediaInfo:
    inspector, at = Inspector(media_types), 0
    for size in sizes or []:
        inspector.feed(data[at : at + size])
        at += size
    inspector.feed(data[at:])
    return inspector.close()


def reason(data: bytes, media_types: tuple[str, ...] = ALL) -> str | None:
    with pytest.raises(OutputRejectedError) as raised:
        look(data, media_types=media_types)
    return raised.value.reason


@given(st.lists(st.integers(1, 400), max_size=60), st.booleans())
def test_an_mp4_says_the_same_in_pieces_of_any_size(sizes: list[int], faststart: bool) -> None:
    assert look(mp4(3000, faststart=faststart), sizes) == MP4_INFO


@given(st.lists(st.integers(1, 400), max_size=60))
def test_a_webm_says_the_same_in_pieces_of_any_size(sizes: list[int]) -> None:
    assert look(webm(3000), sizes) == WEBM_INFO


@pytest.mark.parametrize("clip", [mp4(700), mp4(700, faststart=False), webm(700)], ids=["faststart", "mp4", "webm"])
def test_a_cut_at_any_byte_is_a_cut(clip: bytes) -> None:
    for at in range(len(clip)):
        assert reason(clip[:at]) in ("truncated", "not_a_video"), at


def test_a_film_that_has_lost_its_last_box_is_cut() -> None:
    clip = mp4(1000, faststart=False)
    assert reason(clip[: clip.index(b"moov") - 4]) == "truncated"
    assert reason(mp4(1000)[: mp4(1000).index(b"mdat") - 4]) == "truncated"


def test_a_last_box_that_claims_the_rest_of_the_file_is_checked_against_the_index() -> None:
    clip = mp4(1000)
    at = clip.index(b"mdat") - 4
    open_ended = clip[:at] + bytes(4) + clip[at + 4 :]
    assert look(open_ended) == MP4_INFO
    assert reason(open_ended[: at + 8]) == "truncated"


def test_sixty_four_bit_sizes_are_read() -> None:
    clip = mp4(1000)
    at = clip.index(b"mdat") - 4
    body = clip[at + 8 :]
    wide = clip[:at] + struct.pack(">I", 1) + b"mdat" + struct.pack(">Q", 16 + len(body)) + body
    assert look(wide, [1] * len(wide)) == MP4_INFO
    assert reason(wide[:-1]) == "truncated"


def test_a_fragmented_film_is_read() -> None:
    moov = box(
        b"moov",
        full(b"mvhd", struct.pack(">IIII", 0, 0, 1000, 0), bytes(80)),
        mp4(10)[mp4(10).index(b"trak") - 4 : mp4(10).index(b"mdat") - 4],
        box(b"mvex", full(b"mehd", struct.pack(">I", 4000))),
    )
    clip = box(b"ftyp", b"iso5", bytes(4)) + moov + box(b"moof", bytes(40)) + box(b"mdat", bytes(500))
    assert look(clip).duration_s == 4.0


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (HTML, "not_a_video"),
        (b'{"error": "not found", "code": 404}', "not_a_video"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "not_a_video"),
        (b"", "truncated"),
        (b"short", "truncated"),
        (box(b"ftyp", b"heic", bytes(4)) + bytes(100), "not_a_video"),
        (box(b"ftyp", b"isom", bytes(4)) + b"\0\0\0\4junk" + bytes(20), "malformed"),
        (box(b"ftyp", b"isom", bytes(4)) + b"\0\0\1\0\1\2\3\4" + bytes(248), "malformed"),
        (box(b"ftyp", b"isom", bytes(4)) + struct.pack(">I", 1 << 30) + b"moov" + bytes(64), "malformed"),
        (box(b"ftyp", b"isom", bytes(4)) + box(b"moov", b"\0\1\0\0trak" + bytes(9)) + box(b"mdat", b"x"), "malformed"),
        (box(b"ftyp", b"isom", bytes(4)) + box(b"moov", full(b"mvhd", bytes(96))) + box(b"mdat", b"x"), "not_a_video"),
        (b"\x1a\x45\xdf\xa3\x00" + bytes(40), "malformed"),
        (element(0x1A45DFA3, element(0x4282, b"webm")) + b"\x00" * 40, "malformed"),
    ],
)  # fmt: skip
def test_what_is_no_sound_video_is_named(data: bytes, expected: str) -> None:
    assert reason(data) == expected


def test_the_first_sixteen_bytes_are_enough_to_refuse() -> None:
    with pytest.raises(OutputRejectedError, match="begins with b'<!DOCTYPE html><'"):
        Inspector(ALL).feed(HTML[:16])


@pytest.mark.parametrize(
    "head", [b"RIFF\0\0\0\0AVI LIST", b"\x47\x40\x11\x10\0\x42\xf0\x25", b"\x89PNG\r\n\x1a\n", b"OggS\0\2"]
)
def test_media_that_we_cannot_read_comes_to_its_end_to_be_kept(head: bytes) -> None:
    inspector = Inspector(ALL)
    inspector.feed(head + bytes(100))
    inspector.feed(bytes(100))
    with pytest.raises(OutputRejectedError, match=r"it is an? ") as raised:
        inspector.close()
    assert (raised.value.reason, raised.value.keep) == ("not_a_video", True)


@pytest.mark.parametrize(
    "media",
    [
        mp4(1000)[:-1],
        webm(1000)[:-1],
        mp4(1000, brand=b"qt  "),
        box(b"ftyp", b"isom", bytes(4)) + b"\0\0\0\4junk" + bytes(20),
        b"\x1a\x45\xdf\xa3\x00" + bytes(40),
    ],
    ids=["cut", "cut WebM", "not accepted", "malformed", "malformed WebM"],
)
def test_only_the_end_refuses_what_our_reading_says_no_to(media: bytes) -> None:
    inspector = Inspector(("video/mp4", "video/webm"))
    for at in range(len(media)):
        inspector.feed(media[at : at + 1])
    with pytest.raises(OutputRejectedError) as raised:
        inspector.close()
    assert raised.value.keep


@pytest.mark.parametrize(
    "page", [HTML, b'{"error": "not found", "code": 404}', b"<?xml version='1.0'?><Error/>", bytes(64)]
)
def test_what_is_no_media_is_refused_at_once_and_not_kept(page: bytes) -> None:
    with pytest.raises(OutputRejectedError) as raised:
        Inspector(ALL).feed(page)
    assert not raised.value.keep


def test_only_accepted_types_pass_and_the_message_says_what_it_was() -> None:
    quicktime = mp4(1000, brand=b"qt  ")
    assert look(quicktime).container == "mov"
    assert look(webm(1000, doctype=b"matroska")).media_type == "video/x-matroska"
    assert reason(quicktime, ("video/mp4",)) == "media_type"
    assert reason(webm(1000, doctype=b"matroska"), ("video/mp4", "video/webm")) == "media_type"
    with pytest.raises(OutputRejectedError, match=r"video/webm, and accepted are video/mp4.*Add 'video/webm'"):
        look(webm(1000), media_types=("video/mp4",))


def test_a_live_recording_with_open_clusters_is_read() -> None:
    clip = webm(1000)
    at = clip.index(bytes.fromhex("18538067"))
    live = clip[: at + 4] + b"\x01" + b"\xff" * 7 + clip[at + 12 :]
    for _ in range(2):
        cluster = live.index(bytes.fromhex("1f43b67501"), 0) + 4
        live = live[:cluster] + b"\x01" + b"\xff" * 7 + live[cluster + 8 :]
    assert look(live) == WEBM_INFO


@pytest.mark.parametrize("wrong", [("image/gif",), (), "video/mp4"])
def test_a_type_that_cannot_be_verified_is_refused_before_anything_else(wrong: object) -> None:
    with pytest.raises(InvalidRequestError, match="media_types"):
        checked_media_types(wrong)  # type: ignore[arg-type]
