"""The fixture, by the name that projects use."""

from airflow_video_providers.testing.pytest_plugin import *  # the whole of it
