"""A connection that Airflow gave once stays the one that a file system is made of.

Airflow's providers look a connection up by themselves, and go on with whatever credentials the machine has where they
learn that it does not exist; which is also what they learn while Airflow's database or a secrets backend is away.
A check beforehand does not help when that begins between the check and their own look-up: a ledger would be opened in
another account, found empty there, and a video would be bought again.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def held(conn_id: str) -> Iterator[Any]:
    """Airflow's connection, which every look-up in this process finds for as long as the context lasts.

    It stands in this process's environment meanwhile, where Airflow searches before it asks its database; start no
    process within.

    :raises Exception: what Airflow raises where it does not give the connection.
    """
    from airflow.providers.common.compat.sdk import BaseHook

    connection = BaseHook.get_connection(conn_id)
    name, names = (
        f"AIRFLOW_CONN_{conn_id.upper()}",
        ("conn_type", "host", "login", "password", "schema", "port", "extra"),
    )
    before = os.environ.get(name)
    fields = {name: value for name in names if (value := getattr(connection, name)) is not None}
    os.environ[name] = json.dumps(fields)
    try:
        yield connection
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
