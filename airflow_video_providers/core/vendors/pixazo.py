"""Pixazo: Mochi v1 and six PixVerse models behind one gateway.

Written from the vendor's pages "Mochi v1 Text to Video API Documentation" and "Pixverse API Documentation".
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from airflow_video_providers.core.jobs import JobStatus, VideoJob
from airflow_video_providers.core.vendors.base import Flow, Vendor
from airflow_video_providers.core.vendors.models import (
    ImageAddress,
    Price,
    Text,
    VideoModel,
    WholeNumber,
    image,
    optional,
    required,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

    from airflow_video_providers.core.callbacks.webhook import Callback

AspectRatio = Literal["16:9", "4:3", "1:1", "3:4", "9:16", "2:3", "3:2", "21:9"]
Resolution = Literal["360p", "540p", "720p", "1080p"]
Style = Literal["anime", "3d_animation", "clay", "comic", "cyberpunk"]
ThinkingType = Literal["enabled", "disabled", "auto"]

#: What a status names as ``model_id``, where that is not the second half of our id.
_NAMES = {
    "pixazo:mochi-v1": "68a5784c0828c041ba519ca6",
    "pixazo:pixverse-v5.6-text-to-video": "pixverse",
    "pixazo:pixverse-v5.6-image-to-video": "pixverse-i2v",
}
_DISPUTED = "the vendor's request table and its price list disagree on 480p and 540p; one of them may be refused"


class Pixazo(Vendor):
    """The gateway's queue: submit answers 202 with an id, one status address serves every model."""

    id = "pixazo"
    title = "Pixazo"
    base_url = "https://gateway.pixazo.ai"
    documentation = "https://www.pixazo.ai/models"
    key_header = "Ocp-Apim-Subscription-Key"
    id_paths = ("request_id", "requestId")
    output_paths = ("output.media_url", "video_url")
    media_type_paths = ("output.media_type",)
    # ERROR is documented as not charged; about FAILED the documents say nothing.
    charged = {JobStatus.SUCCEEDED: "yes", JobStatus.ERROR: "no"}
    poll_seconds = (5.0, 15.0)
    documented_poll_seconds = 5.0  # "every 5-10 seconds"
    status_routes = ("default", "legacy")
    webhook_modes = ("terminal", "sync")

    def status_call(self, job: VideoJob) -> httpx.Request:
        # The older call is documented for Mochi only. A connection that asks for it buys other models too.
        if job.status_route == "legacy" and job.model == MochiV1.id:
            return self.call("POST", "/mochi-v1-polling-clone/getStatus", json={"requestId": job.request_id})
        return self.call("GET", f"/v2/requests/status/{self.in_path(job.request_id)}")

    def webhook_headers(self, callback: Callback) -> Mapping[str, str]:
        return {"X-Webhook-URL": callback.url, "X-Webhook-Mode": callback.mode}

    def is_of_model(self, model: str, body: Mapping[str, Any]) -> bool:
        return body.get("model_id") == _NAMES.get(model, model.partition(":")[2])

    def check(self) -> Flow[str]:
        """The documents name no free call about the account: ask for a job that cannot exist."""
        return self.read_check((yield from self.send_read(self.status_call(self.impossible_job(MochiV1.id)))))


class PixazoModel(VideoModel):
    """Base of the models behind Pixazo's gateway."""

    documentation: ClassVar[str] = "https://www.pixazo.ai/models/text-to-video/pixverse"

    prompt: Text = required("What the video shows.")


class MochiV1(PixazoModel):
    """Mochi v1, text to video: a clip of fixed length at a flat price."""

    id = "pixazo:mochi-v1"
    path = "/mochi-v1-clone/generate"
    documentation = "https://www.pixazo.ai/models/text-to-video/mochi-1-0-api"
    prices = (Price(Decimal("0.4"), "generation", "documented: per generation"),)
    typical_seconds = 180.0

    seed: int | None = optional(
        "Makes a result repeatable. The portable ceiling is 4294967295.",
        ge=1,
        le=4294967296,
        disputed={4294967296: "the documents allow it, but it does not fit 32 bits; the portable ceiling is one less"},
    )


