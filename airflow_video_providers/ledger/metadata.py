"""The state store of Airflow 3.3 as a command sees it: all task instances' rows of the metadata database.

Only for commands on a machine with access to that database; tasks have none. Rows that a custom
``[workers] state_store_backend`` keeps elsewhere hold a reference here and cannot be read.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow_video_providers.ledger.stores import NAME, TaskStateStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta

    from airflow_video_providers.ledger.records import Key


class MetadataStore:
    """Every record that tasks keep in Airflow's state store.

    :raises ImportError: this Airflow has no state store (before 3.3).
    """

    shared = True

    def __init__(self) -> None:
        from airflow.models.task_state_store import TaskStateStoreModel  # noqa: TID251 - no public API lists rows
        from airflow.state import get_state_backend

        self._model = TaskStateStoreModel
        self._backend = get_state_backend()

    def read(self, key: Key) -> dict[str, Any] | None:
        """The record of the task instance that ``key`` names."""
        return self._of(key).read(key)

    def create(self, key: Key, value: dict[str, Any]) -> bool:
        """Write the record if it is not there."""
        return self._of(key).create(key, value)

    def holds(self, key: Key, claim: str) -> bool:
        """Has :meth:`create` with this claim won?"""
        return self._of(key).holds(key, claim)

    def replace(self, key: Key, value: dict[str, Any]) -> None:
        """Write the record."""
        self._of(key).replace(key, value)

    def list(self, prefix: Key) -> Iterator[dict[str, Any]]:
        """All records of one kind; of an intent that was never answered, what it wanted to do."""
        from airflow.utils.session import create_session
        from sqlalchemy import select

        model = self._model
        start = f"{NAME}.{prefix[0]}."
        query = select(model.dag_run_id, model.task_id, model.map_index, model.key, model.value)
        with create_session() as session:
            rows = session.execute(query.where(model.key.startswith(start, autoescape=True))).all()
        values = {(*row[:3], row.key): json.loads(row.value) for row in rows}
        for (*where, name), value in values.items():
            unanswered = name.endswith(".gate") and (*where, name.removesuffix(".gate")) not in values
            if unanswered or not name.endswith((".gate", ".door")):
                yield value

    def _of(self, key: Key) -> TaskStateStore:
        _, dag_id, run_id, task_id, map_index, _ = key
        return TaskStateStore(_Rows(self._backend, dag_id, run_id, task_id, int(map_index)))


class _Rows:
    """One task instance's rows, with the interface that a task has in its context."""

    def __init__(self, backend: Any, dag_id: str, run_id: str, task_id: str, map_index: int) -> None:
        from airflow.state import TaskScope

        self._backend = backend
        self._scope = TaskScope(dag_id=dag_id, run_id=run_id, task_id=task_id, map_index=map_index)

    def get(self, name: str) -> Any:
        text = self._backend.get(self._scope, name)
        return None if text is None else json.loads(text)

    def set(self, name: str, value: Any, *, retention: timedelta) -> None:  # noqa: ARG002 - a task's interface
        self._backend.set(self._scope, name, json.dumps(value), expires_at=None)
