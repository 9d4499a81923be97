"""The simulator, by the name that commands and fixtures use."""

from airflow_video_providers.testing.simulator import SimulatorHandle, running

__all__ = ["SimulatorHandle", "running"]
