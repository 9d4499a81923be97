"""Whatever a task has pushed, the pages stand: whoever writes a DAG can push anything, and most tasks are not ours."""

from __future__ import annotations

import copy
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_video_providers.core.errors import LedgerError
from airflow_video_providers.core.purchase.records import Identity
from airflow_video_providers.plugin.console import render, run_view, task_view, xcoms
from airflow_video_providers.plugin.console.clip_files import Files
from airflow_video_providers.plugin.console.clips import NoClipError, clip_of
from tests.plugin.test_clips import landed

WHO = Identity("studio", "r", "train")
NESTED: Any = []
for _ in range(5000):
    NESTED = [NESTED]
#: What JSON can hold, and what it cannot that a backend of somebody's own may give.
ODD = [
    None, True, False, 0, -1, 10**400, 10**4299, 0.5, -0.0, float("inf"), float("-inf"), float("nan"), "", "x" * 100_000, "\ud800", "\0",
    "1e1000", "NaN", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", [], [[]], [1, "a", None], {}, {"name": "resnet50"}, NESTED,
    "s3://[", "file:///a\0b", "/nowhere" * 1000,
]  # fmt: skip


def pushed(**own: Any) -> xcoms.Task:
    """A task that is not ours, and has pushed this."""
    now = datetime.now(UTC)
    row = SimpleNamespace(
        state="success", operator="PythonOperator", try_number=1, start_date=now, end_date=now, updated_at=now
    )
    return xcoms._task(WHO, row, {(WHO.task_id, WHO.map_index): own})


@pytest.fixture
def tabs(monkeypatch):
    """The task's tab and its run's, as their routes answer them."""

    class NoLedger:
        def open(self) -> Any:
            raise LedgerError("There is none.")

    def look(task: xcoms.Task) -> tuple[str, str]:
        monkeypatch.setattr(xcoms, "task_of", lambda _who: task)
        monkeypatch.setattr(xcoms, "tasks_of_run", lambda *_: [task] if task.ours else [])
        monkeypatch.setattr(xcoms, "count_of_run", lambda *_: 1)
        run = run_view.run_view(WHO.dag_id, WHO.run_id, Files(), NoLedger(), secure=True)
        one = task_view.task_view(WHO, Files(), NoLedger(), secure=True)
        pages = (
            render.page("run.html", title="Run", again=None, **vars(run)),
            render.page(
                "task.html", title="Task", again=None, view=one, editable=lambda _: True, name_of=str, token="t"
            ),
        )
        for page in pages:
            page.encode()  # as the route sends it
        return pages

    return look


def test_what_another_task_returns_is_no_manifest_for_its_name_alone(tabs):
    task = pushed(return_value={"manifest_uri": "s3://models/1/manifest.json", "model": {"name": "resnet50"}})
    assert not task.ours
    run, one = tabs(task)
    assert "No task of this run makes a video." in run
    assert "This task makes no video." in one


@pytest.mark.parametrize("name", ["manifest_uri", "model", "request_id"])
@pytest.mark.parametrize("odd", range(len(ODD)))
def test_a_manifest_names_itself_its_model_and_its_job_or_is_none(tabs, tmp_path, name, odd):
    task = pushed(return_value={**landed(tmp_path), name: ODD[odd]})
    assert bool(task.manifest) is bool(isinstance(ODD[odd], str) and ODD[odd])
    tabs(task)


OUTPUT = (
    "index", "role", "key", "uri", "path", "bytes", "sha256", "content_type", "duration_s", "width", "height", "codecs", "poster",
)  # fmt: skip
WHOLE = (
    "outputs", "landed_at", "submitted_at", "completed_at", "estimated_cost_usd", "cost_basis", "cost_usd", "remaining_credits", "conn_id",
    "parameters", "extra", "verified",
)  # fmt: skip


@pytest.mark.parametrize("odd", range(len(ODD)))
def test_whatever_a_manifest_says_both_tabs_are_there(tabs, tmp_path, odd):
    manifest = landed(tmp_path)
    for name in OUTPUT:
        for poster in (False, True):
            changed = copy.deepcopy(manifest)
            (changed["outputs"][0]["poster"] if poster else changed["outputs"][0])[name] = ODD[odd]
            assert "manifest.json" in tabs(pushed(return_value=changed))[1]
            ask_for_the_files(changed)
    for name in WHOLE:
        tabs(pushed(return_value={**manifest, name: ODD[odd]}))
        tabs(pushed(return_value={**manifest, "parameters": {name: ODD[odd]}, "extra": {name: ODD[odd]}}))
    tabs(pushed(return_value={**manifest, "outputs": [ODD[odd], *manifest["outputs"]]}))


def ask_for_the_files(manifest: dict[str, Any]) -> None:
    """As the route of clips does."""
    for poster in (False, True):
        with suppress(NoClipError):
            Files().open(clip_of(manifest, 0, poster=poster)).close()


@pytest.mark.parametrize("odd", range(len(ODD)))
def test_whatever_a_job_says_both_tabs_are_there(tabs, odd):
    job = {"model": "pixazo:mochi-v1", "request_id": "j", "status": "running", "parameters": {"prompt": "x"}}
    for name in (
        "status", "vendor_status", "submitted_at", "completed_at", "expires_at", "estimated_cost_usd", "cost_basis", "cost_usd",
        "remaining_credits", "error", "outputs", "parameters", "conn_id", "progress",
    ):  # fmt: skip
        tabs(pushed(job={**job, name: ODD[odd]}))
    for key in ("return_value", "job", "request_id", "kept_file"):
        tabs(pushed(**{key: ODD[odd]}))
    tabs(pushed(job=job, kept_file={"address": ODD[odd]}))


@pytest.mark.parametrize(
    "amount", ["1e1000", "-1e1000", "1e-1000", "0e1000", "NaN", "sNaN", "Infinity", "-1", "0.1" + "0" * 60 + "1"]
)
def test_every_amount_has_a_text(amount):
    assert render.usd(Decimal(amount)).startswith("$")


def test_every_time_has_a_text_and_those_at_the_ends_of_the_calendar_no_age():
    for when in (
        datetime.max.replace(tzinfo=timezone(-timedelta(hours=14))),
        datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),
    ):
        assert str(when.year) in render.moment(when)
        assert render.age(when) is None


@pytest.mark.parametrize("odd", range(len(ODD)))
def test_every_value_has_a_text(odd):
    for shown in (render.clean(ODD[odd]), render.moment_of(ODD[odd]), render.pretty({"x": [ODD[odd]], "y": ODD[odd]})):
        assert isinstance(shown, str)
    if isinstance(ODD[odd], int | float):
        assert render.in_bytes(ODD[odd])
