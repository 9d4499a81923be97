"""What a model's fields are made of: the types of their values, and how they are declared."""

from __future__ import annotations

import os
import re
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_TEMPLATE = re.compile(r"\{\{|\{%")


def is_template(value: object) -> bool:
    """Does the value hold Jinja, so that only rendering shows what it is?"""
    return isinstance(value, str) and _TEMPLATE.search(value) is not None


def comes_later(value: object) -> bool:
    """Is the value known only when the task runs: Jinja, the output of another task, or a function Airflow calls?"""
    function = callable(value) and not isinstance(value, type)
    return is_template(value) or function or callable(getattr(value, "resolve", None))


#: No amount, price or length is larger, finer or longer than this: what is would be a slip, or break the arithmetic.
_MOST, _FINEST, _DIGITS = Decimal(1_000_000), Decimal("1e-9"), 30


def bounded(value: object) -> Decimal | None:
    """The number in ``value``, where it is one of zero or more that can be reckoned with."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    try:
        number = Decimal(str(value).strip())
    except (InvalidOperation, ValueError):  # the second for an integer of thousands of digits
        return None
    if not number.is_finite() or len(number.as_tuple().digits) > _DIGITS:
        return None
    return abs(number) if number == 0 or _FINEST <= number <= _MOST else None


def switch(extra: Mapping[str, Any], name: str, *, default: bool) -> bool:
    """What a connection's extra says where it may say true or false; ``default`` where it says nothing.

    :raises ValueError: it says something else.
    """
    value = extra.get(name)
    if isinstance(value, str):  # so a URI holds it
        value = {"true": True, "false": False, "": None}.get(value.strip().lower(), value)
    if value is None:  # a form that was not filled in
        return default
    if not isinstance(value, bool):
        raise ValueError(f"{name} is neither true nor false")  # noqa: TRY004 - as for text that says neither
    return value


def _not_blank(text: str) -> str:
    if not text.strip():
        raise PydanticCustomError("blank", "must not be blank")
    return text


def _http_url(url: str) -> str:
    parts = urlsplit(url)  # it forgives white space, and vendors do not
    if parts.scheme not in ("http", "https") or not parts.hostname or any(map(str.isspace, url)):
        raise PydanticCustomError("http_url", "must be a public http or https address")
    return url


#: An object in a bucket: the part before the @ is an Airflow connection.
_STORED = re.compile(r"(?:s3a?|s3n|gs|gcs|abfss?|adl)://(?:[^@/:?#\s]+@)?[^@/?#\s]+/[^?#]*[^?#/]", re.IGNORECASE)


def is_stored(address: str) -> bool:
    """Is it an object in a bucket, or a local file: something that a vendor cannot fetch as it is written?"""
    if not address.isprintable() or ".." in address.split("/"):
        return False
    if address.startswith(("/", "file:///")):
        return not address.endswith("/") and not (address.startswith("file:") and {"?", "#"} & set(address))
    return _STORED.fullmatch(address) is not None


def as_address(value: object) -> object:
    """A path object as the text that stands for it, with its connection; anything else as it is."""
    if hasattr(value, "protocol") and hasattr(value, "path"):  # ObjectStoragePath, in some releases a PathLike too
        return value.path if value.protocol in ("", "file", "local") else str(value)
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _image_address(address: str) -> str:
    return address if is_stored(address) else _http_url(address)


def whole_number(value: object) -> object:
    """``"5"`` and ``5.0`` are 5: that is what Jinja and JSON make of a number."""
    if isinstance(value, str) and value.strip().isdigit():
        return int(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


#: Text that must say something.
Text = Annotated[str, AfterValidator(_not_blank), WithJsonSchema({"type": "string", "pattern": r"\S"})]
#: An address the vendor fetches itself.
HttpUrl = Annotated[
    str, AfterValidator(_http_url), WithJsonSchema({"type": "string", "format": "uri", "pattern": r"^https?://\S+$"})
]
#: An image: an address that the vendor fetches itself, or an object in a bucket or a local file, lent to it at the submit.
ImageAddress = Annotated[
    str,
    BeforeValidator(as_address),
    AfterValidator(_image_address),
    WithJsonSchema(
        {"type": "string", "format": "uri", "pattern": r"^(https?|s3a?|s3n|gs|gcs|abfss?|adl|file)://\S|^/."}
    ),
]
#: Put before a ``Literal`` of integers, so that rendered text is understood too.
WholeNumber = BeforeValidator(whole_number)
#: A number that is sent as an integer where it is one: :meth:`VideoModel.body`.
Number = float


def optional(
    description: str,
    *,
    vendor_default: object = None,
    unit: str | None = None,
    disputed: Mapping[object, str] | None = None,
    **constraints: Any,
) -> Any:
    """A field that is not sent unless the author sets it.

    :param vendor_default: What the vendor's document says it assumes: for tables and prices, never sent.
    :param unit: The unit of a number.
    :param disputed: Values on which the documents disagree, with the disagreement: accepted with a warning.
    """
    return Field(default=None, description=description, **_extras(vendor_default, unit, disputed), **constraints)


def required(description: str, *, unit: str | None = None, **constraints: Any) -> Any:
    """A field that the vendor's document requires."""
    return Field(description=description, **_extras(None, unit, None), **constraints)


def image(description: str, *, media_types: Sequence[str] = (), required: bool = True) -> Any:
    """A field that takes an image (:data:`ImageAddress`).

    :param media_types: The types that the vendor's document names, for example ``"image/png"``. None: it names none.
    """
    extra: Any = {"json_schema_extra": {"image_types": list(media_types)}}
    return (
        Field(description=description, **extra) if required else Field(default=None, description=description, **extra)
    )


def _extras(vendor_default: object, unit: str | None, disputed: Mapping[object, str] | None) -> dict[str, Any]:
    # The names of a JSON object are strings.
    named = disputed and {str(value): why for value, why in disputed.items()}
    known = {"vendor_default": vendor_default, "unit": unit, "disputed": named}
    return {"json_schema_extra": {name: value for name, value in known.items() if value is not None}}
