"""What tasks tell the ledger: receipts that were refused, how jobs ended, and which run of an id it is."""

from __future__ import annotations

import json

import pytest
from airflow.sdk import DAG

from airflow_video_providers.core.polling import decision, timing
from airflow_video_providers.core.purchase import patience
from airflow_video_providers.core.purchase.stores.object_directory import LocalDirectory
from airflow_video_providers.core.vendors.pixazo import Pixazo
from airflow_video_providers.integration.ledger_cli import main
from airflow_video_providers.integration.state_store import TaskStateStore
from airflow_video_providers.operators.video import DownloadVideoOperator, GenerateVideoOperator, SubmitVideoOperator
from airflow_video_providers.sensors.video import VideoJobSensor
from tests.support.airflow import MemoryAirflow

pytest_plugins = ["airflow_video_providers.testing.pytest_plugin"]

MODEL = "pixazo:pixverse-v6-text-to-video"


@pytest.fixture(params=["state store", "directory"])
def kind(request):
    return request.param


@pytest.fixture
def ledger(kind, tmp_path, monkeypatch):
    folder = tmp_path / "ledger"
    folder.mkdir()
    if kind == "directory":
        monkeypatch.setenv("AIRFLOW__VIDEO_PROVIDERS__LEDGER_PATH", str(folder))
    return folder


@pytest.fixture
def airflow(ledger, video_simulator, monkeypatch):
    monkeypatch.setattr(patience, "PATIENCE", 0.0)
    monkeypatch.setattr(decision, "GRACE", decision.GRACE * 0)
    monkeypatch.setattr(timing, "SHORTEST_INTERVAL", 0.01)
    monkeypatch.setattr(Pixazo, "poll_seconds", (0.01, 0.05))
    video_simulator.configure(queue_seconds=(0, 0), run_seconds=(0, 0))
    return MemoryAirflow({"pixazo_default": video_simulator.connection("pixazo")})


@pytest.fixture
def refusing(mocker):
    """A ledger that stores intents and refuses what is learned later."""
    for store in (LocalDirectory, TaskStateStore):
        mocker.patch.object(store, "replace", side_effect=PermissionError("denied"))
    return mocker


def task(cls, task_id="video", **arguments):
    with DAG("dag", schedule=None):
        return cls(task_id=task_id, **arguments)


def buying(cls, **arguments):
    return task(cls, model=MODEL, request={"prompt": "a fox"}, **arguments)


def records(airflow, ledger, kind):
    """Attempts as they are stored, whichever ledger it is."""
    files = [json.loads(path.read_text()) for path in ledger.glob(f"{kind}/**/*.json")]
    rows = [value for name, value in airflow.store.items() if name.startswith(f"video_ledger.{kind}.")
            and not name.endswith((".door", ".gate"))]  # fmt: skip
    return files + rows


def receipt(airflow, ledger):
    found = [record for record in records(airflow, ledger, "submits") if record.get("request_id")]
    return found[0]["request_id"] if found else None


# --- receipts ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("deferrable", [True, False])
def test_the_one_task_repairs_its_receipt_at_its_resume_and_at_its_landing(
    airflow, ledger, video_simulator, refusing, tmp_path, deferrable
):
    video = buying(GenerateVideoOperator, output_path=str(tmp_path / "v"), deferrable=deferrable, poll_interval=0.02)
    if deferrable:
        outcome = airflow.run(video, retries=3)
        assert outcome.state == "deferred"
        assert receipt(airflow, ledger) is None
        refusing.stopall()
        airflow.fire(outcome.message)
        outcome = airflow.run(video, retries=3)
    else:
        refusing.patch(
            "airflow_video_providers.operators.download.check_delivery", side_effect=lambda *_: refusing.stopall()
        )
        outcome = airflow.run(video, retries=3)
    assert outcome.state == "success"
    (sold,) = video_simulator.ledger()["jobs"]
    assert receipt(airflow, ledger) == sold["request_id"]


@pytest.mark.parametrize("who", ["wait", "land"])
def test_with_a_directory_every_task_that_knows_the_job_repairs_its_receipt(
    airflow, ledger, kind, video_simulator, refusing, tmp_path, who
):
    assert airflow.run(buying(SubmitVideoOperator)).state == "success"
    job = airflow.xcom("video")
    before = dict(airflow.store)
    refusing.stopall()
    if who == "wait":
        after = task(VideoJobSensor, "wait", job=job, deferrable=False, poke_interval=0.02)
    else:
        after = task(DownloadVideoOperator, "land", job=job, output_path=str(tmp_path / "v"))
    airflow.run(after)
    submits = {name: value for name, value in airflow.store.items() if "submits" in name}
    if kind == "directory":
        assert receipt(airflow, ledger) == job["request_id"]
    else:
        assert submits == {name: value for name, value in before.items() if "submits" in name}, "they are not its rows"


def test_a_ledger_that_still_refuses_changes_nothing_for_the_task(airflow, ledger, refusing, video_simulator):
    airflow.run(buying(SubmitVideoOperator))
    wait = task(VideoJobSensor, "wait", job=airflow.xcom("video"), deferrable=False, poke_interval=0.02)
    assert airflow.run(wait).state == "success"


