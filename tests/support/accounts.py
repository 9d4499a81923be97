"""A ledger in which everything has happened, and what its vendor would bill."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from airflow_video_providers.core.jobs import JobStatus, VideoJob
from airflow_video_providers.core.purchase.ledger import Ledger
from airflow_video_providers.core.purchase.records import Attempt, AttemptState
from airflow_video_providers.core.purchase.stores.object_directory import LocalDirectory
from airflow_video_providers.integration import ledger_listing
from airflow_video_providers.integration.airflow_view import AirflowView
from airflow_video_providers.integration.ledger_cli import main

MODEL, CONN, RUN = "pixazo:mochi-v1", "pixazo_default", "r"
DAY = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def attempt(index: int, state: AttemptState, **more: Any) -> Attempt:
    """One attempt, by default the first of task instance ``index``, bought ``index`` hours after noon."""
    told = {
        "dag_id": "films", "run_id": RUN, "task_id": "submit", "map_index": index, "number": 1, "purchase": 1, "try_number": 1,
        "state": state, "created_at": DAY + timedelta(hours=index), "model": MODEL, "conn_id": CONN,
        "request_sha256": "ab" * 32, "estimated_cost_usd": Decimal("0.40"), "cost_basis": "documented: per generation",
    }  # fmt: skip
    return Attempt(**told | more)


def bought(index: int, request_id: str, **more: Any) -> Attempt:
    """An attempt whose job is known."""
    wanted = attempt(index, AttemptState.INTENT, **more)
    return wanted.bought(VideoJob(model=wanted.model, request_id=request_id, conn_id=wanted.conn_id))


def job(request_id: str, status: JobStatus = JobStatus.SUCCEEDED, charged: Any = "yes", model: str = MODEL) -> VideoJob:
    """A job as it ended."""
    return VideoJob(model=model, request_id=request_id, status=status, charged=charged)


def fill(ledger: Ledger) -> None:
    """Landed, running, unknown, taken back, cleared, refused, failed three ways, forgotten, attached again, no price."""
    state = AttemptState
    records = [
        bought(0, "j-landed"),
        bought(1, "j-running"),
        attempt(2, state.UNKNOWN, reason="SubmissionOutcomeUnknownError"),
        attempt(3, state.VOID, request_id="j-void"),
        bought(3, "j-after-void", number=2, try_number=2),
        bought(4, "j-before-clear"),
        bought(4, "j-after-clear", number=2, purchase=2, created_at=DAY + timedelta(days=2)),
        attempt(5, state.REJECTED, reason="InsufficientCreditsError"),
        bought(6, "j-error"),
        bought(7, "j-failed"),
        bought(8, "j-failed-charged"),
        attempt(9, state.FORGOTTEN),
        bought(
            10,
            "j-no-price",
            estimated_cost_usd=None,
            cost_basis=None,
            model="segmind:mochi-1",
            conn_id="segmind_default",
        ),
        bought(
            11, "j-landed", dag_id="again", estimated_cost_usd=None, cost_basis=None, request_sha256=None, conn_id=None
        ),
    ]
    for record in records:
        assert ledger.create(record.replace(claim=f"{record.map_index}-{record.number}"))
    for landed in ("j-landed", "j-before-clear"):
        ledger.mark_landed(job(landed), f"s3://bucket/{landed}/manifest.json")
    ledger.mark_failed(job("j-error", JobStatus.ERROR, "no"))
    ledger.mark_failed(job("j-failed", JobStatus.FAILED, "unknown"))
    ledger.mark_failed(job("j-failed-charged", JobStatus.FAILED, "yes"))


#: What a vendor bills that charges as its documents say: by id, in US dollars.
BILL = dict.fromkeys(
    ("j-landed", "j-running", "j-after-void", "j-before-clear", "j-after-clear", "j-failed-charged"), "0.40"
)


@pytest.fixture
def full_ledger(tmp_path, monkeypatch, mocker):
    """The directory of a full ledger that commands read, without an Airflow that could be asked."""
    folder = tmp_path / "ledger"
    folder.mkdir()
    monkeypatch.setenv("AIRFLOW__VIDEO_PROVIDERS__LEDGER_PATH", str(folder))
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")
    mocker.patch.object(ledger_listing.rows, "__kwdefaults__", {"everything": False, "ask": lambda _: AirflowView()})
    fill(Ledger(LocalDirectory(folder)))
    return folder


def answered(capsys, *arguments):
    """A command's exit status, and its JSON."""
    capsys.readouterr()
    status = main([*arguments, "--output", "json"])
    return status, json.loads(capsys.readouterr().out)
