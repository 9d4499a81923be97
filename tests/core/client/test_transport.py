"""The clients over real sockets on loopback: what no honest server sends, and what must not happen then."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import socket
import subprocess
import threading
import time
import tracemalloc
from contextlib import contextmanager

import httpx
import pytest

from airflow_video_providers.core.client import environment, timeouts
from airflow_video_providers.core.client.async_client import AsyncVideoClient
from airflow_video_providers.core.client.client import VideoClient
from airflow_video_providers.core.errors import (
    RequestRejectedError,
    SubmissionOutcomeUnknownError,
    VendorUnavailableError,
    VideoProviderError,
)
from airflow_video_providers.core.vendors import catalogue
from tests.support.raw_server import RawServer, http, trickle
from tests.support.vendors import KEY, MODELS, job, request
from tests.support.work import bounded

pytestmark = pytest.mark.slow

QUEUED = http(b'{"request_id": "r-1", "status": "QUEUED"}')
RUNNING = http(b'{"request_id": "r-1", "status": "PROCESSING"}')
VIDEO = http(b"a video", "200 OK", "Content-Type: video/mp4")


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    for name in [name for name in os.environ if name.lower().endswith("_proxy") or name.startswith("SSL")]:
        monkeypatch.delenv(name)


@pytest.fixture
def _in_a_hurry(monkeypatch):
    for name in ("READ", "SUBMIT", "GENERATE"):
        monkeypatch.setattr(timeouts, name, httpx.Timeout(0.3))


@contextmanager
def serving(*answers, **options):
    with RawServer(answers, **options) as server:
        yield server


def vendor(server, name="pixazo"):
    return catalogue.vendor_of(MODELS[name])(server.url)


def polled(server, times=1, name="pixazo"):
    """The outcomes of polls, in a worker."""
    with VideoClient(vendor(server, name), KEY) as known:
        return [outcome(lambda: known.status(job(name))) for _ in range(times)]


def polled_in_a_loop(server, times=1, name="pixazo"):
    """The outcomes of polls, in an event loop."""

    async def polls():
        async with AsyncVideoClient(vendor(server, name), KEY) as known:
            outcomes = []
            for _ in range(times):
                try:
                    outcomes.append(await known.status(job(name)))
                except VideoProviderError as error:
                    outcomes.append(error)
            return outcomes

    return asyncio.run(polls())


def outcome(call):
    try:
        return call()
    except VideoProviderError as error:
        return error


def submitted(server, name="pixazo"):
    with VideoClient(vendor(server, name), KEY, sleep=lambda _: None) as known:
        return outcome(lambda: known.submit(request(MODELS[name])))


def generated(server, path):
    with VideoClient(vendor(server, "segmind"), KEY, sleep=lambda _: None) as known:
        return outcome(lambda: known.generate_to_file(request(MODELS["segmind"]), path))


POLLS = pytest.mark.parametrize("poll", [polled, polled_in_a_loop])


# Connections.


def test_a_loop_keeps_its_connection_and_a_worker_makes_its_own_for_each_call():
    for body in (
        QUEUED,
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n14;x=y\r\n{"status": "QUEUED"}\r\n0\r\n\r\n',
    ):
        with serving(body) as server:
            assert [seen.status for seen in polled_in_a_loop(server, 5)] == ["queued"] * 5
            assert server.connections == 1
            assert [seen.status for seen in polled(server, 5)] == ["queued"] * 5
            assert server.connections == 6


@POLLS
@pytest.mark.parametrize(
    "stray",
    [
        http(b'{"status": "COMPLETED", "output": {"media_url": ["https://c.example/another.mp4"]}}'),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\n",
        b"\r\n",
        b"x",
        b"x" * 300_000,
    ],
)
@pytest.mark.parametrize(
    "first",
    [RUNNING, b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n18\r\n{"status": "PROCESSING"}\r\n0\r\n\r\n'],
)
def test_what_is_left_over_behind_an_answer_answers_nothing(poll, first, stray):
    with serving(first + stray) as server:
        assert [seen.status for seen in poll(server, 3)] == ["running"] * 3
        assert server.connections == 3


@POLLS
def test_what_comes_after_an_answer_answers_nothing(poll):
    read, said = threading.Event(), threading.Event()

    def late(wire):
        wire.sendall(RUNNING)
        read.wait(60)
        wire.sendall(http(b'{"status": "COMPLETED"}'))
        said.set()
        wire.recv(1)  # until the other side hangs up

    with serving(late) as server:

        async def twice():
            async with AsyncVideoClient(vendor(server), KEY) as known:
                first = await known.status(job("pixazo"))
                read.set()
                await asyncio.to_thread(said.wait, 60)
                return [first, await known.status(job("pixazo"))]

        if poll is polled:
            read.set()
        seen = asyncio.run(twice()) if poll is polled_in_a_loop else poll(server, 2)
        assert [one.status for one in seen] == ["running"] * 2
        assert server.connections == 2


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    import ssl

    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return certificate, context


@pytest.mark.parametrize("together", [True, False], ids=["one record", "two records"])
def test_nor_does_what_tls_holds_back(tls, monkeypatch, together):
    certificate, context = tls
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    stray = http(b'{"status": "COMPLETED"}')

    def both(wire):
        if together:
            wire.sendall(RUNNING + stray)
        else:
            wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
            wire.sendall(RUNNING)
            wire.sendall(stray)
            wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)
        wire.recv(1)  # until the other side hangs up

    with serving(both, tls=context) as server:
        assert [seen.status for seen in polled_in_a_loop(server, 2)] == ["running"] * 2
        assert server.connections == 2
    with serving(RUNNING, tls=context) as server:
        assert [seen.status for seen in polled_in_a_loop(server, 4)] == ["running"] * 4
        assert server.connections == 1, "an honest one is kept over https too"


@POLLS
def test_no_cookie_is_sent_back(poll):
    with serving(http(b'{"status": "QUEUED"}', "200 OK", "Set-Cookie: a=b; Path=/")) as server:
        poll(server, 3)
        assert "cookie" not in "".join(server.heads).lower()


@POLLS
@pytest.mark.parametrize("request_id", ["..", ".", "../../v1/keys", "a/../../b", "%2e%2e", "a?b#c", "..\\.."])
def test_an_id_stays_in_its_place_of_the_path(poll, request_id, monkeypatch):
    monkeypatch.setitem(globals(), "job", lambda name: job_of(name, request_id=request_id))
    with serving(QUEUED) as server:
        poll(server)
        path = server.heads[0].split(" ", 2)[1]
    prefix = "/v2/requests/status/"
    assert path.startswith(prefix)
    inside = path.removeprefix(prefix)
    assert not {"/", "?", "#", "\\"} & set(inside)
    assert inside.strip(".")


job_of = job


# Bytes, seconds and heads.


@POLLS
@pytest.mark.parametrize("coding", ["gzip", "deflate", "gzip, gzip"])
def test_a_bomb_is_no_usable_answer(poll, coding):
    import zlib

    zeros = b'{"status": "' + b"0" * 300_000_000
    bomb = zlib.compress(zeros) if coding == "deflate" else gzip.compress(zeros)
    bomb = gzip.compress(bomb) if "," in coding else bomb
    with serving(http(bomb, "200 OK", f"Content-Encoding: {coding}", "Content-Type: application/json")) as server:
        tracemalloc.start()
        (seen,) = poll(server)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert isinstance(seen, VendorUnavailableError)
    assert "longer than" in str(seen)
    assert peak < 16_000_000


def test_a_bomb_after_a_submit_leaves_its_outcome_unknown_and_tells_the_id(tmp_path):
    body = gzip.compress(b'{"request_id": "r-77", "x": "' + b"0" * 100_000_000)
    with serving(http(body, "202 Accepted", "Content-Encoding: gzip")) as server:
        error = submitted(server)
        assert len(server.heads) == 1
    assert isinstance(error, SubmissionOutcomeUnknownError)
    assert "names the id r-77" in str(error)
    big = gzip.compress(b"\0" * 50_000_000)
    with serving(http(big, "200 OK", "Content-Encoding: gzip", "Content-Type: video/mp4")) as server:
        known = VideoClient(vendor(server, "segmind"), KEY)
        with pytest.raises(SubmissionOutcomeUnknownError, match="longer than 1,000,000"):
            known.generate_to_file(request(MODELS["segmind"]), tmp_path / "v", max_bytes=1_000_000)
    assert list(tmp_path.iterdir()) == []


@POLLS
def test_a_body_in_far_too_many_pieces_is_no_usable_answer(poll):
    chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\n \r\n" * 100_000 + b"0\r\n\r\n"
    with serving(chunks) as server:
        (seen,) = poll(server)
    assert isinstance(seen, VendorUnavailableError)
    assert "pieces" in str(seen)


@POLLS
def test_a_video_where_json_is_awaited_is_not_read(poll):
    big = b"\0\x1b[2J" * 1_000_000
    with serving(http(big, "200 OK", "Content-Type: video/mp4")) as server:
        (seen,) = poll(server)
    assert isinstance(seen, VendorUnavailableError)


TRICKLES = {
    "headers": trickle(b"HTTP/1.1 200 OK\r\nX-A: ", b"a"),
    "more headers": trickle(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"),
    "body": trickle(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b" "),
    "chunks": trickle(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "interim answers": trickle(b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"),
    "a body without end": trickle(b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
    "nothing": trickle(b"", b""),
}


@pytest.mark.usefixtures("_in_a_hurry")
@pytest.mark.parametrize("say", TRICKLES.values(), ids=TRICKLES)
def test_every_call_ends_whatever_trickles(say, tmp_path):
    with serving(say) as server:
        calls = [
            lambda: polled(server)[0],
            lambda: polled_in_a_loop(server)[0],
            lambda: submitted(server),
            lambda: generated(server, tmp_path / "v"),
        ]
        kinds = []
        for call in calls:
            begun = time.monotonic()
            kinds.append(type(call()))
            assert time.monotonic() - begun < 60  # it would go on for ever
    assert kinds == [VendorUnavailableError] * 2 + [SubmissionOutcomeUnknownError] * 2
    assert list(tmp_path.iterdir()) == []


@POLLS
@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100_000 + RUNNING,
        b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 100_000,
        b"HTTP/1.1 200 OK\r\nX-A: " + b"b" * 1_000_000,
    ],
    ids=["interim answers", "many headers", "a long one"],
)
def test_a_head_is_bounded(poll, head):
    with serving(head + b"\r\n\r\n") as server:
        (seen,) = bounded(1.0, lambda: poll(server))
    assert isinstance(seen, VendorUnavailableError)


@POLLS
@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nx key: %s\r\n\r\n", b"HTTP/1.1 200 OK\r\n%s\r\n\r\n", b"%s\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: %s\r\n\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: %s\r\n\r\n",
        b"HTTP/1.1 500 no %s\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 401 X\r\nContent-Length: 0\r\nX: %s\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%s\r\n",
    ],
)  # fmt: skip
def test_no_key_that_is_echoed_stands_in_an_error_or_behind_it(poll, raw):
    with serving(raw % KEY.encode()) as server:
        (seen,) = poll(server)
    chain = []
    error = seen
    while isinstance(error, BaseException):
        chain.append(f"{error!r} {error}")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    assert isinstance(seen, VideoProviderError)
    assert KEY not in "".join(chain)


@POLLS
def test_a_key_in_a_header_or_in_a_charset_of_its_own_is_taken_out(poll):
    body = json.dumps({"request_id": "r-1", "status": f"no {KEY}"})
    for content, charset in ((body.encode("utf-16"), "utf-16"), (body.replace("_", r"\u005F").encode(), "utf-8")):
        with serving(http(content, "200 OK", f"Content-Type: application/json; charset={charset}")) as server:
            (seen,) = poll(server)
        assert KEY not in repr(seen)
        assert "***" in repr(seen)
    credits_left = http(b'{"status": "QUEUED"}', "200 OK", f"x-remaining-credits: {KEY}")
    with serving(credits_left) as server:
        (seen,) = poll(server, name="segmind")
    assert KEY not in repr(seen)


# Before a byte has left.


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",  # and then no TLS
        b"no http\r\n\r\n",
        lambda _: None,
        trickle(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
        trickle(b"", b""),
    ],
)
@pytest.mark.usefixtures("_in_a_hurry")
def test_what_breaks_in_a_proxys_tunnel_has_sent_nothing(answer, monkeypatch):
    def then_no_tls(wire):
        wire.sendall(answer)
        wire.recv(1000)
        wire.sendall(b"no TLS\r\n" * 10)

    say = then_no_tls if answer == b"HTTP/1.1 200 OK\r\n\r\n" else answer
    with serving(say) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:s3cret@127.0.0.1:{proxy.port}")
        known = VideoClient(catalogue.vendor_of(MODELS["pixazo"])("https://vendor.invalid"), KEY, sleep=lambda _: None)
        error = outcome(lambda: known.submit(request(MODELS["pixazo"])))
        assert all(head.startswith("CONNECT vendor.invalid:443 ") for head in proxy.heads)
        assert proxy.heads
    assert isinstance(error, VendorUnavailableError)
    assert error.charged == "no"
    assert error.retryable
    assert "HTTPS_PROXY" in str(error)
    assert "s3cret" not in str(error)


@pytest.mark.parametrize("host", ["https://127.0.0.1:1", "https://vendor.invalid", f"https://{'a' * 70}.example"])
def test_what_cannot_be_reached_has_been_sent_nothing(host):
    known = VideoClient(catalogue.vendor_of(MODELS["pixazo"])(host), KEY, sleep=lambda _: None)
    error = outcome(lambda: known.submit(request(MODELS["pixazo"])))
    assert isinstance(error, VideoProviderError)
    assert error.charged == "no"


@pytest.mark.usefixtures("_in_a_hurry")
def test_a_server_that_speaks_no_tls_or_is_not_trusted_has_been_sent_nothing(tls):
    with serving(QUEUED, tls=tls[1]) as server:
        error = submitted(server)
        assert (type(error), error.charged) == (VendorUnavailableError, "no")
        assert "certificate" in str(error)
    with serving(QUEUED) as server:
        known = VideoClient(
            catalogue.vendor_of(MODELS["pixazo"])(server.url.replace("http", "https")), KEY, sleep=lambda _: None
        )
        error = outcome(lambda: known.submit(request(MODELS["pixazo"])))
        assert (type(error), error.charged) == (VendorUnavailableError, "no")


def test_what_breaks_after_it_has_left_is_unknown():
    for say in (lambda _: None, b"no http\r\n\r\n", b"HTTP/1.1 202 Accepted\r\nContent-Length: 100\r\n\r\n{"):
        with serving(say if callable(say) else (lambda wire, say=say: wire.sendall(say))) as server:
            error = submitted(server)
            assert len(server.heads) == 1
        assert isinstance(error, SubmissionOutcomeUnknownError)


def test_a_request_that_no_json_can_hold_was_not_sent():
    with serving(QUEUED) as server:
        known = VideoClient(vendor(server), KEY)
        for extra in ({"x": "\ud800"}, {"x": float("nan")}, {"x": object()}):
            error = outcome(lambda extra=extra: known.submit(request(MODELS["pixazo"]), extra))
            assert error.charged == "no"
        assert server.heads == []


def test_a_proxy_that_answers_itself_to_plain_http_has_refused(monkeypatch):
    with serving(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n") as proxy:
        monkeypatch.setenv("http_proxy", f"127.0.0.1:{proxy.port}")
        known = VideoClient(catalogue.vendor_of(MODELS["pixazo"])("http://vendor.invalid"), KEY)
        error = outcome(lambda: known.submit(request(MODELS["pixazo"])))
        assert proxy.heads[0].startswith("POST http://vendor.invalid/")
    assert (type(error), error.charged) == (RequestRejectedError, "no")


@POLLS
def test_worker_and_loop_go_through_the_same_proxy(poll, monkeypatch):
    with serving(QUEUED) as proxy:
        monkeypatch.setenv("http_proxy", f"127.0.0.1:{proxy.port}")
        monkeypatch.setattr(RawServer, "url", "http://vendor.invalid")
        (seen,) = poll(proxy)
        assert proxy.heads[0].startswith("GET http://vendor.invalid/")
        assert seen.status == "queued"


@POLLS
def test_a_wait_in_an_environment_that_cannot_be_used_says_so_and_does_not_touch_the_job(poll, monkeypatch):
    environment._trusted.cache_clear()
    monkeypatch.setenv("SSL_CERT_FILE", "/no/such/ca.pem")
    with serving(QUEUED) as server:
        (seen,) = poll(server)
    assert isinstance(seen, VendorUnavailableError)
    assert "SSL_CERT_FILE='/no/such/ca.pem'" in str(seen)
    assert "job is not affected" in str(seen)
    assert seen.request_id == "r-1"
