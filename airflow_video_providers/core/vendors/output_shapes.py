"""Where in an answer's JSON the id, the status, the outputs and their hints stand, in any shape that is known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from airflow_video_providers.core.border import json_value, plain_id, printable
from airflow_video_providers.core.vendors.answers import cut, words_in
from airflow_video_providers.core.vendors.status_words import meaning

if TYPE_CHECKING:
    from airflow_video_providers.core.jobs import JobStatus

#: Names under which a job's id may stand where the vendor's class does not say, without case and separators ...
_ID_NAMES = ("requestid", "id", "taskid", "predictionid", "jobid", "generationid")
#: ... at the top, or in one of these.
_WRAPPERS = ("data", "output", "result", "task", "job")
#: Where most vendors say how a job stands, and why one failed.
STATUS_PATHS = ("status", "task_status")
REASON_PATHS = ("error", "message", "detail")
#: Where else the outputs of a finished job may stand: under these names at any depth ...
_VIDEO_NAMES = (
    "media_url",
    "media_urls",
    "video_url",
    "video_urls",
    "videos",
    "video",
    "output_url",
    "output_video",
    "download_url",
    "video.url",
    "output.video.url",
)
#: ... inside of these, where "url" alone is enough, too.
_OUTPUT_WRAPPERS = (
    "output",
    "outputs",
    "result",
    "results",
    "data",
    "response",
    "task_result",
    "files",
    "file",
    "payload",
    "content",
)
_ADDRESS_NAMES = ("url", "urls", "uri")
#: No answer is followed deeper.
_DEEPEST = 8
_LONGEST_ADDRESS = 8192
_MOST_NAMES = 24
_LONGEST_NAME = 40
_LONGEST_HINT = 100


def at(body: Any, path: str) -> Any:
    """What stands at a dotted path; a name that holds dots itself counts, too."""
    if isinstance(body, Mapping) and path in body:
        return body[path]
    for key in path.split("."):
        body = body.get(key) if isinstance(body, Mapping) else None
    return body


def first_at(body: Any, paths: Iterable[str]) -> Any:
    """What stands at the first of these paths that holds something; 0 and False are something."""
    return next((found for path in paths if (found := at(body, path)) not in (None, "")), None)


def reason_at(body: Mapping[str, Any], paths: Iterable[str] = REASON_PATHS) -> str | None:
    """Why a job failed, in the vendor's words."""
    found = next((value for path in paths if (value := at(body, path))), None)
    return words_in(found) if found else None


def id_at(body: Any, paths: Iterable[str]) -> str | None:
    """The id at the first of these paths that holds one."""
    return next((found for path in paths if (found := _id(at(body, path)))), None)


def find_ids(body: Mapping[str, Any] | None, declared: Iterable[str]) -> dict[str, str]:
    """Every id that may be the job's, and where it stands. Several: nobody knows which is.

    :param declared: Where the vendor's documents say that it stands; the first that holds one is the job's.
    """
    body = body or {}
    for path in declared:
        if found := _id(at(body, path)):
            return {found: path}
    places: dict[str, str] = {}
    for path, value in _id_places(body):
        if found := _id(value):
            places.setdefault(found, path)
    return places


