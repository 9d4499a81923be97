"""Which addresses may be fetched."""

from __future__ import annotations

import socket
from typing import Any

import httpcore
import pytest

from airflow_video_providers.core.errors import OutputRejectedError
from airflow_video_providers.core.hosts import is_public
from airflow_video_providers.core.landing.address import (
    GuardedBackend,
    checked_url,
    host_names,
    public_url,
    vetted,
)

ALLOWED = frozenset({"simulator", "127.0.0.1"})


@pytest.mark.parametrize(
    "text",
    ["93.184.216.34", "8.8.8.8", "2606:2800:220:1:248:1893:25c8:1946", "::ffff:8.8.8.8", "64:ff9b::808:808"],
)
def test_public_addresses_pass(text: str) -> None:
    assert is_public(text)


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "100.100.100.200",
        "0.0.0.0", "255.255.255.255", "224.0.0.1", "240.0.0.1", "198.18.0.1", "192.0.2.1", "192.0.0.192",
        "192.88.99.1", "168.63.129.16",
        "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1", "3fff::1",
        "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1", "2002:7f00:1::", "2001:0:7f00:1::", "2001:10::1", "5f00::1", "4000::1",
    ],
)  # fmt: skip
def test_addresses_that_lead_inside_do_not(text: str) -> None:
    assert not is_public(text)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://cdn.example.com/a.mp4", "plain http"),
        ("ftp://cdn.example.com/a.mp4", "not an https address"),
        ("file:///etc/passwd", "not an https address"),
        ("data:video/mp4;base64,AAAA", "not an https address"),
        ("https:///a.mp4", "not an https address"),
        ("", "not an https address"),
        ("https://user:secret@cdn.example.com/a.mp4", "user name"),
        ("https://@cdn.example.com/a.mp4", "user name"),
        ("https://cdn.example.com:99999/a.mp4", "cannot be read"),
        ("https://[::1/a.mp4", "cannot be read"),
        ("https://" + "a" * 70 + "ü.example/a.mp4", "cannot be read"),
        ("https://cdn example.com/a.mp4", "cannot be"),
        ("https://cdn.example.com%2f@evil.example/a.mp4", "user name"),
        ("https://cdn%2fexample.com/a.mp4", "cannot be"),
        ("https://cdn.example.com\x00/a.mp4", "cannot be"),
        ("https://cdn.example.com/\ud800", "cannot be read"),
        ("https://cdn.example.com/" + "a" * 20_000, "far too long"),
    ],
)
def test_odd_addresses_are_refused_with_the_reason(url: str, why: str) -> None:
    with pytest.raises(OutputRejectedError, match=why) as raised:
        checked_url(url, ALLOWED)
    assert raised.value.reason == "forbidden_address"
    assert "secret" not in str(raised.value)


def test_a_good_address_keeps_its_query_exactly_and_an_international_name_is_encoded() -> None:
    url = checked_url("https://bücher.example/vidéo.mp4?X-Sig=a%2Fb+c==&t=1#part", ALLOWED)
    assert (url.scheme, url.host, url.port) == (b"https", b"xn--bcher-kva.example", None)
    assert url.target == b"/vid%C3%A9o.mp4?X-Sig=a%2Fb+c==&t=1"


@pytest.mark.parametrize(
    ("url", "host", "target"),
    [
        ("https://cdn.example.com/a b.mp4", b"cdn.example.com", b"/a%20b.mp4"),
        ("  https://cdn.example.com/a.mp4\n", b"cdn.example.com", b"/a.mp4"),
        ("https://cdn.example.com/a\t.mp4?x=\r\n1", b"cdn.example.com", b"/a.mp4?x=1"),
        ("https://cdn.example.com/a.mp4\r\nX-Injected: yes", b"cdn.example.com", b"/a.mp4X-Injected:%20yes"),
        ("https://cdn.example.com\\@evil.example/a.mp4", b"cdn.example.com", b"/@evil.example/a.mp4"),
        ('HTTPS://CDN.example.com/a.mp4?q=a b&r="<>"', b"cdn.example.com", b"/a.mp4?q=a%20b&r=%22%3C%3E%22"),
        ("https://cdn.example.com?sig=1", b"cdn.example.com", b"/?sig=1"),
        ("https://%63dn.example.com/a", b"cdn.example.com", b"/a"),
        ("https://cdn.example.com/a|b^c`{d}.mp4", b"cdn.example.com", b"/a%7Cb%5Ec%60%7Bd%7D.mp4"),
        ("https://cdn.example.com/\x01\x7f", b"cdn.example.com", b"/%01%7F"),
    ],
)
def test_an_address_is_read_as_browsers_read_it(url: str, host: bytes, target: bytes) -> None:
    read = checked_url(url, ALLOWED)
    assert (read.host, read.target) == (host, target)


