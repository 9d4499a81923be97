"""Request fields that a connection's owner forces or forbids: ``"fields": {"thinking_type": "disabled", "seed": null}``.

A value is forced: a request that leaves the field out is sent with it, and one that says something else is refused, because
what would be bought is not what its author wrote. ``null`` forbids the field: a request that sets it is refused, also in
``extra_fields`` and however it is spelt. A field holds for the models of the connection that have it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.core.vendors.extra_fields import spellings
from airflow_video_providers.core.vendors.field_errors import names_in, plain_name, shown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_video_providers.core.vendors.models import VideoModel


def read_fields(value: object) -> dict[str, Any]:
    """What ``fields`` in a connection's extra says, by the field's name; None under a name forbids it.

    :param value: A dict, or the same as JSON text, as a form and a URI hold it.
    :raises InvalidRequestError: it is no such thing.
    """
    given = value
    if isinstance(value, str):
        try:
            given = json.loads(value) if value.strip() else None
        except (ValueError, RecursionError):
            given = value
    if given is None:
        return {}
    if not isinstance(given, Mapping) or not all(isinstance(name, str) and name.strip() for name in given):
        allowed = '{"<field>": <its value>}, with null for a field that may not be sent'
        raise InvalidRequestError(
            f"fields in the connection's extra are {shown(value)}; they must be {allowed}.",
            field="fields",
            value=value,
            allowed=allowed,
        )
    return {name.strip(): forced for name, forced in given.items()}


def check_fields(value: object, vendor_id: str) -> None:
    """Read them as a whole: a forced field that no model of the vendor has would never be sent.

    :raises InvalidRequestError: they are malformed, or name such a field.
    """
    vendor = catalogue.vendors().get(vendor_id)
    if vendor is not None and vendor.open_ids:  # its models are not listed: a request of one says which fields it has
        return
    models = [model for name, model in catalogue.models().items() if name.partition(":")[0] == vendor_id]
    for name, forced in read_fields(value).items():
        if forced is not None and not any(_own_name(model, name) for model in models):
            raise InvalidRequestError(
                f"fields in the connection's extra force {name!r}, which no model of {vendor_id} has.",
                remedy="Correct the name: what cannot be sent cannot be forced.",
                vendor=vendor_id,
                field="fields",
                value=name,
            )


def with_fields(request: VideoModel, extra_fields: Mapping[str, Any], value: object) -> VideoModel:
    """The request with what the connection's owner forces.

    :param value: ``fields`` of the connection's extra.
    :raises InvalidRequestError: the request sets a field that is forbidden, or another value than is forced, or what is
        forced is not allowed by the model. Nothing was sent.
    """
    fields = read_fields(value)
    if not fields:
        return request
    check_fields(value, request.id.partition(":")[0])
    _refuse_forbidden(request, extra_fields, {name for name, forced in fields.items() if forced is None})
    model = type(request)
    forced = {
        own: value
        for name, value in fields.items()
        if value is not None and (own := _own_name(model, name, request.model_fields_set))
    }
    if not forced:
        return request
    given = {name: getattr(request, name) for name in request.model_fields_set}
    aliases = {name: details.alias or name for name, details in model.model_fields.items()}
    changed = model.parse({aliases.get(name, name): value for name, value in {**given, **forced}.items()})
    for name in forced:
        # a request for a model that is not listed has no attribute of what it leaves out
        written, owners = getattr(request, name, None), getattr(changed, name)
        if name in request.model_fields_set and written is not None and written != owners:
            raise InvalidRequestError(
                f"The field {name!r} is {shown(written)}; the connection's owner allows {shown(owners)} alone.",
                remedy="Leave the field out, and it is sent as the owner wants it; or take it out of fields in the "
                "connection's extra.",
                model=request.id,
                field=name,
                value=written,
                allowed=str(owners),
            )
    return changed


def _refuse_forbidden(request: VideoModel, extra_fields: Mapping[str, Any], forbidden: set[str]) -> None:
    spelt = {plain_name(name) for name in forbidden}
    own = {_own_name(type(request), name, request.model_fields_set) for name in forbidden}
    written = [name for name in request.model_fields_set if name in own and getattr(request, name) is not None]
    written += [name for _, name, _ in names_in(dict(extra_fields)) if plain_name(name) in spelt]
    if written:
        raise InvalidRequestError(
            f"The field {written[0]!r} may not be sent with this connection: its owner forbids it.",
            remedy="Leave the field out, or take it out of fields in the connection's extra.",
            model=request.id,
            field=written[0],
        )


def _own_name(model: type[VideoModel], name: str, written: Iterable[str] = ()) -> str | None:
    """The name under which the model has this field, however it is spelt.

    :param written: Names that a request of it holds: a model that is not listed has no others, but for its schema's.
    """
    if (own := spellings(model).get(plain_name(name))) is not None:
        return own
    others = [*written, *model.json_schema().get("properties", {})]
    return next((other for other in others if plain_name(other) == plain_name(name)), None)