def _id_places(body: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for where, inner in [("", body), *((f"{name}.", body.get(name)) for name in _WRAPPERS)]:
        if isinstance(inner, list) and len(inner) == 1:
            inner = inner[0]
        for name, value in inner.items() if isinstance(inner, Mapping) else ():
            if _plain(name) in _ID_NAMES:
                yield f"{where}{name}", value


def _id(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    if isinstance(value, int) and value.bit_length() > 256:  # Python itself refuses to write out much longer ones
        return None
    text = str(value).strip()
    return text if plain_id(text) else None


def find_status(
    body: Mapping[str, Any] | None, own: Mapping[str, JobStatus] | None = None, paths: Iterable[str] = STATUS_PATHS
) -> tuple[JobStatus, str] | None:
    """Our status and the vendor's own word; None where the body names no status at all."""
    for path in paths:
        word = at(body, path)
        if isinstance(word, str) and word.strip():
            return meaning(word, own or {}), cut(word)
    return None


class Place(NamedTuple):
    """Where an output is, and what the answer says beside it that it is."""

    url: str
    media_type: str | None = None


def find_urls(body: Mapping[str, Any] | None, paths: Iterable[str]) -> list[str]:
    """The output addresses at the first dotted path that holds any, in order and without repeats."""
    return [place.url for place in find_places(body, paths)]


def find_places(body: Mapping[str, Any] | None, paths: Iterable[str], beside: Iterable[str] = ()) -> list[Place]:
    """The outputs at the first dotted path that holds any, in order and without repeats.

    :param beside: Names under which an output's media type stands beside its address.
    """
    names = tuple(beside)
    for path in paths:
        if found := _once(_places(at(body, path), _DEEPEST, names)):
            return found
    return []


def search_places(body: Mapping[str, Any] | None, beside: Iterable[str] = ()) -> list[Place]:
    """The videos of a finished job in whatever shape they are known to come: where they are not where they should be."""
    return _once(_searched(body or {}, _DEEPEST, tuple(beside), top=True))


def _once(places: Iterable[Place]) -> list[Place]:
    found: dict[str, Place] = {}
    for place in places:
        found.setdefault(place.url, place)
    return list(found.values())


def _searched(value: Any, depth: int, beside: tuple[str, ...], *, top: bool = False) -> list[Place]:
    if isinstance(value, str) and value.lstrip()[:1] == "{":
        with suppress(ValueError):
            value = json_value(value)
    if depth <= 0 or not isinstance(value, Mapping):
        return _places(value, depth, beside)
    spelt: dict[str, Any] = {}
    for key, inner in value.items():
        spelt.setdefault(_plain(key), inner)
    for name in (*_VIDEO_NAMES, *(() if top else _ADDRESS_NAMES), *_OUTPUT_WRAPPERS):
        inner = value[name] if name in value else spelt.get(_plain(name)) if "." not in name else at(value, name)
        items = inner if isinstance(inner, list) else [inner]
        found = [place for item in items for place in _searched(item, depth - 1, beside)]
        if found and not top and name in _ADDRESS_NAMES:
            return _typed(found, value, beside)
        if found:
            return found
    return []


def _plain(name: str) -> str:
    """A name without what differs between spellings: ``videoUrl`` is ``video_url``."""
    return name.replace("_", "").replace("-", "").casefold()


def _places(value: Any, depth: int, beside: tuple[str, ...]) -> list[Place]:
    if depth <= 0:
        return []
    if isinstance(value, str):
        if value.lstrip()[:1] in ("[", "{"):  # Segmind's "output" may be JSON inside a string
            try:
                return _places(json_value(value), depth - 1, beside)
            except ValueError:
                return []
        return [Place(value.strip())] if _is_address(value.strip()) else []
    if isinstance(value, Mapping):
        return _typed(_places(value.get("url"), depth - 1, beside), value, beside)
    return [place for item in value for place in _places(item, depth - 1, beside)] if isinstance(value, list) else []


def _typed(places: list[Place], value: Mapping[str, Any], beside: tuple[str, ...]) -> list[Place]:
    kind = next((hint for name in beside if (hint := _hint(value.get(name)))), None)
    return [place._replace(media_type=place.media_type or kind) for place in places]


def _is_address(text: str) -> bool:
    if len(text) > _LONGEST_ADDRESS or not text.isprintable():
        return False
    try:
        parts = urlsplit(text)
    except ValueError:  # no address at all, such as "http://["
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc)


def hints(value: Any, count: int) -> list[str | None]:
    """What a vendor says that each of so many outputs is: one text for all of them, or a list with one for each."""
    each = value if isinstance(value, list) else [value] * count
    return [_hint(each[index]) if index < len(each) else None for index in range(count)]


def _hint(value: Any) -> str | None:
    fits = isinstance(value, str) and 0 < len(value) <= _LONGEST_HINT and value.isprintable()
    return value if fits else None


def names_in(body: Mapping[str, Any] | None) -> str:
    """The names that an answer holds, and one level below; no value, and no more than fits a line."""
    names: list[str] = []
    for name, value in (body or {}).items():
        inner = value if isinstance(value, Mapping) else {}
        names += [
            f"{printable(name, _LONGEST_NAME)}.{printable(below, _LONGEST_NAME)}" for below in list(inner)[:_MOST_NAMES]
        ] or [printable(name, _LONGEST_NAME)]
        if len(names) > _MOST_NAMES:
            return ", ".join(names[:_MOST_NAMES]) + ", ..."
    return ", ".join(names) or "nothing"
