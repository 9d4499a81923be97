"""The files that a request names, wherever in it they stand: at its top, in lists, in objects, in ``extra_fields``.

A field that its model declares as an image or an address holds one, and one that it declares as text holds none. Of whatever
nobody has declared, a text is taken for an address that begins as one. A text is named by its place, ``elements.0.image_url``.
"""

from __future__ import annotations

import os
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel

from airflow_video_providers.core.vendors.fields import as_address, is_stored

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    Place = tuple[str | int, ...]
    Schemas = list[Mapping[str, Any]]

#: Schemes that no vendor can fetch. Azure's own way of writing is among them, which is refused with the right one.
_STORAGE = re.compile(
    r"(?:s3[an]?|gs|gcs|abfss?|adl|wasbs?|az|file|local|hdfs|webhdfs|sftp|smb|dbfs|memory):(?=\S)", re.IGNORECASE
)
#: What begins as the address of a host, with slips that some programs forgive: in its slashes, or without its scheme.
_HOST = re.compile(
    r"(?:https?:[\\/]+|[a-z][a-z0-9+.-]*://)\S|(?:localhost|\d+(?:\.\d+){3}|\[[0-9a-f:.]+\])(?::\d+)?/", re.IGNORECASE
)
_HTTP = re.compile(r"https?://\S+", re.IGNORECASE)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_PATH = re.compile(r"(?:/|~[^/\s]*/|\.{1,2}/|[a-z]:\\)[^\r\n]", re.IGNORECASE)
_MEDIA = re.compile(
    r"\.(?:jpe?g|png|webp|gif|avif|heic|bmp|tiff?|mp4|m4v|mov|webm|mkv|mp3|m4a|wav|aac|ogg|flac)", re.IGNORECASE
)
#: What is white to some reader of addresses: it is taken off by those, and part of a name to others.
AROUND = "".join(map(chr, range(33))) + "\x85\xa0\u2028\u2029\u3000\u200b\ufeff"


class Input(NamedTuple):
    """A file that a request names.

    :param address: As the author wrote it.
    :param media_types: What the documents name for it; empty: they name none, and it is an image; None: any file.
    """

    address: str
    media_types: Sequence[str] | None


class _Text(NamedTuple):
    place: Place
    text: str
    said: Schemas

    @property
    def uri(self) -> bool:
        """Does a schema ask for an address?"""
        return any(one.get("format") == "uri" or "image_types" in one for one in self.said)

    @property
    def types(self) -> Sequence[str] | None:
        return next((one["image_types"] for one in self.said if "image_types" in one), None)


def plain(value: Any) -> Any:
    """The value with path objects as the addresses that stand for them; a local one as ``file://``."""
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, str):
        return value
    address = as_address(value)
    if not isinstance(address, str):
        return value
    if os.path.isabs(address):
        return PurePosixPath(address).as_uri()
    return address if is_stored(address) or _HTTP.fullmatch(address) else value  # which is refused: it is no JSON


def wrong_address(text: str) -> str | None:
    """Why a text that names a file is no address that can be lent or fetched; None for any other text."""
    bare = text.strip(AROUND)
    single = not re.search(r"\s", bare)
    if bare != text and (_STORAGE.match(bare) or (single and (_HTTP.fullmatch(bare) or _is_path(bare)))):
        return "names a file and begins or ends with white space"
    right = "s3://conn@bucket/key, gs://conn@bucket/key, abfs://conn@container/key or file:///path"
    if _STORAGE.match(bare) and not is_stored(bare):
        return f"names a storage and is no address of a file: write {right}"
    return None


def inputs_in(
    fields: Mapping[str, Any] | BaseModel, schema: Mapping[str, Any] | None = None, *, declared: bool = False
) -> dict[str, Input]:
    """The texts that name a file, by their place: in a storage, at a host, or a path.

    A path without ``file://`` is one where the schema asks for an address (``format: uri``), where it ends as pictures,
    sounds and films do, or where it is a file on this worker.

    :param declared: What the schema declares as text is text, whatever it begins with.
    """
    found = (one for one in _texts(fields, schema or {}) if one.uri or not (declared and _is_text(one)))
    return {_named(one.place): Input(one.text, one.types) for one in found if _is_address(one)}


