"""Is it a video, of an accepted type, and whole? Answered while the bytes pass by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from airflow_video_providers.core.errors import InvalidRequestError, OutputRejectedError
from airflow_video_providers.core.jobs import OutputRole
from airflow_video_providers.core.landing import mp4, webm
from airflow_video_providers.core.landing.media_info import EXTENSIONS, MediaInfo, Walk, rejected
from airflow_video_providers.core.landing.other_media import OtherInspector

if TYPE_CHECKING:
    from collections.abc import Collection

    from airflow_video_providers.core.jobs import VideoOutput

_HEAD = 16
# Media without a check here: paid for and worth keeping, where a page of text is not.
_OTHER_MEDIA = (
    (8, b"AVI ", "an AVI film"),
    (8, b"WAVE", "a WAV sound"),
    (8, b"WEBP", "a WebP picture"),
    (0, b"OggS", "an Ogg film or sound"),
    (0, b"FLV\x01", "an FLV film"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "a Windows Media film"),
    (0, b"\x00\x00\x01\xba", "an MPEG program stream"),
    (0, b"\x00\x00\x01\xb3", "an MPEG film without a container"),
    (0, b"\x47\x40", "an MPEG transport stream"),
    (0, b"GIF8", "a GIF picture"),
    (0, b"\x89PNG\r\n", "a PNG picture"),
    (0, b"\xff\xd8\xff", "a JPEG picture"),
    (0, b"ID3", "an MP3 sound"),
    (4, b"ftyp", "a still picture (HEIF or AVIF)"),
)


def checked_media_types(media_types: Collection[str]) -> tuple[str, ...]:
    """The accepted types, or an error that says which ones can be verified at all."""
    known = ", ".join(EXTENSIONS)
    unknown = [name for name in media_types if name not in EXTENSIONS]
    if unknown or not media_types or isinstance(media_types, str):
        raise InvalidRequestError(
            f"media_types is {media_types!r}; a file can be verified as one of {known}.",
            field="media_types",
            value=media_types,
            allowed=known,
        )
    return tuple(media_types)


class Inspects(Protocol):
    """Takes a file as it passes by, and says at its end what it is."""

    def feed(self, data: bytes) -> None:
        """Take the next piece."""

    def close(self) -> MediaInfo:
        """Nothing more comes: was it whole, and what is it?"""


def inspector_for(output: VideoOutput, media_types: Collection[str]) -> Inspects:
    """What reads a file of this role.

    :param media_types: The accepted types of videos.
    """
    if output.role is OutputRole.VIDEO:
        return Inspector(media_types)
    return OtherInspector(output.role, output.media_type)


class Inspector:
    """Reads the first 16 bytes, then walks the container.

    Media that our reading refuses may still be what was paid for. It is let come to its end, so that it can be
    kept, and is refused by :meth:`close`; what is no media at all is refused by :meth:`feed`, at once.

    :param media_types: The accepted types.
    """

    def __init__(self, media_types: Collection[str]) -> None:
        self._media_types = media_types
        self._head = b""
        self._walk: Walk | None = None
        self._refused: OutputRejectedError | None = None
        self._size = 0

    def feed(self, data: bytes) -> None:
        """Take the next piece.

        :raises OutputRejectedError: as soon as it is known that this is nothing to keep.
        """
        self._size += len(data)
        if self._refused is not None:
            return
        try:
            self._inspect(data)
        except OutputRejectedError as refused:
            if not refused.keep:
                raise
            self._refused, self._walk = refused, None

    def _inspect(self, data: bytes) -> None:
        if self._walk is None:
            self._head += data
            if len(self._head) < _HEAD:
                return
            self._walk, data, self._head = self._recognise(self._head), self._head, b""
        self._walk.feed(data)

    def _recognise(self, head: bytes) -> Walk:
        if head.startswith(webm.EBML_MAGIC):
            return webm.WebmWalk()
        found = mp4.media_type_of(head[:_HEAD])
        if found is None:
            other = next((name for at, magic, name in _OTHER_MEDIA if head.startswith(magic, at)), None)
            what = f"it is {other}" if other else f"it begins with {head[:_HEAD]!r}"
            raise rejected(
                f"What came is not a video that can be verified: {what}", "not_a_video", keep=other is not None
            )
        return mp4.Mp4Walk(found)

    def _accept(self, found: str) -> None:
        if found not in self._media_types:
            raise OutputRejectedError(
                f"What came is {found}, and accepted are {', '.join(self._media_types)}.",
                reason="media_type",
                remedy=f"Add {found!r} to media_types if that is welcome.",
                keep=True,
            )

    def close(self) -> MediaInfo:
        """Nothing more comes.

        :raises OutputRejectedError: if the file is not whole, not of an accepted type, or not to be understood.
        """
        if self._refused is not None:
            raise self._refused
        if self._walk is None:
            raise rejected(f"Only {self._size} bytes came: {self._head!r}", "truncated", keep=False)
        info = self._walk.close(self._size)
        self._accept(info.media_type)
        return info
