"""A submit whose answer was lost, and what the vendor's own history says about it: nothing is bought twice, nobody is asked.

The histories are the simulator's, written from the vendors' clients and documents.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from airflow.sdk import DAG
from airflow.sdk import task as airflow_task

from airflow_video_providers.core.client.client import VideoClient
from airflow_video_providers.core.errors import VendorUnavailableError
from airflow_video_providers.core.inputs import read
from airflow_video_providers.core.purchase.find import find_job
from airflow_video_providers.core.purchase.intent import Intent
from airflow_video_providers.core.purchase.ledger import Ledger
from airflow_video_providers.core.purchase.records import Attempt, AttemptState, Identity
from airflow_video_providers.core.purchase.stores.object_directory import LocalDirectory
from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.core.vendors.history import Shown
from airflow_video_providers.core.vendors.replicate import Replicate
from airflow_video_providers.core.vendors.schema_files import made
from airflow_video_providers.core.vendors.wire import sent_digest
from airflow_video_providers.hooks.fal import FalHook
from airflow_video_providers.hooks.task_ledger import task_ledger
from airflow_video_providers.integration.ledger_cli import main
from airflow_video_providers.integration.ledger_config import open_ledger
from tests.support.submitting import Desk

pytest_plugins = ["airflow_video_providers.testing.pytest_plugin"]

MODELS = {
    "fal": "fal:fal-ai/kling-video/v2.1/standard/text-to-video",
    "replicate": "replicate:studio/magica",
    "version": f"replicate:studio/magica:{'0a' * 32}",
    "deployment": "replicate:deployments/studio/magica",
}
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
BODY = {"prompt": "a fox", "list": [1, {"a": 0.5}]}


@pytest.fixture
def desk(video_simulator, tmp_path, monkeypatch):
    (tmp_path / "ledger").mkdir()
    monkeypatch.setenv("AIRFLOW__VIDEO_PROVIDERS__LEDGER_PATH", str(tmp_path / "ledger"))
    desk = Desk(video_simulator)
    for vendor in ("fal", "replicate"):
        desk.connect(vendor)
    return desk


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_a_lost_answer_is_found_in_the_same_try_and_nothing_is_bought_again(model, desk):
    task = desk.submit(model, {"prompt": "[[fault:drop_after_accept]] a fox", "images": [{"url": "u"}]}, unchecked=True)
    outcome = desk.run(task)
    assert outcome.state == "success", outcome.error
    (bought,) = desk.simulator.ledger()["jobs"]
    assert desk.airflow.xcoms["submit", "return_value", -1]["request_id"] == bought["request_id"]
    assert "the vendor's history shows it" in desk.log
    assert desk.run(task, try_number=2).state == "success"
    assert desk.accepted == 1
    assert desk.simulator.violations() == []


@pytest.fixture
def away(monkeypatch):
    """The vendor's history does not answer until this is called."""

    def refuse(*_):
        raise VendorUnavailableError("HTTP 503")

    right = VideoClient.history
    monkeypatch.setattr(VideoClient, "history", refuse)
    return lambda: monkeypatch.setattr(VideoClient, "history", right)


def test_where_the_history_does_not_answer_now_the_outcome_is_unknown_and_a_retry_asks_again(desk, away):
    task = desk.submit(MODELS["fal"], {"prompt": "[[fault:drop_after_accept]] a fox"}, unchecked=True)
    first = desk.run(task, try_number=1)
    assert (type(first.error).__name__, first.error.retryable) == ("SubmissionOutcomeUnknownError", True)
    away()
    assert desk.run(task, try_number=2).state == "success"
    assert desk.accepted == 1


def test_a_clear_that_finds_the_job_takes_it_and_buys_no_second_one_although_it_has_ended(desk, away):
    task = desk.submit(MODELS["fal"], {"prompt": "[[fault:drop_after_accept]] a fox"}, unchecked=True)
    desk.run(task, try_number=1)
    away()
    desk.simulator.advance(600)
    cleared = desk.run(task, try_number=2, cleared=1)
    assert cleared.state == "success", cleared.error
    assert desk.accepted == 1


