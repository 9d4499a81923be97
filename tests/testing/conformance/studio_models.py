"""A studio's own models: what a vendor sells and the catalogue does not list yet."""

from __future__ import annotations

from typing import Literal

from airflow_video_providers.core.vendors.models import HttpUrl, optional, required
from airflow_video_providers.core.vendors.pixazo import PixazoModel


class PaperFilm(PixazoModel):
    """Paper Film, image to video, behind Pixazo's gateway."""

    id = "pixazo:paper-film-image-to-video"
    path = "/paper-film/v1/paper-film-request"
    documentation = "https://studio.example/paper-film"

    image_url: HttpUrl = required("Public address of the first frame.")
    duration: int | None = optional("Length of the video.", vendor_default=5, unit="seconds", ge=1, le=10)
    grain: Literal["fine", "coarse"] | None = optional("Texture of the paper.")
