"""``video-models``: the catalogue for people, and the estimate that a submit would have."""

from __future__ import annotations

import inspect
import json
import sys
import warnings
from typing import TYPE_CHECKING, Any, TextIO

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.purchase.price_list import names_of, required_of, rows_of
from airflow_video_providers.core.purchase.pricing import Estimate, estimate
from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.core.vendors.field_errors import shown
from airflow_video_providers.core.vendors.models import rule_of
from airflow_video_providers.core.vendors.schema_files import read_schema
from airflow_video_providers.integration.commands.opened import see_the_database
from airflow_video_providers.integration.ledger_listing import printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from airflow_video_providers.core.vendors.models import Price, VideoModel


def run_list(args: argparse.Namespace, out: TextIO) -> int:
    """Print models with their fields and prices."""
    known = catalogue.models()
    wanted: dict[str, type[VideoModel]] = {}
    for name in args.models or sorted(known):
        of_vendor = [one for one in sorted(known) if one.partition(":")[0] == name]
        wanted |= {one: catalogue.find(one) for one in of_vendor or [name]}
    described = []
    for model in wanted.values():
        own = None
        if args.conn_id and _serves(args.conn_id, model):
            own = rows_of(model, _prices(model.id, args.conn_id))
        described.append(_described(model, model.prices if own is None else own))
    if args.output == "json":
        out.write(json.dumps(described, indent=2) + "\n")
    else:
        for one in described:
            out.writelines(f"{printable(line)}\n" for line in _lines(one))
    return 0


def run_estimate(args: argparse.Namespace, out: TextIO) -> int:
    """Print what a request is thought to cost."""
    model = catalogue.find(
        args.model, schema=read_schema(args.schema) if args.schema else None, unchecked=not args.schema
    )
    try:
        given = json.loads(args.request)
    except (ValueError, RecursionError) as wrong:
        raise InvalidRequestError(
            f"The request is {shown(args.request)}, which is no JSON.",
            remedy="Quote it for the shell: '{\"duration\": 5}'.",
            field="request",
            allowed="a JSON object of the model's fields",
        ) from wrong
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always")
        request, lacking = _partial(model, given)
        prices = _prices(model.id, args.conn_id) if args.conn_id else None
        cost = estimate(request, prices)
    for note in notes:
        sys.stderr.write(f"{printable(str(note.message))}\n")
    if args.output == "json":
        record = {
            "model": model.id,
            "usd": None if cost.usd is None else str(cost.usd),
            "basis": cost.basis,
            "lacking": lacking,
        }
        out.write(json.dumps(record, indent=2) + "\n")
        return 0
    out.write(f"{model.id}: {cost if cost.usd is not None else _unknown(model, prices, cost)}\n")
    if lacking:
        out.write(f"A submit needs {', '.join(lacking)}, too.\n")
    return 0


def _unknown(model: type[VideoModel], prices: object, cost: Estimate) -> str:
    whose = "the connection's prices have" if rows_of(model, prices) is not None else "the documents name"
    return f"{cost}: {whose} none for this request. It is not 0; a limit refuses it."


def _partial(model: type[VideoModel], given: Any) -> tuple[VideoModel, list[str]]:
    """The request with what is given checked, and what a submit would need beside it."""
    lacking = []
    if isinstance(given, dict):
        lacking = [name for name in required_of(model) if given.get(name) is None]
        given = given | dict.fromkeys(lacking, "{{ lacking }}")
    return model.parse(given, rendered=False), lacking


def _serves(conn_id: str, model: type[VideoModel]) -> bool:
    from airflow.providers.common.compat.sdk import BaseHook

    see_the_database()
    try:
        kind = BaseHook.get_connection(conn_id).conn_type
    except Exception as error:
        from airflow_video_providers.hooks.base import VideoHook

        raise VideoHook.for_model(model.id, conn_id).unavailable(error) from error
    return bool(kind == model.id.partition(":")[0])


def _prices(model: str, conn_id: str) -> object:
    from airflow_video_providers.hooks.base import VideoHook

    see_the_database()
    return VideoHook.for_model(model, conn_id).settings.extra.get("prices")


def _described(model: type[VideoModel], prices: Iterable[Price]) -> dict[str, Any]:
    def field(name: str) -> dict[str, Any]:
        schema = model.describe(name)
        known = {
            "required": name in required_of(model),
            "allowed": rule_of(model, name),
            "unit": schema.get("unit"),
            "vendor_default": schema.get("vendor_default"),
            "meaning": schema.get("description"),
        }
        return {key: value for key, value in known.items() if value is not None}

    return {
        "model": model.id,
        "what": inspect.cleandoc(model.__doc__ or "").partition("\n")[0].replace("``", ""),
        "documentation": model.documentation,
        "fields": {name: field(name) for name in (model.model_fields if model.listed else names_of(model))},
        "prices": [_price(line) for line in prices],
    }


def _price(line: Price) -> dict[str, Any]:
    when = {
        name: sorted(value, key=str) if isinstance(value, frozenset) and len(value) > 1
        else next(iter(value)) if isinstance(value, frozenset) else value
        for name, value in line.when.items()
    }  # fmt: skip
    return {"usd": str(line.usd), "per": line.per, "when": when, "basis": line.basis}


def _lines(model: dict[str, Any]) -> Iterable[str]:
    yield f"{model['model']}  {model['what']}"
    width = max(map(len, model["fields"]), default=0)
    for name, field in model["fields"].items():
        unit = f" {field['unit']}" if "unit" in field else ""
        default = f" [{json.dumps(field['vendor_default'])}]" if "vendor_default" in field else ""
        needed = ", required" if field["required"] else ""
        yield f"  {name.ljust(width)}  {field['allowed']}{unit}{default}{needed}"
    for line in model["prices"]:
        when = ", ".join(f"{name}={json.dumps(value)}" for name, value in line["when"].items())
        yield f"  ${line['usd']} per {line['per']}{' where ' if when else ''}{when}  ({line['basis']})"
    if not model["prices"]:
        yield "  no price is documented"
