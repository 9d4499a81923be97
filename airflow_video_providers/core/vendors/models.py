"""A model is data: one class with its address, its typed fields and its price.

An instance of the class is a request for that model. A new model of a known vendor is one subclass of
the vendor's base class, anywhere that is imported; it registers itself under its ``id``.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from decimal import Decimal
from types import MappingProxyType
from typing import Any, ClassVar, Literal, NamedTuple, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
)
from pydantic_core import PydanticCustomError

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.redact import public_text
from airflow_video_providers.core.vendors.field_errors import refusal, rule, shown
from airflow_video_providers.core.vendors.fields import (
    HttpUrl,
    ImageAddress,
    Number,
    Text,
    WholeNumber,
    bounded,
    comes_later,
    image,
    is_template,
    optional,
    required,
    whole_number,
)
from airflow_video_providers.core.vendors.input_addresses import Input, inputs_in, replaced

#: A file of models needs this module alone: what declares their fields is importable from here too.
__all__ = [
    "HttpUrl", "ImageAddress", "Number", "Price", "Text", "VideoModel", "WholeNumber", "comes_later", "image", "is_template", "optional", "required",
    "rule_of",
]  # fmt: skip

#: Where the fields come from that are being checked: the author's typed request, a dict at parse, a rendered dict.
source: ContextVar[Literal["typed", "dict", "rendered"]] = ContextVar("source", default="typed")

LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class Price(NamedTuple):
    """One line of a documented price list.

    :param usd: US dollars per ``per``.
    :param per: What costs that much: ``"generation"``, one video of any length, or ``"second"``, one second of the
        video (:meth:`VideoModel.seconds`).
    :param when: Field values for which the line holds, a frozenset for any of several; a field that is not set counts
        with the vendor's default.
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
    :cvar length_fields: The fields that decide how long the video is, of which :meth:`seconds` makes its length.
    :cvar listed: Is it part of the catalogue? Models that are made on demand are not.
    :cvar typical_seconds: How long a job usually takes; a first guess, replaced by what is learned.

    :raises InvalidRequestError: on any literal mistake: nothing was sent, nothing is charged.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    id: ClassVar[str]
    path: ClassVar[str]
    documentation: ClassVar[str] = ""
    listed: ClassVar[bool] = True
    prices: ClassVar[tuple[Price, ...]] = ()
    typical_seconds: ClassVar[float] = 60.0
    text_on_the_wire: ClassVar[frozenset[str]] = frozenset()
    length_fields: ClassVar[tuple[str, ...]] = ("duration",)

    registry: ClassVar[dict[str, type[VideoModel]]] = {}

    def __init__(self, /, **fields: Any) -> None:
        known = type(self)
        given = {name: value for name, value in fields.items() if not self._left_blank(name, value)}
        try:
            super().__init__(**given)
        except ValidationError as error:
            rules = {details.alias or name: rule_of(known, name) for name, details in known.model_fields.items()}
            raise refusal(known.id, known.model_fields.keys(), rules, fields, error) from None

    def __repr__(self) -> str:  # an image's address may be signed
        return public_text(super().__repr__())

    __str__ = __repr__

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if "id" in vars(cls) and cls.listed:
            VideoModel.registry[cls.id] = cls

    @classmethod
    def parse(cls, request: Mapping[str, Any], *, rendered: bool = True) -> Self:
        """The typed request that a dict describes.

        A value of None counts as not set, and so does blank text for an optional field that is not free text. A number
        for a field of text is the text it was: Jinja makes numbers of it where it renders native objects.

        :param rendered: False at DAG parse: what only the running task will know is left unchecked.
        :raises InvalidRequestError: names the field, the value and what is allowed.
        """
        if not isinstance(request, Mapping):
            raise InvalidRequestError(
                f"The request is {shown(request)}.",
                remedy="Give a dict of the model's fields.",
                model=cls.id,
                field="request",
                allowed="a dict",
            )
        token = source.set("rendered" if rendered else "dict")
        try:
            given = {str(name): value for name, value in request.items()}
            needed = {name for name, details in cls.model_fields.items() if details.is_required()}
            return cls(**{name: value for name, value in given.items() if value is not None or name in needed})
        finally:
            source.reset(token)

    @field_validator("*", mode="wrap")
    @classmethod
    def _check_field(cls, value: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
        name = info.field_name or ""
        if source.get() == "dict" and comes_later(value):
            return value
        if source.get() == "typed" and is_template(value):
            if cls.describe(name).get("type") != "string":
                raise PydanticCustomError(
                    "templated_number", "holds a template; write request as a dict to template this field"
                )
            return value
        whole = isinstance(value, int) and not isinstance(value, bool)
        if whole or (isinstance(value, float) and math.isfinite(value)):
            checked = handler(str(value) if cls.describe(name).get("type") == "string" else value)
        else:
            checked = handler(value)
        if isinstance(value, bool) and not isinstance(checked, bool):
            raise PydanticCustomError("boolean", "must not be a boolean")
        if isinstance(checked, str) and not checked.isascii() and LONE_SURROGATE.search(checked):
            raise PydanticCustomError("unicode", "holds half a character, which no request can carry")
        disputed = cls.describe(name).get("disputed", {}).get(str(checked))
        if disputed:
            warnings.warn(f"{cls.id}: {name}={checked!r}: {disputed}", stacklevel=2)
        return checked

    @classmethod
    def _left_blank(cls, name: str, value: object) -> bool:
        """Is it an optional field that was given nothing, and to which nothing means nothing?"""
        if not isinstance(value, str) or value.strip() or name not in cls.model_fields:
            return False
        return not cls.model_fields[name].is_required() and not cls._free_text(name)

    @classmethod
    def _free_text(cls, name: str) -> bool:
        schema = cls.describe(name)
        return cls.is_text(name) and not schema.keys() & {"format", "pattern"}

    @classmethod
    def is_text(cls, name: str) -> bool:
        schema = cls.describe(name)
        return schema.get("type") == "string" and not schema.keys() & {"enum", "const"}

    @classmethod
    def describe(cls, name: str) -> dict[str, Any]:
        """The JSON Schema of one field, with ``unit``, ``vendor_default`` and ``disputed`` where there are any."""
        properties = cls.json_schema()["properties"]
        alias = cls.model_fields[name].alias if name in cls.model_fields else None
        schema = properties.get(name) or properties.get(alias, {})
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

    def serialize(self) -> dict[str, Any]:
        """What Airflow shows in its rendered templates."""
        return self.model_dump(exclude_unset=True)

    def price(self) -> tuple[Decimal, str] | None:
        """The documented price of this request in US dollars and its basis; None where none is documented."""
        return self.price_in(self.prices)

    def price_in(self, prices: Iterable[Price]) -> tuple[Decimal, str] | None:
        """The price of this request by a price list, and its basis: the first line that holds, None where none does."""
        for line in prices:
            if all(self._is(name, wanted) for name, wanted in line.when.items()):
                usd = bounded(line.usd)
                seconds = Decimal(1) if line.per == "generation" else bounded(self.seconds()) or None
                return None if usd is None or seconds is None else (usd * seconds, line.basis)
        return None

    def _is(self, name: str, wanted: object) -> bool:
        value, several = self.effective(name), wanted if isinstance(wanted, frozenset) else (wanted,)
        return any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in several)

    def seconds(self) -> Decimal | None:
        """Length of the video this request asks for, in seconds, where the request or a default says."""
        return bounded(self.effective("duration")) or None  # a vendor may take words there, such as "auto"

    def inputs(self) -> dict[str, Input]:
        """The files that this request names, by their place: ``image_url``, ``elements.0.image_url``."""
        return self.inputs_among(self)

    @classmethod
    def inputs_among(cls, fields: Mapping[str, Any] | BaseModel) -> dict[str, Input]:
        """The same of fields that nobody has checked."""
        return inputs_in(fields, cls.json_schema(), declared=True)

    def with_inputs(self, addresses: Mapping[str, str]) -> Self:
        """The request with other addresses for some of :meth:`inputs`, which are not checked again."""
        same: Self = replaced(self, addresses)
        return same

    def expected(self) -> dict[str, Any]:
        """What this request itself asks for and a file can be held against; nothing that it leaves to the vendor.

        ``duration_s`` in seconds, ``resolution`` as ``"720p"``, ``aspect_ratio`` as ``"16:9"``, ``audio``.
        """
        seconds = self.seconds() if any(getattr(self, name, None) is not None for name in self.length_fields) else None
        known = {
            "duration_s": None if seconds is None else float(round(seconds, 3)),
            "resolution": getattr(self, "resolution", None),
            "aspect_ratio": getattr(self, "aspect_ratio", None),
            "audio": getattr(self, "generate_audio_switch", None),
        }
        return {name: value for name, value in known.items() if value is not None}

    def effective(self, name: str) -> Any:
        given = getattr(self, name, None)
        return self.describe(name).get("vendor_default") if given is None else given


def rule_of(model: type[VideoModel], name: str) -> str:
    """What a field allows, in words: for errors and tables."""
    return rule(model.describe(name))
