"""A model is data: one class with its address, its typed fields and its price.

An instance of the class is a request for that model. A new model of a known vendor is one subclass of
the vendor's base class, anywhere that is imported; it registers itself under its ``id``.
"""

from __future__ import annotations

import re
import warnings
from contextvars import ContextVar
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
)
from pydantic_core import PydanticCustomError

from airflow_video_providers.exceptions import InvalidRequestError
from airflow_video_providers.fields import (
    HttpUrl,
    Number,
    Text,
    WholeNumber,
    comes_later,
    is_template,
    optional,
    required,
    whole_number,
)
from airflow_video_providers.jobs import public_text

if TYPE_CHECKING:
    from collections.abc import Mapping

#: A file of models needs this module alone: what declares their fields is importable from here too.
__all__ = [
    "HttpUrl", "Number", "Price", "Text", "VideoModel", "WholeNumber", "comes_later", "is_template", "optional", "required",
    "rule_of",
]  # fmt: skip

#: Where the fields come from that are being checked: the author's typed request, a dict at parse, a rendered dict.
_source: ContextVar[Literal["typed", "dict", "rendered"]] = ContextVar("source", default="typed")

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class Price(NamedTuple):
    """One line of a documented price list.

    :param usd: US dollars per ``per``.
    :param per: What costs that much: ``"generation"``, one video of any length, or ``"second"``, one second of the
        video (:meth:`VideoModel.seconds`).
    :param when: Field values for which the line holds; a field that is not set counts with the vendor's default.
    :param basis: Where the number comes from.
    """

    usd: Decimal
    per: Literal["generation", "second"]
    basis: str
    when: Mapping[str, object] = MappingProxyType({})


