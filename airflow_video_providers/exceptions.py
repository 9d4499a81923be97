"""The errors, by the name that DAG authors import."""

from airflow_video_providers.core.errors import *  # the whole of it
