"""Video generation as a step in Apache Airflow pipelines: submit, wait without a worker, land."""

__version__ = "0.1.0"
