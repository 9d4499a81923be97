"""Buy from any model of an aggregator by its id: no class here knows it, and the task says so."""

from __future__ import annotations

from airflow.sdk import Param, dag

from airflow_video_providers.operators.video import DownloadVideoOperator, SubmitVideoOperator
from airflow_video_providers.sensors.video import VideoJobSensor


@dag(
    schedule=None,
    params={
        "prompt": Param("A lighthouse in a storm", type="string"),
        "output_path": Param("file:///tmp/videos", type="string"),
    },
)
def example_video_any_model():
    submit = SubmitVideoOperator(
        task_id="submit",
        model="fal:fal-ai/kling-video/v2.1/standard/text-to-video",
        request={"prompt": "{{ params.prompt }}", "duration": "5", "camera": {"pan": [0, 1]}},
        # Nobody checks these fields before fal does. With schema="schemas/kling.json" they are checked right here.
        unchecked=True,
    )
    wait = VideoJobSensor(task_id="wait", job=submit.output)
    DownloadVideoOperator(task_id="land", job=wait.output, output_path="{{ params.output_path }}")


example_video_any_model()
