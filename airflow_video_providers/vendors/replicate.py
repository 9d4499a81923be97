"""Replicate, as users import it."""

from airflow_video_providers.core.vendors.replicate import *  # the whole of it
