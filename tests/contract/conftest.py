"""The simulator, for every contract test."""

from airflow_video_providers.testing.pytest_plugin import video_simulator, video_simulator_server

__all__ = ["video_simulator", "video_simulator_server"]
