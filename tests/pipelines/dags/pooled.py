"""Two DAGs of mapped one-task videos in one pool, for ``test_pool.py``: the second one's clips go first."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from airflow_video_providers.operators.video import GenerateVideoOperator

CLIPS = 30


def pooled(dag_id: str, priority: int) -> DAG:
    # with retries, because Airflow 3.3.2 fails a task whose trigger ends before the scheduler has heard of its deferral
    with DAG(
        dag_id,
        schedule=None,
        params={"output_path": ""},
        max_active_tasks=CLIPS,
        default_args={"retries": 5, "retry_delay": timedelta(seconds=1)},
    ) as dag:
        GenerateVideoOperator.partial(
            task_id="video",
            model="pixazo:pixverse-v6-text-to-video",
            conn_id="pixazo_pooled",
            output_path="{{ params.output_path }}",
            poll_interval=1,
            pool="videos",
            priority_weight=priority,
            weight_rule="absolute",
        ).expand(request=[{"prompt": f"{dag_id} {number}"} for number in range(CLIPS)])
    return dag


ordinary = pooled("pooled_ordinary", 1)
urgent = pooled("pooled_urgent", 10)
