"""Where the versions of Airflow differ for the tests."""

from __future__ import annotations

import pytest

from airflow_video_providers.integration.retries import HAS_POLICIES

try:
    from airflow.sdk._shared.module_loading import import_string
    from airflow.sdk.serde import deserialize, serialize
except ModuleNotFoundError:  # Airflow 3.1
    from airflow.serialization.serde import deserialize, serialize
    from airflow.utils.module_loading import import_string

try:
    from airflow.serialization.serialized_objects import DagSerialization
except ImportError:  # Airflow 3.1
    from airflow.serialization.serialized_objects import SerializedDAG as DagSerialization

__all__ = [
    "DagSerialization",
    "calls_on_kill",
    "deserialize",
    "import_string",
    "needs_retry_policies",
    "needs_state_store",
    "serialize",
]

#: The task state store, retry policies and the DAG engine in memory came together with Airflow 3.3.
needs_state_store = pytest.mark.skipif(not HAS_POLICIES, reason="Airflow's task state store came with 3.3")
needs_retry_policies = pytest.mark.skipif(not HAS_POLICIES, reason="Airflow's retry policies came with 3.3")
calls_on_kill = pytest.mark.skipif(not HAS_POLICIES, reason="Airflow calls a trigger's on_kill since 3.3")
