"""The vendor's history, asked by a person: on the state store for a submit alone that had a seed of ours."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.purchase.intent import Intent
from airflow_video_providers.core.purchase.ledger import Ledger
from airflow_video_providers.core.purchase.records import Attempt, AttemptState, Identity
from airflow_video_providers.core.purchase.stores.local_directory import LocalDirectory
from airflow_video_providers.core.vendors.history import Shown
from airflow_video_providers.core.vendors.wire import sent_digest
from airflow_video_providers.integration import ledger_history
from airflow_video_providers.integration.airflow_view import AirflowView
from airflow_video_providers.integration.ledger_history import Histories

FAL = "fal:fal-ai/kling-video/v2.1/standard/text-to-video"
BODY = {"prompt": "a fox"}
WHO = Identity("dag", "run", "submit")
NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)


@pytest.fixture
def ledger(tmp_path, monkeypatch):
    """One that passes for the state store; the vendor's history names the job."""
    monkeypatch.setattr(ledger_history, "is_state_store", lambda _: True)
    monkeypatch.setattr(Histories, "_history", lambda *_: [Shown("job-1", NOW, BODY)])
    return Ledger(LocalDirectory(tmp_path))


def buy(ledger, task_id=WHO.task_id, *, body=BODY, at=NOW, **more):
    """Create a submit without an answer."""
    intent = Intent.of(model=FAL, request=body, sent_sha256=sent_digest(body), **more)
    who = Identity("dag", "run", task_id)
    ledger.create(
        Attempt(
            **vars(who), number=1, purchase=1, state=AttemptState.UNKNOWN, claim=task_id, created_at=at, **vars(intent)
        )
    )
    return who


def answer(ledger, **more):
    buy(ledger, **more)
    with Histories(ledger) as histories:
        return histories.answer(WHO, AirflowView(), NOW)


def test_a_submit_with_a_seed_of_ours_is_found_on_the_state_store(ledger):
    (asked,) = answer(ledger, own_seed=7)
    assert "has bought job job-1" in str(asked)


def test_another_is_not_because_nobody_sees_who_else_may_hold_the_job(ledger):
    with pytest.raises(InvalidRequestError, match=r"set \[video_providers\] ledger_path"):
        answer(ledger)


@pytest.fixture
def shared(ledger, monkeypatch):
    """One on which every task sees the others."""
    monkeypatch.setattr(ledger_history, "is_state_store", lambda _: False)
    return ledger


def test_for_forty_submits_the_ledger_is_read_whole_once_and_after_every_vendor_was_asked(shared, monkeypatch):
    steps = []
    read_whole = shared.overview
    monkeypatch.setattr(shared, "overview", lambda: steps.append("ledger") or read_whole())

    def history(_, attempt):
        steps.append("vendor")
        return [Shown(f"job-of-{attempt.task_id}", NOW, {"prompt": attempt.task_id})]

    monkeypatch.setattr(Histories, "_history", history)
    everybody = [buy(shared, f"t{number}", body={"prompt": f"t{number}"}) for number in range(40)]
    with Histories(shared) as histories:
        histories.ask(everybody)
        told = [histories.answer(who, AirflowView(), NOW) for who in everybody]
    assert [one.found.request_id for (one,) in told] == [f"job-of-t{number}" for number in range(40)]
    assert steps == ["vendor"] * 40 + ["ledger"]


def test_a_job_of_a_task_that_buys_while_the_vendors_are_asked_is_nobody_else_s(shared, monkeypatch):
    first, second = buy(shared, "first"), buy(shared, "second", body={"prompt": "a cat"})

    def history(_, attempt):
        if attempt.task_id == "first":
            buy(shared, "meanwhile", at=NOW)
        return [Shown("meanwhiles-job", NOW, BODY), Shown("cats-job", NOW, {"prompt": "a cat"})]

    monkeypatch.setattr(Histories, "_history", history)
    with Histories(shared) as histories:
        (cat,) = histories.answer(second, AirflowView(), NOW)
        assert cat.found.request_id == "cats-job"
        (fox,) = histories.answer(first, AirflowView(), NOW)
    assert fox.found is None
