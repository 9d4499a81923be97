"""fal's hook."""

from __future__ import annotations

from airflow_video_providers.core.vendors.fal import Fal
from airflow_video_providers.hooks.base import VideoHook


class FalHook(VideoHook, vendor=Fal):
    """A connection of type ``fal`` and fal's API behind it.

    :param conn_id: The Airflow connection: password = API key, host = base URL with scheme (empty: the vendor's
        own). Default: ``fal_default``.
    """
