"""Every way in which a deferred wait ends, for ``test_real_scheduler.py``.

The vendor's clock stands still until the test moves it: Airflow 3.3.2 fails a task whose trigger fires before the
scheduler has heard that it was deferred.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import dag, task

from airflow_video_providers.operators.video import DownloadVideoOperator, SubmitVideoOperator
from airflow_video_providers.sensors.video import VideoJobSensor

MODEL = "pixazo:pixverse-v6-text-to-video"


@dag(schedule=None, params={"output_path": ""}, default_args={"retries": 2, "retry_delay": timedelta(seconds=1)})
def waits_in_the_triggerer():
    def bought(task_id, prompt):
        return SubmitVideoOperator(task_id=task_id, model=MODEL, request={"prompt": prompt}).output

    def wait_for(task_id, **more):
        return VideoJobSensor(task_id=task_id, poke_interval=1, **more)

    good = bought("submit", "A red fox")
    wait = wait_for("wait", job=good)
    DownloadVideoOperator(task_id="land", job=wait.output, output_path="{{ params.output_path }}")

    @task
    def requests():
        return [{"prompt": f"A fox of litter {number}"} for number in range(2)]

    several = SubmitVideoOperator.partial(task_id="submit_each", model=MODEL).expand(request=requests())
    waits = VideoJobSensor.partial(task_id="wait_each", poke_interval=1).expand(job=several.output)
    DownloadVideoOperator.partial(task_id="land_each", output_path="{{ params.output_path }}").expand(job=waits.output)

    failing = bought("submit_failing", "[[fault:job_failed]] A fox that never was")
    wait_for("wait_failing", job=failing)
    wait_for("wait_skipping", job=failing, soft_fail=True)


waits_in_the_triggerer()
