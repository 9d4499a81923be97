"""What Airflow reads about this provider."""

from __future__ import annotations

from typing import Any


def get_provider_info() -> dict[str, Any]:
    """The provider's own description, in the form of Airflow's provider schema."""
    return {
        "package-name": "airflow-video-providers",
        "name": "Video",
        "description": "AI video generation: submit, wait without a worker, land a verified clip.",
        "versions": ["0.1.0"],
    }
