"""What of the tests needs a newer Airflow than the oldest that is supported."""

from __future__ import annotations

import pytest

from airflow_video_providers.hooks.retries import HAS_POLICIES

#: The task state store, retry policies and the DAG engine in memory came together with Airflow 3.3.
needs_state_store = pytest.mark.skipif(not HAS_POLICIES, reason="Airflow's task state store came with 3.3")
