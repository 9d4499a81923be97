"""A clip a day, and a backfill of missed days with a budget.

``airflow backfill create --dag-id example_video_backfill --from-date 2026-01-01 --to-date 2026-01-31`` makes one run per day,
one after the other. No run spends more than ``max_run_cost_usd``; what all runs together may spend is ``budget`` in the
connection's extra, and a purchase above it is refused before anything is sent. Both need ``[video_providers] ledger_path``.

The day is the run's own date, and in a run by hand or by an asset the moment when it was due.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import Param, dag

from airflow_video_providers.operators.video import GenerateVideoOperator

DAY = "{{ (dag_run.logical_date or dag_run.run_after).strftime('%d %B') }}"


@dag(
    schedule="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    params={
        "conn_id": Param("pixazo_default", type="string"),
        "output_path": Param("file:///tmp/videos", type="string"),
    },
    default_args={"retries": 2},
)
def example_video_backfill():
    GenerateVideoOperator(
        task_id="generate",
        model="pixazo:mochi-v1",
        conn_id="{{ params.conn_id }}",
        request={"prompt": f"A wall calendar that shows the {DAY}, in morning light"},
        output_path="{{ params.output_path }}",
        max_run_cost_usd=0.50,
        reuse="same_request",  # a day that is run again buys nothing
    )


example_video_backfill()
