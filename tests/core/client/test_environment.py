from __future__ import annotations

import os
import ssl
import sys

import certifi
import httpx
import pytest

from airflow_video_providers.core.client import environment
from airflow_video_providers.core.client.environment import route_to, trusted
from airflow_video_providers.core.errors import VendorUnavailableError

HOST = "https://gw.example.com/v2"


@pytest.fixture(autouse=True)
def _bare(monkeypatch):
    for name in [name for name in os.environ if name.lower().endswith("_proxy") or name.startswith("SSL")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("REQUEST_METHOD", raising=False)


def proxy_of(monkeypatch, url=HOST, **variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = route_to(httpx.URL(url)).proxy
    return None if found is None else str(found.url)


@pytest.mark.parametrize(
    ("variables", "proxy"),
    [
        ({}, None),
        ({"https_proxy": "http://proxy:3128"}, "http://proxy:3128"),
        ({"HTTPS_PROXY": "http://proxy:3128/"}, "http://proxy:3128/"),
        ({"https_proxy": "127.0.0.1:3128"}, "http://127.0.0.1:3128"),
        ({"https_proxy": "proxy"}, "http://proxy"),
        ({"https_proxy": "https://proxy"}, "https://proxy"),
        ({"https_proxy": " http://proxy:3128\n"}, "http://proxy:3128"),
        ({"https_proxy": "http://[fd00::1]:3128"}, "http://[fd00::1]:3128"),
        ({"ALL_PROXY": "http://all:1"}, "http://all:1"),
        ({"ALL_PROXY": "http://all:1", "https_proxy": "http://proxy:2"}, "http://proxy:2"),
        ({"http_proxy": "http://another:1"}, None),
        ({"http_proxy": "ftp://not.for.this:21"}, None),
        ({"HTTPS_PROXY": "http://upper:1", "https_proxy": "http://lower:2"}, "http://lower:2"),
        ({"HTTPS_PROXY": "http://upper:1", "https_proxy": ""}, None),
        ({"https_proxy": "", "all_proxy": ""}, None),
        ({"https_proxy": "ftp://proxy:21", "no_proxy": "*"}, None),
    ],
)
def test_the_proxy_is_the_one_that_the_environment_names(monkeypatch, variables, proxy):
    assert proxy_of(monkeypatch, **variables) == proxy


def test_the_user_and_the_password_of_a_proxy_are_decoded(monkeypatch):
    monkeypatch.setenv("https_proxy", "http://us%40er:p%23s%2Fs@proxy:3128")
    route = route_to(httpx.URL(HOST))
    assert route.proxy.raw_auth == (b"us@er", b"p#s/s")
    assert str(route.proxy.url) == "http://proxy:3128"
    assert route.variable == "https_proxy"


def test_a_client_of_a_cgi_cannot_name_the_proxy(monkeypatch):
    monkeypatch.setenv("REQUEST_METHOD", "GET")
    assert proxy_of(monkeypatch, "http://gw.example.com", HTTP_PROXY="http://evil:1") is None
    assert proxy_of(monkeypatch, "http://gw.example.com", http_proxy="http://ours:1") == "http://ours:1"


@pytest.mark.parametrize(
    ("no_proxy", "url", "direct"),
    [
        ("gw.example.com", HOST, True),
        ("GW.Example.COM", HOST, True),
        ("example.com", HOST, True),
        (".example.com", HOST, True),
        ("*.example.com", HOST, True),
        (".gw.example.com", HOST, True),
        ("ple.com", HOST, False),
        ("w.example.com", HOST, False),
        ("gw.example.com.", HOST, True),
        ("gw.example.com.evil", HOST, False),
        ("other.example.com", HOST, False),
        ("gw.example.com:443", HOST, True),
        ("gw.example.com:8443", HOST, False),
        ("gw.example.com:8443", "https://gw.example.com:8443", True),
        ("example.com:8443", "https://gw.example.com:8443", True),
        ("gw.example.com:80", "http://gw.example.com", True),
        ("https://gw.example.com", HOST, True),
        ("http://gw.example.com", HOST, False),
        ("*", HOST, True),
        ("a.example, *", HOST, True),
        ("a.example b.example gw.example.com", HOST, True),
        (" a.example ,\tgw.example.com ", HOST, True),
        ("", HOST, False),
        (",,", HOST, False),
        (".", HOST, False),
        ("127.0.0.1", "https://127.0.0.1:8080", True),
        ("127.0.0.1:8080", "https://127.0.0.1:8080", True),
        ("127.0.0.1:8081", "https://127.0.0.1:8080", False),
        ("127.0.0.0/8", "https://127.4.5.6", True),
        ("10.0.0.0/8", "https://127.0.0.1", False),
        ("10.0.0.1/8", "https://10.2.3.4", True),
        ("10.0.0.0/8", HOST, False),
        ("1.2.3", "https://4.1.2.3", False),
        ("::1", "https://[::1]:8080", True),
        ("[::1]", "https://[::1]:8080", True),
        ("[::1]:8080", "https://[::1]:8080", True),
        ("[::1]:8081", "https://[::1]:8080", False),
        ("0:0:0:0:0:0:0:1", "https://[::1]", True),
        ("fd00::/8,localhost", "https://[fd12::1]", True),
        ("fd00::/8,localhost", "https://localhost:8080", True),
        ("fd00::/8,localhost", HOST, False),
        ("localhost", "https://a.localhost", True),
        ("[::1", HOST, False),
        ("[", HOST, False),
        ("http://[", HOST, False),
        ("10.0.0.0/99", "https://10.0.0.1", False),
        ("gw.example.com:port", HOST, False),
        ("\x00\ud800 %zz", HOST, False),
    ],
)
def test_what_no_proxy_names_is_reached_without_one(monkeypatch, no_proxy, url, direct):
    monkeypatch.setattr(
        environment, "getproxies_environment", lambda: {"https": "http://p:1", "http": "http://p:1", "no": no_proxy}
    )
    assert (route_to(httpx.URL(url)).proxy is None) is direct


@pytest.mark.parametrize("name", ["https_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy", "Https_Proxy"])
@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("socks5://127.0.0.1:1080", "socksio"),
        ("socks5h://me:s3cret@127.0.0.1:1080", "socksio"),
        ("ftp://proxy:21", "'ftp'"),
        ("socks4://proxy:1080", "'socks4'"),
        ("http://user:s3cret#ss@proxy:3128", "percent-encoded"),
        ("http://user:s3cret?ss@proxy:3128", "percent-encoded"),
        ("http://user:s3cret/ss@proxy:3128", "percent-encoded"),
        ("http://user:s3cret%zz@[proxy:3128", "percent-encoded"),
        ("http://proxy:99999", "is not a proxy's address"),
        ("http://proxy:port", "is not a proxy's address"),
        ("http://", "is not a proxy's address"),
        ("://", "is not a proxy's address"),
        ("http://xn--\u2603.example\x00", "is not a proxy's address"),
        ("http://[::1", "is not a proxy's address"),
        ("http://proxy:3128/pac?x", "is not a proxy's address"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_told_by_the_name_of_its_variable(monkeypatch, name, value, said):
    monkeypatch.setattr(environment, "find_spec", lambda _: None)
    found = {name.lower().removesuffix("_proxy"): value}
    monkeypatch.setenv(name, value.replace("\0", ""))
    monkeypatch.setattr(environment, "getproxies_environment", lambda: found)
    with pytest.raises(VendorUnavailableError, match=said) as caught:
        route_to(httpx.URL(HOST))
    error = caught.value
    assert (error.charged, error.retryable) == ("no", True)
    assert name in error.what
    assert name in error.remedy
    assert "NO_PROXY" in error.remedy
    assert "s3cret" not in f"{error}{error.__cause__}"


def test_a_socks_proxy_is_used_where_its_package_is(monkeypatch):
    monkeypatch.setattr(environment, "find_spec", lambda _: object())
    assert proxy_of(monkeypatch, ALL_PROXY="socks5://127.0.0.1:1080") == "socks5://127.0.0.1:1080"


# Whom to trust.


@pytest.mark.parametrize("what", ["missing", "a folder", "empty", "no certificate", "a fifo"])
def test_an_ssl_cert_file_that_cannot_be_used_is_told(monkeypatch, tmp_path, what):
    path = tmp_path / "ca.pem"
    if what == "a folder":
        path.mkdir()
    elif what == "a fifo":
        os.mkfifo(path)
    elif what != "missing":
        path.write_text("" if what == "empty" else "-----BEGIN CERTIFICATE-----\nno\n")
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    with pytest.raises(VendorUnavailableError, match=r"SSL_CERT_FILE=.*ca\.pem") as caught:
        trusted()
    assert (caught.value.charged, caught.value.retryable) == ("no", True)
    assert "Correct SSL_CERT_FILE" in caught.value.remedy
    monkeypatch.setenv("SSL_CERT_FILE", certifi.where())
    assert trusted().cert_store_stats()["x509_ca"] > 10, "a corrected environment is read anew"


def test_an_ssl_cert_dir_that_is_none_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "missing"))
    with pytest.raises(VendorUnavailableError, match="SSL_CERT_DIR"):
        trusted()
    monkeypatch.setenv("SSL_CERT_DIR", f"{tmp_path / 'missing'}{os.pathsep}{tmp_path}")
    assert trusted().cert_store_stats()["x509_ca"] == 0


@pytest.mark.skipif(sys.platform != "linux", reason="root may write anywhere")
def test_a_key_log_that_cannot_be_written_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "missing" / "keys"))
    with pytest.raises(VendorUnavailableError, match="Correct SSLKEYLOGFILE"):
        trusted()


def test_the_authorities_are_read_once(mocker):
    environment._trusted.cache_clear()
    read = mocker.spy(ssl, "create_default_context")
    assert trusted() is trusted()
    assert read.call_count == 1
    assert trusted().verify_mode is ssl.CERT_REQUIRED
    assert trusted().check_hostname


def test_one_file_of_authorities_stands_for_all(monkeypatch, tmp_path):
    first = certifi.contents().split("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----\n"
    (tmp_path / "ca.pem").write_text(first)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    assert trusted().cert_store_stats()["x509_ca"] == 1
