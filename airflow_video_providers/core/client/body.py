"""A body on its way in, within bounds; what a broken one has named by then is not lost."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from airflow_video_providers.core.border import BodyReader, body_text, plain_id

if TYPE_CHECKING:
    import httpx

#: What is no text is not read where JSON is awaited: its type says enough, and it may be a video of gigabytes.
_NO_TEXT = ("video/", "image/", "audio/", "application/octet-stream")
_EXCERPT = 64 * 1024
_ID = re.compile(r'"(?:request_id|requestId|task_id|prediction_id|id)"\s*:\s*"([^"\\]{1,256})"')


class Body:
    """A body on its way in.

    :param response: The answer it belongs to.
    """

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self._reader = BodyReader(response.headers)
        self._pieces: list[bytes] = []
        kind = response.headers.get("content-type", "").strip().lower()
        self._left = _EXCERPT if kind.startswith(_NO_TEXT) else None

    def take(self, piece: bytes) -> bool:
        """Take a piece; False where the rest is not wanted."""
        for decoded in self._reader.take(piece):
            self._pieces.append(decoded)
            if self._left is not None:
                self._left -= len(decoded)
                if self._left <= 0:
                    return False
        return True

    def finish(self) -> bytes:
        """All of it."""
        self._reader.finish()
        return self.so_far()

    def so_far(self) -> bytes:
        """What has come."""
        return b"".join(self._pieces)[: _EXCERPT if self._left is not None else None]

    def known(self) -> str:
        """What a broken answer to a paid call still says, for the text of its error."""
        found = _ID.search(body_text(self.so_far(), self._response.headers.get("content-type")))
        if not self._response.is_success or found is None or not plain_id(found[1]):
            return ""
        return f"; what came of the answer (HTTP {self._response.status_code}) names the id {found[1]}"
