"""The provider's own section of Airflow's configuration, and the choice of the ledger.

::

    [video_providers]
    ledger_path = s3://aws_default@bucket/ledger     # or a directory that every worker mounts
    on_clear = resubmit                              # or reattach
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote, urlsplit

from airflow_video_providers.core.errors import InvalidRequestError, LedgerError
from airflow_video_providers.core.purchase.ledger import Ledger
from airflow_video_providers.core.purchase.stores.object_directory import LocalDirectory, ObjectDirectory
from airflow_video_providers.core.storage.address import without_secret, wrong_type
from airflow_video_providers.integration.held_connection import held
from airflow_video_providers.integration.state_store import TaskStateStore

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_video_providers.core.purchase.decision import OnClear
    from airflow_video_providers.core.purchase.stores.base import Directory

SECTION = "video_providers"


def option(name: str) -> str:
    """An option of the section, without the space around it; empty where it is not set."""
    from airflow.providers.common.compat.sdk import conf

    return str(conf.get(SECTION, name, fallback="") or "").strip()


def default_on_clear() -> OnClear:
    """``[video_providers] on_clear``: what a user's Clear does with a finished job; ``"resubmit"`` if unset.

    :raises InvalidRequestError: it is neither ``resubmit`` nor ``reattach``.
    """
    value = option("on_clear") or "resubmit"
    if value not in ("resubmit", "reattach"):
        raise InvalidRequestError(
            f"[{SECTION}] on_clear is {value!r}; it must be resubmit or reattach.",
            field="on_clear",
            value=value,
            allowed="resubmit or reattach",
        )
    return cast("OnClear", value)


def ledger_path() -> str | None:
    """``[video_providers] ledger_path``, or None where it is not set."""
    return option("ledger_path") or None


def open_ledger(context: Mapping[str, Any]) -> Ledger | None:
    """The ledger for a running task: the configured directory, or else Airflow 3.3's state store.

    :param context: The task's context.
    :returns: None where there is neither: then only a first try may buy.
    :raises LedgerError: the configured directory cannot be opened.
    """
    if path := ledger_path():
        return Ledger(open_directory(path))
    accessor = context.get("task_state_store")
    return Ledger(TaskStateStore(accessor)) if accessor is not None else None


def open_directory(path: str) -> Directory:
    """The ledger's directory at ``path``.

    :param path: A directory, ``file://...``, or ``<scheme>://<conn_id>@<bucket>/<prefix>`` on S3, Google Cloud
        Storage or Azure. The connection has to be named and to exist: Airflow would fall back to whatever
        credentials the machine has, and a ledger in the wrong account is an empty one.
    :raises LedgerError: it cannot be opened.
    """
    try:
        return _open(path)
    except Exception as error:
        shown = without_secret(path)
        text = f"{type(error).__name__}: {error}".rstrip(". ")
        why = text if shown == path else without_secret(text)
        failure = LedgerError(
            f"The ledger of purchases at {shown} cannot be opened: {why}.",
            money="Nothing was sent.",
            remedy=f"Correct [{SECTION}] ledger_path or its connection, then run the task again.",
        )
        if shown != path:  # what a library says of an address may hold it whole, and a log prints causes
            raise failure from None
        raise failure from error


def _open(path: str) -> Directory:
    if "://" not in path:
        return LocalDirectory(Path(path).expanduser())
    parts = urlsplit(path)
    conn_id, _, container = parts.netloc.rpartition("@")
    if parts.scheme == "file":
        return LocalDirectory(Path(unquote(parts.path)))
    if parts.scheme not in ObjectDirectory.EXCLUSIVE:
        raise ValueError(f"{parts.scheme}:// has no create-only writes that are known to hold")
    if not conn_id or not container or ":" in container:
        where = "<bucket>/<prefix>" if not container or "@" in parts.path else f"{container}{parts.path}"
        raise ValueError(f"name its connection: {parts.scheme}://<conn_id>@{where}")
    if ":" in conn_id or "%" in conn_id:
        raise ValueError("a connection is named by its id alone: a password belongs into the connection")
    from airflow.providers.common.compat.sdk import AirflowNotFoundException, ObjectStoragePath

    with ExitStack() as stack:
        try:
            connection = stack.enter_context(held(conn_id))  # ObjectStoragePath would hide that it is missing
        except AirflowNotFoundException as missing:
            raise LookupError(
                f"Airflow says that it has no connection {conn_id!r}; it says the same where its database or its secrets "
                "backend is away"
            ) from missing
        if (wrong := wrong_type(parts.scheme, conn_id, str(connection.conn_type))) is not None:
            raise ValueError(wrong)
        root = ObjectStoragePath(path)
        return ObjectDirectory(root.fs, root.path)
