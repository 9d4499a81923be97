"""fal, as users import it."""

from airflow_video_providers.core.vendors.fal import *  # the whole of it
