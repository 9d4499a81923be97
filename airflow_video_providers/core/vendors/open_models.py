"""Models that the catalogue does not list: any model of an aggregator, by its id.

Classes of ours would age in months. What such a request may hold is said by a schema file that the author fetched and
pinned (:mod:`airflow_video_providers.core.vendors.schema_files`), or, on purpose, by nobody.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.vendors.field_errors import shown
from airflow_video_providers.core.vendors.fields import bounded, comes_later
from airflow_video_providers.core.vendors.input_addresses import (
    Input,
    inputs_in,
    no_address,
    plain,
    replaced,
    wrong_address,
)
from airflow_video_providers.core.vendors.models import LONE_SURROGATE, VideoModel, source

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from airflow_video_providers.core.vendors.base import Vendor
    from airflow_video_providers.core.vendors.schema_files import SchemaFile

#: No request is nested deeper; what is would be a slip, or hold itself.
DEEPEST = 20


class OpenModel(VideoModel):
    """A request for a model that the catalogue does not list.

    Its fields are whatever the author sets: texts, numbers, lists and objects. They are checked against the pinned schema
    where there is one.

    :cvar pinned: The schema file that requests are checked against.
    :cvar unchecked: Does the author take it on himself that nobody checks the fields?
    """

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True)

    listed: ClassVar[bool] = False
    pinned: ClassVar[SchemaFile | None] = None
    unchecked: ClassVar[bool] = False

    def __init__(self, /, **fields: Any) -> None:
        known, kept = type(self), {name: value for name, value in fields.items() if value is not None}
        if known.pinned is None and not known.unchecked:
            raise InvalidRequestError(
                f"The catalogue does not list {known.id}, so nobody can check its fields.",
                remedy=f"Save its schema beside the DAG (airflow video-models fetch {known.id}) and name the file in "
                "schema=..., or write unchecked=True.",
                model=known.id,
                field="schema",
                allowed="a schema file, or unchecked=True",
            )
        later = source.get() != "rendered"
        for name, value in kept.items():  # first: what is nested too deep, or holds itself, is walked by nothing else
            if problem := _problem(value, later=later):
                raise InvalidRequestError(
                    f"The field {shown(name)} {problem}.", model=known.id, field=str(name), value=value
                )
        kept = {name: plain(value) for name, value in kept.items()}
        if known.pinned is not None:
            known.pinned.check(kept, model=known.id, later=later)
            if (wrong := no_address(kept, known.json_schema())) and not (later and comes_later(wrong[1])):
                raise InvalidRequestError(
                    f"The field {shown(wrong[0])} is {shown(wrong[1])}, and its schema asks for an address.",
                    model=known.id, field=wrong[0], value=wrong[1],
                    allowed="an http or https address, s3://, gs://, abfs:// or an absolute local path",
                )  # fmt: skip
        BaseModel.__init__(self, **kept)

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """The pinned schema; without one, any object."""
        return dict(cls.pinned.schema) if cls.pinned is not None else {"type": "object", "properties": {}}

    @classmethod
    def describe(cls, name: str) -> dict[str, Any]:
        """What the pinned schema says of a field."""
        found = cls.json_schema().get("properties", {}).get(name)
        return dict(found) if isinstance(found, dict) else {}

    def body(self) -> dict[str, Any]:
        """The fields as the author set them."""
        return dict(self.__pydantic_extra__ or {})

    def inputs(self) -> dict[str, Input]:
        return self.inputs_among(self.body())

    @classmethod
    def inputs_among(cls, fields: Mapping[str, Any] | BaseModel) -> dict[str, Input]:
        """Whatever its schema says of a text: few schemas say which of them are addresses."""
        return inputs_in(fields, cls.json_schema())

    def with_inputs(self, addresses: Mapping[str, str]) -> Self:
        return self.model_copy(update=replaced(self.body(), addresses)) if addresses else self

    def serialize(self) -> dict[str, Any]:
        """The same: what Airflow renders and shows."""
        return self.body()

    def price(self) -> tuple[Decimal, str] | None:
        """What the pinned file says it costs; without one nobody knows."""
        listed = type(self).pinned.price if type(self).pinned is not None else None  # type: ignore[union-attr] # asked here
        if listed is None:
            return None
        usd, per, basis = listed
        many = Decimal(1) if per == "generation" else self.seconds()
        return None if many is None else (usd * many, basis)

    def seconds(self) -> Decimal | None:
        """The field ``duration``, else what the schema says the vendor assumes."""
        given = self.body().get("duration", self.describe("duration").get("default"))
        return bounded(given) or None

    def effective(self, name: str) -> Any:
        given = self.body().get(name)
        return self.describe(name).get("default") if given is None else given


def _problem(value: Any, *, later: bool, depth: int = 0) -> str | None:
    """Why this cannot go over the wire as JSON; None where it can, or where only the running task knows."""
    if not isinstance(value, dict | list | tuple):
        value = plain(value)
    if later and comes_later(value):
        return None
    if depth > DEEPEST:
        return f"is nested deeper than {DEEPEST} levels"
    if isinstance(value, str):
        if LONE_SURROGATE.search(value):
            return "holds half a character, which no request can carry"
        return wrong_address(value)
    if value is None or isinstance(value, bool | int):
        return None
    if isinstance(value, float):
        return None if math.isfinite(value) else "holds a number that JSON has not"
    if isinstance(value, dict):
        if any(not isinstance(name, str) for name in value):
            return "holds an object with a name that is no text"
        return _first(value.values(), later, depth)
    if isinstance(value, list | tuple):
        return _first(value, later, depth)
    return f"holds {shown(value)}, which is no JSON"


def _first(values: Any, later: bool, depth: int) -> str | None:
    return next((found for value in values if (found := _problem(value, later=later, depth=depth + 1))), None)


_made: dict[tuple[object, ...], type[OpenModel]] = {}
_MOST_MADE = 1000


def open_model(
    vendor: type[Vendor],
    model: str,
    pinned: SchemaFile | None = None,
    *,
    unchecked: bool = False,
) -> type[OpenModel]:
    """The class of a model that the catalogue does not list. Not registered: it is named by its id wherever it is used."""
    key = vendor, model, pinned, unchecked
    if key not in _made:
        if len(_made) >= _MOST_MADE:
            _made.clear()
        name = model.partition(":")[2]
        said = {
            "__module__": __name__,
            "__doc__": OpenModel.__doc__,
            "id": model,
            "path": vendor.open_path(name),
            "documentation": vendor.documentation_of(name),
            "typical_seconds": 120.0,
            "pinned": pinned,
            "unchecked": unchecked,
        }
        _made[key] = type("OpenModel", (OpenModel,), said)
    return _made[key]
