"""What the campaign buys: half of the videos in the three-task group, half in one task, over all vendors."""

from __future__ import annotations

import json
import os
import time
from datetime import timedelta
from pathlib import Path

from airflow.sdk import dag, task, task_group

from airflow_video_providers.operators.video import DownloadVideoOperator, GenerateVideoOperator, SubmitVideoOperator
from airflow_video_providers.sensors.video import VideoJobSensor

HOME = Path(os.environ.get("AIRFLOW_HOME", "."))
OUTPUT_PATH = f"{(HOME / 'videos').as_uri()}/{{{{ run_id }}}}"
WAIT_SECONDS = 900


def note(context, kind):
    """One line per try that ended badly, with its error's class: no task's log has to be read for it."""
    error, ti = context.get("exception"), context["ti"]
    line = {
        "at": time.time(), "kind": kind, "run_id": ti.run_id, "task_id": ti.task_id, "map_index": ti.map_index,
        "try_number": ti.try_number, "max_tries": ti.max_tries, "error": _class(error),
        "text": str(error)[:500],
    }  # fmt: skip
    with (HOME / "failures.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")


def _class(error):
    while (
        error is not None and type(error).__name__ in ("AirflowFailException", "AirflowException") and error.__cause__
    ):
        error = error.__cause__
    # Airflow ends a task without an exception, or with a sentence, where its process went away
    return type(error).__name__ if isinstance(error, BaseException) else "killed"


def failed(context):
    note(context, "failed")


def retried(context):
    note(context, "retried")


@dag(
    schedule=None,
    params={"jobs": []},
    default_args={
        "retries": 5,
        "retry_delay": timedelta(seconds=2),
        "on_failure_callback": failed,
        "on_retry_callback": retried,
    },
)
def campaign():
    @task
    def of(kind, params=None):
        return [
            {"model": job["model"], "request": {"prompt": job["prompt"]}}
            for job in params["jobs"]
            if job["kind"] == kind
        ]

    @task_group
    def group(model, request):
        # the catalogue does not list the models of fal and Replicate
        submit = SubmitVideoOperator(task_id="submit", model=model, request=request, unchecked=True)
        wait = VideoJobSensor(task_id="wait", job=submit.output, poke_interval=2, timeout=WAIT_SECONDS)
        DownloadVideoOperator(task_id="land", job=wait.output, output_path=OUTPUT_PATH)

    group.expand_kwargs(of.override(task_id="three")("three"))
    GenerateVideoOperator.partial(
        task_id="clip", output_path=OUTPUT_PATH, poll_interval=2, timeout=WAIT_SECONDS, unchecked=True
    ).expand_kwargs(of.override(task_id="one")("one"))


campaign()
