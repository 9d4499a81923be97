"""The pages on the Airflow that is installed, for somebody who may read and edit one DAG of two."""

from __future__ import annotations

import json
import re

import pytest

from airflow_video_providers.testing.simulator import running
from tests.support.home import environment, new_home, run_python

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    home, ledger = new_home(tmp_path_factory), tmp_path_factory.mktemp("ledger")
    passwords = home / "passwords.json"
    passwords.write_text(json.dumps({"edith": "of-a-throw-away-airflow"}))
    own = {
        "AIRFLOW__CORE__AUTH_MANAGER": "tests.plugin.one_dag_auth.OneDagAuthManager",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "edith:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "AIRFLOW__API__SECRET_KEY": "of-a-throw-away-airflow-on-loopback",
        "AIRFLOW__VIDEO_PROVIDERS__LEDGER_PATH": str(ledger),
        "EDITHS_PASSWORD": "of-a-throw-away-airflow",
        "TMPDIR": str(tmp_path_factory.mktemp("tmp")),
        "_AIRFLOW_PROCESS_CONTEXT": "server",
    }
    with running() as simulator:
        said = run_python(environment(home, own, simulator.environment()), "-m", "tests.plugin.ask_routes")
        return json.loads(said.rpartition("\nTOLD ")[2]) | {"accepted": simulator.ledger()["accepted"]}


def test_airflow_has_loaded_the_plugin_and_asks_who_is_there(told):
    assert "video_providers" in told["plugins"]
    assert told["nobody"] == 401


def test_the_pages_of_a_dag_that_may_be_read_are_there(told):
    for name in ("videos", "found", "task", "run", "css"):
        assert told[name][0] == 200, told[name]
    assert "Nobody knows whether this was bought" in told["videos"][1]
    assert "job-of-own" in told["found"][1]
    assert "attach own" in told["videos"][1]
    assert "Airflow knows no such task instance" in told["task"][1]
    assert told["clip"] == [404, "This task instance has landed nothing."]


def test_of_a_dag_that_may_not_be_read_there_is_no_row_no_clip_and_no_money(told):
    for name in ("videos", "found", "run", "task"):
        assert "foreign" not in told[name][1], name
    assert "$0.80 for 2 purchases" in told["videos"][1]
    for name in ("foreign_task", "foreign_run", "foreign_clip", "no_dag"):
        assert told[name][0] == 403, name
        assert "job-of" not in told[name][1]


def test_who_may_not_edit_a_dag_changes_nothing_of_it(told):
    assert "1 forgotten" in told["forget_own"]
    assert "You may not edit the DAG foreign: nothing was changed." in told["forget_foreign"]
    assert (told["state_own"], told["state_foreign"]) == ("forgotten", "intent")


def test_find_asks_the_vendor_s_history_for_several_at_once_and_says_of_each_what_came_of_it(told):
    found = told["find"]
    assert "Find the chosen in the vendor's history" in found["page"]
    assert "find own" in found["page"]
    assert "Find asks fal" in found["page"]
    for request_id in found["bought"][:2]:
        assert f"has bought job {request_id}. Clear the task: it takes that job and buys nothing." in found["answer"]
    assert re.search(r"own.never_sent in \S+: The submit of \S+ \S+ UTC stays unknown", found["answer"])
    assert "stays unknown: not exactly one job fits it alone." in found["answer"]
    assert "pixazo shows no history of what it was sent." in found["answer"]
    assert "No submit of own.lost" in found["answer"]
    assert found["stored"] == {
        "own.a": [True],
        "own.b": [True],
        "own.never_sent": [],
        "own.pixazo": [],
        "foreign.a": [],
    }
    assert found["logged"] == [["own", "a", "edith"], ["own", "b", "edith"]]
    assert told["accepted"] == 3, "nothing is bought"


def test_find_answers_nothing_of_a_dag_that_may_not_be_edited(told):
    assert "You may not edit the DAG foreign: nothing was changed." in told["find"]["answer"]
    assert told["find"]["bought"][2] not in told["find"]["answer"]


def test_a_ledger_that_the_server_cannot_reach_is_said_so_and_the_pages_stand(told):
    videos, task, run = told["away"]
    assert "This server cannot read the ledger." in videos
    assert "The ledger cannot be read from here" in run
    assert "<h1>" in task
