"""Submit, wait, land: one video per model named in the run's parameters.

Needs one connection per vendor: ``AIRFLOW_CONN_PIXAZO_DEFAULT`` for the default parameters.
"""

from __future__ import annotations

from airflow.sdk import Param, dag, task, task_group

from airflow_video_providers.operators.video import DownloadVideoOperator, SubmitVideoOperator
from airflow_video_providers.sensors.video import VideoJobSensor

PROMPT = "A paper boat drifts down a rainy street, seen from low above the water"
FIRST_FRAME = "https://example.com/paper-boat.png"

REQUESTS = {
    "pixazo:mochi-v1": {"prompt": PROMPT},
    "pixazo:pixverse-v6-text-to-video": {"prompt": PROMPT, "duration": 5, "resolution": "720p"},
    "pixazo:pixverse-v6-image-to-video": {"prompt": PROMPT, "image_url": FIRST_FRAME, "duration": 5},
    "pixazo:pixverse-c1-text-to-video": {"prompt": PROMPT, "duration": 8, "aspect_ratio": "21:9"},
    "pixazo:pixverse-c1-image-to-video": {"prompt": PROMPT, "image_url": FIRST_FRAME, "resolution": "540p"},
    "pixazo:pixverse-v5.6-text-to-video": {
        "prompt": PROMPT, "duration": 3, "aspect_ratio": "9:16", "resolution": "1080p",
    },
    "pixazo:pixverse-v5.6-image-to-video": {
        "prompt": PROMPT, "duration": 5, "image_url": FIRST_FRAME, "resolution": "720p",
    },
    "appypie:mochi-1": {"prompt": PROMPT, "seed": 445},
    "segmind:mochi-1": {"prompt": PROMPT, "frames": 48, "fps": 16},
    "fal:fal-ai/kling-video/v2.1/standard/text-to-video": {"prompt": PROMPT, "duration": "5"},
    "replicate:studio/magica": {"prompt": PROMPT},
}  # fmt: skip
#: What is bought lands before more is submitted: a vendor may forget it within an hour.
FIRST = {"priority_weight": 100, "weight_rule": "absolute"}


@dag(
    schedule=None,
    params={
        "models": Param(["pixazo:pixverse-v6-text-to-video"], type="array", items={"enum": list(REQUESTS)}),
        "output_path": Param("file:///tmp/videos", type="string"),
    },
)
def example_video_quickstart():
    @task
    def choose(params=None):
        return [{"model": model, "request": REQUESTS[model]} for model in params["models"]]

    @task_group
    def video(model, request):
        # The catalogue does not list the models of fal and Replicate: unchecked says that this is meant.
        submit = SubmitVideoOperator(task_id="submit", model=model, request=request, unchecked=True)
        wait = VideoJobSensor(task_id="wait", job=submit.output, **FIRST)
        DownloadVideoOperator(task_id="land", job=wait.output, output_path="{{ params.output_path }}", **FIRST)

    video.expand_kwargs(choose())


example_video_quickstart()
