"""Every vendor and model by its id. A new vendor is one line here; a private one, an entry point elsewhere."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.vendors.field_errors import shown
from airflow_video_providers.core.vendors.models import VideoModel

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from airflow_video_providers.core.vendors.base import Vendor
    from airflow_video_providers.core.vendors.schema_files import SchemaFile

_VENDORS = {
    "pixazo": "airflow_video_providers.core.vendors.pixazo:Pixazo",
    "appypie": "airflow_video_providers.core.vendors.appypie:AppyPie",
    "segmind": "airflow_video_providers.core.vendors.segmind:Segmind",
    "fal": "airflow_video_providers.core.vendors.fal:Fal",
    "replicate": "airflow_video_providers.core.vendors.replicate:Replicate",
}
#: Distributions add a vendor with ``name = "module:Class"`` in this entry point group.
ENTRY_POINT_GROUP = "airflow_video_providers.vendors"
#: Distributions add models of a vendor that is there already with ``any_name = "module"`` in this one.
MODELS_GROUP = "airflow_video_providers.models"


@cache
def _vendor(vendor_id: str) -> type[Vendor] | None:
    """The vendor with this id; loading it registers its models. Parsing a DAG loads no others."""
    if place := _VENDORS.get(vendor_id):
        module, _, name = place.partition(":")
        vendor: type[Vendor] = getattr(import_module(module), name)
        return vendor
    for point in entry_points(group=ENTRY_POINT_GROUP, name=vendor_id):
        return _loaded(point)  # type: ignore[no-any-return] # what a distribution registers is its own promise
    return None


@cache
def vendors() -> dict[str, type[Vendor]]:
    """All vendors by id."""
    ids = [*_VENDORS, *entry_points(group=ENTRY_POINT_GROUP).names]
    return {vendor_id: vendor for vendor_id in ids if (vendor := _vendor(vendor_id))}


@cache
def _load_private_models() -> None:
    """Importing a module registers its models, in whichever of Airflow's processes asks."""
    for point in entry_points(group=MODELS_GROUP):
        _loaded(point)


def _loaded(point: EntryPoint) -> Any:
    """What a distribution registers.

    :raises InvalidRequestError: it cannot be imported.
    """
    try:
        return point.load()
    except Exception as failed:
        raise InvalidRequestError(
            f"{point.value}, which a distribution registers in the group {point.group!r}, cannot be imported: "
            f"{type(failed).__name__}: {shown(str(failed))}.",
            remedy="Correct or uninstall that distribution, then run the task again.",
            field="model",
        ) from failed


def models() -> dict[str, type[VideoModel]]:
    """All models by id."""
    vendors()
    _load_private_models()
    return dict(VideoModel.registry)


def find(model: str, *, schema: SchemaFile | None = None, unchecked: bool = False) -> type[VideoModel]:
    """The model with this id; of a vendor that serves any model, whatever the id names.

    :param schema: What requests for a model that is not listed are checked against.
    :param unchecked: Let them pass without.
    :raises InvalidRequestError: there is none; the message names the nearest. Or a schema is given for a listed model.
    """
    if isinstance(model, str):
        vendor = _vendor(model.partition(":")[0])
        if model not in VideoModel.registry:
            _load_private_models()
        if model in VideoModel.registry:
            if schema is not None:
                raise InvalidRequestError(
                    f"The catalogue knows the fields of {model}: a schema of your own is not asked.",
                    remedy="Leave schema out.",
                    model=model,
                    field="schema",
                )
            return VideoModel.registry[model]
        if vendor is not None and (problem := vendor.open_problem(model.partition(":")[2])) is None:
            from airflow_video_providers.core.vendors.open_models import open_model  # a DAG of listed models needs none

            return open_model(vendor, model, schema, unchecked=unchecked)
        if vendor is not None and problem:
            raise InvalidRequestError(
                f"There is no model {shown(model)}: {problem}.", field="model", value=model, allowed=vendor.open_ids
            )
    import difflib  # only an error needs it

    known = models()
    nearest = difflib.get_close_matches(shown(model).strip("'"), known, n=3, cutoff=0.0)
    nothing = model is None or (isinstance(model, str) and not model.strip())
    raise InvalidRequestError(
        "The model is empty: nothing was given, or its template rendered to nothing."
        if nothing
        else f"There is no model {shown(model)}.",
        remedy=f"The nearest are {', '.join(map(repr, nearest))}.",
        field="model",
        value=model,
        allowed=", ".join(nearest),
    )


def vendor_of(model: str) -> type[Vendor]:
    """The vendor of the model with this id.

    :raises InvalidRequestError: there is no such model, or nobody serves it.
    """
    vendor = _vendor(find(model).id.partition(":")[0])
    if vendor is None:
        raise InvalidRequestError(
            f"The model {model!r} is known and its vendor is not.",
            remedy=f"Register the vendor as an entry point in the group {ENTRY_POINT_GROUP!r}.",
            field="model",
            value=model,
        )
    return vendor
