"""The keys with which a vendor signs its calls, from where it publishes them."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

import httpx

from airflow_video_providers.core.border import BodyReader, json_value
from airflow_video_providers.core.client.transport import SyncTransport, call_of
from airflow_video_providers.core.errors import VendorUnavailableError
from airflow_video_providers.core.vendors.signatures import public_keys

if TYPE_CHECKING:
    from collections.abc import Callable

#: Bytes; a set has a few hundred.
MOST_BYTES = 64 * 1024
#: Seconds for all of it. The vendor whose call is checked waits meanwhile.
TIMEOUT = 4.0


def fetch_keys(url: str, *, transport: Callable[[httpx.URL], httpx.BaseTransport] = SyncTransport) -> list[str]:
    """The Ed25519 keys of the JSON Web Key Set at an address. No API key is sent, and no redirect followed.

    :raises VendorUnavailableError: it cannot be had, or holds no key.
    """
    request = httpx.Request(
        "GET",
        url,
        headers={"Accept": "application/json"},
        extensions={"timeout": dict.fromkeys(("connect", "read", "write", "pool"), TIMEOUT)},
    )
    call_of(request, TIMEOUT)
    way = transport(request.url)
    try:
        with closing(way.handle_request(request)) as response:
            reader = BodyReader(response.headers, MOST_BYTES)
            stream = cast("httpx.SyncByteStream", response.stream)
            body = b"".join(part for piece in stream for part in reader.take(piece))
            reader.finish()
        keys = public_keys(json_value(body)) if response.status_code == 200 else []
    except (httpx.HTTPError, ValueError) as error:
        raise _unavailable(url, type(error).__name__) from error
    finally:
        way.close()
    if not keys:
        raise _unavailable(url, f"HTTP {response.status_code}")
    return keys


def _unavailable(url: str, why: str) -> VendorUnavailableError:
    return VendorUnavailableError(
        f"The keys that sign the vendor's calls cannot be had from {urlsplit(url).hostname} ({why}).",
        money="No job is affected: it is polled.",
        remedy="Let the receiver reach that host, or set callback_signing_secret_<vendor>.",
    )
