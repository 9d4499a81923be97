"""Waits that people end, and one that another triggerer takes over, for ``test_cancel_on_kill.py``."""

from __future__ import annotations

from airflow.sdk import dag

from airflow_video_providers.operators.video import GenerateVideoOperator

#: Seconds between two polls: the last one's job ends without being noticed.
WAITS = {"failed": 1, "cleared": 1, "finished": 3600}


@dag(schedule=None, params={"output_path": ""})
def killed_waits():
    for name, seconds in WAITS.items():
        GenerateVideoOperator(
            task_id=name,
            model="fal:fal-ai/kling-video/v2.1/standard/text-to-video",
            unchecked=True,
            request={"prompt": f"A fox for {name}"},
            output_path="{{ params.output_path }}",
            poll_interval=seconds,
            cancel_on_kill=True,
        )


killed_waits()
