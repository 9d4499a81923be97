"""What the readers of the containers share: what they find, and how they say no."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from airflow_video_providers.core.errors import OutputRejectedError

if TYPE_CHECKING:
    from collections.abc import Iterable

#: What a landed file is called, by what it was found to be. Other types have no check here, hence no place.
EXTENSIONS = {"video/mp4": "mp4", "video/quicktime": "mov", "video/webm": "webm", "video/x-matroska": "mkv"}
DEFAULT_MEDIA_TYPES = ("video/mp4", "video/webm")


#: Larger than any picture of 16 bits a side, or more frames than a second of anything has, is no fact but noise.
_LARGEST_SIDE = 65_535
_MOST_FPS = 1_000.0
_LONGEST = 30 * 86_400.0
_MOST_CODECS = 16
_LONGEST_NAME = 64


@dataclass(frozen=True)
class Picture:
    """What a decoder has to know beforehand.

    :param track: The picture's track id, None where the container names none.
    :param frames: How many the container holds, None where it does not say.
    :param readable: False where a part of it is damaged, which players step over.
    :param turn: The filters that turn a decoded frame into the one that a player shows, ``""`` for none.
    """

    track: int | None = None
    frames: int | None = None
    turn: str = ""
    readable: bool = True


@dataclass(frozen=True)
class MediaInfo:
    """What a container says about itself.

    :param media_type: What it was found to be, whatever the server called it.
    :param container: ``"mp4"``, ``"mov"``, ``"webm"`` or ``"mkv"``; None of a file that is no video.
    :param duration_s: Seconds, None where the file does not say.
    :param width: Pixels as a player shows them (a film that is to be turned by 90 degrees counts as turned), and
        ``height`` too; None where the container does not say.
    :param fps: Frames per second on average, None where the file does not say.
    :param codecs: One per track, in the file's order.
    :param content_credentials: Whether the file carries C2PA boxes, the marks on AI-made video.
    :param remarks: What was odd about a file that plays all the same.
    :param picture: For the decoder; no part of the manifest.
    """

    media_type: str
    container: str | None = None
    duration_s: float | None = None
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    codecs: tuple[str, ...] = ()
    content_credentials: bool = False
    remarks: tuple[str, ...] = ()
    picture: Picture = field(default=Picture(), compare=False)


def described(
    media_type: str,
    container: str,
    *,
    duration_s: float | None,
    size: tuple[int, int],
    fps: float | None,
    codecs: Iterable[str],
    remarks: Iterable[str],
    content_credentials: bool = False,
    picture: Picture,
) -> MediaInfo:
    """Put together what a walk has read. Numbers that cannot be true are left out, texts are short and printable.

    :param size: Width and height, 0 where the container does not say.
    """
    odd, names = list(dict.fromkeys(remarks)), list(codecs)
    if duration_s is not None and not 0 <= duration_s <= _LONGEST:
        duration_s, odd = None, [*odd, "the duration that it claims makes no sense"]
    if fps is not None and not 0 < fps <= _MOST_FPS:
        fps, odd = None, [*odd, "the frame rate that it claims makes no sense"]
    known = all(0 < side <= _LARGEST_SIDE for side in size)
    if not known:
        odd.append("the size of its picture stands in no header")
    if len(names) > _MOST_CODECS:
        odd.append(f"it has {len(names)} tracks, and the first {_MOST_CODECS} are described")
    return MediaInfo(
        media_type=media_type,
        container=container,
        duration_s=round(duration_s, 3) if duration_s else None,
        width=size[0] if known else None,
        height=size[1] if known else None,
        fps=round(fps, 3) if fps else None,
        codecs=tuple(printable(name) for name in names[:_MOST_CODECS]),
        content_credentials=content_credentials,
        remarks=tuple(odd),
        picture=picture,
    )


def printable(text: str, most: int = _LONGEST_NAME) -> str:
    """The text of a file's header as plain ASCII of a bounded length; the rest is escaped and left out."""
    return text[:most].encode("unicode_escape").decode("ascii")[:most]


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
        f"{what}.", reason=reason, remedy="Play the file in the vendor's console; nothing was landed.", keep=keep
    )


def malformed(what: str) -> OutputRejectedError:
    """The error for a container that contradicts itself."""
    return rejected(f"The file is no sound video: {what}", "malformed")
