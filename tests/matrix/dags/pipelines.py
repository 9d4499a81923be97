"""Small DAGs, each about one thing that differs between versions of Airflow."""

from __future__ import annotations

import os
from datetime import timedelta

from airflow.sdk import DAG

from airflow_video_providers.operators.video import DownloadVideoOperator, GenerateVideoOperator, SubmitVideoOperator
from airflow_video_providers.sensors.video import VideoJobSensor

MODEL = "pixazo:pixverse-v6-text-to-video"
REQUEST = {"prompt": "{{ run_id }}: a paper boat in the rain", "duration": 1, "resolution": "360p"}


class SubmitThenDie(SubmitVideoOperator):
    """A worker that is lost between the purchase and the end of its first try."""

    def execute(self, context):
        job = super().execute(context)
        if context["ti"].try_number == 1:
            raise RuntimeError("lost after buying")
        return job


RETRIED = {"retries": 1, "retry_delay": timedelta(0)}
OUTPUT_PATH = "{{ dag_run.conf['output_path'] }}/{{ dag.dag_id }}"

with DAG("three_tasks", schedule=None) as three_tasks:
    submit = SubmitVideoOperator(task_id="submit", model=MODEL, request=REQUEST)
    wait = VideoJobSensor(task_id="wait", job=submit.output, poke_interval=0.5, timeout=60)
    DownloadVideoOperator(task_id="land", job=wait.output, output_path=OUTPUT_PATH)

with DAG("one_task", schedule=None) as one_task:
    GenerateVideoOperator(
        task_id="generate",
        model=MODEL,
        request=REQUEST,
        output_path=OUTPUT_PATH,
        poll_interval=0.5,
        timeout=60,
    )

with DAG("lost_after_buying", schedule=None) as lost_after_buying:
    SubmitThenDie(task_id="submit", model=MODEL, request=REQUEST, **RETRIED)

with DAG("refused", schedule=None) as refused:
    SubmitVideoOperator(task_id="submit", model=MODEL, request=REQUEST, conn_id="pixazo_bad_key", **RETRIED)

with DAG("tested", schedule=None) as tested:
    GenerateVideoOperator(
        task_id="generate", model=MODEL, request=REQUEST, output_path=os.environ.get("TESTED_PATH", ""),
        poll_interval=0.5,
    )  # fmt: skip
