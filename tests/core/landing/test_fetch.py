"""Fetching over real sockets: resumed where the server vouches, begun anew where it does not, and bounded."""

from __future__ import annotations

import base64
import gzip
import hashlib
import logging
import shutil
import socket
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpcore
import pytest

from airflow_video_providers.core.errors import DownloadError, OutputRejectedError
from airflow_video_providers.core.jobs import VideoJob, VideoOutput
from airflow_video_providers.core.landing.address import GuardedBackend
from airflow_video_providers.core.landing.fetch import Fetched, Fetcher
from airflow_video_providers.core.landing.output_urls import OutputUrl, OutputUrls
from airflow_video_providers.core.landing.pacing import Pace
from airflow_video_providers.core.landing.response_metadata import read_headers
from airflow_video_providers.core.landing.spool import Spool
from tests.faults.landing import cases
from tests.faults.landing.cases import CLIP, CUT_AT, TAG
from tests.faults.landing.clips import HTML, mp4

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.faults.landing.server import Exchange, FaultServer


def at(url: str) -> OutputUrl:
    """An address that cannot be renewed."""
    return OutputUrls(VideoJob(model="pixazo:mochi-v1", request_id="r", outputs=(VideoOutput(url=url),)), None).output(
        0
    )


class Bench:
    """A fetcher whose pauses are noted and not waited for."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.pauses: list[float] = []
        self.now = 0.0
        self.log = logging.getLogger("landing-test")

    def tick(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    def fetch(self, url: str, **options: Any) -> tuple[Fetched, bytes]:
        fetcher = Fetcher(
            **{
                "allowed": frozenset({"127.0.0.1"}),
                "media_types": ("video/mp4", "video/webm"),
                "max_bytes": 10**9,
                "deadline": 3600.0,
                "connections": 1,
                "read_timeout": 5.0,
                "log": self.log,
                "clock": self.tick,
                "sleep": self.pause,
                **options,
            }
        )
        try:
            with Spool(str(self.directory)) as spool:
                fetched = fetcher.fetch(at(url), spool)
                return fetched, Path(spool.path).read_bytes()
        finally:
            fetcher.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    yield Bench(tmp_path)
    assert list(tmp_path.iterdir()) == []  # no temporary file outlives its landing


def refused(bench: Bench, url: str, **options: Any) -> tuple[type[DownloadError], str | None]:
    with pytest.raises(DownloadError) as raised:
        bench.fetch(url, **options)
    assert "secret-signature" not in str(raised.value)
    return type(raised.value), raised.value.reason


def test_a_sound_file_comes_whole_with_its_digest_and_what_it_is(bench: Bench, server: FaultServer) -> None:
    fetched, data = bench.fetch(server.serve("a", lambda exchange: exchange.whole(CLIP)))
    assert data == CLIP
    assert (fetched.size, fetched.sha256) == (len(CLIP), hashlib.sha256(CLIP).hexdigest())
    assert (fetched.media.width, fetched.media.duration_s) == (848, 5.0)
    (headers,) = server.asked("a")
    assert headers["accept-encoding"] == "identity"
    assert not {"authorization", "cookie", "x-api-key", "range"} & set(headers)


def test_a_broken_download_goes_on_where_it_stood_and_sends_no_byte_twice(bench: Bench, server: FaultServer) -> None:
    _, data = bench.fetch(server.serve("a", cases.drop_three_times))
    asked = server.asked("a")
    assert data == CLIP
    assert len(asked) == 4
    starts = [int(headers["range"].removeprefix("bytes=").removesuffix("-")) for headers in asked[1:]]
    assert 0 < starts[0] <= starts[1] <= starts[2] < len(CLIP)
    assert starts[2] > CUT_AT
    assert {headers["if-range"] for headers in asked[1:]} == {TAG}


@pytest.mark.parametrize("answer", [cases.drop_without_validator, cases.drop_with_weak_validator])
def test_without_a_strong_validator_it_begins_anew(
    answer: Callable[[Exchange], None], bench: Bench, server: FaultServer
) -> None:
    _, data = bench.fetch(server.serve("a", answer))
    assert data == CLIP
    assert not any("range" in headers for headers in server.asked("a"))


def test_a_server_that_always_breaks_is_left_after_a_few_attempts(bench: Bench, server: FaultServer) -> None:
    def useless(exchange: Exchange) -> None:
        exchange.head(200, Content_Length=len(CLIP))
        exchange.reset()

    assert refused(bench, server.serve("a", useless)) == (DownloadError, "network")
    assert len(server.asked("a")) == 6
    assert len(bench.pauses) == 5
    assert bench.pauses[-1] > bench.pauses[0]


def test_a_server_that_gives_a_little_each_time_is_bounded_too(bench: Bench, server: FaultServer) -> None:
    def drip(exchange: Exchange) -> None:
        start = exchange.start
        told = {"Content_Range": f"bytes {start}-{len(CLIP) - 1}/{len(CLIP)}"} if start else {}
        exchange.head(206 if start else 200, Content_Length=len(CLIP) - start, ETag=TAG, **told)
        exchange.send(CLIP[start : start + 1000])
        exchange.reset()

    assert refused(bench, server.serve("a", drip)) == (DownloadError, "network")
    assert len(server.asked("a")) <= 30


def test_nobody_listening_is_a_network_error_that_a_retry_may_cure(bench: Bench, server: FaultServer) -> None:
    url = server.serve("a", lambda exchange: None)
    server.__exit__()
    with pytest.raises(DownloadError, match="broke after 0 bytes") as raised:
        bench.fetch(url)
    assert raised.value.retryable


@pytest.mark.parametrize(
    "status", [408, 421, 429, 500, 502, 503, 504, 507, 520, 521, 522, 523, 524, 525, 527, 529, 530]
)
def test_a_busy_or_broken_server_is_asked_again_and_then_left_to_a_retry(
    status: int, bench: Bench, server: FaultServer
) -> None:
    url = server.serve("a", lambda exchange: exchange.head(status, Content_Length=0))
    assert refused(bench, url) == (DownloadError, "http")
    assert len(server.asked("a")) == 6

    def once(exchange: Exchange) -> None:
        exchange.whole(CLIP) if exchange.number else exchange.head(status, Content_Length=0)

    assert bench.fetch(server.serve("b", once))[1] == CLIP


def test_retry_after_is_obeyed_up_to_a_minute(bench: Bench, server: FaultServer) -> None:
    def busy(exchange: Exchange) -> None:
        if exchange.number < 2:
            exchange.head(429, Content_Length=0, Retry_After=[7, 9999][exchange.number])
        else:
            exchange.whole(CLIP)

    bench.fetch(server.serve("a", busy))
    assert 5 <= bench.pauses[0] <= 9
    assert 40 <= bench.pauses[1] <= 80


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("2.5", 1.8, 3.2),
        ("0", 0.0, 2.0),
        ("Thu, 26 Nov 2026 12:00:20 GMT", 15, 25),
        ("Thu, 26 Nov 2026 11:00:00 GMT", 0.0, 2.0),
        ("soon", 0.0, 2.0),
        ("nan", 0.0, 2.0),
        ("9" * 400, 0.0, 75.0),
    ],
)
@pytest.mark.parametrize("status", [425, 429, 503, 404])
def test_retry_after_is_a_number_a_fraction_or_a_date(
    status: int, text: str, least: float, most: float, bench: Bench, server: FaultServer
) -> None:
    def busy(exchange: Exchange) -> None:
        exchange.whole(CLIP) if exchange.number else exchange.head(status, Content_Length=0, Retry_After=text)

    bench.fetch(server.serve("a", busy), now=lambda: datetime(2026, 11, 26, 12, 0, 0, tzinfo=UTC))
    assert least <= bench.pauses[0] <= most


MISSING = [202, 204, 400, 401, 403, 404, 409, 410, 423, 425, 451]


@pytest.mark.parametrize("status", MISSING)
@pytest.mark.parametrize("seconds", [5, 150])
def test_an_address_that_brings_nothing_yet_is_asked_for_minutes(
    seconds: int, status: int, bench: Bench, server: FaultServer
) -> None:
    def late(exchange: Exchange) -> None:
        exchange.whole(CLIP) if bench.now > seconds else exchange.head(status, Content_Length=0)

    assert bench.fetch(server.serve("a", late))[1] == CLIP
    assert seconds < bench.now < 3 * seconds + 40
    assert len(server.asked("a")) <= 12, "patience is no storm"


@pytest.mark.parametrize("status", MISSING)
def test_an_address_that_never_brings_anything_is_left_to_a_retry_and_loses_nothing(
    status: int, bench: Bench, server: FaultServer
) -> None:
    url = server.serve("a", lambda exchange: exchange.head(status, Content_Length=0))
    with pytest.raises(DownloadError, match="a Clear does not buy it again") as raised:
        bench.fetch(url)
    assert (type(raised.value), raised.value.reason, raised.value.retryable) == (DownloadError, "not_there", True)
    assert 250 < bench.now < 450
    assert len(server.asked("a")) < 25


ACCESS_DENIED = b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code></Error>'


@pytest.mark.parametrize(
    "page",
    [ACCESS_DENIED, HTML, b'{"error": "not ready"}', b"\xef\xbb\xbf<html>please wait</html>", b"please wait a moment"],
    ids=["XML", "HTML", "JSON", "BOM", "text"],
)
def test_a_page_in_the_place_of_the_video_may_be_gone_a_moment_later(
    page: bytes, bench: Bench, server: FaultServer
) -> None:
    def once(exchange: Exchange) -> None:
        exchange.whole(CLIP if exchange.number else page)

    assert bench.fetch(server.serve("a", once))[1] == CLIP
    url = server.serve("always", lambda exchange: exchange.whole(page))
    with pytest.raises(OutputRejectedError) as raised:
        bench.fetch(url)
    assert (raised.value.reason, raised.value.retryable, raised.value.keep) == ("not_a_video", True, False)
    assert len(server.asked("always")) == 6


def test_a_file_that_still_grows_is_fetched_again_until_it_is_whole(bench: Bench, server: FaultServer) -> None:
    def grows(exchange: Exchange) -> None:
        exchange.whole(CLIP[: 50_000 * (exchange.number // 2 + 1)], ETag=f'"v{exchange.number // 2}"')

    assert bench.fetch(server.serve("a", grows))[1] == CLIP

    def for_ever(exchange: Exchange) -> None:
        exchange.whole(CLIP[: 50_000 + exchange.number])

    with pytest.raises(DownloadError, match="still changing") as raised:
        bench.fetch(server.serve("b", for_ever))
    assert (raised.value.reason, raised.value.retryable) == ("changing", True)


def test_a_file_that_is_cut_and_stays_so_is_refused_in_seconds(bench: Bench, server: FaultServer) -> None:
    url = server.serve("a", lambda exchange: exchange.whole(CLIP[:CUT_AT]))
    assert refused(bench, url) == (OutputRejectedError, "truncated")
    assert len(server.asked("a")) == 3
    assert bench.now < 10


def test_a_part_of_another_version_of_equal_length_is_not_glued_on(bench: Bench, server: FaultServer) -> None:
    other = mp4(seed=8)
    assert len(other) == len(CLIP)

    def replaced(exchange: Exchange) -> None:
        if exchange.number == 0:
            exchange.head(200, Content_Length=len(CLIP), ETag=TAG)
            exchange.send(CLIP[:CUT_AT])
            exchange.reset()
        elif exchange.start:  # If-Range ignored
            exchange.part(other, exchange.start, ETag='"later"')
        else:
            exchange.whole(other, ETag='"later"')

    assert bench.fetch(server.serve("a", replaced))[1] == other


def test_a_server_that_hands_out_short_parts_is_asked_for_the_next_one(bench: Bench, server: FaultServer) -> None:
    def stingy(exchange: Exchange) -> None:
        start, end = exchange.start, min(exchange.start + 60_000, len(CLIP))
        if start:
            told = f"bytes {start}-{end - 1}/{len(CLIP)}"
            exchange.head(206, Content_Length=end - start, Content_Range=told, ETag=TAG)
            exchange.send(CLIP[start:end])
        else:
            exchange.head(200, Content_Length=len(CLIP), ETag=TAG)
            exchange.send(CLIP[:end])
            exchange.reset()

    assert bench.fetch(server.serve("a", stingy))[1] == CLIP


def test_a_file_that_shrank_on_the_server_begins_anew(bench: Bench, server: FaultServer) -> None:
    def shrank(exchange: Exchange) -> None:
        if exchange.number == 0:
            exchange.head(200, Content_Length=len(CLIP), ETag=TAG)
            exchange.send(CLIP[:CUT_AT])
            exchange.reset()
        elif exchange.start:
            exchange.head(416, Content_Length=0)
        else:
            exchange.whole(CLIP)

    assert bench.fetch(server.serve("a", shrank))[1] == CLIP


def test_a_part_that_was_not_asked_for_is_never_taken_for_the_file(bench: Bench, server: FaultServer) -> None:
    def odd(exchange: Exchange) -> None:
        if exchange.number == 0:
            exchange.head(206, Content_Length=len(CLIP) - 10, Content_Range=f"bytes 10-{len(CLIP) - 1}/{len(CLIP)}")
            exchange.send(CLIP[10:])
        elif exchange.number == 1:
            exchange.head(206, Content_Length=len(CLIP), Content_Type="multipart/byteranges")
            exchange.send(CLIP)
        else:
            exchange.whole(CLIP)

    assert bench.fetch(server.serve("a", odd))[1] == CLIP
    assert len(server.asked("a")) == 3


def test_redirects_are_followed_without_anything_to_steal_and_only_so_far(bench: Bench, server: FaultServer) -> None:
    server.serve("end", lambda exchange: exchange.whole(CLIP))
    assert bench.fetch(server.serve("a", cases.to("/end/x.mp4?sig=1")))[1] == CLIP
    assert server.requests[-1][0] == "/end/x.mp4?sig=1"
    for hop in range(6):
        server.serve(f"hop{hop}", cases.to(f"/hop{hop + 1}/x"))
    server.serve("hop6", lambda exchange: exchange.whole(CLIP))
    assert bench.fetch(f"{server.base}/hop1/x")[1] == CLIP
    assert refused(bench, f"{server.base}/hop0/x") == (OutputRejectedError, "redirects")
    nowhere = server.serve("nowhere", lambda exchange: exchange.head(302, Content_Length=0))
    assert refused(bench, nowhere) == (OutputRejectedError, "redirects")


@pytest.mark.parametrize(
    "location",
    ["http://169.254.169.254/", "http://localhost/x", "file:///etc/hosts", "//10.0.0.1/x", "https://u:p@127.0.0.1/"],
)
def test_every_redirect_is_checked(location: str, bench: Bench, server: FaultServer) -> None:
    assert refused(bench, server.serve("a", cases.to(location))) == (OutputRejectedError, "forbidden_address")
    assert len(server.requests) == 1


def test_digests_that_agree_pass_and_one_that_does_not_is_looked_at_twice(bench: Bench, server: FaultServer) -> None:
    digest = base64.b64encode(hashlib.sha256(CLIP).digest()).decode()
    wrong = base64.b64encode(hashlib.sha256(b"other").digest()).decode()
    md5 = base64.b64encode(hashlib.md5(CLIP, usedforsecurity=False).digest()).decode()
    good = {"Repr_Digest": f"sha-256=:{digest}:", "Content_MD5": md5, "X_Goog_Hash": f"crc32c=AAAAAA==,md5={md5}"}
    bench.fetch(server.serve("good", lambda exchange: exchange.whole(CLIP, **good)))
    for header in ("Repr_Digest", "Digest"):
        value = f"sha-256=:{wrong}:" if header == "Repr_Digest" else f"SHA-256={wrong}"
        url = server.serve(header, lambda exchange, h=header, v=value: exchange.whole(CLIP, **{h: v}))
        assert refused(bench, url) == (OutputRejectedError, "digest")
        assert len(server.asked(header)) == 3

    def once(exchange: Exchange) -> None:
        exchange.whole(CLIP, **({"Content_MD5": base64.b64encode(bytes(16)).decode()} if not exchange.number else {}))

    assert bench.fetch(server.serve("once", once))[1] == CLIP


def test_a_digest_holds_over_a_resumed_download(bench: Bench, server: FaultServer) -> None:
    wrong = base64.b64encode(hashlib.sha256(b"other").digest()).decode()

    def resumed(exchange: Exchange) -> None:
        if exchange.number == 0:
            exchange.head(200, Content_Length=len(CLIP), ETag=TAG)
            exchange.send(CLIP[:CUT_AT])
            exchange.reset()
        else:
            exchange.part(CLIP, exchange.start, ETag=TAG, Repr_Digest=f"sha-256=:{wrong}:")

    assert refused(bench, server.serve("a", resumed))[1] == "digest"


def test_too_large_is_refused_before_the_first_byte_or_as_soon_as_it_is_known(
    bench: Bench, server: FaultServer
) -> None:
    announced = server.serve("announced", lambda exchange: exchange.whole(CLIP))
    assert refused(bench, announced, max_bytes=len(CLIP) - 1) == (OutputRejectedError, "too_large")
    bench.fetch(announced, max_bytes=len(CLIP))

    def only_the_head(exchange: Exchange) -> None:
        exchange.head(200, Content_Length=10**12)
        exchange.reset()

    assert refused(bench, server.serve("head", only_the_head)) == (OutputRejectedError, "too_large")

    def endless(exchange: Exchange) -> None:
        exchange.head(200, Transfer_Encoding="chunked")
        while True:
            exchange.chunk(CLIP)

    assert refused(bench, server.serve("endless", endless), max_bytes=10**6) == (OutputRejectedError, "too_large")


def test_a_full_disk_is_known_before_the_first_byte(
    bench: Bench, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(100, 90, 10))
    assert refused(bench, server.serve("a", lambda exchange: exchange.whole(CLIP))) == (DownloadError, "disk_full")


def coded(coding: str, data: bytes = CLIP) -> Callable[[Exchange], None]:
    return lambda exchange: exchange.whole(data, Content_Encoding=coding)


@pytest.mark.parametrize(
    "word",
    ["aws-chunked", "", "none", "identity", "identity, identity", "IDENTITY", "binary", "utf-8", "aws-chunked,identity",
     "video/mp4", ",", "br", "gzip", "x-gzip, identity", "zstd", "deflate"],
)  # fmt: skip
def test_a_word_that_names_no_coding_of_these_bytes_means_nothing(word: str, bench: Bench, server: FaultServer) -> None:
    assert bench.fetch(server.serve("a", coded(word)))[1] == CLIP


@pytest.mark.parametrize(
    ("coding", "data"),
    [
        ("gzip", gzip.compress(CLIP)),
        ("x-gzip", gzip.compress(CLIP)),
        ("gzip, identity", gzip.compress(CLIP)),
        ("aws-chunked, gzip", gzip.compress(CLIP)),
        ("gzip", gzip.compress(CLIP[:CUT_AT]) + gzip.compress(CLIP[CUT_AT:])),
        ("gzip", b"".join(gzip.compress(CLIP[at : at + 999]) for at in range(0, len(CLIP), 999))),
        ("gzip", gzip.compress(b"") + gzip.compress(CLIP) + gzip.compress(b"")),
        ("gzip", gzip.compress(CLIP) + bytes(500)),
        ("gzip, gzip", gzip.compress(gzip.compress(CLIP))),
    ],
    ids=["gzip", "x-gzip", "no coding after", "no coding before", "two members", "many members", "empty members",
         "padding", "twice"],
)  # fmt: skip
def test_what_is_compressed_unasked_is_read_whole(coding: str, data: bytes, bench: Bench, server: FaultServer) -> None:
    assert bench.fetch(server.serve("a", coded(coding, data)))[1] == CLIP

    def drop(exchange: Exchange) -> None:
        exchange.head(200, Transfer_Encoding="chunked", Content_Encoding=coding)
        for at in range(0, len(data), 7_001):
            exchange.chunk(data[at : at + 7_001])
        exchange.chunk(b"")

    assert bench.fetch(server.serve("chunked", drop))[1] == CLIP


@pytest.mark.parametrize("word", ["br", "zstd"])
def test_another_coding_that_is_meant_is_no_video(word: str, bench: Bench, server: FaultServer) -> None:
    url = server.serve("a", coded(word, bytes(range(40, 140)) * 9))
    assert refused(bench, url) == (OutputRejectedError, "not_a_video")


@pytest.mark.parametrize(
    ("coding", "length"), [("gzip", 20_000_000), ("gzip, gzip", 200_000_000)], ids=["one layer", "two layers"]
)
def test_decompressed_bytes_are_counted(coding: str, length: int, bench: Bench, server: FaultServer) -> None:
    bomb = CLIP + bytes(length)
    for _ in coding.split(", "):
        bomb = gzip.compress(bomb)
    url = server.serve("bomb", coded(coding, bomb))
    assert refused(bench, url, max_bytes=10**6) == (OutputRejectedError, "too_large")


def test_a_compressed_file_that_is_cut_begins_anew_and_layers_have_an_end(bench: Bench, server: FaultServer) -> None:
    def cut(exchange: Exchange) -> None:
        whole = gzip.compress(CLIP)
        exchange.whole(whole[: len(whole) // 2] if exchange.number < 2 else whole, Content_Encoding="gzip")

    assert bench.fetch(server.serve("cut", cut))[1] == CLIP
    assert not any("range" in headers for headers in server.asked("cut"))
    assert refused(bench, server.serve("many", coded("gzip," * 9))) == (OutputRejectedError, "content_encoding")
    broken = gzip.compress(CLIP)
    broken = broken[:2000] + bytes(2000) + broken[4000:]
    assert refused(bench, server.serve("broken", coded("gzip", broken)))[1] == "content_encoding"


Trickle = tuple[bytes, bytes]
#: What begins, and what comes then, a second apart and without an end.
HEADS: dict[str, Trickle] = {
    "headers": (b"HTTP/1.1 200 OK\r\nX-Slow: ", b"a"),
    "hints": (b"", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"),
    "a status line": (b"HTTP/1.1 200 OK", b" "),
}
BODIES: dict[str, Trickle] = {
    "bytes": (b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n" + CLIP[:1000], b"\0"),
    "a chunk's header": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=", b"y"),
}


def trickling(bench: Bench, head: bytes, piece: bytes) -> Callable[[Exchange], None]:
    """On the bench's own clock, so that the machine's speed decides nothing."""

    def answer(exchange: Exchange) -> None:
        exchange.send(head)
        while True:
            time.sleep(0.002)  # the other side waits for it
            bench.now += 1.0
            exchange.send(piece)

    return answer


def silence(exchange: Exchange) -> None:
    exchange.connection.recv(1)  # until the other side hangs up


def at_first(answer: Callable[[Exchange], None]) -> Callable[[Exchange], None]:
    return lambda exchange: exchange.whole(CLIP) if exchange.number else answer(exchange)


@pytest.mark.parametrize("trickle", HEADS.values(), ids=HEADS)
def test_headers_have_one_limit_however_they_trickle(trickle: Trickle, bench: Bench, server: FaultServer) -> None:
    url = server.serve("a", at_first(trickling(bench, *trickle)))
    assert bench.fetch(url, head_timeout=30.0, deadline=1e9)[1] == CLIP
    assert len(server.asked("a")) == 2


@pytest.mark.parametrize("trickle", BODIES.values(), ids=BODIES)
def test_a_body_must_make_progress(trickle: Trickle, bench: Bench, server: FaultServer) -> None:
    url = server.serve("a", at_first(trickling(bench, *trickle)))
    assert bench.fetch(url, read_timeout=30.0, deadline=1e9)[1] == CLIP
    assert len(server.asked("a")) == 2


def test_headers_that_do_not_come_at_all_have_the_same_limit(bench: Bench, server: FaultServer) -> None:
    assert bench.fetch(server.serve("a", at_first(silence)), head_timeout=0.5)[1] == CLIP


@pytest.mark.parametrize("trickle", (HEADS | BODIES).values(), ids=HEADS | BODIES)
def test_nothing_goes_on_past_the_deadline(trickle: Trickle, bench: Bench, server: FaultServer) -> None:
    url = server.serve("a", trickling(bench, *trickle))
    limits: dict[str, Any] = {"head_timeout": 1e6, "read_timeout": 1e6, "deadline": 30.0}
    assert refused(bench, url, **limits) == (DownloadError, "timeout")
    assert len(server.asked("a")) == 1


#: Seconds of a real clock: far less than the limit that is next, and far more than a machine may stand still.
SOON = 30.0


def test_nothing_is_waited_for_past_the_deadline(bench: Bench, server: FaultServer) -> None:
    began = time.monotonic()
    limits: dict[str, Any] = {"clock": time.monotonic, "deadline": began + 0.3, "read_timeout": 60.0}
    assert refused(bench, server.serve("a", silence), **limits) == (DownloadError, "timeout")
    assert time.monotonic() - began < SOON


@pytest.mark.slow
def test_a_handshake_that_never_ends_and_a_resolver_that_hangs_have_the_same_limit(bench: Bench) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        began = time.monotonic()
        url = f"https://127.0.0.1:{deaf.getsockname()[1]}/a.mp4"
        limits: dict[str, Any] = {"clock": time.monotonic, "deadline": began + 0.3, "read_timeout": 60.0}
        assert refused(bench, url, **limits) == (DownloadError, "timeout")
        assert time.monotonic() - began < SOON

    over = threading.Event()

    def hangs(host: str, port: int) -> list[str]:
        over.wait(2 * SOON)
        return ["127.0.0.1"]

    began = time.monotonic()
    pace = Pace(began + 0.2, time.monotonic, 60.0, 60.0)
    with pytest.raises(httpcore.ConnectTimeout, match="in time"):
        GuardedBackend(frozenset(), hangs, pace).connect_tcp("slow.example", 443, 60.0)
    over.set()
    assert time.monotonic() - began < SOON


def test_a_redirect_may_hold_raw_letters_and_spaces(bench: Bench, server: FaultServer) -> None:
    server.serve("fin", lambda exchange: exchange.whole(CLIP))
    for raw, path in [
        ("/fin/vidéo clip.mp4?name=ü x".encode(), "/fin/vid%C3%A9o%20clip.mp4?name=%C3%BC%20x"),
        ("/fin/vidéo.mp4".encode("latin-1"), "/fin/vid%E9o.mp4"),
        (b"  /fin/a.mp4  ", "/fin/a.mp4"),
        (b"\\fin\\a.mp4", "/fin/a.mp4"),
        (b"/fin/a%20b.mp4?sig=a%2Fb+c%3D", "/fin/a%20b.mp4?sig=a%2Fb+c%3D"),
    ]:

        def to(exchange: Exchange, raw: bytes = raw) -> None:
            exchange.send(
                b"HTTP/1.1 302 Found\r\nConnection: close\r\nContent-Length: 0\r\nLocation: " + raw + b"\r\n\r\n"
            )

        assert bench.fetch(server.serve("a", to))[1] == CLIP
        assert server.requests[-1][0] == path


def test_an_address_from_the_vendor_may_hold_spaces_and_raw_letters(bench: Bench, server: FaultServer) -> None:
    server.serve("a", lambda exchange: exchange.whole(CLIP))
    assert bench.fetch(f"  {server.base}/a/my clip é.mp4?x=1 2\n")[1] == CLIP
    assert server.requests[-1][0] == "/a/my%20clip%20%C3%A9.mp4?x=1%202"


def test_the_file_host_is_told_who_asks_and_may_be_told_something_else(bench: Bench, server: FaultServer) -> None:
    def picky(exchange: Exchange) -> None:
        sound = exchange.headers["user-agent"] == "Mozilla/5.0"
        exchange.whole(CLIP) if sound else exchange.head(403, Content_Length=0)

    url = server.serve("a", picky)
    assert bench.fetch(url, user_agent="Mozilla/5.0")[1] == CLIP
    with pytest.raises(DownloadError, match="download_user_agent") as raised:
        bench.fetch(url)
    assert (raised.value.reason, raised.value.retryable) == ("not_there", True)


def test_the_time_for_all_attempts_is_bounded(bench: Bench, server: FaultServer) -> None:
    def slow(exchange: Exchange) -> None:
        bench.now += 100
        exchange.head(503, Content_Length=0)

    assert refused(bench, server.serve("a", slow), deadline=150.0) == (DownloadError, "timeout")
    assert len(server.asked("a")) == 2

    def endless(exchange: Exchange) -> None:
        exchange.head(200, Transfer_Encoding="chunked")
        exchange.chunk(CLIP)
        bench.now += 100
        while True:
            exchange.chunk(b"x")

    assert refused(bench, server.serve("b", endless), deadline=bench.now + 50)[1] == "timeout"


def test_a_silent_server_is_left(bench: Bench, server: FaultServer) -> None:
    def silent(exchange: Exchange) -> None:
        exchange.head(200, Content_Length=len(CLIP))
        silence(exchange)

    assert bench.fetch(server.serve("a", at_first(silent)), read_timeout=0.5)[1] == CLIP


def test_a_long_download_tells_how_far_it_is(
    bench: Bench, server: FaultServer, caplog: pytest.LogCaptureFixture
) -> None:
    def step() -> float:
        bench.now += 4
        return bench.now

    with caplog.at_level(logging.INFO):
        bench.fetch(server.serve("a", lambda exchange: exchange.whole(CLIP)), clock=step, read_timeout=1000.0)
    assert "of 0.3 MB (" in caplog.text


def test_a_weak_or_odd_validator_is_none() -> None:
    for tag in ('W/"x"', "x", '"', "", '""'):
        described = read_headers(200, {"etag": tag, "content-length": "5"})
        assert described is not None
        assert described.etag is None
    assert read_headers(206, {"content-range": "bytes */5"}) is None
    assert read_headers(200, {"content-length": "-5", "content-md5": "no base64!"}).total is None  # type: ignore[union-attr]
