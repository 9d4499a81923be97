"""Buttons on a task in Airflow's user interface.

A link is computed in the worker when the task ends or defers, and stored as an XCom under a fixed key; the API
server only reads that. None ever holds a signature: what a person may see is decided where the link leads.

A landed file has a browsable address only on some storages. Amazon's and Google's consoles show an object to whoever
is signed in there and may read it; an ``http(s)`` address stands for itself. A local file, an object on Azure (its
portal needs ids that no address holds), and anything behind an endpoint of its own have none, and no button.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from airflow.providers.common.compat.sdk import BaseHook, BaseOperatorLink

from airflow_video_providers.core.errors import InvalidRequestError

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

_S3 = ("s3", "s3a", "s3n")
_GOOGLE = ("gs", "gcs")
#: Where one of these is set, objects are somewhere else than in the vendor's own cloud.
_OTHER_ENDPOINTS = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "STORAGE_EMULATOR_HOST")
#: Regions that belong to consoles of their own.
_OTHER_CONSOLES = ("cn-", "us-gov-", "us-iso")


class ModelDocumentationLink(BaseOperatorLink):
    """The vendor's documentation of the model."""

    name = "Model documentation"
    xcom_key = "video_model_documentation"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002 # Airflow's signature
        """The address, or nothing where the task does not know its model."""
        from airflow_video_providers.core.jobs import read_job

        model = getattr(operator, "model", None)
        try:
            return documentation_of(model or read_job(getattr(operator, "job", None)).model)
        except InvalidRequestError:
            return ""


class LandedVideoLink(BaseOperatorLink):
    """The first landed clip."""

    name = "Landed video"
    xcom_key = "video_landed"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002 # Airflow's signature
        """The address, or nothing where there is none yet or the storage cannot be browsed."""
        manifest = getattr(operator, "manifest", None)
        return browsable(manifest["outputs"][0]["path"]) if manifest else ""


class ManifestLink(BaseOperatorLink):
    """The manifest beside the clip."""

    name = "Manifest"
    xcom_key = "video_manifest"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002 # Airflow's signature
        """The address, or nothing where there is none yet or the storage cannot be browsed."""
        manifest = getattr(operator, "manifest", None)
        return browsable(manifest["manifest_uri"], through=_conn_id(manifest["outputs"][0]["path"])) if manifest else ""


def documentation_of(model: str) -> str:
    """Where the vendor describes a model.

    :raises InvalidRequestError: there is no such model.
    """
    from airflow_video_providers.core.vendors import catalogue

    return catalogue.find(model).documentation or catalogue.vendor_of(model).documentation


def browsable(path: str, through: str | None = None) -> str:
    """The address at which a person can open a stored object; empty where there is none.

    :param path: The object's address, with or without its Airflow connection.
    :param through: The connection, where the address does not name it.
    """
    parts = urlsplit(path)
    if parts.scheme in ("http", "https"):
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    if parts.scheme not in (*_S3, *_GOOGLE):
        return ""
    try:
        extra = _extra(through or _conn_id(path))
        names = _names(extra)
    except RecursionError:  # an extra that is nested too deeply says nothing that could be trusted
        return ""
    region = str(extra.get("region_name") or "")
    if any("endpoint" in name for name in names) or any(map(os.environ.get, _OTHER_ENDPOINTS)):
        return ""
    bucket, key = parts.netloc.rpartition("@")[2], quote(parts.path.lstrip("/"))
    if parts.scheme in _GOOGLE:
        return f"https://console.cloud.google.com/storage/browser/_details/{bucket}/{key}"
    if region.startswith(_OTHER_CONSOLES):
        return ""
    return f"https://s3.console.aws.amazon.com/s3/object/{bucket}?{f'region={region}&' if region else ''}prefix={key}"


def _conn_id(path: str) -> str | None:
    return urlsplit(path).netloc.rpartition("@")[0] or None


def _extra(conn_id: str | None) -> dict[str, Any]:
    return {} if conn_id is None else dict(BaseHook.get_connection(conn_id).extra_dejson)


def _names(value: Any) -> list[str]:
    """All names in a nested dict."""
    if not isinstance(value, dict):
        return []
    return [name for key, inner in value.items() for name in (str(key), *_names(inner))]
