"""The ledger in the state store of Airflow 3.3, and create-only where a store can only overwrite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from airflow_video_providers.core.errors import LedgerError
from airflow_video_providers.core.purchase.stores.base import DamagedRecordError, Found

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_video_providers.core.purchase.records import Key


#: What the names of all records in the state store begin with.
NAME = "video_ledger"


class Registers(Protocol):
    """Single values that are read and written whole, the last write wins."""

    def get(self, name: str) -> Any: ...
    def set(self, name: str, value: Any) -> None: ...


def create_once(registers: Registers, name: str, value: dict[str, Any]) -> bool:
    """Create-only on a store that can only overwrite: of any number of callers at most one gets True.

    Lamport's splitter. A caller writes its claim at the door, leaves if the gate is shut, shuts it, and
    has won if the door still carries its claim: whoever wrote the door later finds the gate shut. A caller
    who is alone always wins; callers at the same moment may all lose, and then nobody buys. Nobody
    overwrites the winner's record. It needs reads that see every finished write (one primary database,
    or an object store of today), and nothing that deletes the two marks.

    A caller that got an error may call again with the same claim. Who finds the gate shut by itself has passed it
    and must not touch the door again: it would take it away from a winner.
    """
    door, gate = f"{name}.door", f"{name}.gate"
    if _claim(registers.get(gate)) == value["claim"]:
        return bool(registers.get(door) == value["claim"])
    registers.set(door, value["claim"])
    if registers.get(gate) is not None:
        return False
    registers.set(gate, value)
    return bool(registers.get(door) == value["claim"])


def _claim(value: Any) -> Any:
    return value.get("claim") if isinstance(value, dict) else None


class TaskStateStore:
    """Airflow 3.3's ``context["task_state_store"]``: rows of the metadata database, per task instance.

    Records never expire. They survive retries, kills, deferral and a Clear; they go with their DAG run, and
    with ``[state_store] clear_on_success = True`` when the task succeeds: a Clear then buys again without a
    poll the old job. Its only write is an overwrite, so :func:`create_once` stands in for create-only.

    Where Airflow has already given a retry its new id, a zombie's writes are refused, so that it cannot buy;
    its reads then say "not there", which is why nothing is decided here without a write.

    :param accessor: What the task's context holds.
    """

    shared = False

    def __init__(self, accessor: Any) -> None:
        from airflow.sdk.execution_time.context import NEVER_EXPIRE

        self._accessor = accessor
        self._retention = NEVER_EXPIRE

    def get(self, name: str) -> Any:
        """One value, or None."""
        return self._accessor.get(name)

    def set(self, name: str, value: Any) -> None:
        """Overwrite one value, for ever."""
        self._accessor.set(name, value, retention=self._retention)

    def read(self, key: Key) -> dict[str, Any] | None:
        """The record; where its creator has shut the gate and not replaced it yet, what it wanted to do."""
        name = _state_name(key)
        return _mapping(self.get(name) or self.get(f"{name}.gate"), name)

    def create(self, key: Key, value: dict[str, Any]) -> bool:
        """See :func:`create_once`. The record itself is written by :meth:`replace` only."""
        return create_once(self, _state_name(key), value)

    def holds(self, key: Key, claim: str) -> bool:
        """It has passed the gate and stands at the door: nobody else can have won."""
        name = _state_name(key)
        return bool(_claim(self.get(f"{name}.gate")) == claim and self.get(f"{name}.door") == claim)

    def replace(self, key: Key, value: dict[str, Any]) -> None:
        """Write the record."""
        self.set(_state_name(key), value)

    def names(self, prefix: Key) -> list[str]:
        """Not possible: a task reaches its own rows by name only."""
        raise LedgerError(
            f"Airflow's state store cannot list {'/'.join(prefix)} from a task.",
            remedy="Use the ledger's command, or set [video_providers] ledger_path.",
        )

    def list(self, prefix: Key) -> Iterator[Found]:
        """Not possible either."""
        yield from (Found(name, None) for name in self.names(prefix))


def _state_name(key: Key) -> str:
    """The store is scoped to its task instance already, so the kind and the number are enough."""
    return f"{NAME}.{key[0]}.{key[-1]}"


def _mapping(value: Any, name: str) -> dict[str, Any] | None:
    if value is None or isinstance(value, dict):
        return value
    raise DamagedRecordError(f"{name} in the state store", f"holds a {type(value).__name__}, not a record")
