"""Waits that would poll once an hour, and submits whose answers are lost, for ``test_callbacks.py``."""

from __future__ import annotations

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import dag, task

from airflow_video_providers.operators.video import DownloadVideoOperator, GenerateVideoOperator, SubmitVideoOperator
from airflow_video_providers.sensors.video import VideoJobSensor

MODEL = "pixazo:pixverse-v6-text-to-video"
#: How the vendor calls about the jobs that it has answered for.
CALLS = (
    "[[fault:webhook_duplicate]][[fault:webhook_out_of_order]][[fault:webhook_storm:10]]",
    "[[fault:webhook_delayed:5]]",
)
#: It calls before it answers, and once the answer is lost.
EARLY = ("[[fault:webhook_early]]", "[[fault:webhook_early]][[fault:drop_after_accept]]")


@dag(schedule=None, params={"output_path": ""})
def called_back():
    @task
    def requests():
        return [{"prompt": f"{how} A fox"} for how in CALLS]

    lands = {"model": MODEL, "output_path": "{{ params.output_path }}"}

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

    GenerateVideoOperator.partial(task_id="early", **lands).expand(
        request=[{"prompt": f"{how} A fox before its time"} for how in EARLY]
    )
    GenerateVideoOperator(
        task_id="own",
        request={"prompt": "A fox that its author follows"},
        webhook_url="https://author.example/{{ params.output_path.rpartition('/')[2] }}",
        webhook_mode="sync",
        poll_interval=5,
        **lands,
    )

    nobody = SubmitVideoOperator(
        task_id="nobody_calls",
        model=MODEL,
        request={"prompt": "[[fault:drop_after_accept]][[fault:webhook_lost]] A fox that nobody knows of"},
        resolve_within=20,
    )
    nobody >> EmptyOperator(task_id="a_person", trigger_rule="all_failed")


called_back()
