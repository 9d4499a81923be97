"""The cheapest request for a model: for one real clip that only has to show how the vendor answers. Pure."""

from __future__ import annotations

import itertools
import warnings
from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.purchase.price_list import names_of, required_of, rows_of
from airflow_video_providers.core.purchase.pricing import Estimate, estimate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_video_providers.core.vendors.models import VideoModel

PROMPT = "A paper boat on a calm pond"
#: No more requests than this are compared.
_MOST = 5000


def cheapest(model: type[VideoModel], given: Mapping[str, Any], prices: object = None) -> tuple[VideoModel, Estimate]:
    """The request with the lowest estimate, and that estimate: of what a price hangs on and nobody has set, every choice is tried.

    A prompt is added where none is given. Where no price is known, the request is the plainest one that the model takes.

    :param given: Fields that are set: a first frame, a field of a model that the catalogue does not list.
    :param prices: ``prices`` of the connection's extra.
    :raises InvalidRequestError: a field is wrong, or one is needed that nobody can guess, such as an image.
    """
    names = names_of(model)
    fixed = dict(given)
    if "prompt" not in fixed and (not names or "prompt" in names):
        fixed["prompt"] = PROMPT
    found: list[tuple[VideoModel, Estimate, int]] = []
    for disputed in (False, True):  # what the documents contradict themselves on, only where there is nothing else
        for chosen in itertools.islice(_choices(model, fixed, prices), _MOST):
            with warnings.catch_warnings(record=True) as contradictions:
                warnings.simplefilter("always")
                request = model.parse({**fixed, **chosen})
                cost = estimate(request, prices)
            if disputed or not contradictions:
                found.append((request, cost, len(chosen)))
        if found:
            break
    request, cost, _ = min(found, key=lambda one: (one[1].usd is None, one[1].usd or 0, one[2]))
    return request, cost


def _choices(model: type[VideoModel], fixed: Mapping[str, Any], prices: object) -> Iterator[dict[str, Any]]:
    """Values for the fields that a price hangs on, and for those that a request needs and that list their values."""
    own = rows_of(model, prices)
    hanging = {name for row in (model.prices if own is None else own) for name in row.when} | {"duration"}
    needed = set(required_of(model))
    open_fields: dict[str, list[Any]] = {}
    for name in sorted((hanging | needed) & names_of(model) - fixed.keys()):
        values = _values(model.describe(name))
        if name in needed and name not in hanging:
            values = values[:1]
        if values:
            open_fields[name] = values if name in needed else [None, *values]
    for chosen in itertools.product(*open_fields.values()):
        yield {name: value for name, value in zip(open_fields, chosen, strict=True) if value is not None}


def _values(schema: Mapping[str, Any]) -> list[Any]:
    """What a field may be, as far as its schema lists it; of a number the smallest."""
    if isinstance(schema.get("enum"), list):
        return list(schema["enum"])
    if schema.get("type") == "boolean":
        return [False, True]
    smallest = schema.get("minimum")
    return [] if smallest is None else [smallest]
