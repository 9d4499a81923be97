"""A thumbnail and publishing, after the landing.

``poster=True`` lands a JPEG of one frame beside the clip (extra ``media``). Publishing is an ordinary task behind the landing:
it copies what has landed, and a retry of it buys nothing.
"""

from __future__ import annotations

import json

from airflow.sdk import ObjectStoragePath, Param, dag, task

from airflow_video_providers.operators.video import GenerateVideoOperator


@dag(
    schedule=None,
    params={
        "prompt": Param("Hands fold a letter and put it into an envelope", type="string"),
        "output_path": Param("file:///tmp/videos", type="string"),
        "site": Param("file:///tmp/site", type="string"),
    },
    default_args={"retries": 2},
)
def example_video_publish():
    generate = GenerateVideoOperator(
        task_id="generate",
        model="pixazo:pixverse-v6-text-to-video",
        request={"prompt": "{{ params.prompt }}", "duration": 5},
        output_path="{{ params.output_path }}",
        poster=True,
    )

    @task
    def publish(manifest, params=None):
        output, site = manifest["outputs"][0], ObjectStoragePath(params["site"])
        site.mkdir(parents=True, exist_ok=True)
        for name, file in {"clip.mp4": output, "thumbnail.jpg": output["poster"]}.items():
            (site / name).write_bytes(ObjectStoragePath(file["path"]).read_bytes())
        page = {"clip": "clip.mp4", "thumbnail": "thumbnail.jpg", "seconds": output["duration_s"]}
        (site / "clip.json").write_text(json.dumps(page))
        return page

    publish(generate.output)


example_video_publish()
