"""The example DAGs: light to parse, and each runs through real Airflow against the simulator.

One process runs them all, because each start of Airflow costs more than a run.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.testing.simulator import running
from tests.support.home import environment, new_home, run_python

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[2] / "example_dags"
NAMES = sorted(path.stem for path in EXAMPLES.glob("example_*.py"))
REFUSED = "[[fault:error_400@submit]] A clock without hands"
FAILED = "[[fault:job_failed]] A door that leads nowhere"
PROMPTS = ["A harbour at dawn", REFUSED, "A fox crosses a frozen lake"]
ROWS = [
    {"name": "kettle", "prompt": "A kettle steams"},
    {"name": "broken", "prompt": FAILED},
    {"name": "lamp", "prompt": "A lamp is lit"},
]

#: Parses each file in a process of its own that has imported ``airflow.sdk`` and nothing else, and may not connect.
PARSE = """
import json, os, runpy, sys, time
begun = time.process_time()
import airflow.sdk
costs = {"airflow.sdk": time.process_time() - begun}
def no_network(event, args):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        raise RuntimeError(f"parsing a DAG asked the network: {event} {args}")
sys.addaudithook(no_network)
for path in sys.argv[1:]:
    read, write = os.pipe()
    if os.fork() == 0:
        begun = time.process_time()
        try:
            runpy.run_path(path)
            cost = time.process_time() - begun
        except BaseException as error:
            cost = repr(error)
        os.write(write, json.dumps(cost).encode())
        os._exit(0)
    os.close(write)
    costs[path] = json.loads(os.read(read, 100_000))
    os.wait()
