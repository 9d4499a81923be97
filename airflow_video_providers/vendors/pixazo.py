"""Pixazo's typed requests."""

from airflow_video_providers.core.vendors.pixazo import *  # the whole of it
