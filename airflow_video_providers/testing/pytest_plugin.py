"""The fixture ``video_simulator``: ``pytest_plugins = ["airflow_video_providers.testing.pytest_plugin"]``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_video_providers.testing.simulator import SimulatorHandle, running

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def video_simulator_server() -> Iterator[SimulatorHandle]:
    """One simulator for the whole run."""
    with running() as handle:
        yield handle


@pytest.fixture
def video_simulator(video_simulator_server: SimulatorHandle) -> SimulatorHandle:
    """The simulator, emptied before each test: the vendors without money.

    Point Airflow at it with ``monkeypatch.setenv`` for each item of ``video_simulator.environment()``.
    """
    video_simulator_server.reset()
    return video_simulator_server
