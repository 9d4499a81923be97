"""Mapped one-task videos on an account that empties, for ``test_empty_account.py``; its holds are seconds, not minutes.

So few that Airflow would fail a task that came back when its hold is over, before the scheduler has heard that it went."""

from __future__ import annotations

import sys
from datetime import timedelta

from airflow.sdk import DAG

from airflow_video_providers.core.purchase import hold
from airflow_video_providers.operators.video import GenerateVideoOperator

CLIPS = 6
if "pytest" not in sys.modules:  # where a test parses the file in its own process, other tests follow
    hold.HOLD, hold.PROBE = timedelta(seconds=3), timedelta(seconds=15)

with DAG("emptied", schedule=None, params={"output_path": ""}):
    GenerateVideoOperator.partial(
        task_id="video",
        model="segmind:mochi-1",
        conn_id="segmind_emptied",
        output_path="{{ params.output_path }}",
        poll_interval=1,
        deferrable=False,
        retries=0,  # coming back must spend no try
    ).expand(request=[{"prompt": f"clip {number}"} for number in range(CLIPS)])
