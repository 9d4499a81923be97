"""The pages on the Airflow that is installed, for somebody who may read and edit one DAG of two."""

from __future__ import annotations

import html
import json
import re
import shlex
from datetime import UTC, datetime, timedelta

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
        limited = simulator.connection("pixazo")
        limited["extra"] |= {"budget": {"usd": 50, "per": "day"}, "max_cost_usd": "2"}
        own["AIRFLOW_CONN_PIXAZO_DEFAULT"] = json.dumps(limited)
        said = run_python(environment(home, simulator.environment(), own), "-m", "tests.plugin.ask_routes")
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
    assert "$1.45 for 4 purchases" in told["videos"][1]
    for name in ("foreign_task", "foreign_run", "foreign_clip", "no_dag"):
        assert told[name][0] == 403, name
        assert "job-of" not in told[name][1]


def test_a_run_whose_other_tasks_return_odd_things_has_its_page_and_so_have_they(told):
    for name in ("other_run", "train", "odd"):
        assert told[name][0] == 200, told[name]
    assert "resnet50" not in told["other_run"][1]
    assert "This task makes no video." in told["train"][1]
    for name in ("other_run", "odd"):
        assert "The task's manifest names" in html.unescape(told[name][1])
    assert told["odd_clip"][0] == 404


def test_each_thing_that_needs_a_hand_says_what_to_do_and_has_its_command_filled_in(told):
    page = told["videos"][1]
    rows = dict(re.findall(r"<li>\s*<div class=\"who\">.*?>own\.(\w+) in .*?</a>(.*?)</li>", page, re.DOTALL))
    assert list(rows) == ["soon", "lost", "unlanded"], "what expires first comes first"
    badges = re.findall(r'<span class="badge \w+">([^<]+)</span>', page.partition('id="making"')[0])
    assert badges == ["bought", "expires soon", "unknown", "bought"]
    assert "It is paid for and has not landed. Clear the task that waits or lands: it buys nothing." in rows["unlanded"]
    assert "pixazo has promised to keep it until" in rows["soon"]
    assert "Nobody knows whether this was bought." in rows["lost"]
    for name in ("attach own", "forget own"):
        assert name in rows["lost"]
    for name in ("soon", "unlanded"):
        command = html.unescape(re.search(r"<pre[^>]*>(curl .*?)</pre>", rows[name])[1])
        body = json.loads(shlex.split(command)[-1])
        assert (body["dag_run_id"], body["task_ids"]) == ("manual__2026-05-04T00:00:00+00:00", [name])
    account = re.search(r"The account behind.*?</div>", page, re.DOTALL)[0]
    assert "account_of_own" in account
    assert "Top it up in segmind&#39;s console" in account or "Top it up in segmind's console" in account
    assert json.loads(shlex.split(html.unescape(re.search(r"<pre[^>]*>(curl .*?)</pre>", account)[1]))[-1])[
        "task_ids"
    ] == ["refused"]


def test_what_was_spent_stands_in_a_picture_against_the_limits_of_a_connection_that_may_be_read(told):
    page = told["videos"][1]
    assert "the dashed line is the limit of $50.00 a day" in page
    assert re.search(r'<svg class="spend"[^>]*role="img".*?<rect .*?<line ', page, re.DOTALL)
    now = datetime.now(UTC)
    if (now - timedelta(hours=4)).date() == now.date():  # they were bought two and three hours ago
        assert re.search(r'\$50.00 per day: \$1.60 spent <meter min="0" max="50" value="1.60*"', page)
    else:
        assert re.search(r'\$50.00 per day: \$[\d.]+ spent <meter min="0" max="50" value="[\d.]+"', page)
    assert "$2.00 per submit" in page


def test_what_the_vendor_says_that_a_job_cost_stands_beside_the_estimate_and_limits_count_estimates(told):
    page = told["videos"][1]
    assert "Of 1 the vendor says what they cost; the rest are estimates of the DAGs that you may read" in page
    assert "Limits count estimates." in page
    assert '<td class="number">$0.25 (estimate $0.40)</td>' in page
    assert "$0.25 (estimate $0.40)" in told["found"][1]


def test_while_a_ledger_is_read_for_the_first_time_pages_say_how_much_of_it_they_hold(told):
    for page in told["half"]:
        assert re.search(r"Reading the ledger(, [\d,]+ of [\d,]+|: [\d,]+) new records", page)
        assert 'data-again="2"' in page
    assert "Reading the ledger" not in told["videos"][1]


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
