"""What a vendor sees of a request's images: the simulator fetches them when it is asked to, and reports."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .jobs import Job

_TIMEOUT = 10.0
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE)
_CALLBACK = re.compile("webhook|callback", re.IGNORECASE)
#: First bytes of the types that the documents name.
_TYPES = (
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "image/webp"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"....ftypavi[fs]", re.DOTALL), "image/avif"),
)


def fetch(jobs: Iterable[Job], part: str = "") -> list[dict[str, Any]]:
    """What each job's images are now, fetched as the vendor would fetch them, without any key.

    :param part: Of images whose address holds this alone.
    :return: Per image ``request_id``, ``field`` (``elements.0.image_url`` inside of others), ``address`` (without its query), ``status`` (None: nobody answered),
        ``media_type``, ``bytes``, and ``seconds_left``: how long the address still holds, None where it does not say.
    """
    with httpx.Client(trust_env=False, timeout=_TIMEOUT, follow_redirects=True) as client:
        return [
            {"request_id": job.request_id, "field": name, **_seen(client, url)}
            for job in jobs
            for name, url in _addresses(job.body)
            if part in url
        ]


def _addresses(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Every text in a body that is an address as a whole, by its place; but not those that a vendor calls."""
    if isinstance(value, str) and _ADDRESS.fullmatch(value):
        yield place, value
    elif isinstance(value, dict | list):
        for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
            if not _CALLBACK.search(str(name)):
                yield from _addresses(inner, f"{place}.{name}" if place else str(name))


def _seen(client: httpx.Client, url: str) -> dict[str, Any]:
    found: dict[str, Any] = {"address": url.partition("?")[0], "seconds_left": seconds_left(url)}
    try:
        answer = client.get(url)
    except (httpx.HTTPError, httpx.InvalidURL):
        return {**found, "status": None, "media_type": None, "bytes": 0}
    kind = next((name for first, name in _TYPES if first.match(answer.content)), None) if answer.is_success else None
    return {**found, "status": answer.status_code, "media_type": kind, "bytes": len(answer.content)}


def seconds_left(url: str, now: datetime | None = None) -> float | None:
    """For how long a signed address of S3, Google or Azure still holds, as its query says."""
    query = {name.lower(): values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    now = now or datetime.now(UTC)
    try:
        for vendor in ("x-amz", "x-goog"):
            if f"{vendor}-expires" in query:
                signed = datetime.strptime(query[f"{vendor}-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
                return signed.timestamp() + float(query[f"{vendor}-expires"]) - now.timestamp()
        if "expires" in query:
            return float(query["expires"]) - now.timestamp()
        if "se" in query:
            return datetime.fromisoformat(query["se"]).timestamp() - now.timestamp()
    except (KeyError, ValueError):
        pass
    return None
