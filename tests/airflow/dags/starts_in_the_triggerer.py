"""Every way in which a wait that starts in the triggerer ends, for ``test_real_scheduler.py``."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import dag, task

from airflow_video_providers.operators.video import DownloadVideoOperator, SubmitVideoOperator
from airflow_video_providers.sensors.video import VideoJobSensor

MODEL = "pixazo:pixverse-v6-text-to-video"
SLOW = "pixazo_slow"  # a vendor whose clock stands still until the test moves it


@dag(schedule=None, params={"output_path": ""}, default_args={"retries": 2, "retry_delay": timedelta(seconds=1)})
def starts_in_the_triggerer():
    def bought(task_id, prompt, **more):
        return SubmitVideoOperator(task_id=task_id, model=MODEL, request={"prompt": prompt}, **more).output

    def from_trigger(task_id, **more):
        return VideoJobSensor(task_id=task_id, start_from_trigger=True, poke_interval=1, **more)

    good = bought("submit", "A red fox")
    wait = from_trigger("wait", job=good)
    DownloadVideoOperator(task_id="land", job=wait.output, output_path="{{ params.output_path }}")
    from_trigger("wait_by_id", model=MODEL, request_id=good["request_id"])

    @task
    def requests():
        return [{"prompt": f"A fox of litter {number}"} for number in range(2)]

    several = SubmitVideoOperator.partial(task_id="submit_each", model=MODEL).expand(request=requests())
    waits = VideoJobSensor.partial(
        task_id="wait_each", **VideoJobSensor.partial_from_trigger(several.output, poke_interval=1)
    ).expand(job=several.output)
    DownloadVideoOperator.partial(task_id="land_each", output_path="{{ params.output_path }}").expand(job=waits.output)

    failing = bought("submit_failing", "[[fault:job_failed]] A fox that never was")
    from_trigger("wait_failing", job=failing)
    from_trigger("wait_skipping", job=failing, soft_fail=True)

    slow = bought("submit_slow", "A fox that takes its time", conn_id=SLOW)
    from_trigger("wait_slow", job=slow)
    # the same job, awaited in the ordinary way: a worker starts the wait and ends it
    VideoJobSensor(task_id="wait_slow_deferred", job=slow, poke_interval=1)


starts_in_the_triggerer()
