"""Vendors and models, by the name that users import."""

from airflow_video_providers.core.vendors.catalogue import *  # the whole of it
