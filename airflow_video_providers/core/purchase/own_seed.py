"""A seed of our own, for ``make_unique``: of equal requests no two are sent equal, so that a vendor's history distinguishes them."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.purchase.owner_fields import read_fields
from airflow_video_providers.core.vendors.field_errors import plain_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_video_providers.core.vendors.models import VideoModel

_FIELD = "seed"
#: What every API that takes a seed can hold.
_HIGHEST = 2**31 - 1
#: Of fewer seeds than this two equal requests might get the same one.
_FEWEST = 2**20


def own_seed(request: VideoModel, owners: object) -> int | None:
    """A seed for this request; None where its author sets one, the model takes none that is known, or its owner forbids it.

    :param owners: ``fields`` of the connection's extra.
    """
    if any(plain_name(name) == _FIELD for name in (*request.body(), *read_fields(owners))):
        return None  # extra_fields hold none that is known: they are refused
    low, high = _range(type(request).describe(_FIELD))
    return low + secrets.randbelow(high - low + 1) if high - low >= _FEWEST else None


def with_seed(request: VideoModel, seed: int) -> VideoModel:
    """The request with that seed."""
    return request.model_copy(update={_FIELD: seed})


def _range(described: Mapping[str, Any]) -> tuple[int, int]:
    for choice in (described, *described.get("anyOf", ()), *described.get("oneOf", ())):
        if choice.get("type") == "integer" and not choice.keys() & {"enum", "const", "multipleOf"}:
            return max(0, int(choice.get("minimum", 0))), min(_HIGHEST, int(choice.get("maximum", _HIGHEST)))
    return 0, 0
