"""The vendors of strangers: each as if its distribution were installed, by a module and its metadata in this folder."""

from __future__ import annotations

import sys

from airflow_video_providers.core.vendors import catalogue
from airflow_video_providers.core.vendors.models import VideoModel

_MODULES = ("lanterna", "lanterna_simulator", "studio_models", "runway", "runway_simulator")


def forget() -> None:
    """Undo what loading any of them has registered, and what the catalogue remembers: who finds one finds all."""
    for name in _MODULES:
        sys.modules.pop(name, None)
    for model, kind in list(VideoModel.registry.items()):
        if not kind.__module__.startswith("airflow_video_providers."):
            del VideoModel.registry[model]
    for remembered in (catalogue._vendor, catalogue.vendors, catalogue._load_private_models):
        remembered.cache_clear()
