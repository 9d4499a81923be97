"""Checks a request body against the fields that a document lists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from decimal import Decimal

    from .clip import ClipSpec

Kind = Literal["string", "integer", "number", "boolean", "image"]


@dataclass(frozen=True)
class Field:
    """One documented field.

    :param kind: JSON type; ``image`` is a string that holds an http(s) address.
    :param allowed: The values it takes, where the document lists them.
    :param low: Lowest value, and ``high`` the highest.
    """

    kind: Kind
    required: bool = False
    allowed: tuple[Any, ...] = ()
    low: float | None = None
    high: float | None = None

    def complaint(self, name: str, value: Any) -> str | None:
        """What is wrong with a value, if anything."""
        if not _is(self.kind, value):
            return f"{name} must be {'an http(s) URL' if self.kind == 'image' else _ARTICLE[self.kind]}"
        if self.required and value == "":
            return f"{name} must not be empty"
        if self.allowed and value not in self.allowed:
            return f"{name} must be one of {', '.join(map(str, self.allowed))}"
        if self.low is not None and self.high is not None and not self.low <= value <= self.high:
            return f"{name} must be between {self.low:g} and {self.high:g}"
        return None


_ARTICLE: dict[str, str] = {
    "string": "a string",
    "integer": "an integer",
    "number": "a number",
    "boolean": "a boolean",
}


def _is(kind: Kind, value: Any) -> bool:
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "image":
        return isinstance(value, str) and value.startswith(("http://", "https://"))
    if kind == "string":
        return isinstance(value, str)
    return not isinstance(value, bool) and isinstance(value, int if kind == "integer" else int | float)


@dataclass(frozen=True)
class Model:
    """One model as its document describes it.

    :param id: The vendor's own id, as it stands in answers.
    :param path: Where it is submitted.
    :param fields: What a request may hold.
    :param clip: The video that a request asks for.
    :param price: What a request costs, and where that number comes from.
    :param mochi: Takes minutes in the ``real`` profile.
    """

    id: str
    path: str
    fields: Mapping[str, Field]
    clip: Callable[[Mapping[str, Any]], ClipSpec]
    price: Callable[[Mapping[str, Any]], tuple[Decimal, str]]
    mochi: bool = False

    def complaints(self, body: Any, *, ignore_unknown: bool) -> list[str]:
        """Everything that is wrong with a request body."""
        if not isinstance(body, dict):
            return ["the body must be a JSON object"]
        found = [f"{name} is required" for name, spec in self.fields.items() if spec.required and name not in body]
        for name, value in body.items():
            if name in self.fields:
                found.append(self.fields[name].complaint(name, value) or "")
            elif not ignore_unknown:
                found.append(f"{name} is not a known field")
        return [text for text in found if text]
