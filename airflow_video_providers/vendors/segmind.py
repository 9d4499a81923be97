"""Segmind's typed requests."""

from airflow_video_providers.core.vendors.segmind import *  # the whole of it
