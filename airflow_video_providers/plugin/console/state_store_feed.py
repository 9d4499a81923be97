"""What takes the rows of Airflow's state store into the index."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.purchase.records import SUBMITS
from airflow_video_providers.core.purchase.settlements import KIND
from airflow_video_providers.integration.state_store import NAME
from airflow_video_providers.plugin.console.feeds import Progress, in_utc

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_video_providers.plugin.console.index import Index

#: A row may be committed this long after the time that it carries.
_OVERLAP = timedelta(minutes=2)
#: Rows of one slice.
MOST = 1500
#: Rows per query where rows are asked for by number.
_BATCH = 500
#: Under which the index notes until when it has read everything.
_READ_UNTIL = "rows"
_GATE, _DOOR = ".gate", ".door"


class StateStoreFeed:
    """Rows of Airflow's state store, by SQL: those written since it was read to its end.

    :raises ImportError: this Airflow has no state store (before 3.3).
    """

    fresh_for = 2.0

    def __init__(self) -> None:
        from airflow.models.task_state_store import TaskStateStoreModel  # noqa: TID251 - no public API lists rows

        self._model = TaskStateStoreModel

    def slices(self, index: Index) -> Iterator[Progress]:
        """Take in rows that are new or have changed, and drop those whose DAG run is gone."""
        noted = index.folders().get(_READ_UNTIL)
        since = None if noted is None else datetime.fromtimestamp(noted / 10**6, UTC) - _OVERLAP
        rows = [] if since is None else self._rows(None, since, limit=MOST)
        if since is not None and len(rows) < MOST:
            self._take_in(index, rows, index.stamps() if rows else {})
            until = max((row.updated_at for row in rows), default=None)
        else:
            until = self._newest()
            if until is not None:
                yield from self._passes(index, since, until)
        gone = self._gone(index)
        with index.writing():
            index.remove(gone)
            if until is not None:  # a row whose writer's clock is fast hides none that comes after it
                read_until = round(min(in_utc(until), time.time()) * 10**6)
                index.know_folders({_READ_UNTIL: max(noted or 0, read_until)}, ())

    def _passes(self, index: Index, since: datetime | None, until: datetime) -> Iterator[Progress]:
        """All rows of a time: endings, then attempts, then of those that were never answered what they wanted to do.

        What is written meanwhile has a later time, and is left to the next walk.
        """
        known, done, total, left = index.stamps(), 0, self._count(None, since), MOST
        for kind in (KIND, SUBMITS, _GATE):
            last = None
            while True:
                rows = self._rows(kind, since, until=until, after=last, limit=left)
                self._take_in(index, rows, known)
                done, left = done + len(rows), left - len(rows)
                if left > 0:
                    break
                last, left = (rows[-1].updated_at, rows[-1].id), MOST
                yield Progress(done, max(done, total))

    def _of(self, kind: str | None) -> Any:
        """The condition for rows of a kind; None: of every one."""
        key = self._model.key
        endings, submits = (key.startswith(f"{NAME}.{one}.", autoescape=True) for one in (KIND, SUBMITS))
        match kind:
            case None:
                return (endings | submits) & ~key.endswith(_DOOR)
            case "landed":
                return endings & ~key.endswith(_DOOR) & ~key.endswith(_GATE)
            case ".gate":
                return submits & key.endswith(_GATE)
        return submits & ~key.endswith(_DOOR) & ~key.endswith(_GATE)

    def _rows(
        self,
        kind: str | None,
        since: datetime | None,
        *,
        limit: int,
        until: datetime | None = None,
        after: tuple[datetime, int] | None = None,
    ) -> Sequence[Any]:
        """Rows without their texts, by time.

        :param after: The time and the number of the last row of the slice before.
        """
        from airflow.utils.session import create_session
        from sqlalchemy import select

        model = self._model
        query = select(
            model.id, model.key, model.updated_at, model.dag_id, model.run_id, model.task_id, model.map_index
        ).where(self._of(kind))
        if since is not None:
            query = query.where(model.updated_at >= since)
        if until is not None:
            query = query.where(model.updated_at <= until)
        if after is not None:
            moment, number = after
            query = query.where(
                (model.updated_at > moment) | ((model.updated_at == moment) & (model.id > number)),
            )
        with create_session() as session:
            return session.execute(query.order_by(model.updated_at, model.id).limit(limit)).all()

    def _newest(self) -> datetime | None:
        from airflow.utils.session import create_session
        from sqlalchemy import func, select

        with create_session() as session:
            found: datetime | None = session.scalar(select(func.max(self._model.updated_at)).where(self._of(None)))
            return found

    def _count(self, kind: str | None, since: datetime | None) -> int:
        from airflow.utils.session import create_session
        from sqlalchemy import func, select

        query = select(func.count()).where(self._of(kind))
        with create_session() as session:
            return int(session.scalar(query if since is None else query.where(self._model.updated_at >= since)) or 0)

    def _gone(self, index: Index) -> set[str]:
        """What the index holds of rows that are there no more; asked for where the numbers differ."""
        from airflow.utils.session import create_session
        from sqlalchemy import func, select

        records = self._of(None) & ~self._model.key.endswith(_GATE)
        with create_session() as session:
            if session.scalar(select(func.count()).where(records)) == index.count():
                return set()
            there = {str(one) for one in session.scalars(select(self._model.id).where(self._of(None)))}
        return index.stamps().keys() - there

    def _take_in(self, index: Index, rows: Sequence[Any], known: dict[str, str]) -> None:
        """Put what is new or has changed; of an intent that was answered nobody needs to read the gate."""
        changed = {str(row.id): row for row in rows if known.get(str(row.id)) != str(row.updated_at)}
        written = {_buyer(row) for row in changed.values() if not row.key.endswith(_GATE)}
        wanted = [
            source
            for source, row in changed.items()
            if not row.key.endswith(_GATE) or not (_buyer(row) in written or index.holds(_buyer(row)))
        ]
        if not wanted:
            return
        texts = self._texts(wanted)
        with index.writing():
            for source, text in texts.items():
                row = changed[source]
                kind, number = row.key.removesuffix(_GATE).split(".", 2)[1:]
                key = (kind, row.dag_id, row.run_id, row.task_id, str(row.map_index), number)
                gate = row.key.endswith(_GATE)
                index.put(source, str(row.updated_at), key, text, in_utc(row.updated_at), gate=gate)

    def _texts(self, wanted: list[str]) -> dict[str, str]:
        from airflow.utils.session import create_session
        from sqlalchemy import select

        model, found = self._model, {}
        with create_session() as session:
            for start in range(0, len(wanted), _BATCH):
                batch = [int(one) for one in wanted[start : start + _BATCH]]
                for number, text in session.execute(select(model.id, model.value).where(model.id.in_(batch))):
                    found[str(number)] = text
        return found


def _buyer(row: Any) -> tuple[Any, ...]:
    return (row.dag_id, row.run_id, row.task_id, row.map_index, row.key.removesuffix(_GATE).rpartition(".")[2])
