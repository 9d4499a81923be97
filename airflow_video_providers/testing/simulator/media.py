"""The host that keeps the videos: ranges, validators, expiring addresses, and faults of a download."""

from __future__ import annotations

import hashlib
import re
from email.utils import formatdate
from typing import TYPE_CHECKING

from .clip import clip, colour_of, stream_head
from .faults import Fault, from_header
from .spoil import page
from .wire import HTML_PAGE, Answer, Call

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from .jobs import Job
    from .world import World

_PATH = re.compile(r"/media/(?P<vendor>[a-z]+)/(?P<id>[^/]+)/(?P<index>\d+)/(?P<issue>\d+)/output\.mp4$")
_STREAM = re.compile(r"/media/_stream/(?P<size>\d{1,15})\.mp4$")
_UPLOAD = "/media/_upload/"
_RANGE = re.compile(r"bytes=(?P<first>\d*)-(?P<last>\d*)$")
_BLOCK = bytes(256 * 1024)


class Media:
    """Serves the videos of finished jobs.

    :param world: Where the jobs are.
    """

    def __init__(self, world: World) -> None:
        self.world = world

    def serve(self, call: Call) -> Answer:
        """Answer a GET or HEAD."""
        if call.method not in ("GET", "HEAD"):
            return page(405)
        if stream := _STREAM.match(call.path):
            return self._stream(call, int(stream["size"]))
        if call.path.startswith(_UPLOAD):
            stored = self.world.uploads.get(call.path.removeprefix(_UPLOAD))
            return Answer(200, stored[0], {"content-type": stored[1]}) if stored else page(404)
        found = _PATH.match(call.path)
        job = self.world.store.jobs.get(found["id"]) if found else None
        if not found or job is None or job.vendor != found["vendor"]:
            return page(404)
        return self._video(call, job, int(found["index"]), int(found["issue"]))

    def _video(self, call: Call, job: Job, index: int, issue: int) -> Answer:
        now, ttl = self.world.clock.now(), self.world.options.media_ttl
        self.world.store.touch(job)
        if job.state(now) != "COMPLETED" or index >= job.outputs or issue >= len(job.media_issued):
            return page(404)
        if job.file_seconds is not None and now > job.finished + job.file_seconds:
            return page(404)
        if ttl is not None and now > job.media_issued[issue] + ttl:
            return page(403)
        faults: list[Fault] = []
        if call.method == "GET" and issue not in job.media_revoked:
            asked = from_header(call.headers.get("x-sim-fault", ""), "media")
            faults = self.world.book.take("media", job.vendor, asked, job.faults)
        for fault in faults:
            if fault.kind in ("media_403", "media_404"):
                job.media_revoked[issue] = int(fault.kind[-3:])
            if fault.kind in ("media_late", "media_late_403") and now < job.finished + fault.seconds(5):
                return page(403 if fault.kind.endswith("403") else 404)
            job.media_changed |= fault.kind == "media_changed"
        if code := job.media_revoked.get(issue):
            return page(code)
        name = f"{job.request_id}/{index}"
        body = clip(job.clip, colour_of(f"{name}/changed" if job.media_changed else name))
        etag = f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
        headers = {"content-type": "video/mp4", "etag": etag, "last-modified": formatdate(job.finished, usegmt=True)}
        for fault in faults:
            body, headers = _reshaped(fault, body, headers)
        ignore_range = any(fault.kind in ("media_no_range", "media_no_length", "media_gzip") for fault in faults)
        answer = _ranged(call, body, headers, ignore=ignore_range)
        for fault in faults:
            answer = _spoilt(fault, answer, call)
        return answer

    def _stream(self, call: Call, size: int) -> Answer:
        try:
            head = stream_head(size)
        except ValueError as error:
            return Answer(400, {"error": "Simulator", "message": str(error)})
        headers = {
            "content-type": "video/mp4",
            "etag": f'"stream-{size}"',
            "last-modified": formatdate(0, usegmt=True),
            "accept-ranges": "bytes",
        }
        wanted = _wanted(call, headers)
        span = _span(wanted, size) if wanted else (0, size - 1)
        if span is None:
            return page(416).with_headers(content_range=f"bytes */{size}")
        first, last = span
        if wanted:
            headers["content-range"] = f"bytes {first}-{last}/{size}"
        answer = Answer(206 if wanted else 200, None, headers, _pieces(head, first, last), last - first + 1)
        asked = from_header(call.headers.get("x-sim-fault", ""), "media")
        for fault in self.world.book.take("media", "", asked) if call.method == "GET" else ():
            answer = _spoilt(fault, answer, call)
        return answer


async def _pieces(head: bytes, first: int, last: int) -> AsyncIterator[bytes]:
    """The bytes of a stream from ``first`` to ``last``: the head, then padding."""
    if first < len(head):
        yield head[first : last + 1]
        first = len(head)
    while first <= last:
        size = min(len(_BLOCK), last + 1 - first)
        yield _BLOCK if size == len(_BLOCK) else _BLOCK[:size]
        first += size


def _wanted(call: Call, headers: dict[str, str]) -> tuple[str, str] | None:
    """The range that was asked for, if it is understood and its condition holds."""
    found = _RANGE.match(call.headers.get("range", ""))
    condition = call.headers.get("if-range")
    if not found or not (found["first"] or found["last"]):
        return None
    if condition is not None and condition not in (headers["etag"], headers["last-modified"]):
        return None
    return found["first"], found["last"]


def _span(wanted: tuple[str, str], size: int) -> tuple[int, int] | None:
    """First and last byte of a range; None: there are no such bytes."""
    first, last = wanted
    if not first:
        return (max(0, size - int(last)), size - 1) if int(last) and size else None
    end = min(int(last or size), size - 1)
    return (int(first), end) if int(first) <= end else None


def _ranged(call: Call, body: bytes, headers: dict[str, str], *, ignore: bool) -> Answer:
    if ignore:
        return Answer(200, body, headers)
    headers = headers | {"accept-ranges": "bytes"}
    wanted = _wanted(call, headers)
    if wanted is None:
        return Answer(200, body, headers)
    span = _span(wanted, len(body))
    if span is None:
        return page(416).with_headers(content_range=f"bytes */{len(body)}")
    first, last = span
    return Answer(206, body[first : last + 1], headers | {"content-range": f"bytes {first}-{last}/{len(body)}"})


def _reshaped(fault: Fault, body: bytes, headers: dict[str, str]) -> tuple[bytes, dict[str, str]]:
    match fault.kind:
        case "media_wrong_type":
            return body, headers | {"content-type": fault.arg or "image/jpeg"}
        case "media_half":
            return body[: len(body) // 2], headers
        case "media_html":
            return HTML_PAGE.format("This file is no longer available").encode(), headers
        case "media_empty":
            return b"", headers
        case _:
            return body, headers


def _spoilt(fault: Fault, answer: Answer, call: Call) -> Answer:
    match fault.kind:
        case "media_drop":
            return answer.replace(delivery="part", amount=fault.seconds(0.5))
        case "media_wrong_length":
            return answer.replace(length=2 * len(answer.content or b""), delivery="short")
        case "media_no_length":
            return answer.replace(length=-1)
        case "media_http":
            return page(fault.code)
        case "media_redirect":
            return page(302).with_headers(location=fault.arg or call.other_host + call.path)
        case "media_gzip":
            return answer.gzipped()
        case "media_slow":
            return answer.replace(delivery="slow", amount=fault.seconds(1))
        case "media_hang":
            return Answer(delivery="hang")
        case _:
            return answer
