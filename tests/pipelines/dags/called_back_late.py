"""Waits and a lost answer while the receiver and the API server are down, for ``test_callbacks.py``."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import dag

from airflow_video_providers.operators.video import DownloadVideoOperator, SubmitVideoOperator
from airflow_video_providers.sensors.video import VideoJobSensor

#: Another model than the other DAG's, of whose durations nothing has been learned.
MODEL = "pixazo:pixverse-c1-text-to-video"
#: A worker that cannot reach the API server is a try that failed.
AGAIN = {"retries": 60, "retry_delay": timedelta(seconds=5)}


@dag(schedule=None, params={"output_path": ""}, default_args=AGAIN)
def called_back_late():
    several = SubmitVideoOperator.partial(task_id="submit_each", model=MODEL).expand(
        request=[{"prompt": "A fox"}, {"prompt": "[[fault:webhook_lost]] A fox that nobody ever calls about"}]
    )
    waits = VideoJobSensor.partial(task_id="wait_each").expand(job=several.output)
    DownloadVideoOperator.partial(task_id="land_each", output_path="{{ params.output_path }}").expand(job=waits.output)

    # its author's own interval: it is the first that finds its job ended, and that nobody has called
    paced = SubmitVideoOperator(task_id="submit_paced", model=MODEL, request={"prompt": "A fox at its own pace"})
    wait = VideoJobSensor(task_id="wait_paced", job=paced.output, poke_interval=90)
    DownloadVideoOperator(task_id="land_paced", job=wait.output, output_path="{{ params.output_path }}")

    lost = SubmitVideoOperator(
        task_id="submit_lost",
        model=MODEL,
        request={"prompt": "[[fault:drop_after_accept]] A fox that nobody announced"},
    )
    wait = VideoJobSensor(task_id="wait_lost", job=lost.output, poke_interval=3600)
    DownloadVideoOperator(task_id="land_lost", job=wait.output, output_path="{{ params.output_path }}")


called_back_late()
