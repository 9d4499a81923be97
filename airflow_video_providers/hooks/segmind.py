"""Segmind's hook."""

from __future__ import annotations

from airflow_video_providers.core.vendors.segmind import Segmind
from airflow_video_providers.hooks.base import VideoHook


class SegmindHook(VideoHook, vendor=Segmind):
    """A connection of type ``segmind`` and Segmind's API behind it.

    :param conn_id: The Airflow connection: password = API key, host = base URL with scheme (empty: the vendor's
        own). Default: ``segmind_default``.
    """