class VideoModel(BaseModel):
    """Base of all models. Subclass the vendor's own base, not this one.

    Class attributes describe the model; fields are what a request may hold.

    :cvar id: ``"<vendor>:<model>"``.
    :cvar path: Path of the submit call below the vendor's base URL.
    :cvar documentation: Address of the page the class was written from.
    :cvar prices: The documented price list; empty where the documents have none.
    :cvar text_on_the_wire: Fields that authors write as numbers and the vendor wants as text.
    :cvar typical_seconds: How long a job usually takes; a first guess, replaced by what is learned.

    :raises InvalidRequestError: on any literal mistake: nothing was sent, nothing is charged.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    id: ClassVar[str]
    path: ClassVar[str]
    documentation: ClassVar[str] = ""
    prices: ClassVar[tuple[Price, ...]] = ()
    typical_seconds: ClassVar[float] = 60.0
    text_on_the_wire: ClassVar[frozenset[str]] = frozenset()

    registry: ClassVar[dict[str, type[VideoModel]]] = {}

    def __init__(self, /, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise _refusal(type(self), fields, error) from None

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if "id" in vars(cls):
            VideoModel.registry[cls.id] = cls

    @classmethod
    def parse(cls, request: Mapping[str, Any], *, rendered: bool = True) -> Self:
        """The typed request that a dict describes. A value of None counts as not set.

        :param rendered: False at DAG parse: what only the running task will know is left unchecked.
        :raises InvalidRequestError: names the field, the value and what is allowed.
        """
        token = _source.set("rendered" if rendered else "dict")
        try:
            return cls(**{str(name): value for name, value in request.items() if value is not None})
        finally:
            _source.reset(token)

    @field_validator("*", mode="wrap")
    @classmethod
    def _check_field(cls, value: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
        name = info.field_name or ""
        if _source.get() == "dict" and comes_later(value):
            return value
        if _source.get() == "typed" and is_template(value):
            if cls.describe(name).get("type") != "string":
                raise PydanticCustomError(
                    "templated_number", "holds a template; write request as a dict to template this field"
                )
            return value
        checked = handler(value)
        if isinstance(value, bool) and not isinstance(checked, bool):
            raise PydanticCustomError("boolean", "must not be a boolean")
        if isinstance(checked, str) and not checked.isascii() and _LONE_SURROGATE.search(checked):
            raise PydanticCustomError("unicode", "holds half a character, which no request can carry")
        disputed = cls.describe(name).get("disputed", {}).get(str(checked))
        if disputed:
            warnings.warn(f"{cls.id}: {name}={checked!r}: {disputed}", stacklevel=2)
        return checked

    @classmethod
    def describe(cls, name: str) -> dict[str, Any]:
        """The JSON Schema of one field, with ``unit``, ``vendor_default`` and ``disputed`` where there are any."""
        schema = cls.json_schema()["properties"].get(name, {})
        flat: dict[str, Any] = {key: value for key, value in schema.items() if key != "anyOf"}
        for choice in schema.get("anyOf", []):
            if choice.get("type") != "null":
                flat.update(choice)
        return flat

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """JSON Schema of a request for this model."""
        if "_schema" not in vars(cls):
            cls._schema = {"$id": f"urn:airflow-video-providers:{cls.id}", **cls.model_json_schema()}
        return cls._schema

    _schema: ClassVar[dict[str, Any]]

    def body(self) -> dict[str, Any]:
        """What goes over the wire: the fields that were set, and nothing else."""
        fields = self.model_dump(mode="json", exclude_unset=True, exclude_none=True)
        plain = {name: whole_number(value) if isinstance(value, float) else value for name, value in fields.items()}
        return {name: str(value) if name in self.text_on_the_wire else value for name, value in plain.items()}

    @classmethod
    def refuse_known(cls, extra_fields: Mapping[str, Any]) -> None:
        """``extra_fields`` are for what the catalogue does not know: they must not bypass its checks.

        :raises InvalidRequestError: one of them is known.
        """
        for name in extra_fields:
            if name in cls.model_fields:
                raise InvalidRequestError(
                    f"extra_fields holds {name!r}, which {cls.id} knows.",
                    remedy="Move it into request.",
                    model=cls.id,
                    field=name,
                    value=extra_fields[name],
                )

    def serialize(self) -> dict[str, Any]:
        """What Airflow shows in its rendered templates."""
        return self.model_dump(exclude_unset=True)

    def price(self) -> tuple[Decimal, str] | None:
        """The documented price of this request in US dollars and its basis; None where none is documented."""
        for line in self.prices:
            if all(self._effective(name) == value for name, value in line.when.items()):
                if line.per == "generation":
                    return line.usd, line.basis
                seconds = self.seconds()
                return None if seconds is None else (line.usd * seconds, line.basis)
        return None

    def seconds(self) -> Decimal | None:
        """Length of the video this request asks for, in seconds, where the request or a default says."""
        duration = self._effective("duration")
        return None if duration is None or is_template(duration) else Decimal(str(duration))

    def _effective(self, name: str) -> Any:
        given = getattr(self, name, None)
        return self.describe(name).get("vendor_default") if given is None else given


def _refusal(model: type[VideoModel], fields: Mapping[str, Any], error: ValidationError) -> InvalidRequestError:
    first = error.errors(include_url=False)[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    value = fields.get(name)  # as it was given: what the error holds may be converted already
    if first["type"] == "missing":
        allowed = rule_of(model, name)
        what = f"The request lacks the field {name!r}. Allowed: {allowed}."
    elif first["type"] == "extra_forbidden":
        allowed = ", ".join(sorted(model.model_fields))
        what = f"{model.id} has no field {name!r}; it has {allowed}."
        return InvalidRequestError(
            what,
            remedy="Correct the name; to send a field that the catalogue does not know yet, use extra_fields.",
            model=model.id,
            field=name,
            value=value,
            allowed=allowed,
        )
    else:
        allowed = rule_of(model, name)
        shown = public_text(repr(value))
        shown = shown if len(shown) <= 80 else shown[:77] + "..."
        what = f"The field {name!r} is {shown}: {first['msg'].rstrip('.')}. Allowed: {allowed}."
    return InvalidRequestError(what, model=model.id, field=name, value=value, allowed=allowed)


def rule_of(model: type[VideoModel], name: str) -> str:
    """What a field allows, in words: for errors and tables."""
    schema = model.describe(name)
    if "enum" in schema:
        return ", ".join(str(value) for value in schema["enum"])
    if schema.get("format") == "uri":
        return "an http or https address"
    words = {"string": "text", "integer": "a whole number", "number": "a number", "boolean": "true or false"}
    rule = words.get(schema.get("type", ""), "a value")
    low, high = schema.get("minimum"), schema.get("maximum")
    return f"{rule} from {low} to {high}" if low is not None and high is not None else rule
