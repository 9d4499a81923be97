"""The vendor's history, asked by a person: on the state store for a submit alone that had a seed of ours."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.jobs import VideoJob
from airflow_video_providers.core.purchase.ledger import Ledger
from airflow_video_providers.core.purchase.records import Attempt, AttemptState, Identity
from airflow_video_providers.core.purchase.stores.local_directory import LocalDirectory
from airflow_video_providers.integration import ledger_history
from airflow_video_providers.integration.airflow_view import AirflowView
from airflow_video_providers.integration.ledger_history import Histories

FAL = "fal:fal-ai/kling-video/v2.1/standard/text-to-video"
WHO = Identity("dag", "run", "submit")
NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)


@pytest.fixture
def ledger(tmp_path, monkeypatch):
    """One that passes for the state store; the vendor's history names the job."""
    monkeypatch.setattr(ledger_history, "is_state_store", lambda _: True)
    monkeypatch.setattr(
        Histories, "_find", lambda _, attempt, known: attempt.bought(VideoJob(model=FAL, request_id="job-1"))
    )
    return Ledger(LocalDirectory(tmp_path))


def answer(ledger, **more):
    ledger.create(
        Attempt(
            **vars(WHO), number=1, purchase=1, state=AttemptState.UNKNOWN, claim="c", model=FAL, created_at=NOW, **more
        )
    )
    with Histories(ledger) as histories:
        return histories.answer(WHO, AirflowView(), NOW)


def test_a_submit_with_a_seed_of_ours_is_found_on_the_state_store(ledger):
    (asked,) = answer(ledger, own_seed=7)
    assert "has bought job job-1" in str(asked)


def test_another_is_not_because_nobody_sees_who_else_may_hold_the_job(ledger):
    with pytest.raises(InvalidRequestError, match=r"set \[video_providers\] ledger_path"):
        answer(ledger)
