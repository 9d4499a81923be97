"""Reading what vendors answer: ids, status words, addresses, times and reasons, in any of their spellings.

Pure functions over :class:`Answer`; the documents contradict one another, so each reader is tolerant in
form and strict in meaning: a word that nobody knows is ``unknown``, never a guess.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from pydantic_core import from_json

from airflow_video_providers.jobs import JobStatus
from airflow_video_providers.redact import public_text

#: Words of the vendors and of their like, after :func:`_normalised`.
_WORDS: dict[JobStatus, str] = {
    JobStatus.QUEUED: "queued queue in_queue pending waiting submitted accepted scheduled throttled starting created",
    JobStatus.RUNNING: "processing running in_progress generating dreaming rendering started retrying",
    JobStatus.SUCCEEDED: "completed complete succeeded succeed success done ready finished",
    JobStatus.FAILED: "failed failure rejected nsfw blocked",
    JobStatus.ERROR: "error system_error internal_error",
    JobStatus.CANCELLED: "cancelled canceled cancel aborted deleted",
    JobStatus.EXPIRED: "expired timeout timed_out not_found",
}
_STATUS_BY_WORD = {word: status for status, words in _WORDS.items() for word in words.split()}

_ID_KEYS = ("request_id", "requestId", "id", "task_id", "prediction_id")
_REASON_KEYS = ("message", "error", "detail", "msg")
_LONGEST_EXCERPT = 200
#: No wait that a vendor asks for is taken to be longer, so that it fits every clock it gets to.
_LONGEST_WAIT = 86_400.0


@dataclass(frozen=True)
class Answer:
    """One HTTP answer, as far as parsing needs it."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def ok(self) -> bool:
        """Is it a 2xx?"""
        return 200 <= self.status < 300

    @cached_property
    def body(self) -> dict[str, Any] | None:
        """The JSON object it holds; None for anything else."""
        try:
            parsed = from_json(self.content)
        except ValueError:
            return None
        return parsed if isinstance(parsed, dict) else None

    def reason(self) -> str:
        """The vendor's own words, cut to a line."""
        body = self.body
        words = _words_in(body) if body else self.content[: 4 * _LONGEST_EXCERPT].decode("utf-8", "replace")
        return cut(words)

    def retry_after(self, now: datetime) -> float | None:
        """Seconds the vendor asks to wait. Segmind names the moment instead, in a header of its own."""
        value = self.headers.get("retry-after")
        seconds = _seconds(value)
        if seconds is None:
            moment = _http_date(value) or timestamp(self.headers.get("x-rate-limit-reset-at-utc"))
            seconds = max(0.0, (moment - now).total_seconds()) if moment else None
        return None if seconds is None else min(seconds, _LONGEST_WAIT)


def cut(text: str) -> str:
    """One line, short enough for a log and fit for it: the signatures in its addresses are left out."""
    line = " ".join(public_text(text[: 100 * _LONGEST_EXCERPT]).split())
    return line if len(line) <= _LONGEST_EXCERPT else line[: _LONGEST_EXCERPT - 3] + "..."


def _words_in(value: Any) -> str:
    if isinstance(value, dict):
        found = [_words_in(value[key]) for key in _REASON_KEYS if value.get(key)]
        return ": ".join(dict.fromkeys(reversed(found))) or str(value)
    if isinstance(value, list):
        return "; ".join(_words_in(item) for item in value)
    return str(value)


def reason_in(body: Mapping[str, Any]) -> str | None:
    """Why a job failed, in the vendor's words."""
    words = [_words_in(body[key]) for key in ("error", "message", "detail") if body.get(key)]
    return cut(words[0]) if words else None


def _normalised(word: str) -> str:
    return word.strip().casefold().replace(" ", "_").replace("-", "_")


def find_id(body: Mapping[str, Any] | None) -> str | None:
    """The request id under any of the names the documents and their like use."""
    for key in _ID_KEYS:
        value = (body or {}).get(key)
        if isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip():
            return str(value).strip()
    return None


def find_status(body: Mapping[str, Any] | None) -> tuple[JobStatus, str] | None:
    """Our status and the vendor's own word; None where the body names no status at all."""
    word = (body or {}).get("status") or (body or {}).get("task_status")
    if not isinstance(word, str) or not word.strip():
        return None
    return _STATUS_BY_WORD.get(_normalised(word), JobStatus.UNKNOWN), cut(word)


def find_urls(body: Mapping[str, Any] | None, paths: Iterable[str]) -> list[str]:
    """The output addresses at the first dotted path that holds any, in order and without repeats."""
    for path in paths:
        value: Any = body
        for key in path.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        if urls := list(dict.fromkeys(_urls(value))):
            return urls
    return []


def _urls(value: Any) -> list[str]:
    if isinstance(value, str):
        if value.lstrip()[:1] in ("[", "{"):  # Segmind's "output" may be JSON inside a string
            try:
                return _urls(from_json(value))
            except ValueError:
                return []
        try:
            parts = urlsplit(value.strip())
        except ValueError:  # no address at all, such as "http://["
            return []
        return [value.strip()] if parts.scheme in ("http", "https") and parts.netloc else []
    if isinstance(value, Mapping):
        return _urls(value.get("url"))
    return [url for item in value for url in _urls(item)] if isinstance(value, list) else []


def timestamp(value: object) -> datetime | None:
    """A vendor's time in UTC. A time without zone counts as UTC, what cannot be read as None."""
    if not isinstance(value, str):
        return None
    try:
        return _in_utc(datetime.fromisoformat(value.strip()))
    except (ValueError, OverflowError):  # the second: year 1 in a zone east of Greenwich
        return None


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
