"""DAGs with these operators survive Airflow's serialization, mapped too, and always in the same words."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from airflow.sdk import DAG, task_group

from airflow_video_providers.core.vendors.pixazo import PixverseV6TextToVideo
from airflow_video_providers.links.video import LandedVideoLink, ManifestLink, ModelDocumentationLink
from airflow_video_providers.operators.video import DownloadVideoOperator, GenerateVideoOperator, SubmitVideoOperator
from airflow_video_providers.sensors.video import VideoJobSensor
from tests.support.versions import DagSerialization

MODEL = "pixazo:pixverse-v6-text-to-video"
TYPED = PixverseV6TextToVideo(prompt="{{ params.prompt }}", duration=5)
LANDS = {link.name: link.xcom_key for link in (LandedVideoLink(), ManifestLink(), ModelDocumentationLink())}
KNOWS = {ModelDocumentationLink.name: ModelDocumentationLink.xcom_key}
LINKS = {"submit": KNOWS, "wait": KNOWS, "land": LANDS, "generate": LANDS}


def plain() -> DAG:
    with DAG("videos", schedule=None) as dag:
        submit = SubmitVideoOperator(task_id="submit", model=MODEL, request=TYPED, conn_id="mine", max_cost_usd="0.5")
        wait = VideoJobSensor(task_id="wait", job=submit.output)
        DownloadVideoOperator(task_id="land", job=wait.output, output_path="s3://aws@bucket/{{ ds }}")
        GenerateVideoOperator(task_id="generate", model=MODEL, request=TYPED, output_path="/data")
    return dag


def mapped() -> DAG:
    with DAG("videos", schedule=None) as dag:
        submit = SubmitVideoOperator.partial(task_id="submit", model=MODEL).expand(request=[{"prompt": "a"}, TYPED])
        wait = VideoJobSensor.partial(task_id="wait").expand(job=submit.output)
        DownloadVideoOperator.partial(task_id="land", output_path="/data").expand(job=wait.output)
        GenerateVideoOperator.partial(task_id="generate", request=TYPED, output_path="/data").expand(model=[MODEL])
    return dag


def mapped_group() -> DAG:
    with DAG("videos", schedule=None) as dag:

        @task_group
        def video(prompt):
            submit = SubmitVideoOperator(task_id="submit", model=MODEL, request={"prompt": prompt})
            wait = VideoJobSensor(task_id="wait", job=submit.output)
            DownloadVideoOperator(task_id="land", job=wait.output, output_path="/data")

        video.expand(prompt=["a", "b"])
    return dag


DAGS = [plain, mapped, mapped_group]


@pytest.mark.parametrize("make", DAGS)
def test_a_dag_comes_back_with_its_tasks_and_their_links(make):
    stored = json.loads(json.dumps(DagSerialization.to_dict(make())))
    back = DagSerialization.from_dict(stored)
    assert set(back.task_dict) == set(make().task_dict)
    for task_id, task in back.task_dict.items():
        name = task_id.removeprefix("video.")
        assert {link.name: link.xcom_key for link in task.operator_extra_links} == LINKS[name]
        assert set(task.extra_links) == set(LINKS[name])


@pytest.mark.parametrize("make", DAGS)
def test_what_came_back_is_stored_in_the_same_words(make):
    stored = DagSerialization.to_dict(make())
    assert DagSerialization.to_dict(make()) == stored
    assert "0x" not in json.dumps(stored), "the address of an object would make a new version of the DAG at each parse"


def stored_task(make, task_id):
    (task,) = (
        each["__var"]
        for each in DagSerialization.to_dict(make())["dag"]["tasks"]
        if each["__var"]["task_id"] == task_id
    )
    return task


def test_a_typed_request_is_stored_as_its_fields():
    assert stored_task(plain, "submit")["request"] == {"prompt": "{{ params.prompt }}", "duration": 5}


def test_a_typed_request_of_a_mapped_task_is_stored_as_text():
    assert "prompt='{{ params.prompt }}'" in json.dumps(stored_task(mapped, "generate")["partial_kwargs"])


@pytest.mark.slow
def test_two_processes_store_the_same():
    code = (
        "import json, sys; sys.path.insert(0, '.');"
        "from tests.triggers import test_serialization as t;"
        "[print('>', json.dumps(t.DagSerialization.to_dict(make()), sort_keys=True)) for make in t.DAGS]"
    )

    def stored(seed):
        out = subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        return [line for line in out.splitlines() if line.startswith(">")]

    first = stored("1")
    assert len(first) == len(DAGS)
    assert stored("2") == first
