"""The clients without Airflow, by the name that users import."""

from airflow_video_providers.core.client.async_client import AsyncVideoClient
from airflow_video_providers.core.client.client import VideoClient

__all__ = ["AsyncVideoClient", "VideoClient"]
