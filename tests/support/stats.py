"""What goes to Airflow's stats, kept in a list."""

from __future__ import annotations

import pytest
from airflow.sdk._shared.observability.metrics.base_stats_logger import NoStatsLogger
from airflow.sdk.observability import stats


class Backend(NoStatsLogger):
    """Airflow's stats backend, in a list."""

    def __init__(self):
        self.sent = []

    def incr(self, stat, count=1, rate=1, *, tags=None):
        self.sent.append((stat, count, tags))

    def timing(self, stat, dt, *, tags=None):
        self.sent.append((stat, dt, tags))

    def gauge(self, stat, value, rate=1, delta=False, *, tags=None):
        self.sent.append((stat, value, tags))

    def of(self, metric):
        return [(value, tags) for name, value, tags in self.sent if name == metric.name]

    def total(self, metric):
        return sum(value for value, _ in self.of(metric))


@pytest.fixture
def recorded():
    """The backend in place of Airflow's."""
    sent = Backend()
    stats.initialize(factory=lambda: sent, export_legacy_names=False)
    yield sent
    stats.initialize(factory=NoStatsLogger, export_legacy_names=False)
