"""Real films: what encoders make, cut and bent the way servers and tools do it."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from airflow_video_providers.core.errors import OutputRejectedError
from airflow_video_providers.core.landing.media_info import EXTENSIONS, MediaInfo
from airflow_video_providers.core.landing.verify import Inspector
from tests.faults.landing.clips import box, element, full
from tests.support.films import C2PA, HEIGHT, WIDTH, at_box, film, moved, open_ended, patched, rotated, size_of

FRAGMENTED = "frag_keyframe+empty_moov+default_base_moof"
INDEXED = "dash+global_sidx+frag_keyframe"

if TYPE_CHECKING:
    from collections.abc import Callable


def look(data: bytes) -> MediaInfo:
    inspector = Inspector(tuple(EXTENSIONS))
    for at in range(0, len(data), 700):
        inspector.feed(data[at : at + 700])
    return inspector.close()


def reason(data: bytes) -> str | None:
    with pytest.raises(OutputRejectedError) as raised:
        look(data)
    return raised.value.reason


@pytest.mark.parametrize(
    ("made", "codec", "frames"),
    [
        (lambda: film(), "avc1.42c00a", 24),
        (lambda: film(flags="faststart"), "avc1.42c00a", 24),
        (lambda: film("libx265"), "hev1", 24),
        (lambda: film("libsvtav1"), "av01", 24),
        (lambda: film("libvpx-vp9"), "vp09", 24),
        (lambda: film("mpeg4"), "mp4v", 24),
        (lambda: film(container="mov"), "avc1.42c00a", 24),
        (lambda: film(flags=FRAGMENTED), "avc1.42c00a", 24),
        (lambda: film(flags=INDEXED), "avc1.42c00a", 24),
        (lambda: film(flags="frag_every_frame+empty_moov", b_frames=2), "avc1.4d400a", 24),
        (lambda: film("libvpx-vp9", container="webm"), "V_VP9", 24),
        (lambda: film("libsvtav1", container="webm"), "V_AV1", 24),
        (lambda: film("libvpx", container="webm"), "V_VP8", None),
        (lambda: film(container="matroska"), "V_MPEG4/ISO/AVC", 24),
    ],
)
def test_what_encoders_make_is_read(made: Callable[[], bytes], codec: str, frames: int | None) -> None:
    data = made()
    found = look(data)
    assert (found.width, found.height, found.codecs, found.picture.frames) == (WIDTH, HEIGHT, (codec,), frames)
    assert found.duration_s == pytest.approx(2.0, abs=0.1)
    assert found.fps == pytest.approx(12.0, abs=0.2)
    assert (found.remarks, found.content_credentials) == ((), False)


@pytest.mark.parametrize("flags", ["", "faststart", FRAGMENTED, INDEXED])
@pytest.mark.parametrize("sound", [0.0, 3.0])
def test_a_cut_before_the_last_picture_or_sound_is_a_cut(flags: str, sound: float) -> None:
    data = film(flags=flags, sound=sound)
    end = at_box(data, b"mfra") if flags in (FRAGMENTED, INDEXED) else len(data)
    boundary = data.rindex(b"moof") - 4 if flags == FRAGMENTED else -1  # there, nothing tells a cut from the end
    for at in range(0, end, 7):
        if at != boundary:
            assert reason(data[:at]) in ("truncated", "not_a_video"), at


@pytest.mark.parametrize("sound", [0.0, 3.0])
def test_an_open_ended_film_is_whole_at_the_end_of_its_last_chunk(sound: float) -> None:
    data = open_ended(film(flags="faststart", sound=sound))
    assert look(data).picture.frames == 24
    for at in range(at_box(data, b"mdat") + 8, len(data)):
        assert reason(data[:at]) == "truncated", at


def test_an_index_that_points_behind_a_complete_mdat_is_a_cut_too() -> None:
    data = film(flags="faststart")
    at = at_box(data, b"mdat")
    shorter = data[: at + 8 + 700]
    assert reason(shorter[:at] + struct.pack(">I", 708) + shorter[at + 4 :]) == "truncated"


def test_a_chunk_of_equal_samples_has_an_end_too() -> None:
    data = film(flags="faststart")
    sizes = at_box(data, b"stsz") + 12
    equal = open_ended(data[:sizes] + struct.pack(">I", 60) + data[sizes + 4 :])
    assert reason(equal[:-80]) == "truncated"
    assert look(equal).picture.frames == 24


@pytest.mark.parametrize("bits", [4, 8, 16])
def test_compact_sizes_have_an_end_too(bits: int) -> None:
    data = film(flags="faststart")
    at = at_box(data, b"stsz")
    sizes = [12, 15, 7, 9] * 6
    packed = {
        4: bytes(high << 4 | low for high, low in zip(sizes[::2], sizes[1::2], strict=True)),
        8: bytes(sizes),
        16: struct.pack(">24H", *sizes),
    }[bits]
    compact = box(b"stz2", bytes(7), bytes([bits]), struct.pack(">I", 24), packed)
    room = size_of(data, b"stsz") - len(compact)
    bent = open_ended(data[:at] + compact + box(b"free", bytes(room - 8)) + data[at + size_of(data, b"stsz") :])
    runs = at_box(bent, b"stsc") + 12
    assert int.from_bytes(bent[runs : runs + 4]) == 1, "one chunk holds them all"
    end = int.from_bytes(bent[at_box(bent, b"stco") + 16 :][:4]) + sum(sizes)
    assert look(bent[:end]).picture.frames == 24
    assert reason(bent[: end - 1]) == "truncated"


def test_a_webm_s_blocks_in_groups_are_counted_and_a_damaged_cluster_is_remarked_on() -> None:
    number, kind, codec = element(0xD7, b"\2"), element(0x83, b"\1"), element(0x86, b"V_VP9")
    picture = element(0xE0, element(0xB0, b"\x40"), element(0xBA, b"\x30"))
    head = element(0x1A45DFA3, element(0x4282, b"webm"))
    tracks = element(0x1654AE6B, element(0xAE, number, kind, codec, picture))
    shown, sound = element(0xA3, b"\x82\0\0\x80frame"), element(0xA3, b"\x81\0\0\x80sound")
    grouped = element(0xA0, element(0xA1, b"\x82\0\0\0frame"), element(0x9B, b"\1"))
    cluster = element(0x1F43B675, element(0xE7, b"\0"), shown, sound, grouped, shown)
    found = look(head + element(0x18538067, tracks, cluster, cluster))
    assert (found.picture.frames, found.picture.readable, found.remarks) == (6, True, ())
    damaged = element(0x1F43B675, element(0xE7, b"\0"), shown, bytes(100), shown)
    found = look(head + element(0x18538067, tracks, damaged, cluster))
    assert (found.picture.readable, found.picture.frames) == (False, 4)
    assert found.remarks == ("a part of its pictures or sound cannot be read",)
    for at in range(len(head) + 12, len(head + element(0x18538067, tracks, damaged, cluster))):
        assert reason((head + element(0x18538067, tracks, damaged, cluster))[:at]) == "truncated", at


def test_a_webm_s_longest_films_are_not_counted_and_not_refused() -> None:
    clusters = element(0x1F43B675, element(0xA3, b"\x81\0\0\x80") * 2_000) * 60
    picture = element(0xE0, element(0xB0, b"\x40"), element(0xBA, b"\x30"))
    track = element(0xAE, element(0xD7, b"\1"), element(0x83, b"\1"), element(0x86, b"V_VP9"), picture)
    head = element(0x1A45DFA3, element(0x4282, b"webm"))
    assert look(head + element(0x18538067, element(0x1654AE6B, track), clusters)).picture.frames is None


def test_wide_offsets_have_an_end_too() -> None:
    data = film(flags="faststart")
    at = at_box(data, b"stco")
    first = int.from_bytes(data[at + 16 : at + 20])
    # in the place of stco and all boxes behind it in its moov stands one co64: nothing else of them is needed
    room = size_of(data, b"moov") + at_box(data, b"moov") - at
    assert room >= 24
    wide = full(b"co64", struct.pack(">IQ", 1, first), bytes(room - 24))
    table = at_box(data, b"stbl")
    bent = open_ended(data[:at] + wide + data[at + room :])
    grown = room - size_of(data, b"stco")
    for name in (b"stbl", b"minf", b"mdia", b"trak"):
        place = at_box(bent, name)
        bent = bent[:place] + struct.pack(">I", size_of(bent, name) + grown) + bent[place + 4 :]
    assert table < at
    assert look(bent).picture.frames == 24
    assert reason(bent[:-1]) == "truncated"


@pytest.mark.parametrize("flags", ["frag_keyframe+empty_moov", FRAGMENTED])
def test_the_last_fragment_has_an_end(flags: str) -> None:
    data = film(flags=flags, sound=3.0)
    data = data[: at_box(data, b"mfra")]
    last = data.rindex(b"mdat") - 4
    to_the_end = data[:last] + bytes(4) + data[last + 4 :]
    assert look(to_the_end).duration_s == pytest.approx(3.0, abs=0.1)
    for at in range(last + 8, len(data)):
        assert reason(to_the_end[:at]) == "truncated", at


def test_an_index_of_fragments_tells_a_cut_between_two_of_them() -> None:
    data = film(flags=INDEXED)
    last = data.rindex(b"moof") - 4
    assert reason(data[:last]) == "truncated"
    clock = patched(data, b"sidx", 8, b"\x7f\xff\xff\xff")  # by its lengths, too, where its times say nothing
    assert look(clock).picture.frames == 24
    assert reason(clock[:last]) == "truncated"


@pytest.mark.parametrize("sound", [0.0, 3.0])
def test_an_index_in_front_of_each_fragment_is_that_of_no_whole_film(sound: float) -> None:
    data = film(flags="dash+frag_keyframe", sound=sound)
    assert data.count(b"sidx") > 1
    assert look(data).duration_s == pytest.approx(max(2.0, sound), abs=0.1)
    assert look(film(flags=INDEXED, sound=sound)).duration_s == pytest.approx(max(2.0, sound), abs=0.1)


def with_mehd(data: bytes, milliseconds: int) -> bytes:
    extends, film_box = at_box(data, b"mvex"), at_box(data, b"moov")
    mehd = full(b"mehd", struct.pack(">I", milliseconds))
    data = data[: extends + 8] + mehd + data[extends + 8 :]
    for place, name in ((extends, b"mvex"), (film_box, b"moov")):
        data = data[:place] + struct.pack(">I", size_of(data, name) + len(mehd)) + data[place + 4 :]
    return data


def test_a_promised_length_tells_a_cut_between_two_fragments() -> None:
    whole = with_mehd(film(flags=FRAGMENTED, seconds=4.0), 4000)
    assert look(whole).duration_s == 4.0
    assert reason(whole[: whole.rindex(b"moof") - 4]) == "truncated"


def test_a_wide_promise_is_read_and_a_long_one_is_none() -> None:
    data = film(flags=FRAGMENTED)
    assert look(with_mehd(data, 2000)).duration_s == 2.0
    mehd = full(b"mehd", b"\xff" * 1000, version=1)
    extends, film_box = at_box(data, b"mvex"), at_box(data, b"moov")
    bent = data[: extends + 8] + mehd + data[extends + 8 :]
    for place, name in ((extends, b"mvex"), (film_box, b"moov")):
        bent = bent[:place] + struct.pack(">I", size_of(bent, name) + len(mehd)) + bent[place + 4 :]
    assert reason(bent) == "truncated"  # an age of the universe was promised, two seconds came


@pytest.mark.parametrize(
    ("degrees", "size"), [(0, (WIDTH, HEIGHT)), (90, (HEIGHT, WIDTH)), (180, (WIDTH, HEIGHT)), (270, (HEIGHT, WIDTH))]
)
def test_a_turned_film_has_the_size_that_players_show(degrees: int, size: tuple[int, int]) -> None:
    found = look(rotated(film(), degrees))
    assert (found.width, found.height) == size


def test_a_film_that_is_turned_as_a_whole_counts_as_turned() -> None:
    one = 1 << 16
    quarter = struct.pack(">9i", 0, one, 0, -one, 0, 0, 0, 0, 1 << 30)
    whole = patched(film(), b"mvhd", 36, quarter)
    assert (look(whole).width, look(whole).height) == (HEIGHT, WIDTH)
    assert (look(rotated(whole, 270)).width, look(rotated(whole, 90)).width) == (WIDTH, WIDTH)


ROLL = {90: (HEIGHT, WIDTH), -90: (HEIGHT, WIDTH), 180: (WIDTH, HEIGHT), 45: (WIDTH, HEIGHT)}


@pytest.mark.parametrize("roll", [90.0, -90.0, 180.0, 45.0, float("nan"), float("inf")])
def test_a_rolled_matroska_film_has_the_size_that_players_show(roll: float) -> None:
    projection = element(0x7670, element(0x7671, b"\0"), element(0x7675, struct.pack(">f", roll)))
    picture = element(0xE0, element(0xB0, bytes([WIDTH])), element(0xBA, bytes([HEIGHT])), projection)
    track = element(0x1654AE6B, element(0xAE, element(0x83, b"\1"), element(0x86, b"V_VP9"), picture))
    found = look(element(0x1A45DFA3, element(0x4282, b"webm")) + element(0x18538067, track, element(0x1F43B675, b"x")))
    assert (found.width, found.height) == ROLL.get(round(roll) if abs(roll) < 400 else 45, (WIDTH, HEIGHT))


BEHIND = [
    b"\n",
    bytes(3),
    bytes(500),
    b"<!-- cached -->",
    b"SEFT trailer of a telephone",
    b"\xff" * 100,
    b"\0\0\0\4xyzw",
    bytes(20_000),
]


@pytest.mark.parametrize("junk", BEHIND)
@pytest.mark.parametrize("flags", ["", "faststart", FRAGMENTED, INDEXED])
def test_bytes_behind_the_last_box_are_remarked_on(junk: bytes, flags: str) -> None:
    if flags in (FRAGMENTED, INDEXED) and len(junk) < 4:
        return  # see the next test
    found = look(film(flags=flags) + junk)
    assert found.remarks == (f"{len(junk)} bytes stand behind its last box",)
    assert found.duration_s == pytest.approx(2.0, abs=0.01)


@pytest.mark.parametrize("junk", [b"\0", bytes(500), b"<!-- cached -->", b"<html>an error page in the middle of it"])
def test_bytes_after_a_fragment_that_may_not_be_the_last_are_a_cut(junk: bytes) -> None:
    data = film(flags=FRAGMENTED)
    assert reason(data[: data.rindex(b"moof") - 4] + junk) in ("malformed", "truncated")


@pytest.mark.parametrize("junk", [b"\n", bytes(500), b"<!-- cached -->", b"\x1a\x45\xdf\xa3"])
def test_bytes_behind_a_webm_are_remarked_on(junk: bytes) -> None:
    assert look(film("libvpx-vp9", container="webm") + junk).remarks == (f"{len(junk)} bytes stand behind its end",)


@pytest.mark.parametrize(
    "first", [box(b"free", bytes(30)), box(b"skip"), box(b"styp", b"msdh", bytes(4)), box(b"uuid", bytes(50))]
)
def test_other_boxes_may_stand_before_the_ftyp(first: bytes) -> None:
    found = look(first + moved(film(flags="faststart"), len(first)))
    assert found.media_type == "video/mp4"
    assert found.remarks == ("other boxes stand before its ftyp",)
    assert look(first + moved(film(container="mov"), len(first))).media_type == "video/quicktime"


def test_a_last_moov_without_a_length_goes_to_the_end() -> None:
    data = film()
    at = at_box(data, b"moov")
    last = data[:at] + bytes(4) + data[at + 4 :]
    assert look(last).remarks == ("its last box, moov, has no length",)
    assert look(last).duration_s == 2.0
    assert reason(last[:-500]) == "malformed"


def test_a_sample_entry_without_a_size_takes_the_track_header_s() -> None:
    data = patched(film(codec="mpeg4"), b"mp4v", 24, bytes(4))
    found = look(data)
    assert (found.width, found.height, found.remarks) == (WIDTH, HEIGHT, ("its sample entry has no size",))
    nowhere = look(patched(data, b"tkhd", 76, bytes(8)))
    assert (nowhere.width, nowhere.height) == (None, None)
    assert "the size of its picture stands in no header" in nowhere.remarks


@pytest.mark.parametrize("brand", [b"M4A ", b"M4B ", b"M4V ", b"dash", b"XAVC", b"\0\0\0\0"])
def test_a_brand_does_not_decide_what_has_a_picture(brand: bytes) -> None:
    found = look(patched(film(), b"ftyp", 0, brand))
    assert (found.media_type, found.picture.frames) == ("video/mp4", 24)


def test_a_sound_alone_is_no_video() -> None:
    sound = film(sound=2.0)
    without = sound.replace(b"vide", b"soun")
    assert reason(without) == "not_a_video"


def test_an_index_in_two_moovs_counts_once() -> None:
    data = film()
    moov = data[at_box(data, b"moov") :]
    assert look(data + moov).remarks == ("it has more than one moov, and the first one counts",)


def test_content_credentials_are_seen() -> None:
    data = film()
    assert look(data + C2PA).content_credentials
    at = at_box(data, b"mdat")
    assert look(data[:at] + C2PA + moved(data, len(C2PA))[at:]).content_credentials
    other = C2PA.replace(b"\xd8", b"\xd9")
    assert not look(data + other).content_credentials
    hidden = box(b"free", C2PA)
    assert not look(data + hidden).content_credentials
    assert reason(data + C2PA[:-1]) == "truncated"
