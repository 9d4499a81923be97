"""The same videos in two ways, for ``bench_worker_starts.py``."""

from __future__ import annotations

from airflow.sdk import dag

from airflow_video_providers.operators.video import DownloadVideoOperator, GenerateVideoOperator, SubmitVideoOperator
from airflow_video_providers.sensors.video import VideoJobSensor

MODEL = "pixazo:pixverse-v6-text-to-video"
REQUESTS = [{"prompt": f"A fox, take {number}"} for number in range(4)]
PACE = 1  # seconds between two polls: when the first one comes is not what is measured here
PARAMS = {"output_path": ""}
OUTPUT_PATH = "{{ params.output_path }}"


@dag(schedule=None, params=PARAMS)
def three_tasks():
    submit = SubmitVideoOperator.partial(task_id="submit", model=MODEL).expand(request=REQUESTS)
    wait = VideoJobSensor.partial(task_id="wait", poke_interval=PACE).expand(job=submit.output)
    DownloadVideoOperator.partial(task_id="land", output_path=OUTPUT_PATH).expand(job=wait.output)


@dag(schedule=None, params=PARAMS)
def one_task():
    GenerateVideoOperator.partial(task_id="generate", model=MODEL, poll_interval=PACE, output_path=OUTPUT_PATH).expand(
        request=REQUESTS
    )


three_tasks()
one_task()
