"""What templates become: nothing is left out or refused, and numbers are the text that they were."""

from __future__ import annotations

import pytest
from airflow.sdk import DAG

from airflow_video_providers.core.vendors.pixazo import PixverseV6ImageToVideo, PixverseV6TextToVideo
from airflow_video_providers.operators.video import DownloadVideoOperator, SubmitVideoOperator
from airflow_video_providers.sensors.video import VideoJobSensor
from tests.support.submitting import V6, Desk

pytest_plugins = ["airflow_video_providers.testing.pytest_plugin"]

NOTHING = [
    "{{ none }}",
    "{{ params.nothing }}",
    "{{ ti.xcom_pull('pushed_nothing', map_indexes=-1) }}",
    "{{ '' }}",
    " {{ none }}\n",
]
WAYS = pytest.mark.parametrize("native", [False, True], ids=["text", "native objects"])


@pytest.fixture
def desk(video_simulator):
    desk = Desk(video_simulator)
    desk.airflow.xcoms["pushed_nothing", "return_value", -1] = None
    return desk


def task(kind=SubmitVideoOperator, *, native=False, **arguments):
    with DAG("dag", schedule=None, render_template_as_native_obj=native, params={"nothing": None}):
        return kind(task_id="task", **arguments)


def refused(desk, made, *hints):
    outcome = desk.run(made, retries=3)
    assert (outcome.state, type(outcome.error).__name__) == ("failed", "InvalidRequestError")
    assert "Nothing was charged." in str(outcome.error)
    for hint in hints:
        assert hint in str(outcome.error)
    assert desk.bodies() == []
    assert desk.airflow.store == {}


@WAYS
@pytest.mark.parametrize("nothing", NOTHING)
def test_an_empty_template_is_nothing_where_nothing_is_needed(desk, nothing, native):
    desk.simulator.configure(unknown_fields="ignore")
    made = task(
        model=V6,
        request={"prompt": "a fox", "style": nothing, "duration": nothing, "negative_prompt": nothing},
        request_id=nothing,
        conn_id=nothing,
        extra_fields={"brand_new": nothing, "other": {"deep": nothing, "kept": 1}, "list": [nothing, 2]},
        native=native,
    )
    assert desk.run(made).state == "success"
    assert desk.bodies() == [{"prompt": "a fox", "other": {"kept": 1}, "list": [2]}]


@WAYS
@pytest.mark.parametrize("nothing", NOTHING)
@pytest.mark.parametrize(
    ("model", "request_", "field"),
    [
        (V6, {"prompt": "TEMPLATE"}, "'prompt' is empty"),
        (V6, PixverseV6TextToVideo(prompt="{{ none }}"), "'prompt' is empty"),
        (
            "pixazo:pixverse-v6-image-to-video",
            PixverseV6ImageToVideo(prompt="a fox", image_url="{{ none }}"),
            "'image_url' is empty",
        ),
        ("TEMPLATE", {"prompt": "a fox"}, "The model is empty"),
        (V6, "TEMPLATE", "nothing to buy"),
    ],
)
def test_an_empty_template_is_refused_where_something_is_needed(desk, nothing, native, model, request_, field):
    if isinstance(request_, dict):
        request_ = {name: value.replace("TEMPLATE", nothing) for name, value in request_.items()}
    elif isinstance(request_, str):
        request_ = nothing
    refused(desk, task(model=model.replace("TEMPLATE", nothing), request=request_, native=native), field)


def test_a_prompt_that_an_author_writes_is_the_prompt_also_if_it_is_None(desk):
    desk.run(task(model=V6, request={"prompt": "None"}))
    assert desk.bodies() == [{"prompt": "None"}]


def test_a_prompt_that_holds_None_among_other_words_is_sent(desk):
    desk.run(task(model=V6, request={"prompt": "a fox, {{ none }}"}))
    assert desk.bodies() == [{"prompt": "a fox, None"}]


@pytest.mark.parametrize("blank", ["", "  "])
def test_a_blank_optional_field_is_not_sent(desk, blank):
    for request_ in (
        {"prompt": "a fox", "style": blank, "duration": blank, "seed": blank},
        PixverseV6TextToVideo(prompt="a fox", style=blank, seed=blank),
    ):
        desk.run(task(model=V6, request=request_), cleared=len(desk.bodies()))
    assert desk.bodies()[0] == {"prompt": "a fox"}


@pytest.mark.parametrize("duration", ["{{ 5 }}", "{{ 5.0 }}", "{{ '5' }}", "5"])
def test_a_number_for_a_number_is_the_number(desk, duration):
    desk.run(task(model=V6, request={"prompt": "a fox", "duration": duration}, native=True))
    assert desk.bodies() == [{"prompt": "a fox", "duration": 5}]


@pytest.mark.parametrize(("prompt", "sent"), [("{{ '2024' }}", "2024"), ("{{ 2024 }}", "2024"), ("2024.5", "2024.5")])
def test_a_number_that_native_rendering_made_of_a_prompt_is_its_text_again(desk, prompt, sent):
    desk.run(task(model=V6, request={"prompt": prompt}, native=True))
    assert desk.bodies() == [{"prompt": sent}]


def test_a_number_that_native_rendering_made_of_an_id_is_its_text_again(desk):
    desk.airflow.connections["2024"] = desk.airflow.connections["pixazo_default"]
    made = task(model=V6, request_id="123456789", conn_id="{{ 2024 }}", native=True)
    assert desk.run(made).state == "success"
    job = desk.airflow.xcom("task")
    assert (job["request_id"], job["conn_id"]) == ("123456789", "2024")


@pytest.mark.parametrize("wrong", ["{{ [1, 2] }}", "{{ true }}", "{{ 1.5 }}", "{{ {'a': 1} }}"])
@pytest.mark.parametrize("name", ["model", "request_id", "conn_id"])
def test_what_is_no_text_after_native_rendering_is_refused_by_name(desk, name, wrong):
    arguments = {"model": V6, "request": {"prompt": "a fox"}, name: wrong}
    refused(desk, task(**arguments, native=True), f"{name} is", "render_template_as_native_obj")


def test_the_sensor_reads_its_templates_alike(desk):
    bought = desk.simulator
    desk.run(task(model=V6, request={"prompt": "a fox"}))
    bought.advance(1000)
    job = desk.airflow.xcom("task")
    made = task(VideoJobSensor, model=V6, request_id=f"{{{{ '{job['request_id']}' }}}}", conn_id="{{ none }}")
    assert desk.run(made).state == "success"
    assert desk.airflow.xcom("task")["request_id"] == job["request_id"]
    for empty in ({"request_id": "{{ none }}", "model": V6}, {"request_id": "r-1", "model": "{{ none }}"}):
        outcome = desk.run(task(VideoJobSensor, **empty), retries=2)
        assert (outcome.state, type(outcome.error).__name__) == ("failed", "InvalidRequestError")


def test_the_download_says_that_an_empty_template_is_no_path_and_no_job(desk, tmp_path):
    desk.run(task(model=V6, request={"prompt": "a fox"}))
    done = {**desk.airflow.xcom("task"), "status": "succeeded"}
    for wrong in ({"job": done, "output_path": "{{ none }}"}, {"job": "{{ none }}", "output_path": str(tmp_path)}):
        outcome = desk.run(task(DownloadVideoOperator, **wrong), retries=2)
        assert (outcome.state, type(outcome.error).__name__) == ("failed", "InvalidRequestError")
    assert list(tmp_path.iterdir()) == []
