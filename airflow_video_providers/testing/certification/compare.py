"""A transcript beside documented or simulated answers, field by field. Pure.

A field that all samples of such an answer have and the vendor's does not, one that no sample has, another type, another status
word, another HTTP code, another header: each is a difference. Values are not compared: a request's own are its author's, and the rest are a
job's. A sample that the vendor never showed is none: a job that was finished at the first poll was never seen waiting.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_video_providers.testing.certification.redaction import HEADERS
from airflow_video_providers.testing.certification.transcript import kind_of, word_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow_video_providers.testing.certification.transcript import Exchange, Reply, Transcript

Types = dict[str, set[str]]
_UNKNOWN = "unknown"
#: Of a field that is in the answer and in no sample.
NEW = "no sample has it"


class Difference(NamedTuple):
    """One thing that is not as it was taken to be.

    :param against: ``documents``, ``simulator``, ``this version``, ``pinned schema`` or ``estimate``.
    :param exchange: Which answer, or which request.
    :param place: Where in it.
    :param what: What differs.
    """

    against: str
    exchange: str
    place: str
    what: str

    def __str__(self) -> str:
        return f"{self.against}: {self.exchange}: {self.place}: {self.what}"


def differences(
    transcript: Transcript, samples: Sequence[Exchange], against: str
) -> tuple[list[Difference], list[str]]:
    """What differs, and what could not be compared because no sample shows such an answer."""
    found: list[Difference] = []
    notes: list[str] = []
    for exchange in transcript.exchanges:
        if exchange.answer is None:
            found.append(
                Difference(against, _named(transcript, exchange), "answer", f"there was none ({exchange.error})")
            )
            continue
        beside = [
            one for one in samples if (one.verb, one.step) == (exchange.verb, exchange.step) and one.answer is not None
        ]
        if beside:
            found += _answer(transcript, exchange, beside, against, notes)
        else:
            notes.append(f"{against}: {_named(transcript, exchange)}: no sample of it")
    return found, list(dict.fromkeys(notes))


def requests(transcript: Transcript, sent: Iterable[Exchange]) -> list[Difference]:
    """What this version would send otherwise than the transcript shows."""
    found = []
    now = {(one.verb, one.step): one for one in reversed(list(sent)) if one.request is not None}
    for exchange in transcript.exchanges:
        other = now.get((exchange.verb, exchange.step))
        if exchange.request is None or other is None or other.request is None:
            continue
        for name in ("method", "path", "query", "headers", "body"):
            then, today = getattr(exchange.request, name), getattr(other.request, name)
            if then != today:
                what = f"{then!r:.120} was sent, and today it is {today!r:.120}"
                found.append(Difference("this version", f"{exchange.verb}, request", name, what))
    return list(dict.fromkeys(found))


def _answer(
    transcript: Transcript, exchange: Exchange, beside: list[Exchange], against: str, notes: list[str]
) -> list[Difference]:
    vendor, answer = transcript.vendor, exchange.answer
    assert answer is not None  # noqa: S101 # asked before
    named, kind = _named(transcript, exchange), kind_of(vendor, answer)
    body, word = _without_echo(answer, transcript), word_in(vendor, answer)

    def difference(place: str, what: str) -> Difference:
        return Difference(against, named, place, what)

    found: list[Difference] = []
    replies = [one.answer for one in beside if one.answer is not None]
    same = [one for one in replies if kind_of(vendor, one) == kind]
    if not same:
        if kind not in (_UNKNOWN, "answered") and word is not None and against == "documents":
            notes.append(f"{against}: {named}: no sample of an answer that says so")
            return []
        means = f"the status word {word!r}, which nobody knows" if word is not None else "no status word"
        found.append(difference("body", f"it is HTTP {answer.http} with {means}; no sample is such an answer"))
        same = [max(replies, key=lambda one: _likeness(body, one.body))]
    codes = sorted({one.http for one in same})
    if answer.http not in codes:
        found.append(difference("http", f"{answer.http} instead of {', '.join(map(str, codes))}"))
    words = sorted({known for one in same if (known := word_in(vendor, one)) is not None})
    if word is not None and words and word not in words:
        found.append(difference("status word", f"{word!r} instead of {', '.join(map(repr, words))}"))
    for name in sorted(HEADERS.intersection(*(one.headers for one in same))):
        if name not in answer.headers:
            found.append(difference(f"header {name}", "is missing"))
        elif name == "content-type" and _media(answer) not in {_media(one) for one in same}:
            found.append(difference(f"header {name}", f"{_media(answer)} instead of {_media(same[0])}"))
    return found + [difference(place, what) for place, what in _fields(body, [_like(one.body, body) for one in same])]


def _fields(body: Any, samples: Sequence[Any]) -> list[tuple[str, str]]:
    """What differs between a body and samples of it: the topmost places alone."""
    here, there = types_in(body), [types_in(one) for one in samples]
    always = set.intersection(*(set(one) for one in there))
    ever: Types = {}
    for one in there:
        for place, kinds in one.items():
            ever.setdefault(place, set()).update(kinds)
    found = [(place, "is missing") for place in sorted(_topmost(always - here.keys()))]
    found += [(place, NEW) for place in sorted(_topmost(here.keys() - ever.keys()))]
    for place in sorted(here.keys() & ever.keys()):
        mine, known = here[place] - {"null"}, ever[place] - {"null"}
        if mine and known and not mine <= known:
            found.append((place, f"{' or '.join(sorted(mine))} instead of {' or '.join(sorted(known))}"))
        elif not mine and "null" not in ever[place]:
            found.append((place, f"null instead of {' or '.join(sorted(known))}"))
    return found


def types_in(body: Any, place: str = "") -> Types:
    """Every place in a JSON value, and the types that stand there; the elements of a list share one place."""
    found: Types = {place or "body": {_type(body)}}
    inner: Iterable[tuple[str, Any]] = ()
    if isinstance(body, Mapping):
        inner = [(f"{place}.{name}" if place else str(name), value) for name, value in body.items()]
    elif isinstance(body, list):
        inner = [(f"{place}[]", value) for value in body]
    for below, value in inner:
        for name, kinds in types_in(value, below).items():
            found.setdefault(name, set()).update(kinds)
    return found


def _type(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "text"
    return "list" if isinstance(value, list) else "object"


def _topmost(places: set[str]) -> set[str]:
    return {
        one
        for one in places
        if not any(one != other and one.startswith((f"{other}.", f"{other}[")) for other in places)
    }


def _likeness(body: Any, other: Any) -> float:
    mine, theirs = set(types_in(body)), set(types_in(other))
    return len(mine & theirs) / len(mine | theirs)


_ECHO = "the request itself"


def _without_echo(answer: Reply, transcript: Transcript) -> Any:
    """The body; where it repeats the request, that stands as one word."""
    sent = transcript.request
    if not sent or not isinstance(answer.body, Mapping):
        return answer.body
    return {name: _ECHO if value == sent else value for name, value in answer.body.items()}


def _like(sample: Any, body: Any) -> Any:
    """A sample in which the same places stand as one word."""
    if not isinstance(sample, Mapping) or not isinstance(body, Mapping):
        return sample
    return {
        name: _ECHO if body.get(name) == _ECHO and isinstance(value, Mapping) else value
        for name, value in sample.items()
    }


def _media(reply: Reply) -> str:
    return reply.headers.get("content-type", "").partition(";")[0].strip().lower()


def _named(transcript: Transcript, exchange: Exchange) -> str:
    step = f", call {exchange.step + 1}" if exchange.step else ""
    word = word_in(transcript.vendor, exchange.answer)
    return f"{exchange.verb}{step}{f', {word}' if word is not None else ''}"
