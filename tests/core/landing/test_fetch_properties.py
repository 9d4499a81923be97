"""Whatever a file host answers and whatever lies under a manifest's name: a sound video or an error of ours, in bounds."""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import httpcore
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_video_providers.core.errors import DownloadError, LandingError, VideoProviderError
from airflow_video_providers.core.jobs import JobStatus, VideoJob, VideoOutput
from airflow_video_providers.core.landing import fetch, manifest, quarantine
from airflow_video_providers.core.landing.address import tls
from airflow_video_providers.core.landing.fetch import Fetcher
from airflow_video_providers.core.landing.keys import Keys
from airflow_video_providers.core.landing.output_urls import OutputUrls
from airflow_video_providers.core.landing.response_metadata import Decoding, read_headers, retry_after
from airflow_video_providers.core.landing.spool import Spool
from tests.faults.landing.clips import HTML, mp4, webm
from tests.support.work import bounded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

pytestmark = pytest.mark.fuzz

CLIP = mp4(2_000)
SIGNED = "https://cdn.example.com/v/a.mp4?X-Signature=secret-signature"
BODIES = [CLIP, webm(2_000), CLIP[:-7], CLIP[:9], b"", HTML, b"<Error/>", gzip.compress(CLIP),
          gzip.compress(CLIP[:99]) + gzip.compress(CLIP[99:]), gzip.compress(bytes(3_000_000)),
          gzip.compress(gzip.compress(bytes(9_000_000)))]  # fmt: skip
ODD = st.sampled_from(
    ["", "0", "-1", "1e9", "9" * 30, "9" * 5_000, "nan", "gzip", "gzip, gzip", "identity", "aws-chunked", "br", "none",
     "bytes 0-9/10", "bytes 5-9/*", "bytes 9-5/3", f"bytes 0-{'9' * 40}/*", '"tag"', 'W/"tag"', '"', "sha-256=:AAAA:",
     "md5=" + "A" * 22 + "==", "é", "Thu, 26 Nov 2026 12:00:00 GMT", "Thu, 99 Nov 99999 12:00:00 GMT", "chunked",
     "https://cdn.example.com/b?X-Signature=secret-signature", "http://10.0.0.1/", "//[::1]/", "/é b\\c", "https://u:pw@x/",
     "javascript:1", "?" + "x" * 9_000, "\x1b[31m", "secret-signature"]
)  # fmt: skip
NAMES = st.sampled_from(
    ["Content-Length", "Content-Encoding", "Transfer-Encoding", "Content-Range", "ETag", "Retry-After", "Location", "Digest",
     "Repr-Digest", "Content-MD5", "X-Goog-Hash", "Content-Type", "Connection"]
)  # fmt: skip
STATUS = st.sampled_from(
    [200] * 8 + [206, 206, 301, 302, 307, 404, 403, 416, 429, 500, 503, 520, 204, 304, 100, 103, 999]
)


@st.composite
def answers(draw: Any) -> bytes:
    """One answer on the wire: right, odd, or no HTTP at all."""
    kind = draw(st.integers(0, 9))
    if kind == 0:
        return draw(st.binary(max_size=300))
    body = draw(st.sampled_from(BODIES) | st.binary(max_size=200))
    headers = [f"{draw(NAMES)}: {draw(ODD | st.text(max_size=20))}" for _ in range(draw(st.integers(0, 3)))]
    framing = draw(st.integers(0, 3))
    if framing == 1:
        headers.append(f"Content-Length: {len(body)}")
    elif framing == 2:
        headers.append("Transfer-Encoding: chunked")
        cut = draw(st.integers(1, 3_000))
        pieces = [body[at : at + cut] for at in range(0, len(body), cut)]
        body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    head = f"HTTP/1.1 {draw(STATUS)} {draw(st.text(max_size=8))}\r\n" + "".join(f"{line}\r\n" for line in headers)
    raw = head.encode("utf-8", "surrogatepass") + b"\r\n" + body
    at = draw(st.none() | st.integers(0, len(raw)))
    return raw if at is None else raw[:at]


class Host(httpcore.NetworkBackend):
    """Plays answers, one per connection, and the last one again and again."""

    def __init__(self, played: list[bytes]) -> None:
        self._played = played
        self._number = 0

    def connect_tcp(self, *_: Any, **__: Any) -> httpcore.NetworkStream:
        answer = self._played[min(self._number, len(self._played) - 1)]
        self._number += 1
        return httpcore.MockStream([answer[at : at + 777] for at in range(0, len(answer), 777)])


def download(played: list[bytes], directory: str) -> tuple[Any, bytes, float]:
    now = [0.0]

    def pool(*_: object) -> httpcore.ConnectionPool:
        return httpcore.ConnectionPool(tls(), network_backend=Host(played), max_keepalive_connections=0)

    def wait(seconds: float) -> None:
        assert seconds >= 0
        now[0] += seconds

    job = VideoJob(model="pixazo:mochi-v1", request_id="r", outputs=(VideoOutput(url=SIGNED),), submitted_at=None)
    with mock.patch.object(fetch, "guarded_pool", pool):
        fetcher = Fetcher(
            allowed=frozenset(), media_types=("video/mp4", "video/webm"), max_bytes=1_000_000, deadline=3600.0,
            connections=1, clock=lambda: now[0], sleep=wait, log=QUIET,
        )  # fmt: skip
        try:
            with Spool(directory) as spool:
                source = OutputUrls(job, lambda stale: stale, clock=lambda: now[0]).output(0)
                return fetcher.fetch(source, spool), Path(spool.path).read_bytes(), now[0]
        except VideoProviderError as error:
            return error, b"", now[0]
        finally:
            fetcher.close()


