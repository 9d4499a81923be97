"""What takes the rows of Airflow's state store into the index."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.purchase.stores.base import readable
from airflow_video_providers.integration.state_store import NAME
from airflow_video_providers.plugin.console.feeds import KINDS, in_utc

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_video_providers.plugin.console.index import Index

#: A row may be committed this long after the time that it carries.
_OVERLAP = timedelta(minutes=2)
#: Rows per query where rows are asked for by number.
_BATCH = 500


class StateStoreFeed:
    """Rows of Airflow's state store, by SQL: those written since the newest one that the index holds.

    :raises ImportError: this Airflow has no state store (before 3.3).
    """

    fresh_for = 2.0

    def __init__(self) -> None:
        from airflow.models.task_state_store import TaskStateStoreModel  # noqa: TID251 - no public API lists rows

        self._model = TaskStateStoreModel

    def refresh(self, index: Index) -> None:
        """Ask for rows that are new or have changed, and drop those whose DAG run is gone."""
        with readable("read"):
            self._refresh(index)

    def _refresh(self, index: Index) -> None:
        from airflow.utils.session import create_session
        from sqlalchemy import func, or_, select

        model, newest, known = self._model, index.newest(), None
        kinds = (model.key.startswith(f"{NAME}.{kind}.", autoescape=True) for kind in KINDS)
        ours = or_(*kinds) & ~model.key.endswith(".door")
        records = ours & ~model.key.endswith(".gate")
        columns = (model.id, model.key, model.updated_at, model.dag_id, model.run_id, model.task_id, model.map_index)
        query = select(*columns).where(ours)
        if newest is not None:
            query = query.where(model.updated_at >= datetime.fromisoformat(newest) - _OVERLAP)
        with create_session() as session:
            rows = session.execute(query).all()
            if rows:
                known = index.stamps()
                rows = [row for row in rows if known.get(str(row.id)) != str(row.updated_at)]
            changed = {str(row.id): row for row in rows}
            texts = dict(self._texts(session, changed))
            there = session.scalar(select(func.count()).where(records))
            new = {source for source, row in changed.items() if not row.key.endswith(".gate")} - (known or {}).keys()
            gone: set[str] = set()
            if there != index.count() + len(new):
                known = index.stamps() if known is None else known
                gone = known.keys() - {str(one) for one in session.scalars(select(model.id).where(ours))}
        if not texts and not gone:
            return
        with index.writing():
            index.remove(gone)
            for source, text in texts.items():
                row = changed[source]
                _, kind, number = row.key.removesuffix(".gate").split(".", 2)
                key = (kind, row.dag_id, row.run_id, row.task_id, str(row.map_index), number)
                gate = row.key.endswith(".gate")
                index.put(source, str(row.updated_at), key, text, in_utc(row.updated_at), gate=gate)

    def _texts(self, session: Any, changed: dict[str, Any]) -> Iterator[tuple[str, str]]:
        """What stands in the rows; of an intent that was answered nobody needs to read the gate."""
        from sqlalchemy import select

        written = {_where(row) for row in changed.values() if not row.key.endswith(".gate")}
        wanted = [row.id for row in changed.values() if not row.key.endswith(".gate") or _where(row) not in written]
        for start in range(0, len(wanted), _BATCH):
            query = select(self._model.id, self._model.value).where(self._model.id.in_(wanted[start : start + _BATCH]))
            for number, text in session.execute(query):
                yield str(number), text


def _where(row: Any) -> tuple[Any, ...]:
    return (row.dag_id, row.run_id, row.task_id, row.map_index, row.key.removesuffix(".gate"))
