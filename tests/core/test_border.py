from __future__ import annotations

import collections
import gzip
import json
import tracemalloc
import zlib

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_video_providers.core import border


def taken(body: bytes, coding: str = "", *, limit: int = border.MOST_JSON, step: int = 1 << 16) -> bytes:
    intake = border.BodyReader({"content-encoding": coding} if coding else {}, limit, pieces=None)
    came = b"".join(b"".join(intake.take(body[at : at + step])) for at in range(0, len(body), step))
    intake.finish()
    return came


# JSON.


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b'\xef\xbb\xbf{"a": "\xc3\xa9"}', "application/json"),
        ('{"a": "é"}'.encode("latin-1"), "application/json; charset=ISO-8859-1"),
        ('{"a": "é"}'.encode("cp1252"), 'application/json;charset="windows-1252"'),
        ('{"a": "é"}'.encode("utf-16"), "application/json"),
        ('{"a": "é"}'.encode("utf-16-le"), None),
        ('{"a": "é"}'.encode("utf-16-be"), "application/json; charset=utf-8"),
        ('{"a": "é"}'.encode(), "application/json; charset=no-such-thing"),
        ('{"a": "é"}'.encode(), "application/json; charset=idna"),
        ('{"a": "é"}'.encode(), "application/json; charset=unicode_escape"),
        (b'{"a": "\\u00e9"}', ""),
    ],
)
def test_json_is_decoded_by_its_mark_or_its_header(content, kind):
    assert border.json_object(content, kind) == {"a": "é"}


def test_a_byte_that_does_not_fit_is_replaced_and_the_rest_is_read():
    body = b'{"request_id": "r-1", "message": "caf\xe9"}'
    assert border.json_object(body) == {"request_id": "r-1", "message": "caf\ufffd"}


@pytest.mark.parametrize("half", [r"\ud83d", r"\ude00", r"\ud83d and more"])
def test_half_an_emoji_is_no_reason_to_lose_an_id(half):
    read = border.json_object(b'{"id": "r-1", "prompt": "a fox %s", "whole": "\\ud83d\\ude00"}' % half.encode())
    assert read is not None
    assert (read["id"], read["whole"]) == ("r-1", "\U0001f600")
    json.dumps(read).encode()
    read["prompt"].encode()


@pytest.mark.parametrize(
    "body",
    [
        b"", b"nothing", b"\0", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 100_000, b'{"a": NaN}', b'{"a": Infinity}',
        b'{"a": [-Infinity]}', b'{"a": 1e999}', b'{"a": ' + b"9" * 400 + b"}", b'{"a": ' + b"9" * 5000 + b"}",
        b'{"a": "\n"}', b"[1, 2]", b'"text"', b"1", b'{"a": "' + b"x" * border.MOST_JSON + b'"}',
    ],
)  # fmt: skip
def test_what_is_no_object_that_can_be_used_is_none(body):
    assert border.json_object(body) is None


def test_digits_in_a_text_are_no_number():
    body = {"a": "9" * 400, "b": "12e4567", "c": 1.5e300, "d": "NaN"}
    assert border.json_object(json.dumps(body).encode()) == body


@given(st.binary(max_size=300), st.text(max_size=60))
def test_whatever_comes_is_read_or_none(content, kind):
    border.json_object(content, f"application/json; charset={kind}")
    border.json_object(content, kind)
    assert isinstance(border.body_text(content, kind), str)


# Texts.


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\tword\r\n and  more", "a word and more"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("a\u202eb", r"a\u202eb"),
        ("a\ud800b", r"a\ud800b"),
        ("a\0b", r"a\x00b"),
        ("Füchse 狐", "Füchse 狐"),
        ("x" * 10_000_000, "x" * 197 + "..."),
        ("\x1b" * 500, None),
        (17, "17"),
    ],
)
def test_what_is_kept_as_text_is_one_short_line_without_control_characters(text, shown):
    line = border.printable(text)
    assert line.isprintable()
    assert len(line) <= border.LONGEST_TEXT
    assert shown is None or line == shown


