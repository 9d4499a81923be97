"""The client without Airflow, by the name that users import."""

from airflow_video_providers.core.client.client import *  # the whole of it
