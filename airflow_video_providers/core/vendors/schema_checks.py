"""A schema that can be checked against without asking anybody: its references lead into it, and come to an end.

jsonschema fetches what a reference names elsewhere, at the moment at which a request is held to it: while a DAG is parsed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.vendors.field_errors import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_REFERENCES = ("$ref", "$dynamicRef")
#: Keywords below which a schema is about the same value, as behind a reference.
_ONE = ("not", "if", "then", "else")
_SEVERAL = ("allOf", "anyOf", "oneOf")
_BY_NAME = ("dependentSchemas",)


def validator_of(schema: Mapping[str, Any]) -> Any:
    """What holds values to a schema, read as JSON Schema 2020-12 whatever it says of itself; it fetches nothing."""
    from jsonschema import Draft202012Validator  # every Airflow has it; a DAG without a schema does not load it
    from referencing import Registry

    return Draft202012Validator(_without_dialect(schema), registry=Registry())


def errors_of(validator: Any, value: object) -> Iterator[Any]:
    """Where a value does not fit.

    :raises ValueError: the schema itself cannot be followed; the text says why.
    """
    from jsonschema.exceptions import UnknownType
    from referencing.exceptions import Unresolvable

    try:
        yield from validator.iter_errors(value)
    except Unresolvable as error:
        raise ValueError(f"its reference {shown(error.ref)} leads nowhere") from error
    except RecursionError as error:
        raise ValueError("it, or the request, is nested too deep") from error
    except (re.error, UnknownType) as error:
        raise ValueError(f"it holds what cannot be checked ({type(error).__name__})") from error


def problem_of(schema: Mapping[str, Any]) -> str | None:
    """What keeps a value from being held to this schema; None where nothing does."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    try:
        Draft202012Validator.check_schema(_without_dialect(schema))
        return _References(_without_dialect(schema)).problem()
    except SchemaError as error:
        return shown(error.message)
    except RecursionError:
        return "it is nested too deep"


def _without_dialect(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema without ``$schema``: a reference to its root would be read as that dialect, which was not checked."""
    return {name: value for name, value in schema.items() if name != "$schema"}


class _References:
    """The references of a schema, each followed once."""

    def __init__(self, schema: dict[str, Any]) -> None:
        from referencing import Registry
        from referencing.jsonschema import DRAFT202012

        self._root = schema
        self._resolver = Registry().resolver_with_root(DRAFT202012.create_resource(schema))
        self._targets: dict[str, Any] = {}

    def problem(self) -> str | None:
        """What is wrong with one of them."""
        parts = list(_parts(self._root))
        for part in parts:
            if part is not self._root and (named := _names_itself(part)):
                return f"a part of it has a {named} of its own"
            for reference in _references(part):
                if (problem := self._follow(reference)) is not None:
                    return problem
        ended: set[int] = set()
        if any(self._loops(part, (), ended) for part in parts):
            return "its references lead in a circle"
        return None

    def _follow(self, reference: str) -> str | None:
        if not reference.startswith("#"):
            return f"its reference {shown(reference)} leads out of it"
        if reference in self._targets:
            return None
        from jsonschema import Draft202012Validator
        from jsonschema.exceptions import SchemaError
        from referencing.exceptions import Unresolvable

        try:
            target = self._resolver.lookup(reference).contents
            Draft202012Validator.check_schema(target)  # a pointer may lead to what is none
        except (Unresolvable, SchemaError, ValueError, LookupError, TypeError):
            return f"its reference {shown(reference)} leads to no schema in it"
        self._targets[reference] = target
        return None

    def _loops(self, part: Any, above: tuple[int, ...], ended: set[int]) -> bool:
        """Does it lead back to itself before it comes to another value?"""
        if not isinstance(part, dict) or id(part) in ended:
            return False
        if id(part) in above:
            return True
        if any(self._loops(inner, (*above, id(part)), ended) for inner in self._of_the_same_value(part)):
            return True
        ended.add(id(part))
        return False

    def _of_the_same_value(self, part: dict[str, Any]) -> Iterator[Any]:
        for reference in _references(part):
            yield self._targets.get(reference)
        yield from (part.get(name) for name in _ONE)
        for name in _SEVERAL:
            yield from part[name] if isinstance(part.get(name), list) else ()
        for name in _BY_NAME:
            yield from part[name].values() if isinstance(part.get(name), dict) else ()


def _references(part: dict[str, Any]) -> list[str]:
    return [part[name] for name in _REFERENCES if isinstance(part.get(name), str)]


def _names_itself(part: dict[str, Any]) -> str | None:
    """Another address, or another dialect: what its references mean would depend on it."""
    return next((name for name in ("$id", "$schema") if isinstance(part.get(name), str)), None)


def _parts(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every object in it, itself first, however deep."""
    left: list[Any] = [schema]
    while left:
        part = left.pop()
        if isinstance(part, dict):
            yield part
            left.extend(part.values())
        elif isinstance(part, list):
            left.extend(part)
