"""Pixazo's hook."""

from __future__ import annotations

from airflow_video_providers.core.vendors.pixazo import Pixazo
from airflow_video_providers.hooks.base import VideoHook


class PixazoHook(VideoHook, vendor=Pixazo):
    """A connection of type ``pixazo`` and Pixazo's API behind it.

    :param conn_id: The Airflow connection: password = API key, host = base URL with scheme (empty: the vendor's
        own). Default: ``pixazo_default``.
    """