QUIET = logging.getLogger("download-properties")
QUIET.setLevel(logging.CRITICAL)


def fit_for_people(text: str) -> None:
    assert text.isprintable(), text
    assert len(text) < 1_500
    assert "secret-signature" not in text
    assert ":pw@" not in text


@given(st.lists(answers(), min_size=1, max_size=3))
@example([b"HTTP/1.1 302 F\r\nLocation: \x1b]0;x\x07?X-Signature=secret-signature\r\n\r\n"])
@example([b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5_000 + b"\r\n\r\n"])
@example([b"HTTP/1.1 200 OK\r\nContent-MD5: \xe9\r\nContent-Length: 0\r\n\r\n"])
@example([b"\x1b[31m" * 2_000 + b"\r\n\r\n"])
@example([b"HTTP/1.1 200 OK\r\n" + b"\x1b[31m" * 300 + b"\r\n\r\n"])
@example([b"HTTP/1.1 302 F\r\nLocation: https://u:pw@x/" + b"y" * 9_000 + b"\r\n\r\n"])
def test_whatever_comes_it_is_a_whole_video_or_an_error_of_ours_in_bounds(played: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        found, data, waited = bounded(1.0, lambda: download(played, directory))
        assert list(Path(directory).iterdir()) == []
    assert waited <= 3600.0
    if isinstance(found, VideoProviderError):
        assert isinstance(found, DownloadError)
        assert found.reason
        fit_for_people(str(found))
    else:
        assert hashlib.sha256(data).hexdigest() == found.sha256
        assert data in BODIES or data == gzip.decompress(gzip.compress(data))
        assert len(data) == found.size <= 1_000_000


@given(st.dictionaries(NAMES.map(str.lower), ODD | st.text(max_size=40)), st.sampled_from([200, 206]))
def test_headers_of_any_kind_are_read(headers: dict[str, str], status: int) -> None:
    described = read_headers(status, headers)
    if described is not None:
        assert described.start >= 0
        assert described.total is None or 0 <= described.total < 10**18
    assert 0 <= retry_after(headers, datetime(2026, 11, 26, tzinfo=UTC)) <= 86_400


@given(st.binary(max_size=3_000), st.lists(st.integers(1, 500), max_size=30), st.integers(1, 3), st.binary(max_size=9))
@example(b"\0\0\0", [23], 2, b"")  # a cut in the second member's first two bytes
def test_gzip_in_pieces_of_any_size_gives_the_bytes_again(
    data: bytes, cuts: list[int], members: int, padding: bytes
) -> None:
    step = len(data) // members + 1
    packed = b"".join(gzip.compress(data[at : at + step]) for at in range(0, max(len(data), 1), step))
    packed += b"\0" + padding
    decoding, found, at = Decoding("gzip"), b"", 0
    for size in [*cuts, len(packed)]:
        found += b"".join(decoding.pieces(packed[at : at + size]))
        at += size
    assert (found, decoding.whole) == (data, True)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | st.sampled_from([10**400, "../x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
JOB = VideoJob(model="pixazo:mochi-v1", request_id="req-1", status=JobStatus.SUCCEEDED)


def planted(names: Iterable[str]) -> st.SearchStrategy[bytes]:
    """A record that somebody has changed, or never wrote."""
    fields = st.dictionaries(st.sampled_from(sorted(names)), JSON, max_size=4)
    return (
        st.binary(max_size=200)
        | fields.map(lambda changed: _with(changed))
        | JSON.map(lambda v: json.dumps(v).encode())
    )


def _with(changed: dict[str, Any]) -> bytes:
    return json.dumps({**SOUND, **changed}).encode("utf-8", "surrogatepass")


SOUND: dict[str, Any] = {
    "schema_version": 1, "vendor": "pixazo", "model": "pixazo:mochi-v1", "request_id": "req-1", "count": 1, "reason": "x",
    "what": "y", "files": [{"index": 0, "key": "k", "bytes": 1, "sha256": "0" * 64}], "job": JOB.to_dict(), "outputs": [],
}  # fmt: skip


def _readers() -> list[Callable[[bytes], object]]:
    return [
        lambda data: manifest.decode(data, Keys(JOB), "s3://bucket/manifest.json"),
        lambda data: quarantine._read(data, JOB),
    ]


@given(planted(SOUND))
@example(b"[" * 100_000)
@example(b'{"schema_version": 1e999}')
@example(b'{"files": [{"index": ' + b"9" * 5_000 + b"}]}")
def test_a_planted_record_is_none_or_another_jobs_or_ours(data: bytes) -> None:
    for read in _readers():
        try:
            found = bounded(0.5, lambda read=read: read(data))
        except LandingError as refused:
            fit_for_people(str(refused))
            continue
        if isinstance(found, quarantine.Kept):
            assert (found.job.request_id, found.job.status) == ("req-1", JobStatus.SUCCEEDED)
            assert all(0 <= index < found.count for index in found.files)
            json.dumps(found.job.to_dict(), allow_nan=False)