def test_equal_submits_of_two_tasks_stay_unknown(desk, away):
    request = {"prompt": "[[fault:drop_after_accept]] a fox"}
    first = desk.submit(MODELS["fal"], request, unchecked=True, task_id="first")
    second = desk.submit(MODELS["fal"], {"prompt": "a fox"} | request, unchecked=True, task_id="second")
    assert [desk.run(task).state for task in (first, second)] == ["failed", "failed"]
    away()
    again = [desk.run(task, try_number=2) for task in (first, second)]
    assert [type(outcome.error).__name__ for outcome in again] == ["SubmissionOutcomeUnknownError"] * 2
    assert desk.accepted == 2


def test_resubmit_asks_the_history_before_it_buys(desk, away):
    task = desk.submit(
        MODELS["replicate"],
        {"prompt": "[[fault:drop_after_accept]] a fox"},
        unchecked=True,
        on_unknown_outcome="resubmit",
    )
    desk.run(task)
    away()
    assert desk.run(task, try_number=2).state == "success"
    assert desk.accepted == 1


def test_twenty_lost_answers_are_twenty_jobs_and_nobody_is_asked(desk):
    for number in range(20):
        vendor = ("fal", "replicate")[number % 2]
        request = {"prompt": f"[[fault:drop_after_accept]] fox number {number}"}
        task = desk.submit(MODELS[vendor], request, unchecked=True, task_id=f"submit{number}")
        assert desk.run(task).state == "success"
    desk.simulator.advance(600)
    told = desk.simulator.ledger()
    assert (told["accepted"], told["charges"], told["duplicates"]) == (20, 20, [])
    found = {value["request_id"] for (_, key, _), value in desk.airflow.xcoms.items() if key == "return_value"}
    assert found == {job["request_id"] for job in told["jobs"]}


@pytest.mark.parametrize("vendor", ["fal", "replicate"])
def test_a_job_with_an_uploaded_picture_is_found_by_what_was_sent_and_not_by_what_is_rendered_anew(
    vendor, desk, away, monkeypatch
):
    monkeypatch.setattr(read, "_remote", lambda *_: (object(), b"\x89PNG\r\n\x1a\n" + bytes(64)))
    task = desk.submit(
        MODELS[vendor],
        {"prompt": "[[fault:drop_after_accept]] a fox", "image_url": "s3://lab/fox.png", "cfg": 5.0},
        unchecked=True,
    )
    first = desk.run(task, try_number=1)
    assert (type(first.error).__name__, first.error.retryable) == ("SubmissionOutcomeUnknownError", True)
    away()
    again = desk.run(task, try_number=2)
    assert again.state == "success", again.error
    assert desk.accepted == 1
    assert desk.run(task, try_number=3).state == "success"
    assert "The request changed" not in desk.log


def test_two_digests_are_recorded_before_the_call_and_the_callbacks_address_is_in_neither(desk, away, monkeypatch):
    monkeypatch.setattr(read, "_remote", lambda *_: (object(), b"\x89PNG\r\n\x1a\n" + bytes(64)))
    monkeypatch.setattr(VideoClient, "upload", lambda *_: "https://files.example/fox.png")
    recorded = []
    for number, model in enumerate(MODELS.values()):
        for webhook in ("https://me.example/a", "https://me.example/b"):
            task = desk.submit(
                model,
                {"prompt": "[[fault:drop_after_accept]] a fox", "image": "s3://lab/fox.png"},
                unchecked=True,
                task_id=f"s{number}{webhook[-1]}",
                webhook_url=webhook,
            )
            desk.run(task)
            (attempt,) = open_ledger({}).attempts(Identity("dag", "run-1", task.task_id))
            recorded.append((attempt.request_sha256, attempt.sent_sha256))
            assert attempt.request_sha256 != attempt.sent_sha256
    assert recorded[::2] == recorded[1::2]


