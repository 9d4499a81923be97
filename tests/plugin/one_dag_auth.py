"""An auth manager under which everybody may read and edit one DAG and no other, and read one connection.

Airflow's simple one knows roles alone.
"""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

OWN = "own"
OWN_CONNECTION = "pixazo_default"


class OneDagAuthManager(SimpleAuthManager):
    """The simple one, with a rule per DAG."""

    def is_authorized_dag(self, *, details: Any = None, **given: Any) -> bool:
        return details is not None and details.id == OWN and super().is_authorized_dag(details=details, **given)

    def is_authorized_connection(self, *, details: Any = None, **_: Any) -> bool:
        return details is not None and details.conn_id == OWN_CONNECTION
