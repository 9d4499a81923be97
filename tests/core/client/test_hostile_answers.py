"""Whatever a vendor's host answers, through the client: a job or an error of the package, small, printable, without secrets."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_video_providers.core.client.client import VideoClient
from airflow_video_providers.core.errors import VideoProviderError
from airflow_video_providers.core.jobs import VideoJob
from airflow_video_providers.core.vendors import catalogue
from tests.support.vendors import MODELS, job, request
from tests.support.work import bounded

KEY = "sk-9f/=c0ffee+KEY"
SIGNED = "https://media.example/a.mp4?Signature=s1gned-query"
SECONDS, BYTES = 1.0, 100_000_000

_SECRETS = [
    KEY, quote(KEY, safe=""), quote(KEY, safe="").lower(), KEY.replace("=", "\\u003d"), f"Bearer {KEY}", SIGNED,
    SIGNED.replace("/", "\\/"), quote(SIGNED, safe=""), f"see {SIGNED} or {KEY}\x1b[31m\u202e\0",
]  # fmt: skip
_TEXT = st.sampled_from(_SECRETS) | st.text(max_size=30) | st.builds(lambda: "x" * 300_000) | st.just("\x1b]0;t\x07")
_PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | _TEXT
_JSON = st.recursive(
    _PLAIN, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4), max_leaves=12
)
_NAMES = st.sampled_from(
    ["request_id", "id", "task_id", "status", "state", "message", "error", "error_message", "output", "outputs", "video",
     "url", "media_url", "video_url", "data", "detail", "remaining_credits", "polling_url", "status_url", "media_type"]
)  # fmt: skip
_OBJECTS = st.recursive(
    st.dictionaries(_NAMES, _PLAIN, max_size=6),
    lambda inner: st.dictionaries(_NAMES, inner | _PLAIN | st.lists(inner | _PLAIN, max_size=3), max_size=6),
    max_leaves=10,
)
_WORDS = st.sampled_from(["COMPLETED", "FAILED", "ERROR", "QUEUED", "Moderated", "SUSPENDED", "succeeded"])
_BODIES = (
    st.binary(max_size=200)
    | (_OBJECTS | _JSON).map(lambda value: json.dumps(value).encode())
    | st.tuples(_OBJECTS, _WORDS).map(lambda pair: json.dumps({**pair[0], "status": pair[1]}).encode())
    | st.sampled_from(
        [b"[" * 50_000, b"\xef\xbb\xbf{}", b'{"status":"\xe9"}', b"1e999", b"9" * 6000, b"<html>" + KEY.encode()]
    )
)
_HEADERS = st.dictionaries(
    st.sampled_from(["content-type", "retry-after", "x-remaining-credits", "x-request-id", "location", "set-cookie"]),
    st.sampled_from(["application/json", "text/html", "application/json; charset=latin-1", "video/mp4", "-1", "1e999", KEY,
                     "9" * 400, SIGNED, "application/json; charset=no-such"]),
    max_size=3,
)  # fmt: skip
_ANSWERS = st.tuples(
    st.sampled_from([200, 201, 202, 204, 301, 400, 401, 402, 403, 404, 406, 409, 410, 422, 423, 429, 500, 502, 503, 520]),
    _BODIES, _HEADERS, st.booleans(),
)  # fmt: skip


def answered(ask: Any, vendor: str, answers: list[Any]) -> VideoJob | VideoProviderError:
    """What a client makes of these answers; the last one is given again and again."""
    left = list(answers)

    def answer(asked: httpx.Request) -> httpx.Response:
        status, body, headers, packed = left.pop(0) if len(left) > 1 else left[0]
        if packed:
            body, headers = gzip.compress(body, 1, mtime=0), {**headers, "content-encoding": "gzip"}
        return httpx.Response(status, content=body, headers=headers, request=asked)

    kind = catalogue.vendor_of(MODELS[vendor])
    with VideoClient(kind(), KEY, transport=httpx.MockTransport(answer), sleep=lambda seconds: None) as client:
        try:
            found: VideoJob | VideoProviderError = ask(client, vendor)
        except VideoProviderError as error:
            found = error
    return found


def texts(found: VideoJob | VideoProviderError) -> list[str]:
    """Everything that a person or a log may see of it; a finished job's addresses stand in its outputs alone."""
    if isinstance(found, VideoJob):
        plain = found.to_dict()
        plain.pop("outputs", None)
        return [json.dumps(plain, ensure_ascii=False), str(found), repr(found)]
    chain: list[str] = []
    error: BaseException | None = found
    while error is not None:
        chain += [str(error), repr(error)]
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return chain


def submit(client: VideoClient, vendor: str) -> VideoJob:
    return client.submit(request(vendor))


def status(client: VideoClient, vendor: str) -> VideoJob:
    return client.status(job(vendor))


@pytest.mark.parametrize("ask", [submit, status])
@example(vendor="appypie", answers=[(200, json.dumps({"id": None, "video_url": SIGNED}).encode(), {}, False)])
@given(vendor=st.sampled_from(sorted(MODELS)), answers=st.lists(_ANSWERS, min_size=1, max_size=2))
def test_an_answer_ends_as_a_job_or_as_an_error_that_is_short_printable_and_keeps_secrets(ask, vendor, answers):
    tracemalloc.start()
    try:
        found = bounded(2 * SECONDS, lambda: answered(ask, vendor, answers))  # counting the bytes takes as long again
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < BYTES
    for text in texts(found):
        assert KEY not in text
        assert "s1gned-query" not in text
        assert len(text) < 20_000
        assert not any(char != "\n" and not char.isprintable() for char in text), text[:300]
