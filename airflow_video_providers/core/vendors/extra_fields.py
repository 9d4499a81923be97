"""Fields that the catalogue does not know, beside a request's own."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.vendors.field_errors import names_in, plain_name, shown

if TYPE_CHECKING:
    from airflow_video_providers.core.vendors.models import VideoModel


def refuse_known(request: VideoModel, extra_fields: Mapping[str, Any], owned: Iterable[str] = ()) -> None:
    """``extra_fields`` are for what the catalogue does not know: they must not bypass its checks and its price.

    A name counts as known however it is spelt, and under whatever name it goes over the wire. Deeper inside, only
    fields of text may have a namesake: a price hangs on the others. A model that is not listed knows what its pinned
    schema names, what the request has set, and what its length hangs on.

    :param owned: Names of which the connection's owner speaks: forced fields, and conditions of prices.
    :raises InvalidRequestError: one of them is known, or they are no dict.
    """
    if not isinstance(extra_fields, Mapping):
        raise InvalidRequestError(
            f"extra_fields are {shown(extra_fields)}.", model=request.id, field="extra_fields", allowed="a dict"
        )
    if not extra_fields:
        return
    spelt = spellings(type(request))
    if not request.listed:
        names = (*type(request).json_schema().get("properties", {}), *request.length_fields)
        spelt |= {plain_name(name): name for name in names}
    priced = {plain for plain, name in spelt.items() if not request.is_text(name)}
    priced.update(map(plain_name, owned))
    with warnings.catch_warnings(action="ignore"):  # pydantic's, about values that stand in for others
        on_the_wire = {plain_name(name): name for _, name, _ in names_in(_fullest(request).body())}
    for depth, name, value in names_in(dict(extra_fields)):
        plain = plain_name(name)
        if plain in priced or (depth == 0 and plain in spelt.keys() | on_the_wire.keys()):
            raise InvalidRequestError(
                f"extra_fields holds {name!r:.80}, which {request.id} knows as "
                f"{spelt.get(plain) or on_the_wire.get(plain, name)!r:.80}.",
                remedy="Move it into request.",
                model=request.id,
                field=name,
                value=value,
            )


def spellings(model: type[VideoModel]) -> dict[str, str]:
    """A model's own fields by each name that they have, as it is compared."""
    spelt: dict[str, str] = {}
    for name, details in model.model_fields.items():
        others = (details.alias, details.serialization_alias, details.validation_alias)
        spelt |= {plain_name(other): name for other in (name, *others) if isinstance(other, str)}
    return spelt


def _fullest(request: VideoModel) -> VideoModel:
    """A request with every field set, as far as its model can make a body of such a one: for the names in it."""
    given = {name: getattr(request, name) for name in (*type(request).model_fields, *(request.model_extra or ()))}
    filled = {name: request.effective(name) if value is None else value for name, value in given.items()}
    construct: Any = request.model_construct
    try:
        with warnings.catch_warnings(action="ignore"):
            whole: VideoModel = construct(**{name: 1 if value is None else value for name, value in filled.items()})
            whole.body()
    except Exception:  # noqa: BLE001 - a private model's own method got values that it did not expect
        return request
    return whole
