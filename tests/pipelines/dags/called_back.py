"""Waits that would poll once an hour, and a submit whose answer is lost, for ``test_callbacks.py``."""

from __future__ import annotations

from airflow.sdk import dag, task

from airflow_video_providers.operators.video import DownloadVideoOperator, SubmitVideoOperator
from airflow_video_providers.sensors.video import VideoJobSensor

MODEL = "pixazo:pixverse-v6-text-to-video"
#: How the vendor calls about the jobs that it has answered for.
CALLS = (
    "[[fault:webhook_duplicate]][[fault:webhook_out_of_order]][[fault:webhook_storm:10]]",
    "[[fault:webhook_delayed:5]]",
)


@dag(schedule=None, params={"output_path": ""})
def called_back():
    @task
    def requests():
        return [{"prompt": f"{how} A fox"} for how in CALLS]

    several = SubmitVideoOperator.partial(task_id="submit_each", model=MODEL).expand(request=requests())
    waits = VideoJobSensor.partial(task_id="wait_each", poke_interval=3600).expand(job=several.output)
    DownloadVideoOperator.partial(task_id="land_each", output_path="{{ params.output_path }}").expand(job=waits.output)

    lost = SubmitVideoOperator(
        task_id="submit_lost",
        model=MODEL,
        request={"prompt": "[[fault:drop_after_accept]] A fox that nobody announced"},
    )
    wait = VideoJobSensor(task_id="wait_lost", job=lost.output, poke_interval=3600)
    DownloadVideoOperator(task_id="land_lost", job=wait.output, output_path="{{ params.output_path }}")


called_back()
