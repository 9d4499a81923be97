"""What is said of a field that is wrong, and which names mean a field that is known."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.redact import public_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from pydantic import ValidationError

#: What pydantic calls a breach of the rule that :func:`rule` states anyway. Anything else needs its own words.
_SAID_BY_THE_RULE = {
    "blank", "bool_parsing", "bool_type", "boolean", "decimal_parsing", "decimal_type", "enum", "finite_number",
    "float_parsing", "float_type", "greater_than", "greater_than_equal", "http_url", "int_from_float", "int_parsing",
    "int_parsing_size", "int_type", "less_than", "less_than_equal", "literal_error", "multiple_of", "string_too_long",
    "string_too_short", "string_type",
}  # fmt: skip


def shown(value: object) -> str:
    """A value as an error shows it: cut, and without the signatures of addresses."""
    try:
        text = public_text(repr(value))
    except Exception:  # noqa: BLE001 - an author's object may not know how to show itself
        text = f"a {type(value).__name__}"
    return text if len(text) <= 80 else text[:77] + "..."


def refusal(
    model: str, names: Collection[str], rules: Mapping[str, str], fields: Mapping[str, Any], error: ValidationError
) -> InvalidRequestError:
    """The error for the first field that is wrong.

    :param model: The model's id.
    :param names: All fields of the model.
    :param rules: What each allows, in words.
    :param fields: The request as it was given: what ``error`` holds may be converted already.
    """
    first = error.errors(include_url=False, include_input=False)[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    value, allowed = fields.get(name), rules.get(name, "")
    message = str(first["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ").rstrip(".")
    remedy = None
    if first["type"] == "extra_forbidden":
        allowed = ", ".join(sorted(names))
        what = f"{model} has no field {name!r:.80}; it has {allowed}."
        remedy = "Correct the name; to send a field that the catalogue does not know yet, use extra_fields."
    elif not name:
        what = f"The request is refused: {message}."
    elif value is None and name in fields:
        what = f"The field {name!r} is empty: nothing was given, or its template rendered to nothing. Allowed is {allowed}."
    elif first["type"] == "missing":
        what = f"The request lacks the field {name!r}: allowed is {allowed}."
    elif first["type"] in _SAID_BY_THE_RULE:
        what = f"The field {name!r} is {shown(value)}: allowed is {allowed}."
    else:
        what = f"The field {name!r} is {shown(value)}: {message}; allowed is {allowed}."
    return InvalidRequestError(what, remedy=remedy, model=model, field=name, value=value, allowed=allowed)


def rule(schema: Mapping[str, Any]) -> str:
    """What a field's JSON Schema allows, in words."""
    if "enum" in schema:
        return ", ".join(str(value) for value in schema["enum"])
    if "const" in schema:
        return str(schema["const"])
    if "image_types" in schema:
        kinds = ", ".join(kind.removeprefix("image/").upper() for kind in schema["image_types"])
        return "an http or https address, s3://, gs://, abfs:// or a local path" + (f", of {kinds}" if kinds else "")
    if schema.get("format") == "uri":
        return "an http or https address"
    words = {"string": "text", "integer": "a whole number", "number": "a number", "boolean": "true or false"}
    kind = words.get(str(schema.get("type", "")), "a value")
    low, high = schema.get("minimum"), schema.get("maximum")
    limits = [
        f"from {low} to {high}" if low is not None and high is not None
        else f"of at least {low}" if low is not None
        else f"of at most {high}" if high is not None
        else ""
    ]  # fmt: skip
    phrases = {
        "exclusiveMinimum": "above {}", "exclusiveMaximum": "below {}", "multipleOf": "that is a multiple of {}",
        "minLength": "of at least {} characters", "maxLength": "of at most {} characters",
    }  # fmt: skip
    limits += [phrase.format(schema[key]) for key, phrase in phrases.items() if key in schema]
    if schema.get("pattern") == r"\S":
        limits.append("that is not blank")
    return " ".join([kind, *filter(None, limits)])


def plain_name(name: object) -> str:
    """A field's name as a vendor that forgives spelling reads it: its letters and digits alone, folded."""
    folded = unicodedata.normalize("NFKC", str(name)).casefold()
    return "".join(letter for letter in unicodedata.normalize("NFKC", folded) if letter.isalnum())


def names_in(value: object) -> Iterator[tuple[int, str, Any]]:
    """Each name in a JSON document, with its depth and what stands under it."""
    waiting: list[tuple[int, Any]] = [(0, value)]
    seen: set[int] = set()
    while waiting:  # not by recursion: what an author gives may be deep, or hold itself
        depth, part = waiting.pop()
        if id(part) in seen:
            continue
        if isinstance(part, dict):
            seen.add(id(part))
            yield from ((depth, str(name), under) for name, under in part.items())
            waiting += [(depth + 1, under) for under in part.values()]
        elif isinstance(part, list | tuple):
            seen.add(id(part))
            waiting += [(depth, element) for element in part]
