"""A table of prompts as a batch: what is good lands, also where some of it fails.

One task group per prompt, mapped as a whole: a failed submit stops its own group and no other. (Operators
that are chained by ``expand`` one by one lose the good jobs with the bad one: an ``expand`` over a task that
failed in part does not run.)

The pool limits how many of these tasks hold a worker at the same time: submits, downloads, and the moments in
which a wait starts and ends. It does not limit how many jobs are in the making, because a wait that is deferred
holds no slot; a pool that was created with ``--include-deferred`` limits the waits but not the purchases.
``example_video_one_task`` limits the purchases themselves. ``weight_rule="upstream"`` lands what is finished
before more is submitted.
"""

from __future__ import annotations

from airflow.sdk import Param, dag, task, task_group

from airflow_video_providers.operators.video import DownloadVideoOperator, SubmitVideoOperator
from airflow_video_providers.sensors.video import VideoJobSensor

POOL = "default_pool"  # your own: airflow pools set video 8 "videos on a worker at the same time"
PROMPTS = [
    "A lighthouse at dusk, waves breaking below it",
    "A tram climbs a steep street in the fog",
    "Hands fold a letter and put it into an envelope",
]


@dag(
    schedule=None,
    params={
        "model": Param("pixazo:pixverse-v6-text-to-video", type="string"),
        "prompts": Param(PROMPTS, type="array"),
        "output_path": Param("file:///tmp/videos", type="string"),
    },
    default_args={"weight_rule": "upstream", "retries": 2},
)
def example_video_batch():
    @task
    def prompts(params=None):
        return params["prompts"]

    @task_group(default_args={"pool": POOL})
    def video(prompt):
        submit = SubmitVideoOperator(
            task_id="submit", model="{{ params.model }}", request={"prompt": prompt, "duration": 5}
        )
        wait = VideoJobSensor(task_id="wait", job=submit.output)
        land = DownloadVideoOperator(
            task_id="land",
            job=wait.output,
            output_path="{{ params.output_path }}",
            extra_manifest={"prompt": prompt},
        )
        return land.output

    # The run is green where this task is, whatever failed before it; raise here if yours shall be red.
    @task(trigger_rule="all_done")
    def report(manifests, params=None):
        landed = [manifest for manifest in manifests if manifest]
        absent = set(params["prompts"]) - {manifest["extra"]["prompt"] for manifest in landed}
        print(f"{len(landed)} of {len(params['prompts'])} landed; absent: {sorted(absent) or 'none'}")
        return [output["uri"] for manifest in landed for output in manifest["outputs"]]

    report(video.expand(prompt=prompts()))


example_video_batch()
