"""The way out by hand."""

from __future__ import annotations

import json
import os
import re

import pytest

from airflow_video_providers.exceptions import SubmissionOutcomeUnknownError
from airflow_video_providers.ledger.book import Ledger
from airflow_video_providers.ledger.cli import get_commands, main
from airflow_video_providers.ledger.directory import LocalDirectory


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setenv("AIRFLOW__VIDEO_PROVIDERS__LEDGER_PATH", str(tmp_path))
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "client")  # so that it is put back
    monkeypatch.delenv("_AIRFLOW_PROCESS_CONTEXT")
    return tmp_path


@pytest.mark.parametrize(
    "command", [["list"], ["forget", "dag", "run", "task"], ["attach", "dag", "run", "task", "id"]]
)
def test_the_ledgers_connection_is_looked_up_in_the_database_as_airflows_own_commands_do(path, monkeypatch, command):
    seen = []

    def opened(where):
        seen.append((where, os.environ.get("_AIRFLOW_PROCESS_CONTEXT")))
        return LocalDirectory(path)

    monkeypatch.setattr("airflow_video_providers.ledger.cli.open_directory", opened)
    main(command)
    assert seen == [(str(path), "server")]


@pytest.fixture
def mapped(path, vendor, make_task):
    return make_task(Ledger(LocalDirectory(path)), vendor, 7)


def arguments_in(error, command):
    """What the message of an unknown outcome tells a person to type."""
    import shlex

    line = re.search(rf"`python -m airflow_video_providers.ledger ({command} [^`]*)`", str(error))[1]
    return shlex.split(line.replace("<its id>", "found"))


def test_the_list_shows_open_intents_and_jobs_that_never_landed(mapped, vendor, make_task, capsys):
    mapped.run_unknown()
    make_task(mapped.ledger, vendor, 8).run()
    mapped.ledger.mark_landed(make_task(mapped.ledger, vendor, 9).run())
    assert main(["list"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"unknown +2026-01-02 03:04:05 .*--map-index 7 +SubmissionOutcomeUnknownError", out)
    assert re.search(r"bought .*--map-index 8 +request_id=job-2", out)
    assert "1 open (0 in flight, 1 unknown), 1 bought and not landed." in out

    main(["list", "--open", "--output", "json"])
    assert [attempt["map_index"] for attempt in json.loads(capsys.readouterr().out)] == [7]
    main(["list", "--dag-id", "another"])
    assert capsys.readouterr().out == "0 open, 0 bought and not landed.\n"


def test_what_the_error_says_to_type_attaches_the_job(mapped, vendor, capsys):
    error = mapped.run_unknown()
    assert main(arguments_in(error, "attach")) == 0
    assert "buys nothing" in capsys.readouterr().out
    job = mapped.clear().run()
    assert (job.request_id, job.model, job.conn_id) == ("found", "pixazo:mochi-v1", "pixazo_default")
    assert len(vendor.charges) == 1


def test_what_the_error_says_to_type_forgets_the_intent(mapped, vendor):
    assert main(arguments_in(mapped.run_unknown(), "forget")) == 0
    assert mapped.clear().run().request_id == "job-2"


def test_a_task_instance_that_the_ledger_does_not_know_needs_its_model(path, capsys, vendor, make_task):
    arguments = ["attach", "d", "scheduled__2026-01-01T00:00:00+00:00", "submit", "found"]
    assert main(arguments) == 1
    assert "--model" in capsys.readouterr().err
    assert main([*arguments, "--model", "pixazo:mochi-v1", "--conn-id", "c"]) == 0
    assert make_task(Ledger(LocalDirectory(path)), vendor).run().request_id == "found"
    assert vendor.charges == []


def test_forgetting_what_is_not_open_fails_with_words(mapped, capsys):
    mapped.run()
    assert main(["forget", *mapped.identity.as_arguments().split()]) == 1
    assert "open" in capsys.readouterr().err


def test_a_ledger_that_cannot_be_opened_fails_with_words(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("AIRFLOW__VIDEO_PROVIDERS__LEDGER_PATH", str(tmp_path / "nowhere"))
    assert main(["list"]) == 1
    assert "mount it" in capsys.readouterr().err


def test_an_airflow_without_a_state_store_says_what_to_set(monkeypatch, mocker, capsys):
    monkeypatch.delenv("AIRFLOW__VIDEO_PROVIDERS__LEDGER_PATH", raising=False)
    mocker.patch.dict("sys.modules", {"airflow.models.task_state_store": None})
    assert main(["list"]) == 1
    assert "ledger_path" in capsys.readouterr().err


def test_airflows_own_command_line_has_the_same_commands(mapped, capsys):
    import argparse

    from airflow.cli.cli_parser import _add_command

    mapped.run_unknown(SubmissionOutcomeUnknownError("lost"))
    parser = argparse.ArgumentParser()
    groups = parser.add_subparsers(dest="group")
    for command in get_commands():
        _add_command(groups, command)
    args = parser.parse_args(["video-ledger", "forget", *mapped.identity.as_arguments().split()])
    args.func(args)
    assert "Forgotten" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="open"):
        args.func(args)
