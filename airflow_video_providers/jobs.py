"""The job, by the name that DAG authors import."""

from airflow_video_providers.core.jobs import *  # the whole of it
