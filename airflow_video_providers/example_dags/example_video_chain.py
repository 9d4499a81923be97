"""A chain of scenes: each clip starts from the last frame of the one before.

The frame is taken when the run gets there, with PyAV (extra ``media``), and put into a bucket, from where the next submit
lends it to the vendor. A scene that fails stops those behind it, which cost nothing then; clear it, and the chain goes on.
"""

from __future__ import annotations

import io
from fractions import Fraction

from airflow.sdk import ObjectStoragePath, Param, dag, task

from airflow_video_providers.operators.video import GenerateVideoOperator

FIRST = "A paper boat leaves a harbour at dawn"
THEN = ["It passes under a bridge", "It reaches the open sea, and the sun rises"]


@dag(
    schedule=None,
    params={
        "output_path": Param("s3://aws_default@bucket/videos", type="string"),
        "frames": Param("s3://aws_default@bucket/frames", type="string"),
    },
    default_args={"retries": 2},
)
def example_video_chain():
    @task
    def last_frame(manifest, params=None):
        import av  # a worker's, not the parser's

        for output in manifest["outputs"]:
            if output["role"] == "last_frame":  # the vendor gave it itself, and it has landed
                return output["path"]
        clip = ObjectStoragePath(manifest["outputs"][0]["path"])
        with av.open(io.BytesIO(clip.read_bytes())) as film:
            *_, frame = film.decode(video=0)
        png = av.CodecContext.create("png", "w")
        png.width, png.height, png.pix_fmt, png.time_base = frame.width, frame.height, "rgb24", Fraction(1, 25)
        picture = b"".join(bytes(packet) for packet in [*png.encode(frame.reformat(format="rgb24")), *png.encode(None)])
        target = f"{params['frames']}/{manifest['request_id']}.png"
        ObjectStoragePath(target).write_bytes(picture)
        return target

    clip = GenerateVideoOperator(
        task_id="scene_1",
        model="pixazo:pixverse-v6-text-to-video",
        request={"prompt": FIRST, "duration": 5},
        output_path="{{ params.output_path }}",
    )
    for number, prompt in enumerate(THEN, start=2):
        clip = GenerateVideoOperator(
            task_id=f"scene_{number}",
            model="pixazo:pixverse-v6-image-to-video",
            request={"prompt": prompt, "image_url": last_frame(clip.output), "duration": 5},
            output_path="{{ params.output_path }}",
        )


example_video_chain()
