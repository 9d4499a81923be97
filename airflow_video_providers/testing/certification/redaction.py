"""What of an exchange may be kept: no key, no signed address, no id of a job, and no value that is named like a secret."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_video_providers.core.redact import SHORTEST_SECRET, STARS, Redactor, public_text

if TYPE_CHECKING:
    from collections.abc import Iterable

#: The headers whose values say how an exchange works; no other header is kept, such as one that a connection's own setting adds.
HEADERS = frozenset({
    "accept", "content-type", "location", "prefer", "ratelimit-limit", "ratelimit-remaining", "retry-after",
    "x-fal-error-type", "x-fal-no-retry", "x-fal-request-timeout", "x-ratelimit-limit", "x-ratelimit-remaining", "x-runway-version",
})  # fmt: skip
#: What stands for a job's id wherever it stood.
ID = "{id}"
_LONGEST, _MOST, _DEEPEST = 300, 100, 20
_SHORTEST_ID = 6
#: A long part of a path on a vendor's own host may be a token.
_LONGEST_PART = 80
_SECRET_NAME = re.compile(
    r"secret|token|password|passwd|authori[sz]ation|credential|signature|api_?key|cookie|session", re.IGNORECASE
)
_HTTP = re.compile(r"(https?)://([^\s\"'<>/\\?#]+)([^\s\"'<>?#]*)", re.IGNORECASE)
#: An address that is spelled for JSON, a query or another escape: nobody needs to read it.
_SPELLED = re.compile(
    r"[^\s\"'<>]*(?:(?:%(?:25)*2f|\\+u002f|\\+/|/){2}(?<!//)|data(?:%(?:25)*3a|\\+u003a))[^\s\"'<>]*", re.IGNORECASE
)
_OTHER_SCHEME = re.compile(r"\b(?!https?://)([a-z][a-z0-9+.-]{1,20})(?:://|:\\+/)[^\s\"'<>]*", re.IGNORECASE)
_DATA = re.compile(r"\bdata:[^\s\"'<>]{1,100000}", re.IGNORECASE)
_NO_SCHEME = re.compile(r"(?<![:\w/])//[^\s\"'<>/]+/[^\s\"'<>]*")
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,5}$")


class Reduction:
    """Takes out of texts, bodies, headers and addresses what a transcript may not hold.

    :param key: The API key. Of a key of several parts (``id:secret``) each part counts.
    :param own: The vendor's own addresses: below them paths are kept, because the API's form is what a transcript is about.
        Of any other address nothing is kept but scheme, host and the file's suffix: a path may be a secret too.
    :param ids: Ids of jobs.
    """

    def __init__(self, key: str, own: Iterable[str], ids: Iterable[str] = ()) -> None:
        parts = {key, *(part for part in re.split(r"[:.]", key) if len(part) >= SHORTEST_SECRET)}
        self._redactors = [Redactor(part) for part in sorted(parts, key=len, reverse=True)]
        self._own = {urlsplit(url).netloc.lower() for url in own}
        self._ids = sorted((each for each in ids if len(each) >= _SHORTEST_ID), key=len, reverse=True)

    def text(self, text: str) -> str:
        """A text as it may be kept."""
        text = self._without_key(text)
        text = _DATA.sub("data:", text)
        text = _SPELLED.sub("[address]", public_text(text))
        text = _NO_SCHEME.sub("[address]", text)
        text = _OTHER_SCHEME.sub(r"\1://[address]", text)
        text = _HTTP.sub(self._reduced, text)
        for each in self._ids:
            text = text.replace(each, ID)
        text = self._without_key(text)  # what was taken out may have joined what stood around it
        return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."

    def value(self, value: Any, name: str = "", depth: int = 0) -> Any:
        """A JSON value as it may be kept."""
        if depth > _DEEPEST:
            return "..."
        if isinstance(value, Mapping):
            kept = list(value.items())[:_MOST]
            return {self.text(str(key)): self.value(inner, str(key), depth + 1) for key, inner in kept}
        if isinstance(value, list | tuple):
            return [self.value(inner, name, depth + 1) for inner in value[:_MOST]]
        if isinstance(value, str):
            return STARS if value and _SECRET_NAME.search(name) else self.text(value)
        if isinstance(value, bool | int | float) or value is None:
            digits = self.text(str(value))
            return value if digits == str(value) else digits  # an id, or a key, of digits alone
        return STARS

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """The headers that matter."""
        return {name.lower(): self.text(value) for name, value in headers.items() if name.lower() in HEADERS}

    def _without_key(self, text: str) -> str:
        for redactor in self._redactors:
            text = redactor.text(text)
        return text

    def _reduced(self, found: re.Match[str]) -> str:
        scheme, host, path = found[1].lower(), found[2].rpartition("@")[2], found[3]
        if host.lower() in self._own:
            parts = [part if len(part) <= _LONGEST_PART else "[...]" for part in path.split("/")]
            return f"{scheme}://{host}{'/'.join(parts)}"
        suffix = _SUFFIX.search(path)
        return (
            f"{scheme}://{host}/reduced{suffix[0] if suffix else ''}" if path.strip("/") else f"{scheme}://{host}{path}"
        )
