"""A person approves before money is spent, with the estimate in the question (Airflow 3.1 and later).

Rejected, the video is skipped and costs nothing. The estimate comes from ``prices`` of the connection's extra, or from the
vendor's documents; where neither knows a price, the question says so.
"""

from __future__ import annotations

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Param, dag, task

from airflow_video_providers.operators.video import GenerateVideoOperator

MODEL = "pixazo:mochi-v1"


@dag(
    schedule=None,
    params={
        "prompt": Param("A tram climbs a steep street in the fog", type="string"),
        "output_path": Param("file:///tmp/videos", type="string"),
    },
)
def example_video_approval():
    @task
    def estimate(params=None):
        from airflow_video_providers.hooks.base import VideoHook

        return str(VideoHook.for_model(MODEL).estimate(MODEL, {"prompt": params["prompt"]}))

    approve = ApprovalOperator(
        task_id="approve",
        subject="Buy this video?",
        body="{{ params.prompt }}\n\nEstimate: {{ ti.xcom_pull(task_ids='estimate') }}",
    )
    generate = GenerateVideoOperator(
        task_id="generate",
        model=MODEL,
        request={"prompt": "{{ params.prompt }}"},
        output_path="{{ params.output_path }}",
        retries=2,
    )
    estimate() >> approve >> generate


example_video_approval()