def test_plain_http_is_for_named_hosts_only() -> None:
    assert checked_url("http://simulator:8080/a", ALLOWED).port == 8080
    with pytest.raises(OutputRejectedError):
        checked_url("http://simulator.evil.example/a", ALLOWED)


def test_a_redirect_is_read_against_its_base() -> None:
    url = checked_url("../b.mp4?x=1", ALLOWED, base="https://cdn.example.com/v/1/a.mp4")
    assert url.target == b"/v/b.mp4?x=1"
    with pytest.raises(OutputRejectedError):
        checked_url("http://cdn.example.com/a", ALLOWED, base="https://cdn.example.com/")


def test_host_names_are_compared_as_names() -> None:
    assert host_names(["Simulator.", " [::1] "]) == {"simulator", "::1"}


def test_what_is_shown_of_an_address_has_no_signature_and_no_user() -> None:
    assert public_url("https://u:p@cdn.example.com:8443/a.mp4?sig=1#x") == "https://cdn.example.com:8443/a.mp4"
    assert public_url("http://u:p@[draft]/a?sig=1#x") == "http://[draft]/a"  # no address, and none the less shown
    assert public_url("http://[draft#x?sig=1") == "http://[draft"


def test_one_private_answer_among_public_ones_is_enough_to_refuse() -> None:
    with pytest.raises(OutputRejectedError, match=r"leads to 10\.0\.0\.1"):
        vetted("cdn.example.com", 443, ALLOWED, lambda host, port: ["8.8.8.8", "10.0.0.1"])


def test_numbers_in_disguise_are_resolved_before_they_are_judged() -> None:
    for disguise in ("2130706433", "0x7f000001", "0177.0.0.1", "127.1"):
        with pytest.raises(OutputRejectedError):
            vetted(disguise, 443, frozenset())


@pytest.mark.parametrize("answer", ["169.254.169.254", "fe80::1", "0.0.0.0", "::ffff:169.254.169.254", "224.0.0.1"])
def test_a_metadata_service_is_refused_even_under_an_allowed_name(answer: str) -> None:
    assert vetted("simulator", 80, ALLOWED, lambda host, port: ["10.1.2.3"]) == ["10.1.2.3"]
    with pytest.raises(OutputRejectedError):
        vetted("simulator", 80, ALLOWED, lambda host, port: [answer])


def test_a_name_that_does_not_resolve_may_do_so_later() -> None:
    def nothing(host: str, port: int) -> list[str]:
        raise socket.gaierror(-2, "Name or service not known")

    with pytest.raises(httpcore.ConnectError, match="cannot be resolved"):
        vetted("cdn.example.com", 443, ALLOWED, nothing)


def test_the_connection_goes_to_the_vetted_address_so_rebinding_gains_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([["8.8.8.8"], ["127.0.0.1"]])
    dialled: list[str] = []

    def dial(self: Any, host: str, *args: Any) -> Any:
        dialled.append(host)
        raise httpcore.ConnectError("nobody there")

    monkeypatch.setattr(httpcore.SyncBackend, "connect_tcp", dial)
    backend = GuardedBackend(frozenset(), lambda host, port: next(answers))
    with pytest.raises(httpcore.ConnectError):
        backend.connect_tcp("rebind.example", 443)
    with pytest.raises(OutputRejectedError):
        backend.connect_tcp("rebind.example", 443)
    assert dialled == ["8.8.8.8"]


def test_the_next_answer_is_dialled_where_the_first_is_deaf(monkeypatch: pytest.MonkeyPatch) -> None:
    def dial(self: Any, host: str, *args: Any) -> Any:
        if host == "8.8.8.8":
            raise httpcore.ConnectTimeout("deaf")
        return host

    monkeypatch.setattr(httpcore.SyncBackend, "connect_tcp", dial)
    backend = GuardedBackend(frozenset(), lambda host, port: ["8.8.8.8", "8.8.4.4"])
    assert backend.connect_tcp("cdn.example.com", 443) == "8.8.4.4"
