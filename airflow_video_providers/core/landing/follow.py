"""Open what is behind an address that somebody else named: redirects are followed by hand, and each is checked."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow_video_providers.core.errors import OutputRejectedError
from airflow_video_providers.core.landing.address import checked_url, shown
from airflow_video_providers.core.landing.response_metadata import location

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import httpcore

    from airflow_video_providers.core.landing.pacing import Pace

_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 5


@contextmanager
def followed(
    pool: httpcore.ConnectionPool,
    url: str,
    headers: Sequence[tuple[str, str]],
    allowed: frozenset[str],
    pace: Pace,
    read_timeout: float,
    once: Sequence[tuple[str, str]] = (),
) -> Iterator[httpcore.Response]:
    """The answer behind an address and its redirects.

    :param pool: Guarded: it dials only what was checked.
    :param allowed: Hosts that may be private and speak plain http.
    :param read_timeout: Seconds without a byte.
    :param once: Headers for this address alone, such as the key: no redirect gets them, not even one to the same host.
    :raises OutputRejectedError: an address may not be fetched, or there are too many of them.
    """
    timeout = {"connect": 15.0, "pool": None, "read": read_timeout, "write": 15.0}
    for _ in range(_MOST_REDIRECTS + 1):
        target = checked_url(url, allowed)
        pace.begin()
        sent: list[tuple[str | bytes, str | bytes]] = [("Host", _host_header(target)), *headers, *once]
        with pool.stream("GET", target, headers=sent, extensions={"timeout": timeout}) as response:
            if response.status not in _REDIRECTS:
                pace.body()
                yield response
                return
            leads_to = location(response.headers)
        if leads_to is None:
            raise OutputRejectedError(f"{shown(url)} redirects to nowhere.", reason="redirects")
        # checked as a whole in the next round, and here against its base: a relative one has no scheme
        url, once = _absolute(checked_url(leads_to, allowed, base=url)), behind_a_redirect(once)
    raise OutputRejectedError(f"More than {_MOST_REDIRECTS} redirects.", reason="redirects")


def behind_a_redirect(once: Sequence[tuple[str, str]]) -> Sequence[tuple[str, str]]:  # noqa: ARG001 # whatever they are
    """What of an address's own headers goes on to where it redirects: nothing."""
    return ()


def _host_header(url: httpcore.URL) -> bytes:
    host = b"[" + url.host + b"]" if b":" in url.host else url.host
    return host if url.port is None else host + b":" + str(url.port).encode()


def _absolute(url: httpcore.URL) -> str:
    return f"{url.scheme.decode()}://{_host_header(url).decode()}{url.target.decode()}"