def test_a_person_can_ask_and_the_clear_that_follows_takes_the_job(desk, away, monkeypatch, capsys):
    monkeypatch.setenv("AIRFLOW_CONN_FAL_DEFAULT", json.dumps(desk.airflow.connections["fal_default"]))
    task = desk.submit(MODELS["fal"], {"prompt": "[[fault:drop_after_accept]] a fox"}, unchecked=True)
    desk.run(task, try_number=1)
    away()
    assert main(["find", "dag", "run-1", "submit"]) == 0
    assert "has bought job" in capsys.readouterr().out
    desk.simulator.advance(600)
    assert desk.run(task, try_number=2, cleared=1).state == "success"
    assert desk.accepted == 1


SEEDED = {
    "type": "object",
    "properties": {"prompt": {"type": "string"}, "seed": {"anyOf": [{"type": "integer"}, {"type": "null"}]}},
}


@pytest.fixture
def pinned(tmp_path):
    """A model of fal's whose schema says that it takes a seed."""
    place = tmp_path / "kling.json"
    place.write_text(json.dumps(made(MODELS["fal"], SEEDED, fetched="2026-01-02").to_dict()))
    return {"model": MODELS["fal"], "schema": str(place)}


def test_equal_submits_that_were_made_unique_are_told_apart(desk, away, pinned):
    request = {"prompt": "[[fault:drop_after_accept]] a fox"}
    tasks = [desk.submit(request=request, make_unique=True, task_id=f"take{n}", **pinned) for n in range(3)]
    assert [desk.run(task).state for task in tasks] == ["failed"] * 3
    away()
    assert [desk.run(task, try_number=2).state for task in tasks] == ["success"] * 3
    jobs = [desk.airflow.xcoms[task.task_id, "return_value", -1] for task in tasks]
    seeds = {body["seed"] for body in desk.bodies()}
    assert (desk.accepted, len(seeds), len({job["request_id"] for job in jobs})) == (3, 3, 3)
    assert "The request changed" not in desk.log
    assert len({job["request_sha256"] for job in jobs}) == 1, "a seed of ours is no change of the request"


def test_what_was_found_is_this_tasks_own_seed(desk, away, pinned):
    task = desk.submit(request={"prompt": "[[fault:drop_after_accept]] a fox"}, make_unique=True, **pinned)
    desk.run(task)
    away()
    assert desk.run(task, try_number=2).state == "success"
    (attempt,) = open_ledger({}).attempts(Identity("dag", "run-1", "submit"))
    (body,) = desk.bodies()
    assert attempt.own_seed == body["seed"]


@pytest.mark.parametrize(
    ("more", "seeds"),
    [
        ({"make_unique": False}, [None]),
        ({"make_unique": True, "seed": 7}, [7]),
        ({"make_unique": True}, ["ours"]),
    ],
    ids=["off", "the author's", "on"],
)
def test_a_seed_of_ours_is_sent_where_the_author_sets_none(desk, pinned, more, seeds):
    request = {"prompt": "a fox"} | ({"seed": more.pop("seed")} if "seed" in more else {})
    assert desk.run(desk.submit(request=request, **more, **pinned)).state == "success"
    sent = [body.get("seed") for body in desk.bodies()]
    parameters = desk.airflow.xcoms["submit", "return_value", -1]["parameters"]
    if seeds == ["ours"]:
        assert 0 <= sent[0] < 2**31
        assert parameters["seed"] == sent[0]
    else:
        assert sent == seeds
        assert parameters.get("seed") == seeds[0]


@pytest.mark.parametrize("case", ["unchecked", "forbidden"])
def test_no_seed_of_ours_where_the_model_takes_none_that_is_known_or_somebody_else_decides(desk, pinned, case):
    if case == "forbidden":
        desk.connect("fal", extra={"fields": {"seed": None}})
    more = {"unchecked": True, "model": MODELS["fal"]} if case == "unchecked" else pinned
    task = desk.submit(request={"prompt": "a fox"}, make_unique=True, **more)
    assert desk.run(task).state == "success"
    assert "seed" not in desk.bodies()[0]


@pytest.mark.parametrize("unique", [False, True])
def test_on_the_state_store_a_lost_answer_is_found_where_the_seed_was_made_unique(desk, pinned, monkeypatch, unique):
    monkeypatch.delenv("AIRFLOW__VIDEO_PROVIDERS__LEDGER_PATH")
    task = desk.submit(request={"prompt": "[[fault:drop_after_accept]] a fox"}, make_unique=unique, **pinned)
    outcome = desk.run(task)
    assert outcome.state == ("success" if unique else "failed")
    if not unique:
        assert not outcome.error.retryable
    assert desk.accepted == 1


