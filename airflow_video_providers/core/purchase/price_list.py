"""The connection's own prices, as its owner wrote them: one amount per model, or rows with conditions.

``prices`` of the extra is an object by model id, or the same as JSON text. Under an id stands an amount of US dollars per
generation, or a row, or a list of rows::

    {"usd": 0.045, "per": "second", "when": {"resolution": "720p", "generate_audio_switch": false}}

The first row whose conditions all hold is the price. A request that no row covers has no known price: neither 0 nor
the documented one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, cast

from pydantic import TypeAdapter, ValidationError

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.core.vendors.field_errors import rule, shown
from airflow_video_providers.core.vendors.fields import bounded
from airflow_video_providers.core.vendors.models import Price

if TYPE_CHECKING:
    from airflow_video_providers.core.vendors.models import VideoModel

#: More rows than this for one model are a slip.
MOST_ROWS = 1000
_UNITS = ("generation", "second")
_AMOUNT = "an amount of US dollars, zero or more"
_ENTRY = (
    '{"<model id>": <US dollars>}, {"<model id>": {"usd": <US dollars>, "per": "second"}} or {"<model id>": [<rows>]}, '
    'each row {"usd": <US dollars>, "per": "generation" or "second", "when": {"<field>": <value, or a list of values>}}'
)


def rows_of(model: type[VideoModel], prices: object) -> tuple[Price, ...] | None:
    """The connection's price list of one model; None where it has none.

    :param prices: ``prices`` of the connection's extra.
    :raises InvalidRequestError: ``prices`` or this model's entry in it is malformed.
    """
    entries = _entries(prices)
    return _read(model, entries[model.id]) if model.id in entries else None


def check_prices(prices: object, vendor: str) -> dict[str, int]:
    """Read all of a connection's prices, and count the rows of each model.

    :param vendor: Id of the vendor whose connection it is.
    :raises InvalidRequestError: something in it is malformed, or names a model that this connection never buys.
    """
    counted: dict[str, int] = {}
    for model_id, entry in _entries(prices).items():
        try:
            model = catalogue.find(model_id)
        except InvalidRequestError as wrong:
            raise wrong.replace(what=f"prices in the connection's extra: {wrong.what}", field="prices") from None
        if catalogue.vendor_of(model_id).id != vendor:
            raise InvalidRequestError(
                f"prices in the connection's extra names {model_id!r}, which another vendor serves.",
                remedy="Move it into a connection of that vendor.",
                vendor=vendor,
                field="prices",
                value=model_id,
            )
        counted[model_id] = len(_read(model, entry))
    return counted


def _entries(prices: object) -> Mapping[str, Any]:
    """The connection's prices: a form and a URI hold them as JSON text."""
    if isinstance(prices, str):
        try:
            prices = json.loads(prices) if prices.strip() else None
        except (ValueError, RecursionError):
            raise _refusal("prices", f"is {shown(prices)}", prices, _ENTRY) from None
    if prices is None:
        return {}
    if not isinstance(prices, Mapping):
        raise _refusal("prices", f"is {shown(prices)}", prices, _ENTRY)
    return prices


def _read(model: type[VideoModel], entry: object) -> tuple[Price, ...]:
    name = f"prices[{model.id!r}]"
    if not isinstance(entry, list):
        return (_row(model, entry if isinstance(entry, Mapping) else {"usd": entry}, name, "the connection's prices"),)
    if not 0 < len(entry) <= MOST_ROWS:
        raise _refusal(name, f"has {len(entry)} rows", None, f"1 to {MOST_ROWS} rows")
    rows: list[Price] = []
    for number, given in enumerate(entry, start=1):
        row = _row(model, given, f"{name}, row {number},", f"the connection's prices, row {number}")
        for earlier, before in enumerate(rows, start=1):
            if _covers(before, row):
                raise _refusal(
                    f"{name}, row {number},",
                    f"can never hold: row {earlier} comes first and covers all that it does",
                    given,
                    "rows of which each covers something that those before it do not: add the condition that sets them "
                    "apart, or put the row with fewer conditions last",
                )
        rows.append(row)
    return tuple(rows)


