"""The pipeline of the fault table: the real operators, as an author writes them.

Each task process parses this file. Clocks run faster in it, because a row would last an hour otherwise: the client gives
up on a submit's answer after one second of silence instead of ninety, and on a status after one instead of thirty, and
a second of its pauses lasts a millisecond; the mailbox is read ten times a second. How often it tries is not changed: that is counted in pauses, not by a clock.
"""

from __future__ import annotations

import json
import os
from datetime import timedelta

import httpx
from airflow.sdk import DAG

from airflow_video_providers.core.client import driver, timeouts
from airflow_video_providers.integration import lost_answers, waiting
from airflow_video_providers.operators.video import DownloadVideoOperator, SubmitVideoOperator
from airflow_video_providers.sensors.video import VideoJobSensor

timeouts.SUBMIT = httpx.Timeout(1.0, connect=10.0)
os.environ.update(json.loads(os.environ.get("MONEY_ENVIRONMENT", "{}")))
timeouts.READ = httpx.Timeout(1.0, connect=10.0)
driver.with_jitter = lambda seconds: seconds / 1000
waiting.LOOK_UP_PAUSES = tuple(seconds / 1000 for seconds in waiting.LOOK_UP_PAUSES)

lost_answers.EVERY = 0.1

with DAG("money", schedule=None, default_args={"retries": 3, "retry_delay": timedelta(0)}):
    submit = SubmitVideoOperator(
        task_id="submit",
        model="{{ dag_run.conf.model }}",
        request={"prompt": "a fox in {{ run_id }}"},
        deferrable=False,
    )
    wait = VideoJobSensor(task_id="wait", job=submit.output, deferrable=False, poke_interval=0.1, timeout=60)
    land = DownloadVideoOperator(task_id="land", job=wait.output, output_path="{{ dag_run.conf.output_path }}")
