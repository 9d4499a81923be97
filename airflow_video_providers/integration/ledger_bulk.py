"""A person's answers to many unknown outcomes at once: read from a file, checked whole, then written one by one."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.jobs import VideoJob
from airflow_video_providers.core.purchase import resolve
from airflow_video_providers.core.purchase.records import Identity
from airflow_video_providers.integration.airflow_view import YOUNG
from airflow_video_providers.integration.ledger_mail import not_forgotten

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from airflow_video_providers.core.purchase.ledger import Ledger
    from airflow_video_providers.core.purchase.records import Attempt
    from airflow_video_providers.integration.airflow_view import AirflowView

FIELDS = "dag_id, run_id, task_id, map_index, request_id, and where the ledger does not know them model, conn_id, status_route"
_LARGEST_FILE = 32 * 1024 * 1024


@dataclass(frozen=True)
class Answer:
    """A task instance's job, as a person found it at the vendor."""

    identity: Identity
    request_id: str
    model: str | None = None
    conn_id: str | None = None
    status_route: str = "default"


def answers_in(path: Path) -> tuple[list[Answer], int]:
    """The answers in a CSV file with a header, or a JSON list of objects, and how many rows name no request_id.

    What ``list --output json`` prints is such a list.

    :raises InvalidRequestError: the file cannot be read, or a row of it: then nothing is done.
    """
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise InvalidRequestError(f"{path} is larger than {_LARGEST_FILE // 1024**2} MB.", field="--from-file")
        text = path.read_text(encoding="utf-8-sig")
        rows = _rows(text)
    except (OSError, ValueError, RecursionError, csv.Error) as wrong:
        if isinstance(wrong, InvalidRequestError):
            raise
        raise InvalidRequestError(
            f"{path} cannot be read: {type(wrong).__name__}: {wrong}.", field="--from-file", allowed=FIELDS
        ) from wrong
    answers, blank = [], 0
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict):
            raise InvalidRequestError(f"Row {number} of {path} is no object.", field="--from-file", allowed=FIELDS)
        if not str(row.get("request_id") or "").strip():
            blank += 1
            continue
        answers.append(_answer(row, number, path))
    _refuse_double(answers, path)
    return answers, blank


def _rows(text: str) -> list[Any]:
    if text.lstrip().startswith(("[", "{")):
        value = json.loads(text)
        return value if isinstance(value, list) else [value]
    return list(csv.DictReader(io.StringIO(text), strict=True, skipinitialspace=True))


def _answer(row: dict[Any, Any], number: int, path: Path) -> Answer:
    cells = {str(name).strip().lower(): str(value).strip() for name, value in row.items() if value is not None}
    missing = [name for name in ("dag_id", "run_id", "task_id") if not cells.get(name)]
    index = cells.get("map_index") or "-1"
    if missing or not index.removeprefix("-").isdecimal() or not cells["request_id"].isprintable():
        what = f"lacks {', '.join(missing)}" if missing else "has no usable map_index or request_id"
        raise InvalidRequestError(f"Row {number} of {path} {what}.", field="--from-file", allowed=FIELDS)
    return Answer(
        Identity(cells["dag_id"], cells["run_id"], cells["task_id"], int(index)),
        cells["request_id"],
        cells.get("model") or None,
        cells.get("conn_id") or None,
        cells.get("status_route") or "default",
    )


def _refuse_double(answers: list[Answer], path: Path) -> None:
    """One buyer has one job, and one job of a model one buyer: what breaks that is a slip of the hand."""
    buyers: dict[Identity, str] = {}
    jobs: dict[tuple[str | None, str], Identity] = {}
    for answer in answers:
        known = buyers.setdefault(answer.identity, answer.request_id)
        owner = jobs.setdefault((answer.model, answer.request_id), answer.identity)
        if known != answer.request_id or owner != answer.identity:
            raise InvalidRequestError(
                f"{path} gives {answer.identity} the job {answer.request_id}, and "
                + (f"{known} as well." if known != answer.request_id else f"gives it to {owner} as well."),
                field="--from-file",
                allowed="one job for a task instance, and one task instance for a job",
            )


