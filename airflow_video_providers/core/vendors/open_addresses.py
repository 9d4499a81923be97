"""The addresses in a request whose fields the catalogue does not know: any text, at any depth, may be one.

A text is named by its place, ``elements.0.image_url``.
"""

from __future__ import annotations

import os
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_video_providers.core.vendors.fields import as_address, is_stored

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: Schemes that no vendor can fetch. Azure's own way of writing is among them, which is refused with the right one.
_STORAGE = re.compile(r"(?:s3[an]?|gs|gcs|abfss?|adl|wasbs?|az|file|local):", re.IGNORECASE)
_HTTP = re.compile(r"https?://\S+", re.IGNORECASE)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)


class _Text(NamedTuple):
    place: tuple[str | int, ...]
    text: str
    uri: bool


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
    """Why a text that names a storage is no address of a file in it; None for any other text."""
    if not _STORAGE.match(text) or is_stored(text):
        return None
    right = "s3://conn@bucket/key, gs://conn@bucket/key, abfs://conn@container/key or file:///path"
    return f"names a storage and is no address of a file: write {right}"


def addresses(fields: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, str]:
    """The texts that are addresses, by their place: in a storage, or of a host.

    A local path without ``file://`` is one where the schema asks for an address (``format: uri``), or where it is a
    file on this worker.
    """
    return {_named(one.place): one.text for one in _texts(fields, schema) if _is_address(one)}


def no_address(fields: Mapping[str, Any], schema: Mapping[str, Any]) -> tuple[str, str] | None:
    """The place and the text of what the schema calls an address and is none, such as a relative path."""
    for one in _texts(fields, schema):
        if one.uri and not _SCHEME.match(one.text) and not is_stored(one.text):
            return _named(one.place), one.text
    return None


def replaced(fields: Mapping[str, Any], texts: Mapping[str, str]) -> dict[str, Any]:
    """The fields with other texts at some places."""
    return {name: _replaced(value, (name,), texts) for name, value in fields.items()}


def _replaced(value: Any, place: tuple[str | int, ...], texts: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return texts.get(_named(place), value)
    if isinstance(value, dict):
        return {name: _replaced(inner, (*place, name), texts) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_replaced(inner, (*place, index), texts) for index, inner in enumerate(value)]
    return value


def _named(place: tuple[str | int, ...]) -> str:
    return ".".join(str(part).replace("\\", "\\\\").replace(".", "\\.") for part in place)


def _is_address(one: _Text) -> bool:
    if _STORAGE.match(one.text) or _HTTP.fullmatch(one.text):
        return True
    return is_stored(one.text) and (one.uri or _is_file(one.text))


def _is_file(path: str) -> bool:
    try:
        return os.path.isfile(path)
    except (OSError, ValueError):
        return False


def _texts(fields: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[_Text]:
    yield from _walk(dict(fields), (), [schema], schema)


def _walk(
    value: Any, place: tuple[str | int, ...], said: list[Mapping[str, Any]], root: Mapping[str, Any]
) -> Iterator[_Text]:
    if isinstance(value, str):
        yield _Text(place, value, any(one.get("format") == "uri" for one in _all(said, root)))
    elif isinstance(value, dict):
        for name, inner in value.items():
            below = [one.get("properties", {}).get(name) for one in _all(said, root)]
            yield from _walk(inner, (*place, name), [one for one in below if isinstance(one, dict)], root)
    elif isinstance(value, list | tuple):
        items = [one["items"] for one in _all(said, root) if isinstance(one.get("items"), dict)]
        for index, inner in enumerate(value):
            yield from _walk(inner, (*place, index), items, root)


def _all(said: list[Mapping[str, Any]], root: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The schemas that hold for a value, with those that they refer to or choose among."""
    found: list[Mapping[str, Any]] = []
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
