from __future__ import annotations

import html
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_video_providers.core.redact import Redactor, public_text, public_url
from tests.support.work import bounded

KEY = "sk=ab/c+d\"e'f&0123"
RED = Redactor(KEY)


@pytest.mark.parametrize(
    "echo",
    [
        KEY,
        json.dumps(KEY)[1:-1],
        json.dumps(KEY)[1:-1].replace("/", r"\/"),
        json.dumps(json.dumps(KEY))[3:-3],
        KEY.replace("=", r"\u003d").replace("&", r"\u0026"),
        "".join(rf"\u{ord(char):04x}" for char in KEY),
        "".join(rf"\u{ord(char):04X}" for char in KEY),
        quote(KEY, safe=""),
        quote(KEY, safe="").lower(),
        quote(quote(KEY, safe=""), safe=""),
        "".join(f"%{ord(char):02x}" for char in KEY),
        html.escape(KEY).replace("&amp;", "&#38;").replace("&quot;", "&#34;"),
        "".join(f"&#x{ord(char):02X};" for char in KEY),
        repr(KEY.encode())[2:-1],
    ],
)
def test_the_key_is_found_however_it_is_spelled(echo):
    assert RED.text(f"no {echo}, sorry") == "no ***, sorry"


@given(
    st.lists(st.sampled_from(["{}", "\\u{:04x}", "%{:02X}", "%{:02x}", "%25{:02x}", "&#{};"]), min_size=18, max_size=18)
)
def test_also_where_each_character_is_spelled_in_another_way(ways):
    echo = "".join(way.format(char if way == "{}" else ord(char)) for way, char in zip(ways, KEY, strict=True))
    assert RED.text(f"<{echo}>") == "<***>"


def test_a_key_that_could_be_a_word_stays():
    assert Redactor("error").text("an error") == "an error"


def test_no_redactor_shows_its_key():
    assert KEY not in repr(RED)


@pytest.mark.parametrize(
    "text", ["\\" * 200_000, "%25" * 100_000, "&#0" * 100_000, "s" * 1_000_000 + "\\", "\\s" * 200_000]
)
def test_a_text_that_is_made_to_be_slow_is_not(text):
    assert bounded(1.0, lambda: RED.text(text)) == text


@pytest.mark.parametrize("redact", [public_url, public_text])
@pytest.mark.parametrize(
    "url",
    [
        "https://me:s3cret@h.example/a.mp4?sig=s3cret#s3cret",
        r"https:\/\/me:s3cret@h.example\/a.mp4?sig=s3cret",
        r"https:\/\/h.example\/a.mp4\u003fsig=s3cret",
        r"https\u003a\u002f\u002fh.example\u002fa.mp4?sig=s3cret",
        "https%3A%2F%2Fme%3As3cret%40h.example%2Fa.mp4%3Fsig%3Ds3cret",
        "https%3a%2f%2fh.example%2fa.mp4%3fsig%3ds3cret",
        "https%253A%252F%252Fh.example%252Fa.mp4%253Fsig%253Ds3cret",
    ],
)
def test_an_address_is_shown_without_its_secrets_in_every_spelling(redact, url):
    shown = redact(url)
    assert "s3cret" not in shown
    assert "h.example" in shown


@pytest.mark.parametrize(
    "url", ["s3://key:s3cret@bucket/x?versionId=s3cret", "sftp://me:s3cret@h/x", "//h/a?s3cret", "/a#s3cret"]
)
def test_so_is_an_address_of_another_scheme(url):
    assert "s3cret" not in public_url(url)


SIGNED = "X-Amz-Expires=21600&X-Amz-Signature=s1gned"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        # urllib3's own words, and those of requests and of an access log: scheme and host stand elsewhere
        (f"HTTPSConnectionPool(host='b', port=443): Max retries exceeded with url: /a.png?{SIGNED} (Caused by x)",
         "HTTPSConnectionPool(host='b', port=443): Max retries exceeded with url: /a.png (Caused by x)"),
        (f'"GET /in/a.png?{SIGNED} HTTP/1.1" 403', '"GET /in/a.png HTTP/1.1" 403'),
        (f"cannot fetch b.s3.amazonaws.com/a.png?{SIGNED}.", "cannot fetch b.s3.amazonaws.com/a.png."),
        (f"a.png\n?{SIGNED}", "a.png\n"),
        ("/a.png?AWSAccessKeyId=AKIA&Signature=s1gned%2B&Expires=17", "/a.png"),
        ("X-Amz-Signature=s1gned is wrong", "X-Amz-Signature=*** is wrong"),
        ("a.png%3FX-Amz-Signature%3Ds1gned", "a.png%3FX-Amz-Signature%3D***"),
        ("//host/a.mp4?token=s1gned", "//host/a.mp4"),
        ("wss://host/a?sig=s1gned", "wss://host/a"),
        ("abfs://c@account/a.png?se=1&sig=s1gned", "abfs://c@account/a.png"),
        ("s3://key:s1gned@bucket/a", "s3://key:***@bucket/a"),
        # what is no secret stays
        ("s3://conn@bucket/a", "s3://conn@bucket/a"),
        ("output/signature=3/a", "output/signature=3/a"),
        ("Is it so? Yes: 5 = 6", "Is it so? Yes: 5 = 6"),
    ],
)  # fmt: skip
def test_an_address_without_its_scheme_or_its_host_has_no_signature_either(text, shown):
    assert public_text(text) == shown
    assert public_text(shown) == shown
