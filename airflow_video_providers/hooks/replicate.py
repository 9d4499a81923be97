"""Replicate's hook."""

from __future__ import annotations

from airflow_video_providers.core.vendors.replicate import Replicate
from airflow_video_providers.hooks.base import VideoHook


class ReplicateHook(VideoHook, vendor=Replicate):
    """A connection of type ``replicate`` and Replicate's API behind it.

    :param conn_id: The Airflow connection: password = API key, host = base URL with scheme (empty: the vendor's
        own). Default: ``replicate_default``.
    """
