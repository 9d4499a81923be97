"""An image from a bucket to a clip, with a typed request: a mistake in it shows when the DAG is parsed.

The image is read before anything is bought. The vendor gets an address of it that is signed for some hours; that address
stands in the paid call and nowhere else. A public https address works too.
"""

from __future__ import annotations

from airflow.sdk import Param, dag

from airflow_video_providers.core.vendors.pixazo import PixverseV6ImageToVideo
from airflow_video_providers.operators.video import DownloadVideoOperator, SubmitVideoOperator
from airflow_video_providers.sensors.video import VideoJobSensor


@dag(
    schedule=None,
    params={
        "image": Param("s3://aws_default@bucket/in/paper-boat.png", type="string"),
        "output_path": Param("s3://aws_default@bucket/videos", type="string"),
    },
)
def example_video_image_to_video():
    submit = SubmitVideoOperator(
        task_id="submit",
        model=PixverseV6ImageToVideo.id,
        request=PixverseV6ImageToVideo(
            prompt="The boat begins to move; rain falls harder",
            image_url="{{ params.image }}",
            resolution="720p",
            duration=5,
        ),
        output_path="{{ params.output_path }}",
        max_cost_usd=0.50,
    )
    wait = VideoJobSensor(task_id="wait", job=submit.output)
    DownloadVideoOperator(task_id="land", job=wait.output, output_path="{{ params.output_path }}")


example_video_image_to_video()
