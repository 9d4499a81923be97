"""What the pages are looked at with: clips that land, one that fails, some of which nobody knows, and one in the making."""

from __future__ import annotations

from importlib.util import find_spec

from airflow.sdk import Param, dag, task

from airflow_video_providers.integration.retries import HAS_POLICIES
from airflow_video_providers.operators.video import DownloadVideoOperator, GenerateVideoOperator, SubmitVideoOperator
from airflow_video_providers.sensors.video import VideoJobSensor

MODEL = "pixazo:mochi-v1"
FAL = "fal:fal-ai/kling-video/v2.1/standard/text-to-video"
#: A poster needs the extra ``media``.
HAS_DECODER = find_spec("av") is not None
#: What whoever writes a prompt, or a vendor's message, may try.
HOSTILE = "<script>document.title = 'owned'</script><img src=x onerror=\"document.title = 'owned'\">"
PARAMS = {"output_path": Param("file:///tmp/videos", type="string")}
WHERE = "{{ params.output_path }}"


@dag(schedule=None, params=PARAMS, default_args={"retries": 0})
def studio():
    submit = SubmitVideoOperator(task_id="submit", model=MODEL, request={"prompt": "A kettle begins to steam"})
    wait = VideoJobSensor(task_id="wait", job=submit.output)
    DownloadVideoOperator(task_id="land", job=wait.output, output_path=WHERE, extra_manifest={"prompt": HOSTILE})
    GenerateVideoOperator.partial(task_id="each", model=MODEL, output_path=WHERE).expand(
        request=[{"prompt": "A lamp is switched on"}, {"prompt": "A rocking chair sways"}]
    )
    GenerateVideoOperator(
        task_id="refused",
        model=MODEL,
        request={"prompt": "[[fault:job_failed:<b id=owned>busy</b>]] A fox"},
        output_path=WHERE,
    )
    for name in ("lost_a", "lost_b", "lost_c"):
        GenerateVideoOperator(
            task_id=name, model=MODEL, request={"prompt": f"[[fault:drop_after_accept]] {name}"}, output_path=WHERE
        )

    @task
    def quiet():
        return "no video"

    quiet()


@dag(schedule=None, params=PARAMS, default_args={"retries": 0})
def other():
    GenerateVideoOperator(task_id="each", model=MODEL, request={"prompt": "Another house's film"}, output_path=WHERE)

    @task
    def foreign(path, key):
        """A manifest such as no landing writes."""
        file = {
            "key": key,
            "path": path,
            "uri": f"file://{path}",
            "bytes": 10,
            "sha256": "a" * 64,
            "content_type": "video/mp4",
        }
        return {
            "model": MODEL, "request_id": "planted", "outputs": [{"index": 0, **file}],
            "manifest_uri": f"file://{path.removesuffix(key)}{key.replace('0.mp4', 'manifest.json')}",
        }  # fmt: skip

    foreign.override(task_id="passwd")("/etc/passwd", "passwd")
    foreign.override(task_id="climbs")("/tmp/videos/..%2f..%2fetc/0.mp4", "..%2f..%2fetc/0.mp4")
    foreign.override(task_id="elsewhere")("/srv/of-a-worker/x/0.mp4", "x/0.mp4")


@dag(schedule=None, params=PARAMS, default_args={"retries": 0})
def making():
    submit = SubmitVideoOperator(task_id="submit", model=MODEL, request={"prompt": "Slowly"})
    wait = VideoJobSensor(task_id="wait", job=submit.output)
    DownloadVideoOperator(task_id="land", job=wait.output, output_path=WHERE)


@dag(schedule=None, params=PARAMS, default_args={"retries": 0})
def stored():
    GenerateVideoOperator(
        task_id="both", model=MODEL, request={"prompt": "Two of a kind"}, output_path=WHERE, poster=HAS_DECODER
    )
    if HAS_POLICIES:  # on the state store, where no task may search its vendor's history by itself
        GenerateVideoOperator(
            task_id="lost_fal", model=FAL, unchecked=True, request={"prompt": "[[fault:drop_after_accept]] lost_fal"},
            output_path=WHERE,
        )  # fmt: skip


studio()
stored()
other()
making()
