"""Models that the catalogue does not list, in an operator: the pinned schema beside the DAG, or none on purpose."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.vendors import catalogue

if TYPE_CHECKING:
    from airflow_video_providers.core.vendors.models import VideoModel


def model_of(task: Any, model: str) -> type[VideoModel]:
    """The model that a task buys, with the schema that its requests are held to.

    :raises InvalidRequestError: there is no such model, or the schema file cannot be used.
    """
    return catalogue.find(model, schema=_pinned(task), unchecked=bool(getattr(task, "unchecked", False)))


def waits_for_its_dag(task: Any) -> bool:
    """Does only the DAG, which the task has not got yet, say where its schema file is?"""
    named = getattr(task, "schema", None)
    return bool(named) and not Path(str(named)).is_absolute() and _folder(task) is None


def _pinned(task: Any) -> Any:
    named = getattr(task, "schema", None)
    if not named:
        return None
    from airflow_video_providers.core.vendors.schema_files import read_schema  # only who pins a schema needs it

    return read_schema((_folder(task) or Path()) / named)


def _folder(task: Any) -> Path | None:
    """The folder of the DAG's file, which a relative path starts from."""
    dag = task.dag if task.has_dag() else None
    place = getattr(dag, "fileloc", None)
    return Path(place).parent if place else None