def _row(model: type[VideoModel], given: object, name: str, basis: str) -> Price:
    if not isinstance(given, Mapping) or (unknown := sorted(map(str, given.keys() - {"usd", "per", "when"}))):
        what = f"is {shown(given)}" if not isinstance(given, Mapping) else f"holds {', '.join(unknown):.80}"
        raise _refusal(name, what, given, '{"usd": <US dollars>, "per": "generation" or "second", "when": {...}}')
    usd, per, when = bounded(given.get("usd")), given.get("per", "generation"), given.get("when", {})
    if usd is None:
        raise _refusal(name, f"costs {shown(given.get('usd'))}", given.get("usd"), f"usd as {_AMOUNT}")
    if per not in _UNITS:
        raise _refusal(name, f"is per {shown(per)}", per, "per generation or per second")
    if not isinstance(when, Mapping):
        raise _refusal(name, f"holds when {shown(when)}", when, 'when as an object: {"<field>": <value>}')
    conditions = {str(field): _values(model, str(field), value, name) for field, value in when.items()}
    return Price(usd, cast("Any", per), f"{basis}: per {per}", conditions)


def _values(model: type[VideoModel], field: str, given: object, name: str) -> frozenset[object]:
    """The values of a field for which a row holds, in the types that a request has."""
    known = names_of(model)
    if known and field not in known:
        fields = ", ".join(sorted(known))
        what = f"holds when on {shown(field)}, a field that {model.id} does not have"
        raise _refusal(name, what, field, f"one of {fields}")
    schema = model.describe(field)
    default = schema.get("vendor_default" if model.listed else "default")
    optional = field not in required_of(model) and default is None
    allowed = f"{field} as {rule(schema)}" + (", or null where it is not set" if optional else "")
    found = set()
    for value in given if isinstance(given, list) else [given]:
        text = str(value) if schema.get("type") == "string" and type(value) in (int, float) else value
        try:
            checked = _listed(model, field, text) if model.listed else _open(model, field, text)
            wrong = (isinstance(value, bool) and not isinstance(checked, bool)) or (checked is None and not optional)
            found.add(checked)
        except (ValidationError, ValueError, TypeError):  # the last for what no row can be looked up by
            wrong = True
        if wrong:
            raise _refusal(name, f"holds when {field} is {shown(value)}", value, allowed)
    if not found:
        raise _refusal(name, f"holds when {field} is nothing", given, allowed)
    return frozenset(found)


def names_of(model: type[VideoModel]) -> frozenset[str]:
    """The fields of a model; none where it is not listed and no schema says them."""
    return frozenset(model.model_fields if model.listed else model.json_schema().get("properties", {}))


def required_of(model: type[VideoModel]) -> list[str]:
    """The fields that a request for it needs."""
    if not model.listed:
        return [str(name) for name in model.json_schema().get("required", [])]
    return [name for name, details in model.model_fields.items() if details.is_required()]


def _listed(model: type[VideoModel], field: str, value: object) -> Any:
    """A value, checked as a request checks it."""
    return _adapter(model, field).validate_python(value)


def _open(model: type[VideoModel], field: str, value: object) -> object:
    """The same for a model that the catalogue does not list: by its pinned schema, where there is one.

    :raises ValueError: it does not fit.
    """
    # where a model is not listed only
    from airflow_video_providers.core.vendors.schema_checks import errors_of, validator_of

    if value is not None:
        errors = errors_of(validator_of(model.json_schema()), {field: value})
        if any(list(error.absolute_path)[:1] == [field] for error in errors):
            raise ValueError(field)
    return value


@lru_cache(maxsize=1000)
def _adapter(model: type[VideoModel], field: str) -> TypeAdapter[Any]:
    """What checks one value of a field, as a request does."""
    model.describe(field)  # which builds the model
    details = model.model_fields[field]
    kind: Any = details.annotation
    return TypeAdapter(Annotated[kind, *details.metadata] if details.metadata else kind)


def _covers(before: Price, row: Price) -> bool:
    """Does ``before`` hold wherever ``row`` does?"""
    wanted = cast("Mapping[str, frozenset[object]]", row.when)
    return all(
        field in wanted and wanted[field] <= cast("frozenset[object]", values) for field, values in before.when.items()
    )


def _refusal(name: str, what: str, value: object, allowed: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"{name} in the connection's extra {what}; it must be {allowed}.",
        field=name.partition(",")[0],
        value=value,
        allowed=allowed,
    )
