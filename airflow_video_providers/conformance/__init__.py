"""The conformance suite, by the name that authors of vendors import."""

from airflow_video_providers.testing.conformance import CHECKS, Check, Subject

__all__ = ["CHECKS", "Check", "Subject"]