class _Switches(PixazoModel):
    negative_prompt: str | None = optional("What to keep out of the video.")
    resolution: Resolution | None = optional("Size of the picture.", vendor_default="720p")
    duration: int | None = optional("Length of the video.", vendor_default=5, unit="seconds", ge=1, le=15)
    style: Style | None = optional("Visual style.")
    seed: int | None = optional("Makes a result repeatable.")
    generate_audio_switch: bool | None = optional("Generate music, effects and dialogue too.", vendor_default=False)
    generate_multi_clip_switch: bool | None = optional("Change cameras between clips.", vendor_default=False)
    thinking_type: ThinkingType | None = optional("May the model rewrite the prompt?")


class PixverseV6TextToVideo(_Switches):
    """PixVerse V6, text to video."""

    id = "pixazo:pixverse-v6-text-to-video"
    path = "/pixverse-v6-text-to-video/v1/pixverse-v6-text-to-video-request"

    aspect_ratio: AspectRatio | None = optional("Shape of the picture.", vendor_default="16:9")


class PixverseV6ImageToVideo(_Switches):
    """PixVerse V6, image to video. Audio is taken to select the dearer of its two unlabelled prices."""

    id = "pixazo:pixverse-v6-image-to-video"
    path = "/pixverse-v6-image-to-video/v1/pixverse-v6-image-to-video-request"
    prices = tuple(
        Price(
            Decimal(usd),
            "second",
            "documented per second; assumed: the dearer price is with audio",
            {"resolution": size, "generate_audio_switch": audio},
        )
        for size, silent, sound in (
            ("360p", "0.025", "0.035"),
            ("540p", "0.035", "0.045"),
            ("720p", "0.045", "0.06"),
            ("1080p", "0.09", "0.115"),
        )
        for audio, usd in ((False, silent), (True, sound))
    )

    image_url: ImageAddress = image("The first frame.", media_types=("image/jpeg", "image/png", "image/webp"))
    resolution: Literal["360p", "480p", "540p", "720p", "1080p"] | None = optional(  # type: ignore[assignment] # this model's own list
        "Size of the picture.", vendor_default="720p", disputed={"480p": _DISPUTED, "540p": _DISPUTED}
    )
    thinking_type: ThinkingType | None = optional("May the model rewrite the prompt?", vendor_default="auto")


class PixverseC1TextToVideo(_Switches):
    """PixVerse C1, text to video."""

    id = "pixazo:pixverse-c1-text-to-video"
    path = "/pixverse-c1-text-to-video/v1/pixverse-c1-text-to-video-request"

    aspect_ratio: AspectRatio | None = optional("Shape of the picture.", vendor_default="16:9")


class PixverseC1ImageToVideo(PixazoModel):
    """PixVerse C1, image to video."""

    id = "pixazo:pixverse-c1-image-to-video"
    path = "/pixverse-c1-image-to-video/v1/pixverse-c1-image-to-video-request"

    image_url: ImageAddress = image(
        "The first frame.", media_types=("image/jpeg", "image/png", "image/webp", "image/gif", "image/avif")
    )
    resolution: Resolution | None = optional("Size of the picture.", vendor_default="720p")
    duration: int | None = optional("Length of the video.", vendor_default=5, unit="seconds", ge=1, le=15)
    seed: int | None = optional("Makes a result repeatable.")
    generate_audio_switch: bool | None = optional("Generate music, effects and dialogue too.", vendor_default=False)


class PixverseV56TextToVideo(PixazoModel):
    """PixVerse V5.6, text to video: nothing has a default."""

    id = "pixazo:pixverse-v5.6-text-to-video"
    path = "/pixverse/v1/pixverse-request"

    aspect_ratio: Literal["16:9", "9:16", "1:1", "4:3", "3:4"] = required("Shape of the picture.")
    resolution: Literal["720p", "1080p", "2160p"] = required("Size of the picture.")
    duration: Annotated[Literal[3, 5, 7, 10], WholeNumber] = required("Length of the video.", unit="seconds")
    negative_prompt: str | None = optional("What to keep out of the video.")


class PixverseV56ImageToVideo(PixazoModel):
    """PixVerse V5.6, image to video. Authors write ``duration`` as a number; the wire wants it as text."""

    id = "pixazo:pixverse-v5.6-image-to-video"
    path = "/pixverse-i2v/v1/pixverse-i2v-request"
    text_on_the_wire = frozenset({"duration"})

    image_url: ImageAddress = image("The first frame.")
    resolution: Literal["720p", "1080p"] = required("Size of the picture.")
    duration: Annotated[Literal[5, 10], WholeNumber] = required("Length of the video.", unit="seconds")
    negative_prompt: str | None = optional("What to keep out of the video.")
