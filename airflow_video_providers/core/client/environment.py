"""What the process's environment says about the way to a vendor: proxies, and whom to trust.

Workers and triggerers ask the same function, before anything is sent, so that they decide alike and a variable that
cannot be used is reported by its name.
"""

from __future__ import annotations

import ipaddress
import os
import re
import ssl
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from urllib.request import getproxies_environment

import certifi
import httpx

from airflow_video_providers.core.errors import VendorUnavailableError

_PORTS = {"http": 80, "https": 443}
_PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")
_AUTHORITIES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE")


@dataclass(frozen=True)
class Route:
    """The way to one address.

    :param trusted: Whom to trust.
    :param proxy: The proxy to go through, and ``variable`` the one of the environment that names it.
    """

    trusted: ssl.SSLContext
    proxy: httpx.Proxy | None = None
    variable: str | None = None


def route_to(url: httpx.URL) -> Route:
    """The way to an address, as the environment says.

    *Which proxy*: ``<scheme>_proxy``, else ``all_proxy``, as the standard library reads them: the name in lower case
    before any other, an empty value switches it off, and where ``REQUEST_METHOD`` is set (CGI) only the lower-case
    ``http_proxy`` counts, because a client could set the other. A value without a scheme is a host that speaks http.
    http, https, socks5 and socks5h can be used; a reserved character in the user name or the password stands
    percent-encoded. A proxy that is not for this address is not read.

    *Which addresses without one*: ``no_proxy`` holds names separated by commas or spaces. A name stands for itself
    and everything below it, with or without a leading dot or ``*.``; an IP address for itself, with or without
    brackets; a network such as ``10.0.0.0/8`` for the addresses in it (names are not resolved); ``host:port`` for that
    port; ``*`` anywhere for everything. What cannot be read names nothing. Settings of the system other than the
    environment are not asked.

    *Whom to trust*: the authorities in ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` where one of them is set, else certifi's
    and the system's. They are read once per process.

    :raises VendorUnavailableError: a variable cannot be used. Nothing was sent; the text names the variable.
    """
    context = trusted()
    found = getproxies_environment()
    if _bypassed(url, found.get("no", "")):
        return Route(context)
    for scheme in (url.scheme, "all"):
        if value := found.get(scheme, "").strip():
            variable = _spelled(f"{scheme}_proxy")
            return Route(context, _proxy(value, variable, context), variable)
    return Route(context)


def trusted() -> ssl.SSLContext:
    """Whom to trust. Reading the authorities takes 20 to 50 ms: once per process, and in an event loop from a thread.

    :raises VendorUnavailableError: a variable of the environment names what cannot be read.
    """
    return _trusted(*(os.environ.get(name) or None for name in _AUTHORITIES))


@lru_cache(4)
def _trusted(file: str | None, folders: str | None, _key_log: str | None) -> ssl.SSLContext:
    try:
        if file is None and folders is None:
            context = ssl.create_default_context()
            context.load_verify_locations(certifi.where())
            return context
        if file is not None and not Path(file).is_file():
            raise FileNotFoundError(f"{file!r} is no file")
        known = [folder for folder in (folders or "").split(os.pathsep) if Path(folder).is_dir()]
        if folders and not known and file is None:
            raise NotADirectoryError(f"{folders!r} is no directory")
        return ssl.create_default_context(cafile=file, capath=os.pathsep.join(known) or None)
    except (OSError, ValueError) as error:  # an ssl.SSLError is an OSError
        named = " and ".join(f"{name}={os.environ[name]!r}" for name in _AUTHORITIES if os.environ.get(name))
        raise _unusable(
            f"The certificate authorities of this machine cannot be read ({error}); its environment says "
            f"{named or 'nothing about them'}.",
            f"Correct {named.partition('=')[0] or 'the installation of certifi'} in the environment of this worker or "
            "triggerer",
        ) from error


def _bypassed(url: httpx.URL, no_proxy: str) -> bool:
    host, port = url.host.lower().rstrip("."), url.port or _PORTS.get(url.scheme)
    address = _address(host)
    for entry in re.split(r"[,\s]+", no_proxy.lower()):
        scheme, _, name = entry.rpartition("://")
        if not name or (scheme not in ("", "all", url.scheme)):
            continue
        if name == "*":
            return True
        name, named_port = _without_port(name)
        if named_port not in (None, port):
            continue
        if address is not None:
            if _holds(name, address):
                return True
        elif host == (name := name.removeprefix("*").strip(".")) or (name and host.endswith(f".{name}")):
            return True
    return False


def _without_port(name: str) -> tuple[str, int | None]:
    """A name of ``no_proxy``, and its port."""
    bracketed = re.fullmatch(r"\[([^\]]*)\](?::([0-9]{1,5}))?", name)
    plain = re.fullmatch(r"([^:]*):([0-9]{1,5})", name)  # two colons are an IPv6 address
    found = bracketed or plain
    if found is None:
        return name, None
    return found[1], int(found[2]) if found[2] else None


def _holds(name: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    try:
        return address in ipaddress.ip_network(name, strict=False)
    except ValueError:
        return False


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _spelled(name: str) -> str:
    """How a variable is spelled that the standard library has found."""
    if os.environ.get(name):
        return name
    return next((known for known in os.environ if known.lower() == name), name)


def _proxy(value: str, variable: str, context: ssl.SSLContext) -> httpx.Proxy:
    try:
        url = httpx.URL(value if "://" in value else f"http://{value}")
        fits = (
            re.fullmatch(r"[\w.:-]+", url.host) is not None
            and 0 < (url.port or 1) < 65536
            and url.path in ("", "/")
            and not url.query
            and not url.fragment
        )
    except (httpx.InvalidURL, ValueError):  # the second: a host name that IDNA refuses
        fits = False
    if not fits:
        raise _refused(
            variable, "is not a proxy's address (host:port, or scheme://user:password@host:port with reserved "
            "characters percent-encoded)",
        )  # fmt: skip
    if url.scheme not in _PROXY_SCHEMES:
        raise _refused(variable, f"names a proxy that speaks {url.scheme!r}; {', '.join(_PROXY_SCHEMES)} can be used")
    if url.scheme.startswith("socks") and find_spec("socksio") is None:
        raise _refused(variable, "names a SOCKS proxy, and the package socksio is not installed (pip install socksio)")
    return httpx.Proxy(url, ssl_context=context if url.scheme == "https" else None)


def _refused(variable: str, why: str) -> VendorUnavailableError:
    # Never the value: it may hold a password.
    return _unusable(
        f"The environment variable {variable} {why}.",
        f"Correct {variable} in the environment of this worker or triggerer, or name the vendor's host in NO_PROXY",
    )


def _unusable(what: str, remedy: str) -> VendorUnavailableError:
    return VendorUnavailableError(
        what,
        money="Nothing was sent and nothing was charged.",
        remedy=f"{remedy}; then run the task again.",
        charged="no",
    )