def test_an_escaped_value_says_which_characters_it_holds():
    assert border.escaped("a\nb\u202e") == r"'a\nb\u202e'"
    assert len(border.escaped("x" * 10_000)) == border.LONGEST_TEXT + 2


@pytest.mark.parametrize("text", ["", "  ", "a\nb", "a\x1bb", "a\u202eb", "\ud800", "x" * 257, "x" * 10_000_000, "a\0"])
def test_an_id_that_nobody_could_write_down_is_none(text):
    assert not border.plain_id(text)


@pytest.mark.parametrize("text", ["r-1", "projects/1/operations/ab c", "x" * 256, "ид-1", "a%2Fb", ".."])
def test_an_id_that_can_be_written_down_is_one(text):
    assert border.plain_id(text)


def test_a_header_is_short_and_printable_or_none():
    assert (
        border.header(httpx.Headers({"x-remaining-credits": "3.5 \x1b[2J" + "9" * 1000}), "X-Remaining-Credits")[:4]
        == "3.5 "
    )
    assert border.header(httpx.Headers({}), "x") is None


# Bytes.


@pytest.mark.parametrize(
    ("body", "coding"),
    [
        (b"plain", ""),
        (b"plain", "identity"),
        (b"plain", "none"),
        (b"plain", "aws-chunked"),
        (b"plain", "utf-8"),
        (gzip.compress(b"plain", mtime=0), "gzip"),
        (gzip.compress(b"plain", mtime=0), "X-GZIP"),
        (gzip.compress(b"pl", mtime=0) + gzip.compress(b"ain", mtime=0), "gzip"),
        (gzip.compress(b"plain", mtime=0) + b"\0\0\0", "gzip"),
        (zlib.compress(b"plain"), "deflate"),
        (zlib.compress(b"plain", wbits=-15), "deflate"),
        (gzip.compress(zlib.compress(b"plain"), mtime=0), "deflate, gzip"),
    ],
)
@pytest.mark.parametrize("step", [1, 2, 7, 1 << 16])
def test_a_body_is_taken_in_without_its_codings(body, coding, step):
    assert taken(body, coding, step=step) == b"plain"


@pytest.mark.parametrize("coding", ["deflate", "gzip", "deflate, gzip", "gzip, gzip"])
@pytest.mark.parametrize("limit", [1000, border.MOST_JSON])
def test_a_bomb_is_put_out_before_it_is_unpacked(coding, limit):
    bomb = b"0" * 30_000_000
    for layer in coding.split(", "):
        bomb = zlib.compress(bomb) if layer == "deflate" else gzip.compress(bomb, 1, mtime=0)
    tracemalloc.start()
    pieces = border.BodyReader({"content-encoding": coding}, limit).take(bomb)
    with pytest.raises(httpx.RemoteProtocolError, match="longer than"):
        collections.deque(pieces, maxlen=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000


def test_a_body_is_counted_on_the_wire_too():
    with pytest.raises(httpx.RemoteProtocolError, match="longer than 10 bytes"):
        taken(b"x" * 11, limit=10)
    assert taken(b"x" * 10, limit=10) == b"x" * 10
    with pytest.raises(httpx.RemoteProtocolError, match="longer than"):
        taken(gzip.compress(b"", mtime=0) * 10_000, "gzip", limit=1000)


def test_so_are_its_pieces():
    intake = border.BodyReader({}, pieces=3)
    for _ in range(3):
        list(intake.take(b"x"))
    with pytest.raises(httpx.RemoteProtocolError, match="too many pieces"):
        list(intake.take(b"x"))


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, br", "gzip, gzip, gzip, gzip"])
def test_a_coding_that_was_not_asked_for_is_refused(coding):
    with pytest.raises(httpx.DecodingError):
        border.BodyReader({"content-encoding": coding})


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_compressed_body_that_is_none_or_is_cut_is_told(coding):
    with pytest.raises(httpx.DecodingError):
        taken(b"no such thing", coding)
    whole = gzip.compress(b"plain" * 100, mtime=0) if coding == "gzip" else zlib.compress(b"plain" * 100)
    with pytest.raises(httpx.DecodingError, match="cut"):
        taken(whole[:-5], coding)
