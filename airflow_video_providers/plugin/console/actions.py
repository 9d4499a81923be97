"""What a person decides on the page: attach, find and forget, one and many. The rules are those of the ledger's command."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.models.log import Log  # noqa: TID251 - who changed what stands in Airflow's own audit log
from airflow.utils.session import create_session

from airflow_video_providers.core.border import plain_id
from airflow_video_providers.core.errors import VideoProviderError
from airflow_video_providers.core.purchase.records import Identity
from airflow_video_providers.integration.airflow_view import view_of_airflow
from airflow_video_providers.integration.ledger_bulk import Answer, attach, forget
from airflow_video_providers.integration.ledger_history import Histories

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_video_providers.core.purchase.ledger import Ledger
    from airflow_video_providers.integration.airflow_view import AirflowView

#: Task instances that one form may name.
MOST = 200
#: Of them, so many are asked for at their vendors: each asks over the network.
MOST_FOUND = 20
#: What a form may ask for.
ACTIONS = ("attach", "find", "forget")
#: What the name of a field begins with that holds the id of a row's job.
_ID = "request_id "


@dataclass(frozen=True)
class Done:
    """What came of one row of a form.

    :param request_id: The job that it was given.
    """

    well: bool
    text: str
    request_id: str | None = None


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
    return [Row(_who(text), str(form.get(f"{_ID}{text}") or "").strip()) for text in list(texts)[:MOST]]


def _who(text: object) -> Identity:
    """The task instance that a form's value names.

    :raises ValueError: it names none.
    """
    try:
        dag_id, run_id, task_id, map_index = json.loads(str(text))
    except (RecursionError, TypeError) as wrong:
        raise ValueError("no task instance") from wrong
    plain = all(isinstance(name, str) and name and name.isprintable() for name in (dag_id, run_id, task_id))
    if not plain or type(map_index) is not int or not -1 <= map_index < 10**6:
        raise ValueError("no task instance")
    return Identity(dag_id, run_id, task_id, map_index)


def name_of(who: Identity) -> str:
    """A task instance as a form's value."""
    return json.dumps([who.dag_id, who.run_id, who.task_id, who.map_index])


def act(action: str, rows: Sequence[Row], ledger: Ledger, user: Any, *, may: Callable[[str], bool]) -> list[Done]:
    """Attach, find or forget each row, each for itself: what is refused for one holds up no other.

    :param may: May the user edit this DAG?
    """
    now = datetime.now(UTC)
    view = view_of_airflow(row.who for row in rows)
    done = []
    with Histories(ledger) as histories:
        decide: Callable[[Row], Done] = {
            "attach": lambda row: _attached(row, ledger, view, now),
            "find": lambda row: _found(row, histories, view, now),
            "forget": lambda row: _forgotten(row, ledger, view, now),
        }[action]
        if action == "find":  # all vendors first: then the ledger is read once, and after them
            histories.ask(row.who for row in rows[:MOST_FOUND] if may(row.who.dag_id))
        for number, row in enumerate(rows):
            if not may(row.who.dag_id):
                done.append(Done(False, f"You may not edit the DAG {row.who.dag_id}: nothing was changed."))
            elif action == "find" and number >= MOST_FOUND:
                done.append(Done(False, f"{row.who}: not asked for; at once {MOST_FOUND} are. Choose it again."))
            else:
                done.append(_decided(partial(decide, row), action, row, user))
    return done


def _decided(decide: Callable[[], Done], action: str, row: Row, user: Any) -> Done:
    """What came of one row; what was written stands in Airflow's audit log."""
    try:
        done = decide()
    except VideoProviderError as error:
        return Done(False, f"{row.who}: {error}")
    if done.well:
        _note(action, done.request_id, row.who, user)
    return done


def _attached(row: Row, ledger: Ledger, view: AirflowView, now: datetime) -> Done:
    if not plain_id(row.request_id):
        return Done(False, f"{row.who}: write the request_id of its job beside it. Nothing was changed.")
    return Done(True, attach(ledger, Answer(row.who, row.request_id), view, now, dry_run=False), row.request_id)


def _found(row: Row, histories: Histories, view: AirflowView, now: datetime) -> Done:
    asked = histories.answer(row.who, view, now)
    ids = [one.found.request_id for one in asked if one.found is not None]
    return Done(bool(ids), f"{row.who}: {' '.join(map(str, asked))}", ids[0] if ids else None)


def _forgotten(row: Row, ledger: Ledger, view: AirflowView, now: datetime) -> Done:
    count = len(forget(ledger, row.who, view, now, dry_run=False))
    return Done(True, f"{row.who}: {count} forgotten. Clear the task: it buys again.")


def _note(action: str, request_id: str | None, who: Identity, user: Any) -> None:
    """Airflow's audit log, which shows it at the task instance."""
    with create_session() as session:
        session.add(
            Log(
                event=f"video_{action}", owner=str(user.get_name()), dag_id=who.dag_id, run_id=who.run_id,
                task_id=who.task_id, map_index=who.map_index, extra=json.dumps({"request_id": request_id}),
            )
        )  # fmt: skip
