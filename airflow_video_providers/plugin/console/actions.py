"""What a person decides on the page: attach and forget, one and many. The rules are those of the ledger's command."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.models.log import Log  # noqa: TID251 - who changed what stands in Airflow's own audit log
from airflow.utils.session import create_session

from airflow_video_providers.core.border import plain_id
from airflow_video_providers.core.errors import VideoProviderError
from airflow_video_providers.core.purchase.records import Identity
from airflow_video_providers.integration.airflow_view import view_of_airflow
from airflow_video_providers.integration.ledger_bulk import Answer, attach, forget

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_video_providers.core.purchase.ledger import Ledger

#: Task instances that one form may name.
MOST = 200
#: What the name of a field begins with that holds the id of a row's job.
_ID = "request_id "


@dataclass(frozen=True)
class Done:
    """What came of one row of a form."""

    well: bool
    text: str


@dataclass(frozen=True)
class Row:
    """One row of a form: whose purchase, and the id that was typed beside it."""

    who: Identity
    request_id: str = ""


def rows_of(form: Any, action: str) -> list[Row]:
    """The rows that are meant: those that were ticked, and to attach also those beside which an id was written.

    :raises ValueError: a row names no task instance.
    """
    texts = dict.fromkeys(form.getlist("who"))
    if action == "attach":
        written = (name for name, value in form.multi_items() if name.startswith(_ID) and str(value).strip())
        texts |= dict.fromkeys(name.removeprefix(_ID) for name in written)
    rows = []
    for text in list(texts)[:MOST]:
        dag_id, run_id, task_id, map_index = json.loads(text)
        if not all(isinstance(part, str) and part for part in (dag_id, run_id, task_id)):
            raise ValueError("no task instance")
        rows.append(Row(Identity(dag_id, run_id, task_id, int(map_index)), str(form.get(f"{_ID}{text}") or "").strip()))
    return rows


def name_of(who: Identity) -> str:
    """A task instance as a form's value."""
    return json.dumps([who.dag_id, who.run_id, who.task_id, who.map_index])


def act(action: str, rows: Sequence[Row], ledger: Ledger, user: Any, *, may: Callable[[str], bool]) -> list[Done]:
    """Attach or forget each row, each for itself: what is refused for one holds up no other.

    :param may: May the user edit this DAG?
    """
    now = datetime.now(UTC)
    view = view_of_airflow(row.who for row in rows)
    done = []
    for row in rows:
        if not may(row.who.dag_id):
            done.append(Done(False, f"You may not edit the DAG {row.who.dag_id}: nothing was changed."))
            continue
        try:
            if action == "attach":
                if not plain_id(row.request_id):
                    done.append(
                        Done(False, f"{row.who}: write the request_id of its job beside it. Nothing was changed.")
                    )
                    continue
                text = attach(ledger, Answer(row.who, row.request_id), view, now, dry_run=False)
            else:
                count = len(forget(ledger, row.who, view, now, dry_run=False))
                text = f"{row.who}: {count} forgotten. Clear the task: it buys again."
        except VideoProviderError as error:
            done.append(Done(False, str(error)))
            continue
        _note(action, row, user)
        done.append(Done(True, text))
    return done


def _note(action: str, row: Row, user: Any) -> None:
    """Airflow's audit log, which shows it at the task instance."""
    who = row.who
    with create_session() as session:
        session.add(
            Log(
                event=f"video_{action}", owner=str(user.get_name()), dag_id=who.dag_id, run_id=who.run_id,
                task_id=who.task_id, map_index=who.map_index, extra=json.dumps({"request_id": row.request_id or None}),
            )
        )  # fmt: skip
