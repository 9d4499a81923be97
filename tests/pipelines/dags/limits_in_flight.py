"""A mapped task that buys, waits and lands, two at a time, for ``test_real_scheduler.py``."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import dag

from airflow_video_providers.operators.video import GenerateVideoOperator


# with retries, because Airflow 3.3.2 fails a task whose trigger ends before the scheduler has heard of its deferral
@dag(schedule=None, params={"output_path": ""}, default_args={"retries": 2, "retry_delay": timedelta(seconds=1)})
def limits_in_flight():
    GenerateVideoOperator.partial(
        task_id="video",
        model="pixazo:pixverse-v6-text-to-video",
        conn_id="pixazo_limited",
        output_path="{{ params.output_path }}",
        poll_interval=1,
        max_active_tis_per_dagrun=2,
    ).expand(request=[{"prompt": f"A fox of litter {number}"} for number in range(4)])


limits_in_flight()
