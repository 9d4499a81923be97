"""The faults, and what a landing must make of each: the right bytes, or an error of the right kind."""

from __future__ import annotations

import base64
import gzip
import hashlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_video_providers.core.errors import DownloadError, OutputExpiredError, OutputRejectedError
from airflow_video_providers.core.jobs import JobStatus, VideoJob, VideoOutput
from airflow_video_providers.core.landing import fetch, output_urls
from tests.faults.landing.clips import HTML, mp4
from tests.support import films

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.landing.server import Exchange, FaultServer

CLIP = mp4()
OTHER = mp4(320_000, seed=2)
CUT_AT = len(CLIP) * 2 // 5
TAG, OTHER_TAG = '"first"', '"second"'


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong.

    :param answer: How the server behaves.
    :param lands: The bytes that must be landed, None if none may.
    :param error: Otherwise the error, exactly, and its ``reason``.
    :param fresh: The vendor has a sound address when it is asked for one.
    :param forgotten: The vendor no longer knows the job.
    :param requests: How many requests at most, all attempts together.
    """

    name: str
    answer: Callable[[Exchange], None]
    lands: bytes | None = None
    error: type[DownloadError] | None = None
    reason: str | None = None
    fresh: bool = False
    forgotten: bool = False
    requests: int = 1


def _drop(exchange: Exchange, data: bytes, **headers: object) -> None:
    """Promise everything, send 40 % of what is left, break."""
    start = exchange.start if "ETag" in headers else 0
    if start:
        exchange.head(206, Content_Range=f"bytes {start}-{len(data) - 1}/{len(data)}", Content_Length=len(data) - start,
                      **headers)  # fmt: skip
    else:
        exchange.head(200, Content_Length=len(data), **headers)
    exchange.send(data[start : start + (len(data) - start) * 2 // 5])
    exchange.reset()


def drop_three_times(exchange: Exchange) -> None:
    if exchange.number < 3:
        _drop(exchange, CLIP, ETag=TAG)
    elif exchange.start:
        exchange.part(CLIP, exchange.start, ETag=TAG)
    else:
        exchange.whole(CLIP, ETag=TAG)


def drop_without_validator(exchange: Exchange) -> None:
    _drop(exchange, CLIP) if exchange.number < 3 else exchange.whole(CLIP)


def drop_with_weak_validator(exchange: Exchange) -> None:
    if exchange.number == 0:
        exchange.head(200, Content_Length=len(CLIP), ETag='W/"weak"')
        exchange.send(CLIP[:CUT_AT])
        exchange.reset()
    elif exchange.start:  # vouches for nothing, and here the bytes differ
        exchange.part(OTHER[: len(CLIP)], exchange.start, ETag='W/"weak"')
    else:
        exchange.whole(CLIP, ETag='W/"weak"')


def changed_between(exchange: Exchange) -> None:
    if exchange.number == 0:
        _drop(exchange, CLIP, ETag=TAG)
    elif exchange.headers.get("if-range") == OTHER_TAG:
        exchange.part(OTHER, exchange.start, ETag=OTHER_TAG)
    else:
        exchange.whole(OTHER, ETag=OTHER_TAG)


def changed_and_if_range_ignored(exchange: Exchange) -> None:
    if exchange.number == 0:
        _drop(exchange, CLIP, ETag=TAG)
    elif exchange.start:
        exchange.part(OTHER, exchange.start, ETag=OTHER_TAG)
    else:
        exchange.whole(OTHER, ETag=OTHER_TAG)


def range_ignored(exchange: Exchange) -> None:
    if exchange.number == 0:
        exchange.head(200, Content_Length=len(CLIP), ETag=TAG)
        exchange.send(CLIP[:CUT_AT])
        exchange.reset()
    else:
        exchange.whole(CLIP, ETag=TAG)


def damaged_under_way(exchange: Exchange) -> None:
    """One bit of the pictures is wrong; only the digest of the sender can tell."""
    damaged = CLIP[:-100] + bytes([CLIP[-100] ^ 1]) + CLIP[-99:]
    exchange.whole(damaged, Content_MD5=base64.b64encode(hashlib.md5(CLIP, usedforsecurity=False).digest()).decode())


def html(exchange: Exchange) -> None:
    exchange.whole(HTML)


def cut_with_matching_length(exchange: Exchange) -> None:
    exchange.whole(CLIP[:CUT_AT])


def cut_and_chunked(exchange: Exchange) -> None:
    exchange.head(200, Transfer_Encoding="chunked", Content_Type="video/mp4")
    for at in range(0, CUT_AT, 50_000):
        exchange.chunk(CLIP[at : min(at + 50_000, CUT_AT)])
    exchange.chunk(b"")


def cut_open_ended(exchange: Exchange) -> None:
    """Its last box goes to the end of the file, wherever that is: only the index knows how much is missing."""
    film = films.open_ended(films.film(flags="faststart"))
    exchange.head(200, Transfer_Encoding="chunked", Content_Type="video/mp4")
    exchange.chunk(film[: len(film) * 2 // 3])
    exchange.chunk(b"")


def gzipped(exchange: Exchange) -> None:
    exchange.whole(gzip.compress(CLIP, 1), Content_Encoding="gzip")


def gzip_bomb(exchange: Exchange) -> None:
    exchange.whole(gzip.compress(CLIP + bytes(20_000_000)), Content_Encoding="gzip")


def not_coded(exchange: Exchange) -> None:
    exchange.whole(CLIP, Content_Encoding="aws-chunked")


def gzip_of_two(exchange: Exchange) -> None:
    exchange.whole(gzip.compress(CLIP[:CUT_AT], 1) + gzip.compress(CLIP[CUT_AT:], 1), Content_Encoding="gzip")


def lags(exchange: Exchange) -> None:
    """The vendor says that it is finished, its file host has it a little later."""
    exchange.whole(CLIP) if exchange.number >= 4 else exchange.head(404, Content_Length=0)


def access_denied_once(exchange: Exchange) -> None:
    page = b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>SlowDown</Code></Error>'
    exchange.whole(CLIP if exchange.number else page)


def still_growing(exchange: Exchange) -> None:
    exchange.whole(CLIP[: CUT_AT * (exchange.number + 1)])


def trickled_headers(exchange: Exchange) -> None:
    if exchange.number:
        return exchange.whole(CLIP)
    exchange.send(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    return _for_ever(exchange, b"a")


def endless_hints(exchange: Exchange) -> None:
    if exchange.number:
        return exchange.whole(CLIP)
    return _for_ever(exchange, b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")


def trickled_body(exchange: Exchange) -> None:
    if exchange.number:
        return exchange.whole(CLIP)
    exchange.head(200, Content_Length=len(CLIP))
    return _for_ever(exchange, CLIP[:1])


def _for_ever(exchange: Exchange, piece: bytes) -> None:
    """Longer than anybody here waits."""
    for _ in range(80):
        exchange.send(piece)
        time.sleep(0.1)


def enormous(exchange: Exchange) -> None:
    exchange.head(200, Content_Type="video/mp4", Content_Length=10**12)
    exchange.send(CLIP)


def expired(exchange: Exchange) -> None:
    exchange.head(403, Content_Length=0)


def unavailable_once(exchange: Exchange) -> None:
    exchange.head(503, Content_Length=0) if exchange.number == 0 else exchange.whole(CLIP)


def to(location: str) -> Callable[[Exchange], None]:
    return lambda exchange: exchange.head(302, Location=location, Content_Length=0)


#: What makes the faults pass in seconds: module, name and value.
HASTE = [(fetch, "_LONGEST_PAUSE", 0.0), (fetch, "HEAD", 1.0), (fetch, "QUIET", 1.0), (output_urls, "SAID_FOR", 0.0)]
REJECTED = OutputRejectedError
FAULTS = [
    Fault("drop at 40 % three times", drop_three_times, lands=CLIP, requests=4),
    Fault("drop without validator", drop_without_validator, lands=CLIP, requests=4),
    Fault("drop with a weak validator", drop_with_weak_validator, lands=CLIP, requests=2),
    Fault("changed between attempts", changed_between, lands=OTHER, requests=2),
    Fault("changed, If-Range ignored", changed_and_if_range_ignored, lands=OTHER, requests=3),
    Fault("Range ignored", range_ignored, lands=CLIP, requests=2),
    Fault("503 once", unavailable_once, lands=CLIP, requests=2),
    Fault("403, then a fresh address", expired, lands=CLIP, fresh=True),
    Fault("403, and the vendor says it is there", expired, error=DownloadError, reason="not_there", requests=40),
    Fault("403, and the vendor forgot the job", expired, error=OutputExpiredError, reason="expired", forgotten=True,
          requests=40),
    Fault("404 four times after COMPLETED", lags, lands=CLIP, requests=5),
    Fault("an XML error as the file, once", access_denied_once, lands=CLIP, requests=2),
    Fault("a file that still grows", still_growing, lands=CLIP, requests=4),
    Fault("headers that trickle for 8 s", trickled_headers, lands=CLIP, requests=2),
    Fault("103 after 103 for 8 s", endless_hints, lands=CLIP, requests=2),
    Fault("a body that trickles for 8 s", trickled_body, lands=CLIP, requests=2),
    Fault("wrong Content-MD5", damaged_under_way, error=REJECTED, reason="digest", requests=3),
    Fault("HTML as video/mp4", html, error=REJECTED, reason="not_a_video", requests=6),
    Fault("cut, Content-Length matches", cut_with_matching_length, error=REJECTED, reason="truncated", requests=3),
    Fault("cut, chunked and cleanly ended", cut_and_chunked, error=REJECTED, reason="truncated", requests=3),
    Fault("cut, mdat open to the end", cut_open_ended, error=REJECTED, reason="truncated", requests=3),
    Fault("gzip", gzipped, lands=CLIP),
    Fault("gzip of two members", gzip_of_two, lands=CLIP),
    Fault("Content-Encoding: aws-chunked", not_coded, lands=CLIP),
    Fault("Content-Length of 10^12", enormous, error=REJECTED, reason="too_large"),
    Fault("redirect to a metadata address", to("http://169.254.169.254/latest/meta-data/"), error=REJECTED,
          reason="forbidden_address"),
    Fault("redirect to file:", to("file:///etc/hostname"), error=REJECTED, reason="forbidden_address"),
    Fault("redirect in a loop", to("clip.mp4"), error=REJECTED, reason="redirects", requests=6),
]  # fmt: skip


def serve(server: FaultServer, fault: Fault, name: str) -> tuple[str, str | None]:
    """Put a fault on the server.

    :return: Its address, and the one that the vendor has when it is asked for a fresh one.
    """
    fresh = server.serve(f"{name}-fresh", lambda exchange: exchange.whole(CLIP)) if fault.fresh else None
    return server.serve(name, fault.answer), fresh


def vendor_of(fault: Fault, fresh: str | None) -> Callable[[VideoJob], VideoJob]:
    """How the vendor answers when it is asked for the job again."""

    def status(job: VideoJob) -> VideoJob:
        if fault.forgotten:
            return job.replace(status=JobStatus.EXPIRED, outputs=())
        return job.replace(outputs=(VideoOutput(url=fresh),)) if fresh else job

    return status
