"""Fetching over real sockets: resumed where the server vouches, begun anew where it does not, and bounded."""

from __future__ import annotations

import base64
import gzip
import hashlib
import logging
import shutil
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_video_providers.exceptions import DownloadError, OutputExpiredError, OutputRejectedError
from airflow_video_providers.jobs import VideoJob, VideoOutput
from airflow_video_providers.landing.fetch import Fetched, Fetcher
from airflow_video_providers.landing.representation import read_headers
from airflow_video_providers.landing.sources import Source, Sources
from airflow_video_providers.landing.spool import Spool
from tests.faults.landing import cases
from tests.faults.landing.cases import CLIP, CUT_AT, TAG
from tests.faults.landing.clips import mp4

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.faults.landing.server import Exchange, FaultServer


def at(url: str) -> Source:
    """An address that cannot be renewed."""
    return Sources(VideoJob(model="pixazo:mochi-v1", request_id="r", outputs=(VideoOutput(url=url),)), None).output(0)


class Bench:
    """A fetcher whose pauses are noted and not waited for."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.pauses: list[float] = []
        self.now = 0.0
        self.log = logging.getLogger("landing-test")

    def tick(self) -> float:
        return self.now

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
                "sleep": self.pauses.append,
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
    ("status", "expected", "requests"),
    [(500, "http", 6), (503, "http", 6), (429, "http", 6), (400, "http", 1), (451, "http", 1), (304, "http", 1)],
)
def test_an_error_status_is_repeated_only_where_it_may_pass(
    status: int, expected: str, requests: int, bench: Bench, server: FaultServer
) -> None:
    url = server.serve("a", lambda exchange: exchange.head(status, Content_Length=0))
    assert refused(bench, url) == (DownloadError, expected)
    assert len(server.asked("a")) == requests


def test_retry_after_is_obeyed_up_to_a_minute(bench: Bench, server: FaultServer) -> None:
    def busy(exchange: Exchange) -> None:
        if exchange.number < 2:
            exchange.head(429, Content_Length=0, Retry_After=[7, 9999][exchange.number])
        else:
            exchange.whole(CLIP)

    bench.fetch(server.serve("a", busy))
    assert 5 <= bench.pauses[0] <= 9
    assert 40 <= bench.pauses[1] <= 80


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_an_expired_address_is_an_error_of_its_own(status: int, bench: Bench, server: FaultServer) -> None:
    url = server.serve("a", lambda exchange: exchange.head(status, Content_Length=0))
    assert refused(bench, url) == (OutputExpiredError, "expired")


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
        assert len(server.asked(header)) == 2

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


def test_what_is_compressed_unasked_is_decompressed_within_bounds_or_refused(bench: Bench, server: FaultServer) -> None:
    assert bench.fetch(server.serve("gzip", cases.gzipped))[1] == CLIP
    with pytest.raises(OutputRejectedError, match="encoded as 'br'"):
        bench.fetch(server.serve("br", cases.brotli))
    bomb = server.serve("bomb", cases.gzip_bomb)
    assert refused(bench, bomb, max_bytes=10**6) == (OutputRejectedError, "too_large")
    lie = server.serve("lie", lambda exchange: exchange.whole(CLIP, Content_Encoding="gzip"))
    assert refused(bench, lie) == (OutputRejectedError, "content_encoding")

    def cut(exchange: Exchange) -> None:
        whole = gzip.compress(CLIP)
        exchange.whole(whole[: len(whole) // 2] if exchange.number < 2 else whole, Content_Encoding="gzip")

    assert bench.fetch(server.serve("cut", cut))[1] == CLIP
    assert not any("range" in headers for headers in server.asked("cut"))


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
    silence = threading.Event()

    def silent(exchange: Exchange) -> None:
        if exchange.number:
            exchange.whole(CLIP)
        else:
            exchange.head(200, Content_Length=len(CLIP))
            silence.wait(5)

    assert bench.fetch(server.serve("a", silent), read_timeout=0.05)[1] == CLIP
    silence.set()


def test_a_long_download_tells_how_far_it_is(
    bench: Bench, server: FaultServer, caplog: pytest.LogCaptureFixture
) -> None:
    def step() -> float:
        bench.now += 4
        return bench.now

    with caplog.at_level(logging.INFO):
        bench.fetch(server.serve("a", lambda exchange: exchange.whole(CLIP)), clock=step)
    assert "of 0.3 MB (" in caplog.text


def test_a_weak_or_odd_validator_is_none() -> None:
    for tag in ('W/"x"', "x", '"', "", '""'):
        described = read_headers(200, {"etag": tag, "content-length": "5"})
        assert described is not None
        assert described.etag is None
    assert read_headers(206, {"content-range": "bytes */5"}) is None
    assert read_headers(200, {"content-length": "-5", "content-md5": "no base64!"}).total is None  # type: ignore[union-attr]
