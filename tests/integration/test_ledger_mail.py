"""The commands check what callbacks have named for attempts that no task waits for."""

from __future__ import annotations

import json

import pytest

from airflow_video_providers.core.clock import utcnow
from airflow_video_providers.core.purchase import resolve
from airflow_video_providers.core.purchase.records import AttemptState, Identity
from airflow_video_providers.integration.ledger_cli import main
from tests.support.calls import called_desk

pytest_plugins = ["airflow_video_providers.testing.pytest_plugin"]
WHO = Identity("dag", "run-1", "submit")
SUBMIT = ["dag", "run-1", "submit"]


@pytest.fixture
def desk(video_simulator, monkeypatch, tmp_path):
    """A desk whose first submit has lost its answer, and nobody waits for it any more."""
    desk = called_desk(video_simulator, monkeypatch, tmp_path)
    monkeypatch.setenv("AIRFLOW_CONN_PIXAZO_DEFAULT", json.dumps(desk.airflow.connections["pixazo_default"]))
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "client")  # so that it is put back
    monkeypatch.delenv("_AIRFLOW_PROCESS_CONTEXT")
    desk.simulator.fault("drop_after_accept", count=1)
    desk.run(desk.submit())
    desk.age()
    return desk


@pytest.fixture
def listed(capsys):
    """What ``list`` shows as JSON, by the attempt's number, and what it says beside it."""

    def listed(*arguments):
        capsys.readouterr()
        assert main(["list", "--output", "json", *arguments]) == 0
        out, said = capsys.readouterr()
        return {row["number"]: (row["state"], row.get("request_id")) for row in json.loads(out)}, said

    return listed


def forget(desk):
    resolve.forget(desk.ledger, WHO, now=utcnow())


def test_what_was_forgotten_and_a_call_names_later_is_listed_as_bought(desk, listed):
    forget(desk)
    assert listed()[0] == {}
    desk.call()
    rows, said = listed()
    assert rows == {1: ("bought", desk.jobs()[0])}
    assert desk.jobs()[0] in said
    assert desk.attempts[0].state is AttemptState.SUBMITTED
    again, said = listed()
    assert again == rows
    assert desk.jobs()[0] not in said, "it is said once"


def test_it_is_never_attached_to_the_attempt_that_was_made_after_it(desk, listed):
    forget(desk)
    assert desk.run(desk.submit(), try_number=2, retries=3).error is None
    first, second = desk.jobs()
    desk.call(first, number=0)
    assert listed()[0] == {1: ("bought", first), 2: ("bought", second)}
    assert desk.run(desk.submit(), try_number=3, retries=3).error is None
    assert desk.airflow.xcom("submit")["request_id"] == second
    assert desk.accepted == 2


def test_nor_where_the_later_attempt_has_no_answer_either(desk, listed):
    forget(desk)
    desk.simulator.fault("drop_after_accept", count=1)
    assert desk.run(desk.submit(), try_number=2, retries=3).state == "deferred"
    first, second = desk.jobs()
    desk.call(first, number=0)
    assert listed()[0] == {1: ("bought", first), 2: ("unknown", None)}
    assert desk.run(desk.submit(), try_number=3, retries=3).state == "deferred", "it still waits for its own"
    desk.call(second, number=1)
    assert desk.run(desk.submit(), try_number=3, retries=3).error is None
    assert [attempt.request_id for attempt in desk.attempts] == [first, second]
    assert desk.accepted == 2


def test_a_job_of_a_later_attempt_is_not_believed_for_a_forgotten_one(desk, listed):
    forget(desk)
    assert desk.run(desk.submit(), try_number=2, retries=3).error is None
    desk.call(desk.jobs()[1], number=0)
    assert listed()[0] == {2: ("bought", desk.jobs()[1])}
    assert desk.attempts[0].state is AttemptState.FORGOTTEN


def test_an_open_attempt_that_nobody_waits_for_is_answered_too(desk, listed):
    desk.call()
    assert listed()[0] == {1: ("bought", desk.jobs()[0])}
    assert desk.run(desk.submit(), try_number=2, retries=3, cleared=1).error is None, "the next try takes it as it is"
    assert desk.accepted == 1


def test_an_attempt_whose_task_waits_is_left_to_its_task(desk, listed):
    desk.age(-1000)
    desk.call()
    assert listed()[0] == {1: ("unknown", None)}
    assert desk.attempts[0].open


def test_a_vendor_that_does_not_answer_costs_no_listing_and_is_named(desk, listed):
    forget(desk)
    desk.call()
    desk.simulator.fault("http_500", on="status", count=1)
    rows, said = listed("--all")
    assert rows == {1: ("forgotten", None)}
    assert "could not be checked" in said
    assert listed()[0] == {1: ("bought", desk.jobs()[0])}


def test_two_ids_for_a_forgotten_attempt_are_named_and_neither_is_believed(desk, listed):
    forget(desk)
    assert desk.run(desk.submit(task_id="other")).error is None
    for job in desk.jobs():
        desk.call(job, number=0)
    rows, said = listed("--all")
    assert rows[1] == ("bought", desk.jobs()[1]), "of the other task"
    assert all(job in said for job in desk.jobs())
    assert desk.attempts[0].state is AttemptState.FORGOTTEN


def test_a_mailbox_that_cannot_be_read_costs_no_listing(desk, listed):
    forget(desk)
    (desk.root / "callbacks").write_text("no directory")
    assert listed()[0] == {}


def test_without_mail_no_vendor_is_asked(desk, listed):
    forget(desk)
    before = len(desk.simulator.requests())
    listed()
    assert len(desk.simulator.requests()) == before


def test_what_a_call_has_named_is_not_forgotten(desk, capsys):
    desk.call()
    assert main(["forget", *SUBMIT]) == 1
    assert f"has bought job {desk.jobs()[0]}" in capsys.readouterr().err
    assert desk.attempts[0].request_id == desk.jobs()[0]
    assert desk.run(desk.submit(), try_number=2, retries=3).error is None
    assert desk.accepted == 1


def test_what_cannot_be_checked_is_not_forgotten_either(desk, capsys):
    desk.call()
    desk.simulator.fault("http_500", on="status", count=1)
    assert main(["forget", *SUBMIT]) == 1
    assert desk.attempts[0].open
    assert "500" in capsys.readouterr().err


def test_a_name_that_is_not_believed_holds_up_no_forgetting(desk):
    desk.call("pixverse-v6-text-to-video_nobody")
    assert main(["forget", *SUBMIT]) == 0
    assert desk.attempts[0].state is AttemptState.FORGOTTEN


def test_find_reads_the_calls_first(desk, capsys):
    desk.call()
    assert main(["find", *SUBMIT]) == 0
    assert f"has bought job {desk.jobs()[0]}" in capsys.readouterr().out


@pytest.mark.parametrize("dry", [[], ["--dry-run"]], ids=["done", "dry run"])
def test_what_a_task_waits_for_is_not_forgotten(desk, capsys, dry):
    desk.age(-1000)
    assert main(["forget", *SUBMIT, *dry]) == 1
    assert "waits for the vendor's call until" in capsys.readouterr().err
    assert desk.attempts[0].open
