"""Clips as an ordinary step between tasks of your own: a scratch folder is set up, used and torn down.

The setup's output names the folder for the operator, the operator's output (the manifest) feeds a task, and the
teardown runs whatever became of them.
"""

from __future__ import annotations

from airflow.sdk import ObjectStoragePath, Param, dag, setup, task, teardown

from airflow_video_providers.operators.video import GenerateVideoOperator


@dag(
    schedule=None,
    params={
        "prompt": Param("Snow falls past a lit window at night", type="string"),
        "scratch": Param("file:///tmp/videos/scratch", type="string"),
    },
)
def example_video_taskflow():
    @setup
    def make_folder(params=None, run_id=None):
        folder = ObjectStoragePath(params["scratch"]) / "".join(c if c.isalnum() else "-" for c in run_id)
        folder.mkdir(parents=True, exist_ok=True)
        return str(folder)

    @task
    def request(params=None):
        return {"prompt": params["prompt"], "duration": 5, "resolution": "540p"}

    @task
    def review(manifest):
        """Stands for whatever you do with a clip: cut it, judge it, publish it."""
        (clip,) = manifest["outputs"]
        first_bytes = ObjectStoragePath(clip["path"]).read_bytes()[:12]
        print(f"{clip['uri']}: {clip['duration_s']} s of {clip['width']} x {clip['height']}")
        return {"seconds": clip["duration_s"], "is_mp4": first_bytes[4:8] == b"ftyp"}

    @teardown
    def remove_folder(folder):
        ObjectStoragePath(folder).rmdir(recursive=True)

    folder = make_folder()
    generate = GenerateVideoOperator(
        task_id="generate",
        model="pixazo:pixverse-v6-text-to-video",
        request=request(),
        output_path=folder,
    )
    reviewed = review(generate.output)
    removed = remove_folder(folder)
    folder >> generate >> reviewed >> removed


example_video_taskflow()
