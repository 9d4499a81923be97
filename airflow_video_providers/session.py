"""What both clients share: one vendor, its key, and the one place where the key meets a request.

The API key is added to requests for the vendor's own base URL and to nothing else; a key that a vendor echoes is
taken out of the answer before anybody reads it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx

from airflow_video_providers import __version__
from airflow_video_providers.exceptions import InvalidRequestError

if TYPE_CHECKING:
    from airflow_video_providers.vendors.base import Vendor

_USER_AGENT = f"airflow-video-providers/{__version__}"
#: A shorter key is no secret, and could be part of an ordinary word in an answer.
_SHORTEST_SECRET = 8


class Session:
    """What both clients share: the vendor, the key, and the one place where the two meet."""

    def __init__(self, vendor: Vendor, api_key: str, transport: Any = None) -> None:
        key = (api_key or "").strip()
        if not key or not key.isascii() or not key.isprintable():
            raise InvalidRequestError(
                f"The API key for {vendor.title} is {'empty' if not key else 'not plain printable text'}.",
                remedy="Set the connection's password to the API key.",
                vendor=vendor.id,
                field="password",
            )
        self.vendor = vendor
        self._key = key
        self._transport = transport
        in_json = json.dumps(key)[1:-1]
        self._spellings = {text.encode() for text in (key, in_json, in_json.replace("/", r"\/"), quote(key, safe=""))}
        self._home = _address(vendor)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.vendor.id!r}, {self.vendor.url!r})"

    def _sign(self, call: httpx.Request, timeout: httpx.Timeout) -> None:
        """Add the key: the one place where it meets a request."""
        if (call.url.scheme, call.url.host, call.url.port) != (self._home.scheme, self._home.host, self._home.port):
            raise AssertionError("a request for another host than the connection's must never be signed")
        call.headers[self.vendor.key_header] = self.vendor.key_prefix + self._key
        call.headers["User-Agent"] = _USER_AGENT
        call.extensions["timeout"] = timeout.as_dict()

    def _serves(self, model: str) -> None:
        if model.partition(":")[0] != self.vendor.id:
            raise InvalidRequestError(
                f"{self.vendor.title} does not serve {model}.",
                remedy="Use the client, or the connection, of the vendor that does.",
                model=model,
                field="model",
                value=model,
                allowed=f"{self.vendor.id}:...",
            )

    def _without_key(self, response: httpx.Response) -> httpx.Response:
        echoed = [text for text in self._spellings if text in response.content]
        if not echoed or len(self._key) < _SHORTEST_SECRET:
            return response
        clean = response.content
        for text in echoed:
            clean = clean.replace(text, b"***")
        lengths = ("content-encoding", "content-length", "transfer-encoding")  # no longer true
        headers = [(name, value) for name, value in response.headers.multi_items() if name not in lengths]
        return httpx.Response(response.status_code, headers=headers, content=clean)


def _address(vendor: Vendor) -> httpx.URL:
    try:
        url = httpx.URL(vendor.url)
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise InvalidRequestError(
            f"The address {vendor.url!r} for {vendor.title} is not one that can be called.",
            remedy="Write it as https://host, or leave it empty for the vendor's own.",
            vendor=vendor.id,
            field="host",
        )
    return url
