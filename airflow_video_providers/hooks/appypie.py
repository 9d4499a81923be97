"""Appy Pie's hook."""

from __future__ import annotations

from airflow_video_providers.core.vendors.appypie import AppyPie
from airflow_video_providers.hooks.base import VideoHook


class AppyPieHook(VideoHook, vendor=AppyPie):
    """A connection of type ``appypie`` and Appy Pie's API behind it.

    :param conn_id: The Airflow connection: password = API key, host = base URL with scheme (empty: the vendor's
        own). Default: ``appypie_default``.
    """
