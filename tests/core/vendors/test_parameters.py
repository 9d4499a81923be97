"""What is kept of a request beside its video."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from airflow_video_providers.core.jobs import VideoJob
from airflow_video_providers.core.vendors.parameters import kept_of, with_texts, without_texts
from airflow_video_providers.core.vendors.pixazo import (
    PixverseV6ImageToVideo,
    PixverseV6TextToVideo,
    PixverseV56ImageToVideo,
)
from airflow_video_providers.core.vendors.segmind import Mochi1

if TYPE_CHECKING:
    from airflow_video_providers.core.vendors.models import VideoModel

ADDRESS = "https://pictures.example/fox.png?signature=secret"


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_numbers_switches_and_words_of_a_list_are_kept_and_texts_and_addresses_are_digests() -> None:
    request = PixverseV6ImageToVideo(
        prompt="A fox", image_url=ADDRESS, duration=5, resolution="1080p", seed=7, generate_audio_switch=True
    )
    kept = kept_of(request)
    assert kept["parameters"] == {
        "prompt_sha256": sha256("A fox"), "image_url_sha256": sha256(ADDRESS), "duration": 5, "resolution": "1080p",
        "seed": 7, "generate_audio_switch": True, "generate_multi_clip_switch": False, "thinking_type": "auto",
    }  # fmt: skip
    assert kept["vendor_defaults"] == ("generate_multi_clip_switch", "thinking_type")
    assert "fox" not in str(kept)


def test_what_the_vendor_assumes_is_kept_and_marked_so_that_two_runs_can_be_compared() -> None:
    kept = kept_of(Mochi1(prompt="A fox", steps=20))
    assert kept["parameters"]["seed"] == 985521
    assert kept["parameters"]["steps"] == 20
    assert set(kept["vendor_defaults"]) == {"guidance_scale", "fps", "seed", "frames"}


def test_a_number_that_goes_over_the_wire_as_text_is_kept_as_the_number() -> None:
    request = PixverseV56ImageToVideo(prompt="A fox", image_url=ADDRESS, duration="10", resolution="720p")
    assert kept_of(request)["parameters"]["duration"] == 10


def test_of_fields_that_the_catalogue_does_not_know_numbers_alone_are_kept() -> None:
    kept = kept_of(Mochi1(prompt="A fox"), {"motion": 3, "style_reference": "a private text", "loras": [{"id": "x"}]})
    names = kept["parameters"].keys()
    assert kept["parameters"]["motion"] == 3
    assert {"style_reference_sha256", "loras_sha256"} <= names
    assert "private" not in str(kept)


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (PixverseV6TextToVideo(prompt="x"), {}),
        (
            PixverseV6TextToVideo(
                prompt="x", duration=8, resolution="720p", aspect_ratio="9:16", generate_audio_switch=False
            ),
            {"duration_s": 8.0, "resolution": "720p", "aspect_ratio": "9:16", "audio": False},
        ),
        (Mochi1(prompt="x", frames=48), {"duration_s": 3.0}),
        (Mochi1(prompt="x", steps=20), {}),
    ],
)
def test_a_file_is_held_against_what_the_request_itself_asks_for(
    request_: VideoModel, expected: dict[str, object]
) -> None:
    assert (kept_of(request_)["expected"] or {}) == expected


def test_a_private_model_that_cannot_say_what_it_asks_for_is_bought_all_the_same() -> None:
    class Odd(Mochi1):
        def expected(self) -> dict[str, object]:
            raise RuntimeError("a slip of a private model's author")

    assert kept_of(Odd(prompt="x")) == {}


def test_a_text_joins_its_digest_only_while_it_is_the_same_text_and_leaves_it_again() -> None:
    job = VideoJob(model="segmind:mochi-1", request_id="r", **kept_of(Mochi1(prompt="A fox", seed=3)))
    told = with_texts(job, {"prompt": "A fox", "seed": 3})
    assert told.parameters is not None
    assert told.parameters["prompt"] == "A fox"
    assert with_texts(job, {"prompt": "An owl"}) == job
    assert without_texts(told) == job
    assert VideoJob.from_dict(told.to_dict()) == told
