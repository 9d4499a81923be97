"""Reading what vendors answer: reasons, times and pauses, in any of their spellings.

Pure functions over :class:`Answer`; the documents contradict one another, so each reader is tolerant in
form and strict in meaning. Where ids, status words and outputs stand is in :mod:`.shapes`.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.border import LONGEST_TEXT, json_object, printable
from airflow_video_providers.core.redact import public_text

if TYPE_CHECKING:
    from collections.abc import Mapping

_REASON_KEYS = ("message", "error", "detail", "msg")
#: Seconds since 1970 in digits, or milliseconds; no vendor sold video before 2001, and 2286 is far.
_UNIX = re.compile(r"\d{10}(?:\d{3})?(?:\.\d{1,6})?")
_EARLIEST, _LATEST = 1_000_000_000, 10_000_000_000
#: No wait that a vendor asks for is taken to be longer, so that it fits every clock it gets to.
_LONGEST_WAIT = 86_400.0
#: How Azure's API Management, which two of the vendors use, says it: "Try again in 7 seconds", "replenished in 01:02:03".
_IN_WORDS = re.compile(r"\bin (?:(?:(\d{1,3})\.)?(\d{1,2}):(\d\d):(\d\d)|(\d{1,6}) ?s(?:ec|\b))", re.IGNORECASE)


@dataclass(frozen=True)
class Answer:
    """One HTTP answer, as far as parsing needs it."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def is_page(self) -> bool:
        """Is it a page for people? Then a proxy or a firewall on the way has answered, and not the vendor's API."""
        headers = self.headers
        if "cf-mitigated" in headers or "x-amzn-waf-action" in headers:
            return True
        start = self.content[:200].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
        is_html = headers.get("content-type", "").lower().startswith(("text/html", "application/xhtml"))
        return self.body is None and (is_html or start.startswith((b"<", b"error code: 1")))

    def file(self) -> str | None:
        """What file it is, where it is one instead of an answer about one."""
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        is_video = self.content[4:8] == b"ftyp" or self.content.startswith(b"\x1aE\xdf\xa3")
        if not is_video and not kind.startswith(("video/", "image/")):
            return None
        return f"the file itself ({printable(kind, 40) or 'without a type'}) and no address"

    @property
    def ok(self) -> bool:
        """Is it a 2xx?"""
        return 200 <= self.status < 300

    @cached_property
    def body(self) -> dict[str, Any] | None:
        """The JSON object it holds; None for anything else."""
        return json_object(self.content, self.headers.get("content-type"))

    def reason(self) -> str:
        """The vendor's own words, cut to a line."""
        body = self.body
        if body:
            return cut(_words_in(body))
        return self.file() or cut(self.content[: 4 * LONGEST_TEXT].decode("utf-8", "replace"))

    def retry_after(self, now: datetime) -> float | None:
        """Seconds the vendor asks to wait. Segmind names the moment instead, in a header of its own."""
        value = self.headers.get("retry-after")
        seconds = _seconds(value)
        if seconds is None:
            moment = _http_date(value) or timestamp(self.headers.get("x-rate-limit-reset-at-utc"))
            seconds = max(0.0, (moment - now).total_seconds()) if moment else self._wait_in_words()
        return None if seconds is None else min(seconds, _LONGEST_WAIT)

    def _wait_in_words(self) -> float | None:
        found = _IN_WORDS.search(self.reason())
        if found is None:
            return None
        days, hours, minutes, seconds, plain = (int(part or 0) for part in found.groups())
        return float(plain or ((days * 24 + hours) * 60 + minutes) * 60 + seconds)


def cut(text: str) -> str:
    """One line, short enough for a log and fit for it: the signatures in its addresses are left out."""
    return printable(public_text(text[: 100 * LONGEST_TEXT]))


def _words_in(value: Any) -> str:
    if isinstance(value, dict):
        found = [_words_in(value[key]) for key in _REASON_KEYS if value.get(key)]
        return ": ".join(dict.fromkeys(reversed(found))) or str(value)
    if isinstance(value, list):
        return "; ".join(_words_in(item) for item in value)
    return str(value)


def words_in(value: Any) -> str:
    """What a value says to a person: a text, the messages in an object or a list."""
    return cut(_words_in(value))


def fraction(value: object) -> float | None:
    """A number of 0 to 1; None for anything else, which says nothing about how much is done."""
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if plain and 0 <= value <= 1 else None  # type: ignore[operator, arg-type] # asked the line above


def timestamp(value: object) -> datetime | None:
    """A vendor's time in UTC: ISO 8601, or seconds or milliseconds since 1970, as a number or in digits.

    A time without zone counts as UTC, what cannot be read as None.
    """
    if isinstance(value, str) and _UNIX.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _since_1970(value)
    if not isinstance(value, str):
        return None
    try:
        return _in_utc(datetime.fromisoformat(value.strip()))
    except (ValueError, OverflowError):  # the second: year 1 in a zone east of Greenwich
        return None


def _since_1970(seconds: float) -> datetime | None:
    if not _EARLIEST <= seconds < 1000 * _LATEST:  # also what is not a number
        return None
    return datetime.fromtimestamp(seconds if seconds < _LATEST else seconds / 1000, UTC)


def _in_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _seconds(value: str | None) -> float | None:
    try:
        seconds = float(value or "")
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _http_date(value: str | None) -> datetime | None:
    try:
        return _in_utc(parsedate_to_datetime(value)) if value else None
    except (ValueError, OverflowError):
        return None
