"""What the readers of the containers share: what they find, and how they say no."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from airflow_video_providers.exceptions import OutputRejectedError

#: What a landed file is called, by what it was found to be. Other types have no check here, hence no place.
EXTENSIONS = {"video/mp4": "mp4", "video/quicktime": "mov", "video/webm": "webm", "video/x-matroska": "mkv"}
DEFAULT_MEDIA_TYPES = ("video/mp4", "video/webm")


@dataclass(frozen=True)
class MediaInfo:
    """What a container says about itself.

    :param media_type: What it was found to be, whatever the server called it.
    :param container: ``"mp4"``, ``"mov"``, ``"webm"`` or ``"mkv"``.
    :param duration_s: Seconds, None where the file does not say.
    :param width: Pixels, and ``height`` too.
    :param fps: Frames per second on average, None where the file does not say.
    :param codecs: One per track, in the file's order.
    """

    media_type: str
    container: str
    duration_s: float | None
    width: int
    height: int
    fps: float | None
    codecs: tuple[str, ...]


class Walk(Protocol):
    """Reads a container from the first byte to the last."""

    def feed(self, data: bytes) -> None:
        """Take the next piece, of any size."""

    def close(self, size: int) -> MediaInfo:
        """Nothing more comes: was it whole, and what is it?"""


def rejected(what: str, reason: str, *, keep: bool = True) -> OutputRejectedError:
    """The error for bytes that are not the video that was paid for.

    :param keep: False where they are no media at all, so that nothing is lost with them.
    """
    return OutputRejectedError(
        f"{what}.", reason=reason, remedy="Look at the file in the vendor's console; nothing was landed.", keep=keep
    )


def malformed(what: str) -> OutputRejectedError:
    """The error for a container that contradicts itself."""
    return rejected(f"The file is no sound video: {what}", "malformed")
