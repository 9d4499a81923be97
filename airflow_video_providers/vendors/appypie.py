"""Appy Pie's typed requests."""

from airflow_video_providers.core.vendors.appypie import *  # the whole of it
