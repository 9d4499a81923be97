"""reuse="same_request": what has landed once is not bought again, and says where it came from."""

from __future__ import annotations

import json

import jsonschema
import pytest
from airflow.sdk import DAG

from airflow_video_providers.core.polling import timing
from airflow_video_providers.core.purchase.order import make_order
from airflow_video_providers.core.settings import Settings
from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.core.vendors.fal import Fal
from airflow_video_providers.core.vendors.pixazo import Pixazo
from airflow_video_providers.landing import manifest_schema
from airflow_video_providers.operators.video import DownloadVideoOperator, GenerateVideoOperator, SubmitVideoOperator
from airflow_video_providers.sensors.video import VideoJobSensor
from airflow_video_providers.testing.simulator import running
from tests.support.airflow import MemoryAirflow

pytestmark = pytest.mark.slow

V6 = "pixazo:pixverse-v6-text-to-video"
REQUEST = {"prompt": "A lantern swings", "duration": 5, "seed": 3}


@pytest.fixture(scope="module")
def server():
    with running(queue_seconds=(0, 0), run_seconds=(0, 0)) as handle:
        yield handle


@pytest.fixture
def airflow(server, monkeypatch, tmp_path):
    server.reset()
    monkeypatch.setattr(timing, "SHORTEST_INTERVAL", 0.01)
    monkeypatch.setattr(Pixazo, "poll_seconds", (0.01, 0.05))
    (tmp_path / "ledger").mkdir()
    monkeypatch.setenv("AIRFLOW__VIDEO_PROVIDERS__LEDGER_PATH", str(tmp_path / "ledger"))
    return MemoryAirflow({"pixazo_default": server.connection("pixazo")})


def generate(where, task_id="video", request=None, **how):
    with DAG("dag", schedule=None):
        return GenerateVideoOperator(
            task_id=task_id, model=V6, request=request or REQUEST, output_path=str(where), poll_interval=0.05, **how
        )


def landed(airflow, task, **how):
    outcome = airflow.run_to_end(task, **how)
    assert outcome.state == "success", outcome.error
    return airflow.xcom(task.task_id)


def accepted(server):
    return server.ledger()["accepted"]


def test_off_by_default_the_same_request_is_bought_again(airflow, server, tmp_path):
    landed(airflow, generate(tmp_path / "a"))
    assert "reused_from" not in landed(airflow, generate(tmp_path / "b", "other"))
    assert accepted(server) == 2


def test_the_same_request_of_another_task_comes_from_what_has_landed_and_says_from_where(airflow, server, tmp_path):
    first = landed(airflow, generate(tmp_path / "a"))
    second = landed(airflow, generate(tmp_path / "b", "other", reuse="same_request"))
    assert accepted(server) == 1
    assert second["reused_from"]["manifest_uri"] == first["manifest_uri"]
    assert second["reused_from"]["task_id"] == "video"
    assert second["outputs"][0]["sha256"] == first["outputs"][0]["sha256"]
    assert second["outputs"][0]["uri"].startswith((tmp_path / "b").as_uri())
    assert second["parameters"]["seed"] == 3
    assert second["estimated_cost_usd"] == "0"
    assert len(list((tmp_path / "b").rglob("*.mp4"))) == 1
    (stored,) = (tmp_path / "b").rglob("manifest.json")
    jsonschema.Draft202012Validator(manifest_schema()).validate(json.loads(stored.read_text()))


def test_in_the_same_place_nothing_is_written_and_the_result_says_so(airflow, server, tmp_path):
    landed(airflow, generate(tmp_path / "a"))
    again = landed(airflow, generate(tmp_path / "a", "other", reuse="same_request"))
    assert (again["skipped"], "reused_from" in again, accepted(server)) == (True, True, 1)


def test_the_three_tasks_do_the_same_and_ask_the_vendor_nothing(airflow, server, tmp_path):
    landed(airflow, generate(tmp_path / "a"))
    asked = len(server.requests("pixazo"))
    with DAG("dag", schedule=None):
        submit = SubmitVideoOperator(task_id="submit", model=V6, request=REQUEST, reuse="same_request")
        wait = VideoJobSensor(task_id="wait", job=submit.output)
        land = DownloadVideoOperator(task_id="land", job=wait.output, output_path=str(tmp_path / "b"))
    for task in (submit, wait):
        landed(airflow, task)
    assert landed(airflow, land)["reused_from"]["task_id"] == "video"
    assert airflow.xcom("submit")["charged"] == "no"
    assert len(server.requests("pixazo")) == asked


@pytest.mark.parametrize("change", [{"seed": 4}, {"prompt": "Another"}, {"duration": 6}])
def test_another_parameter_is_another_request(airflow, server, tmp_path, change):
    landed(airflow, generate(tmp_path / "a"))
    landed(airflow, generate(tmp_path / "a", "other", REQUEST | change, reuse="same_request"))
    assert accepted(server) == 2


def test_a_video_that_was_deleted_since_is_bought_again(airflow, server, tmp_path):
    landed(airflow, generate(tmp_path / "a"))
    (clip,) = (tmp_path / "a").rglob("*.mp4")
    clip.unlink()
    assert "reused_from" not in landed(airflow, generate(tmp_path / "b", "other", reuse="same_request"))
    assert accepted(server) == 2


