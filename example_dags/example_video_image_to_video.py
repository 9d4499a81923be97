"""Set a picture in motion, with a typed request: a mistake in it shows when the DAG is parsed."""

from __future__ import annotations

from airflow.sdk import Param, dag

from airflow_video_providers.core.vendors.pixazo import PixverseV6ImageToVideo
from airflow_video_providers.operators.video import DownloadVideoOperator, SubmitVideoOperator
from airflow_video_providers.sensors.video import VideoJobSensor


@dag(
    schedule=None,
    params={
        "image_url": Param("https://example.com/paper-boat.png", type="string"),
        "output_path": Param("file:///tmp/videos", type="string"),
    },
)
def example_video_image_to_video():
    submit = SubmitVideoOperator(
        task_id="submit",
        model=PixverseV6ImageToVideo.id,
        request=PixverseV6ImageToVideo(
            prompt="The boat begins to move; rain falls harder",
            image_url="{{ params.image_url }}",
            resolution="720p",
            duration=5,
        ),
        max_cost_usd=0.50,
    )
    wait = VideoJobSensor(task_id="wait", job=submit.output)
    DownloadVideoOperator(task_id="land", job=wait.output, output_path="{{ params.output_path }}")


example_video_image_to_video()
