"""The example DAGs: light to parse, and each runs through real Airflow against the simulator.

One process runs them all, because each start of Airflow costs more than a run.
"""

from __future__ import annotations

import io
import json
import re
import runpy
from contextlib import ExitStack
from pathlib import Path

import pytest

from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.testing.simulator import running
from tests.storage.emulators import open_backend
from tests.support.home import environment, new_home, run_python

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[2] / "airflow_video_providers" / "example_dags"
NAMES = sorted(path.stem for path in EXAMPLES.glob("example_*.py"))
REFUSED = "[[fault:error_400@submit]] A clock without hands"
FAILED = "[[fault:job_failed]] A door that leads nowhere"
PROMPTS = ["A harbour at dawn", REFUSED, "A fox crosses a frozen lake"]
ROWS = [
    {"name": "kettle", "prompt": "A kettle steams"},
    {"name": "broken", "prompt": FAILED},
    {"name": "lamp", "prompt": "A lamp is lit"},
]

REJECTED = "A film that nobody wants to pay for"
DAYS = ["2026-01-01", "2026-01-02", "2026-01-03"]
PNG = b"\x89PNG\r\n\x1a\n" + bytes(500)

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
def bucket(tmp_path_factory):
    pytest.importorskip("s3fs")
    with ExitStack() as stack:
        emulator = open_backend("s3", stack, tmp_path_factory.mktemp("moto"))
        emulator.store("in/boat.png", PNG)
        yield emulator


def budget(simulator):
    """A connection that may spend two clips of Mochi a day."""
    connection = simulator.connection("pixazo")
    connection["extra"] |= {"budget": {"usd": 0.8, "per": "day"}}
    return {"AIRFLOW_CONN_PIXAZO_BUDGET": json.dumps(connection)}


@pytest.fixture(scope="module")
def runs(tmp_path_factory, simulator, videos, bucket):
    wanted = [
        ("quickstart", "example_video_quickstart", {"models": list(catalogue.models())}),
        ("batch", "example_video_batch", {"prompts": PROMPTS}),
        ("image", "example_video_image_to_video", {"image": f"{bucket.root}/in/boat.png"}),
        ("any", "example_video_any_model", {}),
        ("replicate", "example_video_replicate", {"image": f"{bucket.root}/in/boat.png"}),
        ("submit", "example_video_submit_only", {}),
        ("wait", "example_video_wait_by_id", {"request_id": "submit/submit/request_id"}),
        ("table", "example_video_one_task", {"rows": ROWS}),
        ("table again", "example_video_one_task", {"rows": ROWS}),
        ("table once more", "example_video_one_task", {"rows": [ROWS[0], ROWS[2]]}),
        ("taskflow", "example_video_taskflow", {"scratch": (videos / "scratch").as_uri()}),
        ("csv", "example_video_csv", {"csv": (videos / "prompts.csv").as_uri()}),
        ("chain", "example_video_chain", {
            "frames": f"{bucket.root}/frames", "output_path": f"{bucket.root}/chain",
        }),
        ("takes", "example_video_takes", {}, {"answers": {"choose": "23"}}),
        ("approved", "example_video_approval", {}, {"answers": {"approve": "Approve"}}),
        ("rejected", "example_video_approval", {"prompt": REJECTED}, {"answers": {"approve": "Reject"}}),
        ("publish", "example_video_publish", {"site": (videos / "site").as_uri()}),
        ("asset", "example_video_asset_producer", {}),
        *(("day" + day[-1], "example_video_backfill", {"conn_id": "pixazo_budget"}, {"logical_date": f"{day}T00:00:00+00:00"}) for day in DAYS),
        ("day again", "example_video_backfill", {"conn_id": "pixazo_budget"}, {"logical_date": f"{DAYS[0]}T00:00:00+00:00"}),
        ("alert", "example_video_alerts", {"prompt": "[[fault:job_failed]] A clock that melts"}),
        ("alert refused", "example_video_alerts", {"prompt": "[[fault:error_400@submit]] A stair down"}),
        ("alert key", "example_video_alerts", {"prompt": "[[fault:error_401@submit]] A stair up"}),
        ("alert lost", "example_video_alerts", {"prompt": "[[fault:drop_after_accept@submit]] A stair to nowhere"}),
    ]  # fmt: skip
    (videos / "prompts.csv").write_text(
        "name,prompt,duration,seed\nowl,An owl turns its head,3,7\ngate,A gate opens,,\n"
    )
    folders = {"table again": "table", "table once more": "table", "day again": "day1"}
    asked = [
        (name, dag, {"output_path": (videos / folders.get(name, name)).as_uri()} | conf, *(how or [{}]))
        for name, dag, conf, *how in wanted
    ]
    (videos / "ledger").mkdir()
    connections = {**simulator.environment(), **bucket.environment, **budget(simulator)}
    env = environment(new_home(tmp_path_factory), connections, dags=EXAMPLES)
    env["AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY"] = "1"
    env["AIRFLOW__VIDEO_PROVIDERS__LEDGER_PATH"] = str(videos / "ledger")
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