@pytest.mark.parametrize("still_a_video", [True, False])
def test_a_video_that_was_changed_behind_its_size_is_refused_with_what_it_means_for_the_money(
    airflow, server, tmp_path, still_a_video
):
    first = landed(airflow, generate(tmp_path / "a"))
    (clip,) = (tmp_path / "a").rglob("*.mp4")
    data = clip.read_bytes()
    clip.write_bytes(data[:-1] + bytes([data[-1] ^ 1]) if still_a_video else bytes(len(data)))
    outcome = airflow.run_to_end(generate(tmp_path / "b", "other", reuse="same_request"), retries=2)
    assert outcome.state == "failed"  # a retry finds the same file
    text = str(outcome.error)
    assert "holds another file than its manifest says" in text
    assert f"Nothing was bought here: job {first['request_id']} was paid for when it landed there" in text
    assert "without reuse, which buys anew" in text
    assert (outcome.error.charged, outcome.error.request_id) == ("no", first["request_id"])
    assert accepted(server) == 1
    assert list((tmp_path / "b").rglob("*.mp4")) == []


def test_what_the_task_itself_has_bought_comes_first(airflow, server, tmp_path):
    with DAG("dag", schedule=None):
        submit = SubmitVideoOperator(task_id="submit", model=V6, request=REQUEST, reuse="same_request")
    own = landed(airflow, submit)["request_id"]
    landed(airflow, generate(tmp_path / "a"))
    assert landed(airflow, submit, try_number=2)["request_id"] == own
    assert accepted(server) == 2


def test_a_clear_of_what_has_landed_buys_nothing_under_reuse(airflow, server, tmp_path):
    task = generate(tmp_path / "a", reuse="same_request")
    landed(airflow, task)
    assert landed(airflow, task, try_number=2, cleared=1)["skipped"] is True
    assert accepted(server) == 1


def test_on_the_route_that_answers_with_the_video_itself_the_same_request_comes_from_what_has_landed(
    airflow, server, tmp_path
):
    airflow.connections["segmind_default"] = server.connection("segmind")

    def synchronous(where, task_id, **how):
        with DAG("dag", schedule=None):
            return GenerateVideoOperator(
                task_id=task_id, model="segmind:mochi-1", synchronous=True, request={"prompt": "a fox", "seed": 3},
                output_path=str(where), **how,
            )  # fmt: skip

    first = landed(airflow, synchronous(tmp_path / "a", "video"))
    other = synchronous(tmp_path / "b", "other", reuse="same_request")
    second = landed(airflow, other)
    assert second["reused_from"]["manifest_uri"] == first["manifest_uri"]
    assert second["outputs"][0]["sha256"] == first["outputs"][0]["sha256"]
    assert second["outputs"][0]["uri"].startswith((tmp_path / "b").as_uri())
    assert landed(airflow, other, try_number=2, cleared=1)["skipped"] is True
    assert accepted(server) == 1


def test_without_a_ledger_that_all_tasks_share_it_is_refused(airflow, server, tmp_path, monkeypatch):
    monkeypatch.delenv("AIRFLOW__VIDEO_PROVIDERS__LEDGER_PATH")
    outcome = airflow.run(generate(tmp_path / "a", reuse="same_request"))
    assert outcome.state == "failed"
    assert "ledger_path" in str(outcome.error)
    assert accepted(server) == 0


def test_each_of_mapped_tasks_reuses_its_own_request_and_says_from_which(airflow, server, tmp_path):
    seeds = (1, 2, 3)
    for index, seed in enumerate(seeds[:2]):
        task = generate(tmp_path / "a", "first", REQUEST | {"seed": seed})
        assert airflow.run_to_end(task, map_index=index).state == "success"
    for index, seed in reversed(list(enumerate(seeds))):
        task = generate(tmp_path / "b", "second", REQUEST | {"seed": seed}, reuse="same_request", keep_prompt=True)
        assert airflow.run_to_end(task, map_index=index).state == "success"
    assert accepted(server) == len(seeds)  # the third is new
    found = [airflow.xcom("second", "return_value", index) for index in range(3)]
    assert [one.get("reused_from", {}).get("map_index") for one in found] == ["0", "1", None]
    assert [one["parameters"]["seed"] for one in found] == [1, 2, 3]
    assert [one["parameters"]["prompt"] for one in found] == [REQUEST["prompt"]] * 3
    assert [one.get("estimated_cost_usd") == "0" for one in found] == [True, True, False]


def test_an_image_under_another_address_is_the_same_request_and_another_image_is_not(tmp_path):
    model, png = "fal:fal-ai/any", b"\x89PNG\r\n\x1a\n"
    orders = []
    for name, data in (("a.png", png), ("b.png", png), ("c.png", png + b"x")):
        (tmp_path / name).write_bytes(data)
        request = catalogue.find(model, unchecked=True).parse({"prompt": "x", "many": [{"of": str(tmp_path / name)}]})
        orders.append(make_order(Fal(), request, {"mask": str(tmp_path / name)}, Settings("fal_default", "key")))
    one, same, other = (order.intent.request_sha256 for order in orders)
    assert one == same != other