@pytest.mark.parametrize("later", [False, True])
def test_a_hook_with_a_ledger_asks_the_history_too(desk, away, later):
    if not later:
        away()
    served = []

    with DAG("dag", schedule=None):

        @airflow_task
        def buy():
            hook = FalHook(ledger=task_ledger())
            request = {"prompt": "[[fault:drop_after_accept]] a fox"}
            served.append(hook.submit(catalogue.find(MODELS["fal"], unchecked=True).parse(request)).request_id)

        task = buy().operator
    first = desk.run(task)
    if later:
        assert (first.state, first.error.retryable) == ("failed", True)
        away()
        desk.run(task, try_number=2)
    assert len(served) == 1
    assert desk.accepted == 1


# The rule itself.


def attempt(task="t", body=BODY, *, at=NOW, state=AttemptState.UNKNOWN, **more):
    intent = Intent.of(model=MODELS["fal"], request=body, conn_id="fal_default")
    return Attempt(
        dag_id="d", run_id="r", task_id=task, number=1, purchase=1, state=state, claim=task, created_at=at,
        **vars(intent), **more,
    )  # fmt: skip


@pytest.fixture
def ledger(tmp_path):
    return Ledger(LocalDirectory(tmp_path))


def shown(request_id="j-1", body=BODY, *, at=NOW + timedelta(seconds=3)):
    return Shown(request_id, at, body)


def found(ledger, *history, one=None):
    asked = one or attempt()
    if not ledger.attempts(asked.identity):
        ledger.create(asked)
    answer = find_job(asked, ledger, lambda *_: list(history))
    return answer and answer.request_id


def sent(task="t", *, url="signed-1", **more):
    """An attempt as this version writes it: the picture's digest in the one, its address in the other."""
    body = {"prompt": "a fox", "image": url}
    return attempt(task, {"prompt": "a fox", "image": "sha256:ab"}, **more).replace(sent_sha256=sent_digest(body)), body


def test_what_is_compared_is_the_body_as_it_was_sent(ledger):
    asked, body = sent()
    assert (
        found(ledger, shown("other", {"prompt": "a fox", "image": "sha256:ab"}), shown("j-1", body), one=asked) == "j-1"
    )


def test_a_number_that_the_vendor_shows_as_whole_is_the_same_number(ledger):
    asked = attempt(body={"cfg": 5.0}).replace(sent_sha256=sent_digest({"cfg": 5.0, "list": [1.0]}))
    assert found(ledger, shown(body={"list": [1], "cfg": 5}), one=asked) == "j-1"


def test_an_open_twin_whose_body_had_another_address_makes_nothing_doubtful(ledger):
    ledger.create(sent("twin", url="signed-2")[0])
    asked, body = sent()
    assert found(ledger, shown("j-1", body), shown("j-2", {**body, "image": "signed-2"}), one=asked) == "j-1"


@pytest.mark.parametrize("old", [0, 1])
def test_an_open_twin_of_an_older_version_is_compared_by_its_one_digest(ledger, old):
    asked, body = sent()
    twin = sent("twin", url="signed-2")[0]
    if old:
        twin = twin.replace(sent_sha256=None)
    ledger.create(twin)
    assert (found(ledger, shown("j-1", body), one=asked) is None) == bool(old)


def test_exactly_one_match_answers_and_is_written(ledger):
    assert found(ledger, shown("other", {"prompt": "a cat"}), shown()) == "j-1"
    (stored,) = ledger.attempts(attempt().identity)
    assert (stored.state, stored.request_id) == (AttemptState.SUBMITTED, "j-1")


@pytest.mark.parametrize(
    "history",
    [
        [],
        [shown(), shown("j-2")],
        [shown(body={"prompt": "a fox"})],
        [shown(body=None)],
        [shown(at=NOW - timedelta(minutes=3))],
        [shown(at=NOW + timedelta(minutes=13))],
    ],
    ids=["nothing", "two", "another body", "no body", "before the window", "after the window"],
)
def test_anything_else_leaves_the_outcome_unknown(ledger, history):
    assert found(ledger, *history) is None
    assert ledger.attempts(attempt().identity)[0].open


