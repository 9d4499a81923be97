"""What a vendor is, by the name that authors of vendors import."""

from airflow_video_providers.core.vendors.base import *  # the whole of it