def no_address(fields: Mapping[str, Any], schema: Mapping[str, Any]) -> tuple[str, str] | None:
    """The place and the text of what the schema calls an address and is none, such as a relative path."""
    for one in _texts(fields, schema):
        if one.uri and not _SCHEME.match(one.text) and not is_stored(one.text):
            return _named(one.place), one.text
    return None


def texts_in(fields: Mapping[str, Any]) -> dict[str, str]:
    """Every text by its place."""
    return {_named(one.place): one.text for one in _texts(fields, {})}


def replaced(value: Any, texts: Mapping[str, str], place: Place = ()) -> Any:
    """The value with other texts at some places; the same value where nothing in it is another."""
    if isinstance(value, BaseModel):
        changed = _changed({name: getattr(value, name) for name in type(value).model_fields}, texts, place)
        return value.model_copy(update=changed) if changed else value
    if isinstance(value, dict):
        changed = _changed(value, texts, place)
        return {**value, **changed} if changed else value
    if isinstance(value, list | tuple):
        inner = [replaced(each, texts, (*place, index)) for index, each in enumerate(value)]
        return inner if any(new is not old for new, old in zip(inner, value, strict=True)) else value
    return texts.get(_named(place), value)


def _changed(fields: Mapping[str, Any], texts: Mapping[str, str], place: Place) -> dict[str, Any]:
    new = {name: replaced(inner, texts, (*place, name)) for name, inner in fields.items()}
    return {name: inner for name, inner in new.items() if inner is not fields[name]}


def _named(place: Place) -> str:
    return ".".join(str(part).replace("\\", "\\\\").replace(".", "\\.") for part in place)


def _is_address(one: _Text) -> bool:
    bare = one.text.strip(AROUND)
    if _STORAGE.match(bare) or _HOST.match(bare) or _is_path(bare):
        return True
    return is_stored(one.text) and (one.uri or _is_file(one.text))


def _is_text(one: _Text) -> bool:
    return any(said.get("type") == "string" for said in one.said)


def _is_path(text: str) -> bool:
    return _PATH.match(text) is not None and _MEDIA.fullmatch(os.path.splitext(text)[1]) is not None


def _is_file(path: str) -> bool:
    try:
        return os.path.isfile(path)
    except (OSError, ValueError):
        return False


def _texts(fields: Mapping[str, Any] | BaseModel, schema: Mapping[str, Any]) -> Iterator[_Text]:
    yield from _walk(fields if isinstance(fields, BaseModel) else dict(fields), (), [schema], schema)


def _walk(value: Any, place: Place, said: Schemas, root: Mapping[str, Any]) -> Iterator[_Text]:
    aliases: Mapping[str, Any] = {}
    if isinstance(value, BaseModel):
        aliases = {name: details.alias or name for name, details in type(value).model_fields.items()}
        value = {name: getattr(value, name) for name in aliases}
    if isinstance(value, dict):
        for name, inner in value.items():
            below = [one.get("properties", {}).get(aliases.get(name, name)) for one in _all(said, root)]
            yield from _walk(inner, (*place, name), [one for one in below if isinstance(one, dict)], root)
    elif isinstance(value, list | tuple):
        known = _all(said, root)
        items = [one["items"] for one in known if isinstance(one.get("items"), dict)]
        items += [{"image_types": one["image_types"]} for one in known if "image_types" in one]
        for index, inner in enumerate(value):
            yield from _walk(inner, (*place, index), items, root)
    elif (text := _text(value)) is not None:
        yield _Text(place, text, _all(said, root))


def _text(value: Any) -> str | None:
    if hasattr(value, "unicode_string"):  # pydantic's own addresses
        return str(value)
    text = as_address(value)
    return text if isinstance(text, str) else None


def _all(said: Schemas, root: Mapping[str, Any]) -> Schemas:
    """The schemas that hold for a value, with those that they refer to or choose among."""
    found: Schemas = []
    waiting = list(said)
    while waiting:
        one = waiting.pop()
        if any(one is known for known in found):
            continue
        found.append(one)
        for many in ("anyOf", "oneOf", "allOf"):
            waiting += [inner for inner in one.get(many, []) if isinstance(inner, dict)]
        if isinstance(target := _target(one.get("$ref"), root), dict):
            waiting.append(target)
    return found


def _target(reference: Any, root: Mapping[str, Any]) -> Any:
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return None
    found: Any = root
    for part in reference[2:].split("/"):
        found = found.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
    return found