def test_an_image_from_a_bucket_becomes_a_clip_and_the_vendor_fetches_it(run, videos, simulator):
    found = run("image")
    assert found["state"] == "success", found["log"][-3000:]
    assert outputs_are_there(videos / "image") == 1
    seen = simulator.images("/in/boat.png")
    assert [(image["status"], image["media_type"], image["bytes"]) for image in seen] == [(200, "image/png", len(PNG))]
    assert "Signature" not in found["log"] + json.dumps(found["xcoms"])


def test_a_prediction_gets_its_picture_uploaded_and_lands(run, videos, simulator):
    found = run("replicate")
    assert found["state"] == "success", found["log"][-3000:]
    assert outputs_are_there(videos / "replicate") == 1
    (seen,) = simulator.images("/_upload/")
    assert (seen["field"], seen["media_type"], seen["bytes"]) == ("image", "image/png", len(PNG))
    assert seen["address"] not in found["log"] + json.dumps(found["xcoms"])


def test_each_row_of_a_csv_becomes_a_clip_whose_manifest_names_its_prompt(run, videos):
    assert run("csv")["state"] == "success", run("csv")["log"][-3000:]
    landed = {manifest["extra"]["name"]: manifest for manifest in manifests(videos / "csv")}
    assert landed["owl"]["parameters"]["prompt"] == "An owl turns its head"
    assert (landed["owl"]["parameters"]["seed"], landed["owl"]["outputs"][0]["duration_s"]) == (7, 3.0)
    assert landed["gate"]["parameters"]["duration"] == 5
    assert landed["gate"]["vendor_defaults"].count("duration") == 1


@pytest.mark.parametrize("mark", ["", "\N{BYTE ORDER MARK}"], ids=["plain", "saved by a spreadsheet"])
@pytest.mark.parametrize(
    "prompt",
    [
        "An owl\N{LINE SEPARATOR}turns",
        "An owl\x85turns",
        "An owl\fturns",
        "An owl\vturns",
        "An owl\nturns",
        "An owl\r\nturns",
    ],
    ids=ascii,
)
def test_one_row_of_a_csv_is_one_request_whatever_stands_in_its_prompt_and_a_row_without_one_is_none(
    tmp_path, mark, prompt
):
    (tmp_path / "prompts.csv").write_bytes(
        f'{mark}prompt,name,seed\r\n"{prompt}",owl,7\r\n\r\n,,\r\n" ",blank,3\r\nA gate opens,,\r\n'.encode()
    )
    dag = runpy.run_path(str(EXAMPLES / "example_video_csv.py"))["example_video_csv"]()
    found = dag.get_task("rows").python_callable(params={"csv": (tmp_path / "prompts.csv").as_uri()})
    assert found == [
        {"request": {"prompt": prompt, "seed": "7"}, "extra_manifest": {"name": "owl"}},
        {"request": {"prompt": "A gate opens"}, "extra_manifest": {"name": "A gate opens"}},
    ]


def pixels(av, data):
    """The pictures of a film or of an image."""
    with av.open(io.BytesIO(data)) as film:
        return [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]


def test_each_clip_of_a_chain_starts_from_the_last_frame_of_the_one_before(run, bucket, simulator):
    av = pytest.importorskip("av")
    found = run("chain")
    assert found["state"] == "success", found["log"][-3000:]
    frames = bucket.objects("frames")
    ids = [found["xcoms"][f"scene_{number}/request_id"] for number in (1, 2)]
    assert sorted(frames) == sorted(f"{request_id}.png" for request_id in ids)
    seen = simulator.images("/frames/")
    assert [image["address"].rpartition("/")[2] for image in seen] == [f"{request_id}.png" for request_id in ids]
    assert {(image["status"], image["media_type"]) for image in seen} == {(200, "image/png")}
    clips = bucket.objects("chain")
    for number, request_id in enumerate(ids, start=1):
        *_, last = pixels(av, clips[found["xcoms"][f"scene_{number}/return_value"]["outputs"][0]["key"]])
        (picture,) = pixels(av, frames[f"{request_id}.png"])
        assert picture.shape == (720, 1280, 3)
        assert abs(picture.astype(int) - last.astype(int)).mean() < 2


