"""How long a task waits for its job, and that it ends before Airflow's own limits do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from airflow_video_providers.integration.waiting import span_of

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(("limit", "ends"), [(1.0, 0.95), (10.0, 9.5), (20.0, 19.0), (7200.0, 7199.0)])
def test_a_wait_ends_before_the_alarm_of_the_execution_timeout_rings(limit, ends):
    """Else the alarm takes the place of the wait's own error on its way out: what it means for the bill is lost."""
    span = span_of(86_400.0, began=BEGAN, execution_timeout=timedelta(seconds=limit))
    assert (span.end - BEGAN).total_seconds() == pytest.approx(ends)


def test_the_tasks_own_timeout_ends_it_where_that_is_sooner():
    assert span_of(5.0, began=BEGAN, execution_timeout=timedelta(minutes=1)).end == BEGAN + timedelta(seconds=5)
