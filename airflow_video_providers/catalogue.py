"""Every vendor and model by its id. A new vendor is one line here; a private one, an entry point elsewhere."""

from __future__ import annotations

import difflib
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from airflow_video_providers.exceptions import InvalidRequestError
from airflow_video_providers.models import VideoModel

if TYPE_CHECKING:
    from airflow_video_providers.vendors.base import Vendor

_VENDORS = {
    "pixazo": "airflow_video_providers.vendors.pixazo:Pixazo",
    "appypie": "airflow_video_providers.vendors.appypie:AppyPie",
    "segmind": "airflow_video_providers.vendors.segmind:Segmind",
}
#: Distributions add a vendor with ``name = "module:Class"`` in this entry point group.
ENTRY_POINT_GROUP = "airflow_video_providers.vendors"


@cache
def vendors() -> dict[str, type[Vendor]]:
    """All vendors by id; loading them registers their models."""
    found = {}
    for vendor_id, place in _VENDORS.items():
        module, _, name = place.partition(":")
        found[vendor_id] = getattr(import_module(module), name)
    for point in entry_points(group=ENTRY_POINT_GROUP):
        found[point.name] = point.load()
    return found


def models() -> dict[str, type[VideoModel]]:
    """All models by id."""
    vendors()
    return dict(VideoModel.registry)


def find(model: str) -> type[VideoModel]:
    """The model with this id.

    :raises InvalidRequestError: there is none; the message names the nearest.
    """
    known = models()
    if isinstance(model, str) and model in known:
        return known[model]
    nearest = difflib.get_close_matches(str(model), known, n=1, cutoff=0.0)
    raise InvalidRequestError(
        f"There is no model {model!r}.",
        remedy=f"The nearest is {nearest[0]!r}; all are: {', '.join(sorted(known))}.",
        field="model",
        value=model,
        allowed=", ".join(sorted(known)),
    )


def vendor_of(model: str) -> type[Vendor]:
    """The vendor of the model with this id.

    :raises InvalidRequestError: there is no such model.
    """
    return vendors()[find(model).id.partition(":")[0]]
