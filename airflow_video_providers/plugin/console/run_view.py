"""What the tab "Videos" says of a DAG run: what landed, and what is missing and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_video_providers.core.errors import LedgerError
from airflow_video_providers.integration import ledger_listing as words
from airflow_video_providers.plugin.console import xcoms
from airflow_video_providers.plugin.console.media import Shown, shown
from airflow_video_providers.plugin.console.purchases import MAKING, Purchase
from airflow_video_providers.plugin.console.render import moment

if TYPE_CHECKING:
    from airflow_video_providers.core.purchase.records import Identity
    from airflow_video_providers.plugin.console.clip_files import Files
    from airflow_video_providers.plugin.console.ledgers import Ledgers
    from airflow_video_providers.plugin.console.xcoms import Task

#: Landings whose clips stand on one page.
MOST = 48


@dataclass(frozen=True)
class Missing:
    """What has not landed."""

    who: Identity
    word: str
    why: str


@dataclass
class RunView:
    """The page."""

    landed: list[tuple[Task, list[Shown]]] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    more: int = 0
    trouble: str | None = None
    unread: str | None = None


def run_view(dag_id: str, run_id: str, files: Files, ledgers: Ledgers, *, secure: bool) -> RunView:
    """What a run landed, and what it did not."""
    view, purchases = RunView(), list[Purchase]()
    try:
        _, reading = ledgers.open()
        purchases, view.unread = reading.of_run(dag_id, run_id), reading.unread
    except LedgerError as error:
        view.trouble = (
            f"The ledger cannot be read from here, so this page knows only what tasks have pushed. {error.what}"
        )
    tasks = xcoms.tasks_of_run(dag_id, run_id)
    landings = [task for task in tasks if task.manifest]
    view.landed = [(task, shown(files, task.identity, task.manifest or {}, secure=secure)) for task in landings[:MOST]]
    view.more = len(landings) - len(view.landed)
    if xcoms.count_of_run(dag_id, run_id) > xcoms.MOST_TASKS:
        view.trouble = (
            f"This run has more task instances than this page reads ({xcoms.MOST_TASKS}). {view.trouble or ''}"
        )
    there = {((task.manifest or {}).get("model"), (task.manifest or {}).get("request_id")) for task in landings}
    by_task = {one.identity: one for one in purchases}
    lost = [one for one in purchases if (one.attempt.model, one.attempt.request_id) not in there]
    said = {task.identity: task.job.error for task in tasks if task.job is not None and task.job.error}
    view.missing = [_missing(one, said.get(one.identity)) for one in lost if one.word != words.LANDED]
    view.missing += [
        Missing(task.identity, task.state or "not scheduled", _why(task))
        for task in tasks
        if not task.manifest and task.identity not in by_task and _unfinished(task, there)
    ]
    return view


def _missing(one: Purchase, said: str | None) -> Missing:
    attempt = one.attempt
    if one.word in (MAKING, words.IN_FLIGHT):
        why = (
            f"Bought at {moment(attempt.created_at)}, and still being made."
            if attempt.request_id
            else "It is being bought."
        )
    elif one.word == words.NOT_BOUGHT:
        why = f"Nothing was bought: {attempt.reason or 'it was refused'}."
    elif one.word == words.FREE:
        why = "The vendor ended it with an error of its own and charged nothing."
    elif one.word == words.FORGOTTEN:
        why = "A person said that nothing came of it. Clear the task: it buys again."
    else:
        why = one.advice
    return Missing(one.identity, one.word, f"{why} The vendor said: {said}." if said else why)


def _unfinished(task: Task, there: set[tuple[object, object]]) -> bool:
    """Is there something of it that has not landed? What a wait or a submit knows counts where its landing has not."""
    if task.job is not None:
        return (task.job.model, task.job.request_id) not in there
    return task.state != "success" and (task.operator or "") in xcoms.OURS


def _why(task: Task) -> str:
    if task.job is not None and task.job.error:
        return f"The vendor said: {task.job.error}"
    if task.kept_at:
        return f"Its file was refused, and is kept at {task.kept_at}."
    if task.state in ("failed", "upstream_failed"):
        return "The task has failed: its log says why." if task.state == "failed" else "A task before it has failed."
    return f"{task.operator} has not come to its end."