def test_the_frame_that_a_chain_takes_is_the_last_of_its_clip(tmp_path):
    av, numpy = pytest.importorskip("av"), pytest.importorskip("numpy")
    with av.open(str(tmp_path / "clip.mp4"), "w") as film:  # the simulator's clips hold one picture
        stream = film.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for level in (30, 90, 150, 210):
            picture = numpy.full((48, 64, 3), level, dtype=numpy.uint8)
            film.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        film.mux(stream.encode(None))
    chain = runpy.run_path(str(EXAMPLES / "example_video_chain.py"))["example_video_chain"]()
    manifest = {"outputs": [{"role": "video", "path": str(tmp_path / "clip.mp4")}], "request_id": "r-1"}
    target = chain.get_task("last_frame").python_callable(manifest, params={"frames": tmp_path.as_uri()})
    assert target == f"{tmp_path.as_uri()}/r-1.png"
    (taken,) = pixels(av, (tmp_path / "r-1.png").read_bytes())
    assert 200 < taken.mean() < 220


def test_a_person_chooses_among_takes_that_differ_by_their_seeds(run, videos):
    found = run("takes")
    assert found["state"] == "success", found["log"][-3000:]
    assert sorted(manifest["parameters"]["seed"] for manifest in manifests(videos / "takes")) == [11, 23, 47]
    assert found["questions"]["choose"].count("seed ") == 3
    published = found["xcoms"]["publish/return_value"]
    (chosen,) = [one for one in manifests(videos / "takes") if one["parameters"]["seed"] == 23]
    assert published == chosen["outputs"][0]["uri"]
    assert "leaves the seed to the vendor" not in found["log"]


def test_a_person_approves_before_money_is_spent_with_the_estimate_in_the_question(run, simulator, videos):
    assert "Estimate: $0.4 (documented: per generation)" in run("approved")["questions"]["approve"]
    assert run("approved")["state"] == "success", run("approved")["log"][-3000:]
    assert outputs_are_there(videos / "approved") == 1
    assert states(run("rejected"))["generate"] == "skipped"
    assert REJECTED not in bought(simulator)


def test_a_thumbnail_and_the_clip_are_published_behind_the_landing(run, videos):
    assert run("publish")["state"] == "success", run("publish")["log"][-3000:]
    site = videos / "site"
    assert (site / "thumbnail.jpg").read_bytes().startswith(b"\xff\xd8")
    assert (site / "clip.mp4").read_bytes()[4:8] == b"ftyp"
    assert json.loads((site / "clip.json").read_text())["seconds"] == 5.0


def test_a_landed_asset_is_announced(run, videos):
    assert run("asset")["state"] == "success"
    assert outputs_are_there(videos / "asset") == 1


def test_a_backfill_stops_buying_where_its_budget_ends(run, simulator):
    assert [run(f"day{number}")["state"] for number in (1, 2, 3)] == ["success", "success", "failed"]
    assert "budget" in run("day3")["log"]
    days = [prompt for prompt in bought(simulator) if "wall calendar" in prompt]
    assert days == [f"A wall calendar that shows the {day}, in morning light" for day in ("01 January", "02 January")]


def test_a_day_that_is_run_again_buys_nothing_and_says_where_its_clip_comes_from(run, videos):
    first, again = (run(name)["xcoms"]["generate/return_value"] for name in ("day1", "day again"))
    assert run("day again")["state"] == "success", run("day again")["log"][-3000:]
    assert again["request_id"] == first["request_id"]
    assert again["reused_from"]["manifest_uri"] == first["manifest_uri"]
    assert "Nothing is bought: the same request has landed before" in run("day again")["log"]


def test_an_alert_says_whom_it_is_for_and_what_was_charged(run):
    assert "ALERT for account owner: AuthenticationError, charged: no, request_id: None" in run("alert key")["log"]
    lost = "ALERT for on-call: SubmissionOutcomeUnknownError, charged: unknown, request_id: None"
    assert lost in run("alert lost")["log"]
    assert "ALERT for DAG author: JobFailedError, charged: unknown, request_id: pixverse" in run("alert")["log"]
    assert "ALERT for DAG author: RequestRejectedError, charged: no, request_id: None" in run("alert refused")["log"]


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
