"""The schema of a request, taken out of the OpenAPI document in which a vendor describes a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_REF = "#/components/schemas/"
_DEEPEST = 40


class Described(NamedTuple):
    """What a vendor says of a model.

    :param schema: JSON Schema of a request.
    :param listed: The vendor's price line, as it came.
    """

    schema: dict[str, Any]
    listed: Mapping[str, Any] | None = None


def request_schema(document: object, ending: str = "Input") -> dict[str, Any] | None:
    """JSON Schema of the component whose name ends so, with those that it refers to; None where there is none.

    A field that the document does not name is a mistake, unless the document itself allows others.
    """
    components = document.get("components") if isinstance(document, Mapping) else None
    schemas = components.get("schemas") if isinstance(components, Mapping) else None
    if not isinstance(schemas, Mapping):
        return None
    name = next((one for one, found in schemas.items() if one.endswith(ending) and isinstance(found, Mapping)), None)
    if name is None:
        return None
    found = _plain(schemas[name])
    wanted, defs = list(_refs(found)), {}
    while wanted:
        one = wanted.pop()
        if one not in defs and isinstance(schemas.get(one), Mapping):
            defs[one] = _plain(schemas[one])
            wanted += _refs(defs[one])
    schema = {"type": "object", "additionalProperties": False, **found}
    return {**schema, "$defs": defs} if defs else schema


def _plain(value: Any, depth: int = 0) -> Any:
    """OpenAPI 3.0 as JSON Schema: where references lead, and what may be null."""
    if depth > _DEEPEST:
        return True
    if isinstance(value, list):
        return [_plain(inner, depth + 1) for inner in value]
    if not isinstance(value, Mapping):
        return value
    plain = {str(name): _plain(inner, depth + 1) for name, inner in value.items() if name != "nullable"}
    if isinstance(plain.get("$ref"), str) and plain["$ref"].startswith(_REF):
        plain["$ref"] = "#/$defs/" + plain["$ref"].removeprefix(_REF)
    return {"anyOf": [plain, {"type": "null"}]} if value.get("nullable") is True else plain


def _refs(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        ref = value.get("$ref")
        if isinstance(ref, str) and ref.startswith("#/$defs/"):
            yield ref.removeprefix("#/$defs/")
        for inner in value.values():
            yield from _refs(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _refs(inner)


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs between two schemas of a request, a line for each field."""
    old, new = before.get("properties", {}), now.get("properties", {})
    lines = [f"new field: {name}" for name in new if name not in old]
    lines += [f"field that is no more: {name}" for name in old if name not in new]
    lines += [f"field that changed: {name}" for name in old if name in new and old[name] != new[name]]
    required = set(before.get("required", [])) ^ set(now.get("required", []))
    lines += [f"required now, or no longer: {name}" for name in sorted(required)]
    rest = [name for name in before.keys() | now.keys() if name not in ("properties", "required")]
    lines += [f"changed: {name}" for name in sorted(rest) if before.get(name) != now.get(name)]
    return lines
