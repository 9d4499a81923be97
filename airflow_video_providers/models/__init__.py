"""What a model is, by the name that authors of models import."""

from airflow_video_providers.core.vendors.models import *  # the whole of it