def attach(ledger: Ledger, answer: Answer, view: AirflowView, now: datetime, *, dry_run: bool) -> str:
    """Write one answer, and say so.

    :raises InvalidRequestError: the attempt is in flight, or its model is not known.
    :raises LedgerError: the ledger could not be read or written.
    """
    identity = answer.identity
    attempts, _ = ledger.survey(identity)
    refuse_in_flight(attempts, view, now)
    newest = attempts[-1] if attempts else None
    model = answer.model or (newest.model if newest else None)
    if model is None:
        raise InvalidRequestError(
            f"The ledger knows nothing of {identity}, so the model has to be named.",
            field="--model",
            remedy="Check the names, or add --model and --conn-id.",
        )
    job = VideoJob(
        model=model,
        request_id=answer.request_id,
        conn_id=answer.conn_id or (newest.conn_id if newest else None),
        status_route=answer.status_route,
        estimated_cost_usd=newest.estimated_cost_usd if newest else None,
        cost_basis=newest.cost_basis if newest else None,
    )
    if dry_run:
        return f"Would give {identity} the job {answer.request_id}."
    resolve.attach(ledger, identity, job, now=now)
    return f"{identity} has job {answer.request_id} now. Clear the task: it re-attaches and buys nothing."


def forget(ledger: Ledger, identity: Identity, view: AirflowView, now: datetime, *, dry_run: bool) -> list[Attempt]:
    """Write that nothing came of a task instance's open attempts; returns them.

    :raises InvalidRequestError: one of them is in flight, or none is open, or a call has named the job of one.
    :raises LedgerError: the ledger could not be read or written.
    :raises VendorError: a call has named a job, and the vendor could not be asked about it.
    """
    attempts, flaws = ledger.survey(identity)
    refuse_in_flight(attempts, view, now)
    resolve.refuse_while_waiting(attempts, now)
    still_open = [attempt for attempt in attempts if attempt.open]
    if not dry_run and (bought := not_forgotten(ledger, still_open, now)) is not None:
        raise InvalidRequestError(
            f"The submit of {identity} at {bought.created_at:%Y-%m-%d %H:%M:%S} UTC has bought job {bought.request_id}: a call "
            "of the vendor has named it, and the vendor has it.",
            money="It is paid for. The ledger holds it now, and nothing is forgotten.",
            remedy="Clear the task: it takes that job and buys nothing.",
            model=bought.model,
        )
    if dry_run:
        stand_in = resolve.stand_ins(flaws, identity, attempts, now)
        return still_open + stand_in
    return resolve.forget(ledger, identity, now=now)


def refuse_in_flight(attempts: list[Attempt], view: AirflowView, now: datetime) -> None:
    """An answer to a submit that is buying at this moment would be written over, or would make it buy twice.

    :raises InvalidRequestError: one of the attempts is in flight.
    """
    for attempt in attempts:
        if not view.in_flight(attempt, now):
            continue
        task = view.tasks.get(attempt.identity)
        minutes = YOUNG.total_seconds() / 60
        why = (
            f"Airflow says that its try {task.try_number} is {task.state}."
            if task is not None
            else f"Airflow cannot be asked about it{f' ({view.trouble})' if view.trouble else ''}, and its intent is "
            f"younger than an hour ({minutes:.0f} minutes)."
        )
        raise InvalidRequestError(
            f"The submit of {attempt.identity} at {attempt.created_at:%Y-%m-%d %H:%M:%S} UTC is in flight: {why}",
            money="Nothing was changed.",
            remedy="Wait until the task has ended, or end it in Airflow; then say it again."
            if task is not None
            else "Run the command where Airflow's own commands run, or wait until the hour is over.",
            model=attempt.model,
        )
