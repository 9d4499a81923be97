"""The state store of Airflow 3.3 as a command sees it: all task instances' rows of the metadata database.

Only for commands on a machine with access to that database; tasks have none. Rows that a custom
``[workers] state_store_backend`` keeps elsewhere hold a reference here and cannot be read.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.purchase.stores.base import DamagedRecordError, Found, parse
from airflow_video_providers.integration.state_store import NAME, TaskStateStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import timedelta

    from airflow_video_providers.core.purchase.records import Key


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
        """The record of the task instance that ``key`` names; of another key nothing is there."""
        return self._of(key).read(key) if _of_a_task(key) else None

    def create(self, key: Key, value: dict[str, Any]) -> bool:
        """Write the record if it is not there.

        A row belongs to a task instance. What belongs to none, such as which attempt has an id, is written nowhere, and keeps
        nobody out: whoever would give an id to an attempt by itself needs ``ledger_path``.
        """
        return self._of(key).create(key, value) if _of_a_task(key) else True

    def holds(self, key: Key, claim: str) -> bool:
        """Has :meth:`create` with this claim won?"""
        return self._of(key).holds(key, claim)

    def replace(self, key: Key, value: dict[str, Any]) -> None:
        """Write the record."""
        self._of(key).replace(key, value)

    def names(self, prefix: Key) -> list[str]:
        """The last parts of the keys below ``prefix``, which names a task instance."""
        rows = self._rows(prefix)
        return sorted({key[len(f"{NAME}.{prefix[0]}.") :].partition(".")[0] for *_, key, _ in rows})

    def list(self, prefix: Key) -> Iterator[Found]:
        """All records of one kind; of an intent that was never answered, what it wanted to do."""
        values = {(*where, key): value for *where, key, value in self._rows(prefix)}
        for (*where, name), value in values.items():
            unanswered = name.endswith(".gate") and (*where, name.removesuffix(".gate")) not in values
            if not unanswered and name.endswith((".gate", ".door")):
                continue
            dag_id, run_id, task_id, map_index = where
            number = name.removesuffix(".gate").rpartition(".")[2]
            key = (prefix[0], dag_id, run_id, task_id, str(map_index), number)
            try:
                yield Found("/".join(key), key, parse(value, "/".join(key)))
            except DamagedRecordError as damage:
                yield Found(damage.name, key, why=damage.why)

    def _rows(self, prefix: Key) -> Sequence[Any]:
        """DAG, run, task, map index, name and text of all rows below ``prefix``."""
        from airflow.utils.session import create_session
        from sqlalchemy import select

        model, (kind, *where) = self._model, prefix
        columns = (model.dag_id, model.run_id, model.task_id, model.map_index)
        query = select(*columns, model.key, model.value).where(
            model.key.startswith(f"{NAME}.{kind}.", autoescape=True),
            *(
                column == (int(wanted) if column is model.map_index else wanted)
                for column, wanted in zip(columns, where, strict=False)
            ),
        )
        with create_session() as session:
            return session.execute(query).all()

    def _of(self, key: Key) -> TaskStateStore:
        _, dag_id, run_id, task_id, map_index, _ = key
        return TaskStateStore(_Rows(self._backend, dag_id, run_id, task_id, int(map_index)))


def _of_a_task(key: Key) -> bool:
    return len(key) == 6


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


def is_state_store(store: object) -> bool:
    """Is it Airflow's own, whose records go with their DAG run?"""
    return isinstance(store, MetadataStore)
