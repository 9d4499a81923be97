"""Submit in one DAG and wait in another: all that passes between them is the vendor's ``request_id``."""

from __future__ import annotations

from airflow.sdk import Param, dag, task

from airflow_video_providers.operators.video import DownloadVideoOperator, SubmitVideoOperator
from airflow_video_providers.sensors.video import VideoJobSensor

MODEL = "segmind:mochi-1"
#: What is bought lands before more is submitted: Segmind forgets a job after an hour.
FIRST = {"priority_weight": 100, "weight_rule": "absolute"}


@dag(schedule=None)
def example_video_submit_only():
    submit = SubmitVideoOperator(
        task_id="submit", model=MODEL, request={"prompt": "A kite over a wide beach", "frames": 32, "fps": 16}
    )

    @task
    def hand_over(request_id):
        print(f"request_id={request_id}")

    hand_over(submit.output["request_id"])


@dag(
    schedule=None,
    params={
        "request_id": Param("", type="string"),
        "output_path": Param("file:///tmp/videos", type="string"),
    },
)
def example_video_wait_by_id():
    wait = VideoJobSensor(task_id="wait", model=MODEL, request_id="{{ params.request_id }}", **FIRST)
    DownloadVideoOperator(task_id="land", job=wait.output, output_path="{{ params.output_path }}", **FIRST)


example_video_submit_only()
example_video_wait_by_id()