def test_an_id_that_another_record_holds_is_no_answer(ledger):
    ledger.create(attempt("other", {"x": 1}, state=AttemptState.SUBMITTED, request_id="j-1"))
    assert found(ledger, shown()) is None


def test_an_open_twin_in_the_same_window_makes_every_match_doubtful(ledger):
    ledger.create(attempt("twin", at=NOW + timedelta(minutes=5)))
    assert found(ledger, shown()) is None


def test_an_open_twin_of_another_day_does_not(ledger):
    ledger.create(attempt("twin", at=NOW - timedelta(days=1)))
    assert found(ledger, shown()) == "j-1"


def test_a_record_that_cannot_be_read_may_hold_the_id(ledger, tmp_path):
    broken = attempt("broken")
    ledger.create(broken)
    (next(path for path in tmp_path.rglob("*") if path.is_file())).write_text("{")
    assert found(ledger, shown()) is None


def test_an_id_is_taken_once(ledger):
    taken = ("named", "fal", "j-1")
    ledger.store.create(taken, {"v": 1, "claim": "x", "attempt": ["another"], "request_id": "j-1"})
    assert found(ledger, shown()) is None


def test_what_a_person_wrote_meanwhile_stands(ledger):
    asked = attempt()
    ledger.create(asked.replace(state=AttemptState.FORGOTTEN))
    assert found(ledger, shown(), one=asked) is None


def test_a_job_of_another_task_that_buys_while_the_vendor_is_asked_is_not_taken(ledger):
    mine = attempt("mine")
    ledger.create(mine)

    def history(*_):
        ledger.create(attempt("other", at=NOW + timedelta(seconds=20), state=AttemptState.INTENT))
        return [shown("others-job", at=NOW + timedelta(seconds=21))]

    assert find_job(mine, ledger, history) is None


UNSHOWN = [shown("j-1"), shown("j-2", body=None)]


def test_a_job_whose_body_is_not_shown_may_be_the_right_one(ledger):
    assert found(ledger, *UNSHOWN) is None


def test_a_job_whose_body_is_not_shown_is_nobody_s_doubt_where_another_record_holds_it(ledger):
    ledger.create(attempt("other", {"x": 1}, state=AttemptState.SUBMITTED, request_id="j-2"))
    assert found(ledger, *UNSHOWN) == "j-1"


def test_what_holds_our_seed_is_ours_whatever_another_body_is(ledger):
    body = {"prompt": "a fox", "seed": 7}
    asked = attempt().replace(own_seed=7, sent_sha256=sent_digest(body))
    assert found(ledger, shown("j-1", body), shown("j-2", body=None), one=asked) == "j-1"
    assert found(ledger, shown("j-2", body=None), one=attempt("another").replace(own_seed=8)) is None


# Replicate shows one prediction of a model, its version and its deployment.

VERSION = "0a" * 32


def listed(asked_for, **entry):
    """What Replicate's list shows of a model where it holds one prediction."""
    prediction = {"id": "p1", "model": "studio/magica", "version": VERSION, "created_at": "2026-01-02T03:04:06Z"}
    flow = Replicate().history(asked_for, NOW, NOW)
    next(flow)
    with pytest.raises(StopIteration) as returned:
        flow.send(httpx.Response(200, json={"results": [{**prediction, **entry}], "next": None}))
    return returned.value.value


@pytest.mark.parametrize("entry", [{"input": {}, "data_removed": True}, {"input": None}, {}])
def test_of_a_prediction_whose_data_are_deleted_nobody_knows_what_was_sent(entry):
    assert [one.body for one in listed(MODELS["replicate"], **entry)] == [None]


