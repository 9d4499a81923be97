"""A clip from a picture in a bucket at Replicate, which deletes a prediction's files an hour after it.

So the landing goes before other work. The picture is uploaded to the account before anything is bought. A deadline for what
takes too long, after which Replicate itself ends it, stands in the connection's extra: {"cancel_after": "20m"}.
"""

from __future__ import annotations

from airflow.sdk import Param, dag

from airflow_video_providers.operators.video import DownloadVideoOperator, SubmitVideoOperator
from airflow_video_providers.sensors.video import VideoJobSensor


@dag(
    schedule=None,
    params={
        "image": Param("s3://aws_default@bucket/in/paper-boat.png", type="string"),
        "output_path": Param("s3://aws_default@bucket/videos", type="string"),
    },
)
def example_video_replicate():
    submit = SubmitVideoOperator(
        task_id="submit",
        model="replicate:bytedance/seedance-1-pro",
        request={"prompt": "The boat begins to move", "image": "{{ params.image }}", "duration": 5},
        output_path="{{ params.output_path }}",
        # Nobody checks these fields before Replicate does. With schema="schemas/seedance.json" they are checked right here.
        unchecked=True,
    )
    wait = VideoJobSensor(
        task_id="wait", job=submit.output, timeout=45 * 60, priority_weight=10, weight_rule="absolute"
    )
    DownloadVideoOperator(
        task_id="land",
        job=wait.output,
        output_path="{{ params.output_path }}",
        priority_weight=100,
        weight_rule="absolute",
    )


example_video_replicate()
