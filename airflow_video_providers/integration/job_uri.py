"""The name of a job for everything that reads lineage."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from airflow_video_providers.core.jobs import VideoJob


def job_uri(job: VideoJob) -> str:
    """The name of a job among assets and datasets."""
    vendor, _, name = job.model.partition(":")
    return f"{vendor}://{name}/{quote(job.request_id, safe='')}"
