"""The schema of a model that the catalogue does not list, as a file beside the DAG: fetched once, dated, pinned.

The file is a JSON Schema of the request (``schema``) with the model's id, the day it was fetched, its digest, and the
vendor's price line where there was one. Reading and checking ask no network.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.vendors.field_errors import shown
from airflow_video_providers.core.vendors.fields import bounded, comes_later
from airflow_video_providers.core.vendors.schema_checks import errors_of, problem_of, validator_of
from airflow_video_providers.core.vendors.wire import body_digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from decimal import Decimal

FORMAT = 1
#: A schema is some kilobytes; something larger is not read.
_LARGEST = 4 * 1024 * 1024


@dataclass(frozen=True, eq=False)
class SchemaFile:
    """A pinned schema.

    :param model: Whose it is, ``"<vendor>:<model>"``.
    :param schema: JSON Schema of a request.
    :param sha256: Digest of ``schema``.
    :param fetched: The day, as the file says.
    :param listed: The vendor's own price line, as it came.
    """

    model: str
    sha256: str
    fetched: str
    schema: Mapping[str, Any]
    listed: Mapping[str, Any] | None = None

    @cached_property
    def price(self) -> tuple[Decimal, Literal["generation", "second"], str] | None:
        """What a request costs, where the line is per second or per video in US dollars."""
        basis = f"the vendor's price list, fetched {self.fetched}"
        return price_line(self.listed, basis) if self.listed is not None else None

    def check(self, request: Mapping[str, Any], *, model: str, later: bool) -> None:
        """Hold a request to the schema.

        :param later: Leave alone what only the running task knows.
        :raises InvalidRequestError: it does not fit; the message names the field. Nothing was sent.
        """
        if self.model != model:
            raise InvalidRequestError(
                f"The schema is one of {self.model}, and model is {model!r}.",
                remedy=f"Fetch the right one: airflow video-models fetch {model}.",
                model=model,
                field="schema",
            )
        try:
            error = next(
                (
                    error
                    for error in errors_of(self._validator, dict(request))
                    if not (later and _waits(error.instance, error.validator))
                ),
                None,
            )
        except ValueError as wrong:
            raise InvalidRequestError(
                f"No request can be held to the schema of {model}, fetched {self.fetched}: {wrong}.",
                remedy=f"Fetch it anew, airflow video-models fetch {model}, or write unchecked=True.",
                model=model,
                field="schema",
            ) from wrong
        if error is not None:
            raise self._refusal(error, model)

    @cached_property
    def _validator(self) -> Any:
        return validator_of(self.schema)

    def _refusal(self, error: Any, model: str) -> InvalidRequestError:
        path = ".".join(map(str, error.absolute_path))
        known = sorted(self.schema.get("properties", {}))
        where = f"The field {path!r:.80} is {shown(error.instance)}" if path else "The request is refused"
        return InvalidRequestError(
            f"{where}: {shown(error.message)}; so says the schema of {model}, fetched {self.fetched}.",
            remedy=f"Correct the request; if the vendor has changed, fetch anew: airflow video-models fetch {model}.",
            model=model,
            field=path or None,
            value=error.instance if path else None,
            allowed=", ".join(known) if error.validator in ("additionalProperties", "required") else None,
        )

    def to_dict(self) -> dict[str, Any]:
        """The file's content."""
        known = {"format": FORMAT, "model": self.model, "fetched": self.fetched, "sha256": self.sha256}
        return {**known, "price": dict(self.listed) if self.listed else None, "schema": dict(self.schema)}


def _waits(instance: Any, validator: str) -> bool:
    """May what is wrong be right once the task runs?"""
    if validator in ("required", "additionalProperties"):
        return comes_later(instance)
    return any(comes_later(leaf) for leaf in _leaves(instance))


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _leaves(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _leaves(inner)
    else:
        yield value


def made(model: str, schema: Mapping[str, Any], *, fetched: str, listed: Mapping[str, Any] | None = None) -> SchemaFile:
    """A schema file of what a vendor answered.

    :raises InvalidRequestError: the schema is none, or refers to what is not in it.
    """
    if (problem := problem_of(schema)) is not None:
        raise InvalidRequestError(
            f"What is called the schema of {model} is none: {problem}.", model=model, field="schema"
        )
    return SchemaFile(model, body_digest(dict(schema)), fetched, dict(schema), dict(listed) if listed else None)


_read: dict[tuple[str, int, int], SchemaFile] = {}


def read_schema(path: str | Path) -> SchemaFile:
    """The schema in a file. A file that did not change is read once per process.

    :raises InvalidRequestError: it cannot be read, or was changed by hand, which its digest shows.
    """
    place = Path(path)

    def refuse(why: str) -> InvalidRequestError:
        return InvalidRequestError(
            f"The schema file {str(path)!r} {why}.",
            remedy="Fetch it anew: airflow video-models fetch MODEL.",
            field="schema",
            value=str(path),
        )

    try:
        stat = place.stat()
        key = (str(place), stat.st_mtime_ns, stat.st_size)
        if key in _read:
            return _read[key]
        if stat.st_size > _LARGEST:
            raise refuse("is far too large")
        content = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise refuse(f"cannot be read ({type(error).__name__})") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT or not isinstance(content.get("schema"), dict):
        raise refuse("is none that airflow video-models fetch has written")
    listed = content.get("price")
    found = made(
        str(content.get("model")),
        content["schema"],
        fetched=str(content.get("fetched")),
        listed=listed if isinstance(listed, dict) else None,
    )
    if found.sha256 != content.get("sha256"):
        raise refuse("was changed after it was fetched: its digest does not fit")
    _read[key] = found
    return found


def price_line(listed: Mapping[str, Any], basis: str) -> tuple[Decimal, Literal["generation", "second"], str] | None:
    """One line of a price list that can be reckoned with: dollars, per second or per video; None for any other."""
    usd, unit = bounded(listed.get("unit_price")), str(listed.get("unit", "")).strip().casefold()
    if usd is None or str(listed.get("currency", "USD")).upper() != "USD":
        return None
    if unit in ("second", "seconds"):
        return usd, "second", basis
    return (usd, "generation", basis) if unit in ("video", "videos", "generation", "generations") else None