# --- how jobs end ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prompt", "ending", "charged"),
    [("[[fault:job_error]]", "failed", "no"), ("[[fault:job_failed]]", "failed", "unknown")],
)
@pytest.mark.parametrize("one_task", [True, False])
def test_a_job_that_failed_is_written_down_with_its_charge(
    airflow, ledger, video_simulator, tmp_path, prompt, ending, charged, one_task
):
    request = {"prompt": f"{prompt} a fox"}
    if one_task:
        video = task(GenerateVideoOperator, model=MODEL, request=request, output_path=str(tmp_path / "v"), deferrable=False,
                     poll_interval=0.02)  # fmt: skip
        assert airflow.run(video).state == "failed"
    else:
        airflow.run(task(SubmitVideoOperator, model=MODEL, request=request))
        wait = task(VideoJobSensor, "wait", job=airflow.xcom("video"), deferrable=False, poke_interval=0.02)
        assert airflow.run(wait).state == "failed"
    (told,) = records(airflow, ledger, "landed")
    assert (told["ending"], told["charged"], told["model"]) == (ending, charged, MODEL)


def test_the_list_tells_a_job_that_failed_without_charge_from_one_that_was_bought(
    airflow, ledger, kind, video_simulator, capsys
):
    if kind != "directory":
        pytest.skip("the command reads the state store from a database")
    airflow.run(task(SubmitVideoOperator, model=MODEL, request={"prompt": "[[fault:job_error]] a fox"}))
    wait = task(VideoJobSensor, "wait", job=airflow.xcom("video"), deferrable=False, poke_interval=0.02)
    airflow.run(wait)
    capsys.readouterr()
    main(["list"])
    assert "0 open, 0 bought and not landed, 1 failed without charge." in capsys.readouterr().out


# --- a run that was deleted --------------------------------------------------------------------------------------


def made_anew(airflow, monkeypatch, moment="2026-01-05T00:00:00Z"):
    """The run is deleted, and made again under its id."""
    real = airflow._run_context

    def context():
        told = real()
        told["dag_run"] |= {"start_date": moment}
        return told

    monkeypatch.setattr(airflow, "_run_context", context)
    airflow.store.clear()  # rows of the state store go with their run; a directory stays
    airflow.xcoms.clear()


@pytest.mark.parametrize("prompt", ["a fox", "another"])
def test_a_run_that_is_made_anew_under_its_id_buys(airflow, ledger, video_simulator, monkeypatch, tmp_path, prompt):
    def video(prompt):
        return task(GenerateVideoOperator, model=MODEL, request={"prompt": prompt}, output_path=str(tmp_path / "v"),
                    deferrable=False, poll_interval=0.02)  # fmt: skip

    assert airflow.run(video("a fox"), retries=2).state == "success"
    first = airflow.xcom("video", "request_id")
    made_anew(airflow, monkeypatch)
    assert airflow.run(video(prompt), retries=2).state == "success"
    second = airflow.xcom("video", "request_id")
    assert video_simulator.ledger()["accepted"] == 2
    assert second != first
    assert airflow.run(video(prompt), try_number=2, retries=2).state == "success"
    assert airflow.xcom("video", "request_id") == second
    assert video_simulator.ledger()["accepted"] == 2


@pytest.mark.parametrize("one_task", [True, False])
def test_what_tasks_landed_is_audited_without_a_problem_and_every_cent_of_it_is_on_the_invoice(
    airflow, ledger, kind, video_simulator, tmp_path, capsys, one_task
):
    if kind != "directory":
        pytest.skip("the command reads the state store from a database")
    where = {"output_path": str(tmp_path / "v"), "deferrable": False, "poll_interval": 0.02}
    request = {"prompt": "a fox", "image_url": "https://example.com/a.png"}
    model = "pixazo:pixverse-v6-image-to-video"
    if one_task:
        assert airflow.run(task(GenerateVideoOperator, model=model, request=request, **where)).state == "success"
    else:
        airflow.run(task(SubmitVideoOperator, model=model, request=request))
        wait = task(VideoJobSensor, "wait", job=airflow.xcom("video"), deferrable=False, poke_interval=0.02)
        assert airflow.run(wait).state == "success"
        land = task(DownloadVideoOperator, "land", job=airflow.xcom("wait"), output_path=where["output_path"])
        assert airflow.run(land).state == "success"
    audit, invoice = tmp_path / "audit.json", tmp_path / "invoice.csv"
    assert main(["audit", "--file", str(audit)]) == 0
    ((attempt,),) = (purchase["attempts"] for purchase in json.loads(audit.read_text())["purchases"])
    assert (attempt["state"], attempt["charged"], attempt["estimated_cost_usd"]) == ("landed", "yes", "0.225")
    assert main(["audit", "--verify", str(audit)]) == 0
    assert "1 manifests and 1 files compared, 0 problems." in capsys.readouterr().out
    (sold,) = video_simulator.ledger()["jobs"]
    invoice.write_text(f"request_id,amount\n{sold['request_id']},0.225\n")
    assert main(["reconcile", str(invoice)]) == 0