print("COSTS", json.dumps(costs))
"""


@pytest.fixture(scope="module")
def simulator():
    with running(queue_seconds=(0.1, 0.2), run_seconds=(0.3, 0.8)) as handle:
        yield handle


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    return tmp_path_factory.mktemp("videos")


@pytest.fixture(scope="module")
def runs(tmp_path_factory, simulator, videos):
    wanted = [
        ("quickstart", "example_video_quickstart", {"models": list(catalogue.models())}),
        ("batch", "example_video_batch", {"prompts": PROMPTS}),
        ("image", "example_video_image_to_video", {}),
        ("any", "example_video_any_model", {}),
        ("submit", "example_video_submit_only", {}),
        ("wait", "example_video_wait_by_id", {"request_id": "submit/submit/request_id"}),
        ("table", "example_video_one_task", {"rows": ROWS}),
        ("table again", "example_video_one_task", {"rows": ROWS}),
        ("table once more", "example_video_one_task", {"rows": [ROWS[0], ROWS[2]]}),
        ("taskflow", "example_video_taskflow", {"scratch": (videos / "scratch").as_uri()}),
    ]
    folders = {"table again": "table", "table once more": "table"}
    asked = [
        (name, dag, {"output_path": (videos / folders.get(name, name)).as_uri()} | conf) for name, dag, conf in wanted
    ]
    env = environment(new_home(tmp_path_factory), simulator.environment(), dags=EXAMPLES)
    said = run_python(env, str(Path(__file__).with_name("example_runs.py")), stdin=json.dumps(asked))
    found = {}
    for (name, *_), (log, told) in zip(asked, re.findall(r"(.*?)\nOUTCOME (.*?)\n", said, re.DOTALL), strict=True):
        found[name] = {**json.loads(told), "log": log}
    return found


@pytest.fixture
def run(runs):
    return runs.__getitem__


def states(found):
    return {task: state for task, (state, _) in found["tasks"].items()}


def manifests(folder):
    return [json.loads(path.read_text()) for path in sorted(folder.rglob("manifest.json"))]


def outputs_are_there(folder):
    for manifest in manifests(folder):
        for output in manifest["outputs"]:
            assert (folder / output["key"]).stat().st_size == output["bytes"] > 0
    return len(manifests(folder))


def bought(simulator):
    """The prompt of every purchase that the vendor accepted, in their order."""
    calls = [call for call in simulator.requests("pixazo") if call["method"] == "POST" and call["status"] == 202]
    return [call["body"]["prompt"] for call in calls]


@pytest.fixture(scope="module")
def costs(tmp_path_factory):
    home = tmp_path_factory.mktemp("empty")
    said = run_python(environment(home), "-c", PARSE, *(str(EXAMPLES / f"{name}.py") for name in NAMES))
    found = json.loads(said.rpartition("COSTS ")[2])
    return {Path(path).stem if "/" in path else path: cost for path, cost in found.items()}


@pytest.mark.parametrize("name", NAMES)
def test_an_example_parses_without_network_and_for_a_fraction_of_what_airflow_costs(costs, name):
    assert isinstance(costs[name], float), costs[name]
    assert costs[name] < costs["airflow.sdk"] / 3  # which takes three seconds where nothing else runs


def test_the_quickstart_lands_one_video_of_every_model(run, videos):
    found = run("quickstart")
    assert found["state"] == "success", found["log"][-3000:]
    assert outputs_are_there(videos / "quickstart") == len(catalogue.models())
    assert {manifest["model"] for manifest in manifests(videos / "quickstart")} == set(catalogue.models())


def test_the_quickstart_waits_in_a_trigger(run):
    assert run("quickstart")["log"].count("Pausing task as DEFERRED") == len(catalogue.models())


def test_in_a_batch_a_refused_prompt_stops_its_own_group_alone(run, videos):
    found = run("batch")
    assert states(found) == {
        "prompts": "success",
        **{f"video.{task}[{index}]": "success" for task in ("submit", "wait", "land") for index in (0, 2)},
        "video.submit[1]": "failed",
        "video.wait[1]": "upstream_failed",
        "video.land[1]": "upstream_failed",
        "report": "success",
    }
    assert outputs_are_there(videos / "batch") == 2


def test_the_batch_reports_what_landed_and_names_what_did_not(run):
    found = run("batch")
    assert f"2 of 3 landed; absent: [{REFUSED!r}]" in found["log"]
    assert len(found["xcoms"]["report/return_value"]) == 2


def test_a_refused_prompt_is_not_tried_again(run):
    assert run("batch")["tasks"]["video.submit[1]"] == ["failed", 1]
    assert "RequestRejectedError" in run("batch")["log"]


def test_the_batch_loses_no_job_that_was_bought(run, simulator):
    landed = [run("batch")["xcoms"][f"video.land[{index}]/return_value"]["extra"]["prompt"] for index in (0, 2)]
    assert sorted(prompt for prompt in bought(simulator) if prompt in PROMPTS) == sorted(landed)


def test_a_picture_is_set_in_motion_by_a_typed_request(run, videos):
    assert run("image")["state"] == "success"
    assert outputs_are_there(videos / "image") == 1


def test_a_model_that_nobody_lists_is_bought_by_its_id_and_lands(run, videos, simulator):
    assert run("any")["state"] == "success", run("any")["log"][-3000:]
    assert outputs_are_there(videos / "any") == 1
    (manifest,) = manifests(videos / "any")
    assert manifest["model"] == "fal:fal-ai/kling-video/v2.1/standard/text-to-video"
    (sent,) = [call for call in simulator.requests("fal") if call["method"] == "POST"]
    assert sent["body"] == {"prompt": "A lighthouse in a storm", "duration": "5", "camera": {"pan": [0, 1]}}


def test_a_job_is_awaited_in_another_dag_by_its_request_id(run, videos):
    request_id = run("submit")["xcoms"]["submit/request_id"]
    assert run("wait")["state"] == "success"
    assert [manifest["request_id"] for manifest in manifests(videos / "wait")] == [request_id]


def test_a_table_lands_what_is_good_and_reports_the_rest(run, videos):
    found = run("table")
    assert states(found) == {
        "missing": "success",
        "generate[0]": "success",
        "generate[1]": "failed",
        "generate[2]": "success",
        "report": "success",
    }
    assert "2 of 3 landed; absent: broken" in found["log"]
    assert [manifest["outputs"][0]["key"].partition("/")[0] for manifest in manifests(videos / "table")] == [
        "kettle", "lamp",
    ]  # fmt: skip


def test_a_table_that_runs_again_buys_only_what_is_not_there(run, simulator):
    found = run("table again")
    assert "2 of 3 rows are there already" in found["log"]
    assert states(found) == {"missing": "success", "generate[0]": "failed", "report": "success"}
    assert [bought(simulator).count(row["prompt"]) for row in ROWS] == [1, 2, 1]


def test_a_table_that_is_all_there_buys_nothing_and_still_reports(run):
    found = run("table once more")
    assert states(found) == {"missing": "success", "generate": "skipped", "report": "success"}
    assert "2 of 2 landed; absent: none" in found["log"]


def test_a_clip_passes_from_a_setup_through_a_task_to_a_teardown(run, videos):
    found = run("taskflow")
    assert set(states(found).values()) == {"success"}, states(found)
    assert found["xcoms"]["review/return_value"] == {"seconds": 5.0, "is_mp4": True}
    assert [path for path in (videos / "scratch").rglob("*") if path.is_file()] == []


def test_everything_that_the_examples_push_is_plain(run):
    for name in ("quickstart", "batch", "table", "taskflow"):
        for value in run(name)["xcoms"].values():
            assert json.loads(json.dumps(value)) == value


def test_nothing_is_bought_twice_but_the_row_that_failed_and_no_key_is_shown(runs, simulator):
    assert len(simulator.ledger()["duplicates"]) == 1
    assert bought(simulator).count(FAILED) == 2
    assert simulator.violations() == []
    for vendor in ("pixazo", "appypie", "segmind"):
        key = simulator.connection(vendor)["password"]
        assert [name for name, found in runs.items() if key in found["log"]] == []
