"""Is it a video, of an accepted type, and whole? Answered while the bytes pass by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_video_providers.exceptions import InvalidRequestError, OutputRejectedError
from airflow_video_providers.landing import mp4, webm
from airflow_video_providers.landing.container import EXTENSIONS, MediaInfo, Walk, rejected

if TYPE_CHECKING:
    from collections.abc import Collection

_HEAD = 16


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


class Inspector:
    """Looks at the first 16 bytes, then walks the container.

    :param media_types: The accepted types.
    """

    def __init__(self, media_types: Collection[str]) -> None:
        self._media_types = media_types
        self._head = b""
        self._walk: Walk | None = None
        self._size = 0

    def feed(self, data: bytes) -> None:
        """Take the next piece.

        :raises OutputRejectedError: as soon as it is known that this is not an accepted video.
        """
        self._size += len(data)
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
            raise rejected(f"What came is not a video: it begins with {head[:_HEAD]!r}", "not_a_video")
        self._accept(found)
        return mp4.Mp4Walk(found)

    def _accept(self, found: str) -> None:
        if found not in self._media_types:
            raise OutputRejectedError(
                f"What came is {found}, and accepted are {', '.join(self._media_types)}.",
                reason="media_type",
                remedy=f"Add {found!r} to media_types if that is welcome.",
            )

    def close(self) -> MediaInfo:
        """Nothing more comes.

        :raises OutputRejectedError: if the file is not whole, or not of an accepted type.
        """
        if self._walk is None:
            raise rejected(f"Only {self._size} bytes came: {self._head!r}", "truncated")
        info = self._walk.close(self._size)
        self._accept(info.media_type)
        return info
