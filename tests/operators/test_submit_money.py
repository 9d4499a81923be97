"""What happens to the money when a submit is retried, cleared, lost, attached, capped or switched off."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest

from airflow_video_providers.core.client import client, driver, timeouts
from airflow_video_providers.core.purchase import hold
from tests.support.submitting import V6, Desk

pytest_plugins = ["airflow_video_providers.testing.pytest_plugin"]

UNPRICED = "segmind:mochi-1"
I2V = "pixazo:pixverse-v6-image-to-video"
IMAGE = {"prompt": "a fox", "image_url": "https://images.example/fox.png?sig=1"}


@pytest.fixture(params=["state store", "directory"])
def desk(request, video_simulator, monkeypatch, tmp_path):
    if request.param == "directory":
        monkeypatch.setenv("AIRFLOW__VIDEO_PROVIDERS__LEDGER_PATH", str(tmp_path))
    monkeypatch.setattr(driver, "with_jitter", lambda _: 0.0)
    monkeypatch.setattr(timeouts, "SUBMIT", httpx.Timeout(0.3))
    video_simulator.configure(queue_seconds=(0, 0), run_seconds=(0, 0))
    return Desk(video_simulator)


def name(outcome):
    return type(outcome.error).__name__


# --- the purchase --------------------------------------------------------------------------------------------------


def test_the_xcom_is_the_job_as_a_plain_dict_and_its_request_id(desk):
    desk.run(desk.submit("pixazo:mochi-v1", {"prompt": "a fox"}))
    job, (bought,) = desk.airflow.xcom("submit"), desk.simulator.ledger()["jobs"]
    assert desk.airflow.xcom("submit", "request_id") == job["request_id"] == bought["request_id"]
    expected = {
        "v": 1, "model": "pixazo:mochi-v1", "conn_id": "pixazo_default", "status": "queued", "charged": "unknown",
        "estimated_cost_usd": "0.4", "cost_basis": "documented: per generation", "status_route": "default",
    }  # fmt: skip
    assert expected.items() <= job.items()
    assert len(job["request_sha256"]) == 64
    assert "a fox" not in str(job)


def test_the_intent_is_stored_when_the_post_leaves(desk, monkeypatch, tmp_path):
    seen = []
    real = client.VideoClient.buy

    def submit(self, *arguments):
        seen.append(str(desk.airflow.store) + "".join(path.read_text() for path in tmp_path.rglob("*.json")))
        return real(self, *arguments)

    monkeypatch.setattr(client.VideoClient, "buy", submit)
    desk.run(desk.submit())
    assert len(seen) == 1
    assert "request_sha256" in seen[0]
    assert "submitted" not in seen[0]


def test_one_line_says_what_is_bought_and_for_how_much(desk):
    desk.run(desk.submit("pixazo:mochi-v1", {"prompt": "a fox"}))
    assert [line for line in desk.logs if "$" in line] == [
        "Buying pixazo:mochi-v1 for about $0.4 (documented: per generation) (attempt 1 of dag.submit in run-1)."
    ]
    assert f"Bought request_id={desk.airflow.xcom('submit', 'request_id')}." in desk.logs


def test_a_price_that_nobody_documents_is_unknown_and_never_zero(desk):
    desk.run(desk.submit(UNPRICED))
    assert "for an unknown price" in desk.log
    assert "estimated_cost_usd" not in desk.airflow.xcom("submit")


def test_credits_left_are_logged_where_the_vendor_tells(desk):
    desk.run(desk.submit(UNPRICED))
    left = desk.airflow.xcom("submit").get("remaining_credits")
    assert ("Credits left" in desk.log) == (left is not None)


# --- retries -------------------------------------------------------------------------------------------------------


def test_any_number_of_retries_return_the_job_and_post_nothing(desk):
    desk.run(desk.submit(), retries=4)
    first = desk.airflow.xcom("submit")
    for try_number in (2, 3, 4, 5):
        desk.airflow.xcoms.clear()  # as Airflow does before a retry
        assert desk.run(desk.submit(), try_number=try_number, retries=4).state == "success"
        assert desk.airflow.xcom("submit") == first
        assert desk.airflow.xcom("submit", "request_id") == first["request_id"]
    assert len(desk.bodies()) == desk.accepted == 1


def test_a_retry_whose_request_drifted_keeps_the_job_and_names_the_fields(desk):
    desk.run(desk.submit(I2V, IMAGE), retries=1)
    drifted = IMAGE | {"image_url": "https://images.example/fox.png?sig=2", "duration": 5}
    desk.run(desk.submit(I2V, drifted), try_number=2, retries=1)
    assert "(duration, image_url)" in desk.log
    assert "sig=2" not in desk.log
    assert desk.accepted == 1


@pytest.mark.parametrize(
    "fault", ["rate_limited_retry_after:600", "http_503:600", "error_402", "error_400", "error_401"]
)
def test_what_was_refused_may_be_bought_by_the_next_try(desk, fault, request, monkeypatch):
    monkeypatch.setattr(hold, "HOLD", timedelta(0))
    desk.simulator.fault(fault, on="submit")
    first = desk.run(desk.submit(), retries=1)
    if fault == "error_402" and "directory" in request.node.name:
        assert first.state == "up_for_reschedule"
    else:
        assert first.error.charged == "no"
    assert desk.run(desk.submit(), try_number=2, retries=1).state == "success"
    assert desk.accepted == 1


def test_the_second_try_without_any_ledger_sends_nothing_and_names_the_option(desk, monkeypatch):
    monkeypatch.delenv("AIRFLOW__VIDEO_PROVIDERS__LEDGER_PATH", raising=False)
    monkeypatch.setattr("airflow_video_providers.operators.submit.open_ledger", lambda _: None)  # Airflow 3.1, 3.2
    assert desk.run(desk.submit(), retries=1).state == "success"
    outcome = desk.run(desk.submit(), try_number=2, retries=1)
    assert name(outcome) == "SubmissionOutcomeUnknownError"
    assert "ledger_path" in str(outcome.error)
    assert desk.accepted == 1


def test_a_ledger_that_is_not_there_stops_the_submit(desk, monkeypatch, tmp_path):
    monkeypatch.setenv("AIRFLOW__VIDEO_PROVIDERS__LEDGER_PATH", str(tmp_path / "not-mounted"))
    outcome = desk.run(desk.submit(), retries=1)
    assert (name(outcome), outcome.state, outcome.error.charged) == ("LedgerError", "up_for_retry", "no")
    assert desk.bodies() == []


# --- unknown outcomes ----------------------------------------------------------------------------------------------


@pytest.fixture
def lost(desk):
    """A desk whose first try was bought and lost its answer."""
    desk.simulator.fault("drop_after_accept", on="submit")
    outcome = desk.run(desk.submit(), retries=3)
    assert (name(outcome), outcome.state) == ("SubmissionOutcomeUnknownError", "failed")
    return desk


def test_neither_a_retry_nor_a_clear_answers_an_unknown_outcome(lost):
    for how in ({"try_number": 2}, {"try_number": 2, "cleared": 1}, {"try_number": 3, "cleared": 2}):
        outcome = lost.run(lost.submit(), retries=3, **how)
        assert (name(outcome), outcome.state) == ("SubmissionOutcomeUnknownError", "failed")
    assert len(lost.bodies()) == 1


def test_the_error_names_every_way_out(lost):
    text = str(lost.run(lost.submit(), try_number=2, retries=3).error)
    for way in ("console", "request_id='<its id>'", "attach dag run-1 submit", "forget dag run-1 submit"):
        assert way in text


def test_resubmit_buys_once_more_and_then_never_again(lost):
    lost.simulator.fault("drop_after_accept", on="submit")
    for try_number in (2, 3, 4):
        outcome = lost.run(lost.submit(on_unknown_outcome="resubmit"), try_number=try_number, retries=3)
        assert name(outcome) == "SubmissionOutcomeUnknownError"
    assert lost.accepted == 2


def test_resubmit_returns_the_job_of_the_second_purchase(lost):
    outcome = lost.run(lost.submit(on_unknown_outcome="resubmit"), try_number=2, retries=3)
    assert outcome.state == "success"
    lost.run(lost.submit(on_unknown_outcome="resubmit"), try_number=3, retries=3)
    assert lost.accepted == 2


def test_request_id_attaches_to_the_lost_job_and_buys_nothing(lost):
    (bought,) = lost.simulator.ledger()["jobs"]
    outcome = lost.run(lost.submit(request_id=bought["request_id"]), try_number=2, cleared=1)
    assert outcome.state == "success"
    assert lost.airflow.xcom("submit", "request_id") == bought["request_id"]
    assert lost.run(lost.submit(), try_number=3, cleared=1).state == "success", "the option may be removed again"
    assert lost.airflow.xcom("submit", "request_id") == bought["request_id"]
    assert lost.accepted == 1


def test_request_id_alone_is_enough_and_is_templated(desk):
    outcome = desk.run(desk.submit(V6, request_id="{{ 'from-' ~ ti.task_id }}"))
    assert outcome.state == "success"
    assert desk.airflow.xcom("submit")["request_id"] == "from-submit"
    assert desk.bodies() == []


def test_a_request_id_that_renders_empty_buys_the_request(desk):
    assert desk.run(desk.submit(V6, {"prompt": "a fox"}, request_id="{{ '' }}")).state == "success"
    assert desk.accepted == 1


# --- a user's Clear ------------------------------------------------------------------------------------------------


def test_a_clear_keeps_a_job_that_still_runs(desk):
    desk.simulator.configure(run_seconds=(900, 900))
    desk.run(desk.submit(), retries=2)
    first = desk.airflow.xcom("submit")["request_id"]
    desk.run(desk.submit(), try_number=2, retries=2, cleared=1)
    assert desk.airflow.xcom("submit")["request_id"] == first
    assert desk.accepted == 1


@pytest.mark.parametrize("prompt", ["a fox", "[[fault:job_failed]] a fox"])
def test_a_clear_buys_a_finished_job_again_and_logs_the_price(desk, prompt):
    request = {"prompt": prompt}
    desk.run(desk.submit("pixazo:mochi-v1", request), retries=2)
    desk.run(desk.submit("pixazo:mochi-v1", request), try_number=2, retries=2, cleared=1)
    assert desk.accepted == 2
    assert "Cleared by a user" in desk.log
    assert "buying again for about $0.4" in desk.log
    desk.run(desk.submit("pixazo:mochi-v1", request), try_number=3, retries=2, cleared=1)
    assert desk.accepted == 2, "a retry of the clear is a retry"


@pytest.mark.parametrize("by", ["argument", "configuration"])
def test_a_clear_reattaches_where_the_author_says_so(desk, monkeypatch, by):
    on_clear = {"on_clear": "reattach"} if by == "argument" else {}
    if by == "configuration":
        monkeypatch.setenv("AIRFLOW__VIDEO_PROVIDERS__ON_CLEAR", "reattach")
    desk.run(desk.submit(**on_clear))
    desk.run(desk.submit(**on_clear), try_number=2, cleared=1)
    assert desk.accepted == 1


def test_a_clear_buys_nothing_while_the_vendor_cannot_be_asked(desk):
    desk.run(desk.submit(), retries=1)
    desk.simulator.fault("http_502", count=None, on="status")
    outcome = desk.run(desk.submit(), try_number=2, retries=1, cleared=1)
    assert (name(outcome), outcome.state) == ("VendorUnavailableError", "up_for_retry")
    assert desk.accepted == 1


# --- caps ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("on_the_task", "in_the_extra", "bought"),
    [(None, None, 1), (0.5, 0.5, 1), (0.1, 0.5, 0), (0.5, "0.1", 0), (None, 0.1, 0), ("0.4", None, 1)],
)
def test_the_stricter_of_two_caps_refuses_before_sending(desk, on_the_task, in_the_extra, bought):
    desk.connect("pixazo", extra={"max_cost_usd": in_the_extra})
    outcome = desk.run(desk.submit("pixazo:mochi-v1", max_cost_usd=on_the_task), retries=2)
    assert desk.accepted == bought
    if not bought:
        assert (name(outcome), outcome.state) == ("InvalidRequestError", "failed")
        assert "max_cost_usd" in str(outcome.error)
        assert "$0.4" in str(outcome.error)


def test_a_cap_refuses_an_unknown_price_unless_told_otherwise(desk):
    outcome = desk.run(desk.submit(UNPRICED, max_cost_usd=1))
    assert "allow_unknown_price=True" in str(outcome.error)
    assert desk.accepted == 0
    assert desk.run(desk.submit(UNPRICED, max_cost_usd=1, allow_unknown_price=True)).state == "success"


@pytest.mark.parametrize(
    ("price", "told"),
    [(0.266, "$0.266 (the connection's prices: per generation)"), ({"usd": 0.1, "per": "second"}, "$0.325 (the")],
)
def test_the_accounts_own_prices_are_used(desk, price, told):
    desk.connect("segmind", extra={"prices": {UNPRICED: price}})
    desk.run(desk.submit(UNPRICED, max_cost_usd=1))
    assert told in desk.log
    assert desk.accepted == 1


def test_submits_enabled_false_stops_all_buying_and_no_re_attaching(desk):
    desk.run(desk.submit(), retries=2)
    desk.connect("pixazo", extra={"submits_enabled": False})
    assert desk.run(desk.submit(), try_number=2, retries=2).state == "success", "that costs nothing"
    outcome = desk.run(desk.submit(), try_number=3, retries=2, cleared=1)
    assert "submits_enabled" in str(outcome.error)
    assert outcome.state == "failed"
    assert desk.accepted == 1


def test_the_budget_of_a_run_is_exact_over_its_tasks_where_the_ledger_is_shared(desk, request):
    tasks = [desk.submit("pixazo:mochi-v1", task_id=f"submit_{n}", max_run_cost_usd=1) for n in range(4)]
    outcomes = [desk.run(task, retries=1) for task in tasks]
    if "directory" in request.node.name:
        assert [outcome.state for outcome in outcomes] == ["success", "success", "up_for_retry", "up_for_retry"]
        assert "reserved $0.8 of $1" in str(outcomes[-1].error)
        assert desk.accepted == 2
    else:
        assert all("ledger_path" in str(outcome.error) for outcome in outcomes)
        assert desk.accepted == 0


def test_the_budget_of_a_connection_holds_over_dags_runs_and_routes(desk, request, tmp_path):
    desk.connect("pixazo", extra={"budget": {"usd": 1, "per": "month"}})
    tasks = [desk.submit("pixazo:mochi-v1", task_id=f"submit_{n}") for n in range(4)]
    outcomes = [desk.run(task, retries=1) for task in tasks]
    if "directory" in request.node.name:
        assert [outcome.state for outcome in outcomes] == ["success", "success", "up_for_retry", "up_for_retry"]
        assert "has spent or reserved $0.8 of the $1 that its owner allows per month" in str(outcomes[-1].error)
        assert "00:00 UTC" in str(outcomes[-1].error)
        assert desk.accepted == 2
    else:
        assert all("budget is set, and there is no ledger that all tasks share" in str(o.error) for o in outcomes)
        assert desk.accepted == 0


def test_a_forced_field_is_posted_and_recorded(desk):
    desk.connect("pixazo", extra={"fields": {"thinking_type": "disabled"}})
    assert desk.run(desk.submit()).state == "success"
    assert desk.bodies() == [{"prompt": "a fox", "thinking_type": "disabled"}]


def test_another_value_than_the_owners_is_refused_for_good(desk):
    desk.connect("pixazo", extra={"fields": {"thinking_type": "disabled"}})
    outcome = desk.run(desk.submit(request={"prompt": "a fox", "thinking_type": "enabled"}), retries=1)
    assert (outcome.state, desk.accepted) == ("failed", 0)


def test_a_clear_right_after_the_submit_keeps_a_job_that_the_status_store_does_not_know_yet(desk):
    desk.simulator.configure(run_seconds=(600, 600))
    desk.run(desk.submit(), retries=1)
    desk.simulator.fault("not_found", on="status")
    assert desk.run(desk.submit(), try_number=2, retries=1, cleared=1).state == "success"
    assert desk.accepted == 1


def test_a_clear_asks_about_the_job_with_the_connection_that_bought_it(desk):
    desk.simulator.configure(run_seconds=(600, 600))
    desk.run(desk.submit(), retries=1)
    desk.airflow.connections["other"] = desk.simulator.connection("pixazo", key="bad-0123456789")
    outcome = desk.run(desk.submit(conn_id="other"), try_number=2, retries=1, cleared=1)
    assert outcome.state == "success"
    assert desk.airflow.xcom("submit")["conn_id"] == "pixazo_default"
    assert desk.accepted == 1


@pytest.mark.parametrize("value", [{1, 2}, b"x"], ids=["a set", "bytes"])  # Airflow itself refuses a NaN
def test_what_json_cannot_hold_is_refused_before_an_intent_is_stored(desk, value):
    outcome = desk.run(desk.submit(extra_fields={"odd": value}))
    assert (name(outcome), outcome.error.charged) == ("InvalidRequestError", "no")
    assert desk.bodies() == []
    assert desk.airflow.store == {}


def test_an_attached_job_is_asked_for_by_the_connections_own_status_route_also_after_that_changed(desk):
    desk.connect("pixazo", extra={"status_route": "legacy"})
    desk.run(desk.submit("pixazo:mochi-v1", {"prompt": "a fox"}, request_id="old-id"), retries=1)
    assert desk.airflow.xcom("submit")["status_route"] == "legacy"
    desk.connect("pixazo")
    desk.run(desk.submit("pixazo:mochi-v1", {"prompt": "a fox"}), try_number=2, retries=1)
    assert desk.airflow.xcom("submit")["status_route"] == "legacy"
    assert desk.accepted == 0
