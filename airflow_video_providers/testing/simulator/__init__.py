"""Pixazo, Appy Pie and Segmind on one loopback port, without money: for testing pipelines.

In a test: ``with running() as simulator: ...`` or the fixture ``video_simulator`` of
:mod:`airflow_video_providers.testing.pytest_plugin`. On the command line:
``python -m airflow_video_providers.testing.simulator --port 8099``.
"""

from __future__ import annotations

from .app import Simulator
from .handle import SimulatorHandle
from .options import Options
from .server import running

__all__ = ["Options", "Simulator", "SimulatorHandle", "running"]
