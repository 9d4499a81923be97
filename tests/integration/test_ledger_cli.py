"""The way out by hand."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from airflow_video_providers.core.errors import RequestRejectedError, SubmissionOutcomeUnknownError
from airflow_video_providers.core.jobs import JobStatus, VideoJob
from airflow_video_providers.core.purchase.ledger import Ledger
from airflow_video_providers.core.purchase.records import AttemptState
from airflow_video_providers.core.purchase.stores.object_directory import LocalDirectory
from airflow_video_providers.integration import ledger_listing
from airflow_video_providers.integration.airflow_view import AirflowView, TaskView
from airflow_video_providers.integration.ledger_cli import get_commands, main


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

    monkeypatch.setattr("airflow_video_providers.integration.commands.opened.open_directory", opened)
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


# --- many at once ------------------------------------------------------------------------------------------------

NOW = datetime.now(UTC)
RUN = "scheduled__2026-01-01T00:00:00+00:00"


@pytest.fixture
def airflow(mocker):
    """What Airflow says of task instances: index -> (state, try)."""
    known, asked = {}, []

    def ask(identities):
        wanted = set(identities)
        asked.append(wanted)
        if known.get("away"):
            return AirflowView(trouble="OperationalError: no such table")
        return AirflowView({one: TaskView(*known[one.map_index]) for one in wanted if one.map_index in known})

    mocker.patch("airflow_video_providers.integration.commands.ledger_answers.view_of_airflow", ask)
    mocker.patch.object(ledger_listing.rows, "__kwdefaults__", ledger_listing.rows.__kwdefaults__ | {"ask": ask})
    known["asked"] = asked
    return known


def interrupted(task, *, young=True):
    """A try that is between its intent and its answer."""
    with pytest.raises(KeyboardInterrupt):
        task.run(
            buy=lambda: (_ for _ in ()).throw(KeyboardInterrupt),
            clock=lambda: NOW - timedelta(minutes=5 if young else 90),
        )
    return task


def listed(capsys, *more):
    capsys.readouterr()
    assert main(["list", "--output", "json", *more]) == 0
    return {row["map_index"]: row for row in json.loads(capsys.readouterr().out)}


@pytest.fixture
def tasks(path, vendor, make_task):
    ledger = Ledger(LocalDirectory(path))
    return [make_task(ledger, vendor, index) for index in range(9)]


def test_states_are_told_apart(tasks, vendor, airflow, capsys):
    airflow[0] = ("running", 1)
    interrupted(tasks[0], young=False)
    tasks[1].run_unknown()
    jobs = [task.run() for task in tasks[2:8]]
    ledger = tasks[0].ledger
    ledger.mark_landed(jobs[1], "s3://b/m.json")
    ledger.mark_lost(jobs[2])
    ledger.mark_failed(jobs[3].replace(status=JobStatus.ERROR, charged="no"))
    ledger.mark_failed(jobs[4].replace(status=JobStatus.FAILED, charged="yes"))
    ledger.mark_refused_file(jobs[5], "s3://b/_rejected/x/", "container")
    with pytest.raises(RequestRejectedError):
        tasks[8].run(RequestRejectedError("No."))
    states = {
        0: "in flight", 1: "unknown", 2: "bought", 4: "lost", 5: "failed without charge", 6: "failed", 7: "rejected",
    }  # fmt: skip
    shown = listed(capsys)
    assert {index: row["state"] for index, row in shown.items()} == states
    assert shown[0]["task_state"] == "running"
    assert 5390 < shown[0]["age_s"] < 7000
    assert len(shown[2]["request_digest"]) == 12
    assert shown[7]["kept_at"] == "s3://b/_rejected/x/"
    everything = listed(capsys, "--all")
    assert {index: row["state"] for index, row in everything.items()} == states | {3: "landed", 8: "not bought"}

    main(["list"])
    out = capsys.readouterr().out
    assert (
        "2 open (1 in flight, 1 unknown), 1 bought and not landed, 1 rejected, 1 failed without charge, 1 failed, 1 lost."
        in out
    )
    assert re.search(
        r"in flight +\S+ \S+ +1 h [0-9]+ min ago +task running +pixazo:mochi-v1 +price unknown +request [0-9a-f]{12}",
        out,
    )
    assert "kept at s3://b/_rejected/x/ (container)" in out


def test_a_damaged_record_is_named_and_the_rest_is_listed(tasks, path, airflow, capsys):
    for task in tasks[:3]:
        task.run()
    next(path.rglob("1/1.json")).write_text("{")
    main(["list"])
    out = capsys.readouterr().out
    assert f"damaged    {path}/submits/d/" in out
    assert "`attach d scheduled__2026-01-01T00:00:00+00:00 submit --map-index 1 <its id> --model <its model>`" in out
    assert "2 bought and not landed, 1 damaged." in out
    assert main(["attach", "d", RUN, "submit", "--map-index", "1", "job-2", "--model", "pixazo:mochi-v1"]) == 0
    assert sorted(listed(capsys)) == [0, 1, 2]


def test_a_record_does_nothing_to_a_terminal(tasks, airflow, capsys):
    tasks[0].run()
    (attempt,) = tasks[0].ledger.attempts(tasks[0].identity)
    tasks[0].ledger.replace(attempt.replace(request_id="a\x1b[2J\nb\u202e"))
    main(["list"])
    out = capsys.readouterr().out
    assert out.isascii() or "\u202e" not in out
    assert "\x1b" not in out
    assert len(out.splitlines()) == 2


@pytest.mark.parametrize("state", ["running", "restarting", "deferred"])
@pytest.mark.parametrize("command", [["attach", "d", RUN, "submit", "--map-index", "0", "x"], ["forget", "d", RUN, "submit", "--map-index", "0"]])  # fmt: skip
@pytest.mark.parametrize("young", [True, False])
def test_what_is_in_flight_is_neither_attached_nor_forgotten(tasks, airflow, capsys, state, command, young):
    airflow[0] = (state, 1)
    interrupted(tasks[0], young=young)
    before = tasks[0].ledger.attempts(tasks[0].identity)
    assert main(command) == 1
    assert f"is in flight: Airflow says that its try 1 is {state}" in capsys.readouterr().err
    assert tasks[0].ledger.attempts(tasks[0].identity) == before


@pytest.mark.parametrize("known", [("failed", 1), ("up_for_retry", 1), ("success", 1), (None, 1), ("running", 2)])
def test_what_airflow_has_ended_or_retried_is_not_in_flight(tasks, airflow, known):
    airflow[0] = known
    interrupted(tasks[0])
    assert main(["forget", "d", RUN, "submit", "--map-index", "0"]) == 0


def test_an_unknown_outcome_is_not_in_flight_whatever_the_task_does(tasks, airflow):
    airflow[0] = ("running", 1)
    tasks[0].run_unknown()
    assert main(["attach", "d", RUN, "submit", "--map-index", "0", "found"]) == 0


@pytest.mark.parametrize("away", [True, False])
def test_where_airflow_cannot_be_asked_an_intent_is_in_flight_for_an_hour(tasks, airflow, capsys, away):
    airflow["away"] = away
    interrupted(tasks[0])
    interrupted(tasks[1], young=False)
    assert main(["forget", "d", RUN, "submit", "--map-index", "0"]) == 1
    told = capsys.readouterr().err
    assert "Airflow cannot be asked" in told
    assert "younger than an hour" in told
    assert main(["forget", "d", RUN, "submit", "--map-index", "1"]) == 0
    assert {index: row["state"] for index, row in listed(capsys).items()} == {0: "in flight"}


def test_what_a_task_pushed_is_a_receipt_and_what_a_task_landed_is_left_out(tasks, vendor, airflow, mocker, capsys):
    interrupted(tasks[0], young=False)
    interrupted(tasks[1], young=False)
    job = VideoJob(model="pixazo:mochi-v1", request_id="pushed")
    view = AirflowView(
        {
            tasks[0].identity: TaskView("success", 1, job),
            tasks[1].identity: TaskView("success", 1, job.replace(request_id="landed")),
        },
        frozenset({("pixazo:mochi-v1", "landed")}),
    )
    mocker.patch.object(ledger_listing.rows, "__kwdefaults__", {"everything": False, "ask": lambda _: view})
    (row,) = listed(capsys).values()
    assert (row["state"], row["request_id"], row["task_state"]) == ("bought", "pushed", "success")


@pytest.fixture
def forty(path, vendor, make_task):
    """Forty unknown outcomes of one run."""
    ledger = Ledger(LocalDirectory(path))
    buyers = [make_task(ledger, vendor, index) for index in range(40)]
    for buyer in buyers:
        buyer.run_unknown()
    return buyers


def answers(forty, kind):
    rows = [
        {"dag_id": "d", "run_id": RUN, "task_id": "submit", "map_index": n, "request_id": f"job-{n + 1}"}
        for n in range(40)
    ]
    if kind == "json":
        return json.dumps(rows)
    lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
    return ("\ufeff" if kind == "csv of a spreadsheet" else "") + "\n".join(lines) + "\n"


@pytest.mark.parametrize("kind", ["csv", "json", "csv of a spreadsheet"])
def test_forty_unknown_outcomes_are_answered_from_a_file(forty, airflow, tmp_path_factory, capsys, vendor, kind):
    file = tmp_path_factory.mktemp("answers") / f"answers.{kind[:4]}"
    file.write_text(answers(forty, kind), encoding="utf-8")
    assert main(["attach", "--from-file", str(file), "--dry-run"]) == 0
    assert capsys.readouterr().out.count("Would give") == 40
    assert all(row["state"] == "unknown" for row in listed(capsys).values())
    assert main(["attach", "--from-file", str(file)]) == 0
    shown = listed(capsys)
    assert [shown[n]["request_id"] for n in range(40)] == [f"job-{n}" for n in range(1, 41)]
    assert [buyer.clear().run().request_id for buyer in forty] == [f"job-{n}" for n in range(1, 41)]
    assert len(vendor.charges) == 40


def test_what_the_list_prints_may_be_filled_in_and_given_back(forty, airflow, tmp_path_factory, capsys):
    rows = list(listed(capsys).values())
    rows[3]["request_id"] = "found"
    file = tmp_path_factory.mktemp("answers") / "list.json"
    file.write_text(json.dumps(rows))
    assert main(["attach", "--from-file", str(file)]) == 0
    told = capsys.readouterr()
    assert "39 rows name no request_id: left out." in told.err
    assert told.out.count("has job found now") == 1


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "dag_id"), ("[1]", "no object"), ("{", "cannot be read"), ("dag_id,run_id\nd", "left out"),
        ("dag_id,run_id,task_id,request_id\nd,r,,x", "lacks task_id"),
        ("dag_id,run_id,task_id,map_index,request_id\nd,r,t,x,y", "map_index"),
        ('[{"dag_id":"d","run_id":"r","task_id":"t","request_id":"x"},{"dag_id":"d","run_id":"r","task_id":"t","request_id":"y"}]', "as well"),
        ('[{"dag_id":"d","run_id":"r","task_id":"t","request_id":"x"},{"dag_id":"d","run_id":"r","task_id":"u","request_id":"x"}]', "as well"),
        ("[" * 100000, "cannot be read"), ("\xff", "left out"),
    ],
)  # fmt: skip
def test_a_file_with_a_mistake_writes_nothing(path, airflow, tmp_path_factory, capsys, text, why):
    file = tmp_path_factory.mktemp("answers") / "answers"
    file.write_text(text)
    status = main(["attach", "--from-file", str(file), *(["--dry-run"] if not text else [])])
    told = capsys.readouterr()
    assert status == (0 if why in ("left out", "dag_id") else 1)
    assert why in told.err or status == 0
    assert list(path.rglob("*.json")) == []


def test_a_file_that_is_not_there_fails_with_words(path, capsys, tmp_path):
    assert main(["attach", "--from-file", str(tmp_path / "no.csv")]) == 1
    assert "cannot be read" in capsys.readouterr().err


def test_all_of_a_run_is_forgotten_but_for_what_is_in_flight(forty, airflow, capsys, path, vendor, make_task):
    airflow[39] = ("running", 2)
    forty[39].clear()
    (attempt,) = forty[39].ledger.attempts(forty[39].identity)
    forty[39].ledger.replace(attempt.replace(state=AttemptState.INTENT, try_number=2))
    make_task(forty[0].ledger, vendor, 50).run()
    assert main(["forget", "--all", "--dag-id", "d", "--run-id", RUN, "--dry-run"]) == 1
    assert capsys.readouterr().out.count("Would forget") == 39
    assert main(["forget", "--all", "--dag-id", "d", "--run-id", RUN]) == 1
    told = capsys.readouterr()
    assert told.out.count("Forgotten: ") == 39
    assert "in flight" in told.err
    assert {index: row["state"] for index, row in listed(capsys).items()} == {39: "in flight", 50: "bought"}
    assert len(airflow["asked"]) < 10, "Airflow is asked once for all"


@pytest.mark.parametrize("arguments", [[], ["--dag-id", "d"], ["--run-id", "r"], ["d", "r", "t", "--dag-id", "d", "--run-id", "r"]])  # fmt: skip
def test_forgetting_all_needs_a_run(path, capsys, arguments):
    assert main(["forget", "--all", *arguments]) == 1
    assert "--all needs" in capsys.readouterr().err


def test_another_run_is_left_alone(forty, airflow, capsys):
    assert main(["forget", "--all", "--dag-id", "d", "--run-id", "another"]) == 0
    assert "Nothing is open there." in capsys.readouterr().out
    assert len(listed(capsys)) == 40


@pytest.mark.parametrize("command", [["attach"], ["forget"], ["attach", "d", "r", "t"]])
def test_names_that_are_missing_are_asked_for(path, capsys, command):
    with pytest.raises(SystemExit):
        main(command)
    assert "required" in capsys.readouterr().err


@pytest.mark.slow
def test_json_stands_alone_on_standard_output_and_forty_answers_cost_less_than_ten_seconds(forty, tmp_path_factory):
    file = tmp_path_factory.mktemp("answers") / "answers.csv"
    file.write_text(answers(forty, "csv"))
    script = (
        "import logging, sys\n"
        "from airflow_video_providers.core.purchase.stores import local_directory as local\n"
        "logging.basicConfig(stream=sys.stdout, level=logging.DEBUG)\n"
        "real = local._read\n"
        "def noisy(path):\n"
        "    print('printed'); logging.getLogger('any').warning('logged'); return real(path)\n"
        "local._read = noisy\n"
        "from airflow_video_providers.integration.ledger_cli import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)

    def run(*arguments):
        return subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True)

    answered = run("attach", "--from-file", str(file))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert answered.stdout.count("has job") == len(answered.stdout.splitlines()) == 40
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 10
    shown = run("list", "--output", "json")
    assert len(json.loads(shown.stdout)) == 40
    assert "logged" in shown.stderr
    assert "printed" in shown.stderr