@pytest.mark.parametrize(
    ("model", "entry", "certain"),
    [
        ("replicate", {}, [True]),
        ("replicate", {"version": "hidden"}, [True]),
        ("replicate", {"deployment": "studio/other", "version": "dp-1"}, [False]),
        ("replicate", {"version": "dp-1"}, [False]),
        ("replicate", {"model": "studio/other"}, []),
        ("version", {}, [True]),
        ("version", {"version": "hidden"}, []),
        ("deployment", {"deployment": "studio/magica"}, [True]),
        ("deployment", {"deployment": "magica"}, [True]),
        ("deployment", {"deployment": "studio/other"}, []),
        ("deployment", {"deployment": None, "version": "dp-1"}, [False]),
        ("deployment", {"model": "studio/other"}, [False]),
    ],
)
def test_a_prediction_is_a_model_s_only_as_far_as_the_list_says_so(model, entry, certain):
    assert [one.certain for one in listed(MODELS[model], input={}, **entry)] == certain


def of_replicate(task, kind, fields, **more):
    version = {"version": VERSION} if kind == "version" else {}
    digests = Intent.of(model=MODELS[kind], request=fields, sent_sha256=sent_digest({**version, "input": fields}))
    return attempt(task).replace(**{**vars(digests), **more})


def from_replicate(ledger, asked, **entry):
    if not ledger.attempts(asked.identity):
        ledger.create(asked)
    answer = find_job(asked, ledger, lambda model, *_: listed(model, **entry))
    return answer and answer.request_id


FOX = {"prompt": "a fox"}


def test_a_prediction_that_may_be_another_deployment_s_is_not_taken_unless_it_holds_our_seed(ledger):
    assert from_replicate(ledger, of_replicate("a", "deployment", FOX), input=FOX) is None
    ours = of_replicate("b", "deployment", {**FOX, "seed": 7}, own_seed=7)
    assert from_replicate(ledger, ours, input={**FOX, "seed": 7}) == "p1"


@pytest.mark.parametrize(("never", "arrived"), [("replicate", "version"), ("version", "replicate")])
def test_equal_submits_to_a_model_and_to_its_version_stay_unknown(ledger, never, arrived):
    both = [of_replicate("never", never, FOX), of_replicate("arrived", arrived, FOX)]
    for one in both:
        ledger.create(one)
    assert [from_replicate(ledger, one, input=FOX) for one in both] == [None, None]


@pytest.mark.parametrize(
    ("fields", "more", "doubtful"),
    [
        (FOX, {}, True),
        ({**FOX, "cfg": 5}, {}, True),  # the model may fill in what the other one sets
        ({"prompt": "a cat"}, {}, False),
        ({"text": "a fox"}, {}, False),
        (FOX, {"field_digests": {}}, True),
        (FOX, {"own_seed": 7}, False),
        (FOX, {"created_at": NOW - timedelta(days=1)}, False),
        (FOX, {"model": MODELS["fal"]}, False),
    ],
)
def test_an_open_submit_of_another_model_makes_doubtful_what_may_be_its_own(ledger, fields, more, doubtful):
    ledger.create(of_replicate("other", "version", fields, **more))
    assert (from_replicate(ledger, of_replicate("mine", "replicate", FOX), input=FOX) is None) == doubtful


def test_a_vendor_that_shows_one_model_s_jobs_alone_has_no_such_doubt(ledger):
    ledger.create(attempt("other").replace(model="fal:fal-ai/mochi-v1"))
    assert found(ledger, shown()) == "j-1"


@pytest.mark.parametrize(
    ("never", "arrived"), [("deployment", "replicate"), ("replicate", "deployment"), ("replicate", "version")]
)
def test_a_submit_that_never_arrived_takes_no_job_of_a_lost_answer_to_another_model(desk, away, never, arrived):
    tasks = [desk.submit(MODELS[model], FOX, unchecked=True, task_id=model) for model in (never, arrived)]
    for task, fault in zip(tasks, ("drop_before_read", "drop_after_accept"), strict=True):
        desk.simulator.fault(fault, vendor="replicate", on="submit")
        assert desk.run(task).state == "failed"
    away()
    again = [desk.run(task, try_number=2) for task in tasks]
    assert [type(outcome.error).__name__ for outcome in again] == ["SubmissionOutcomeUnknownError"] * 2
    assert desk.accepted == 1
