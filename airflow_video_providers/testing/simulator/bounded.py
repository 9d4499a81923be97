"""Collections that have an end: whoever talks to a simulator decides what it is sent, but not what it keeps."""

from __future__ import annotations

import json
from collections import deque
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Value = TypeVar("Value")

#: Bytes of uploaded files that are remembered.
UPLOAD_BYTES = 48 * 1024 * 1024
#: Requests that are remembered, and the bytes that they may hold in all.
HISTORY = 20_000
HISTORY_BYTES = 32 * 1024 * 1024
#: Jobs that a simulator holds before it wants to be reset.
JOBS = 100_000
#: A body longer than this is remembered by its length alone.
BODY_BYTES = 64 * 1024
#: A job's prompt and texts are kept up to this many characters.
TEXT = 4000


class History:
    """The newest requests, as far as they fit.

    :param most: How many at most.
    :param size: Bytes in all at most.
    """

    def __init__(self, most: int = HISTORY, size: int = HISTORY_BYTES) -> None:
        self._most = most
        self._size = size
        self._kept: deque[tuple[dict[str, Any], int]] = deque()
        self._held = 0

    def append(self, entry: dict[str, Any], size: int) -> None:
        """Remember one; the oldest make room for it.

        :param size: About how many bytes it holds.
        """
        self._kept.append((entry, size))
        self._held += size
        while len(self._kept) > self._most or self._held > self._size:
            self._held -= self._kept.popleft()[1]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (entry for entry, _ in self._kept)

    def __len__(self) -> int:
        return len(self._kept)


class Newest(dict[Any, Value], Generic[Value]):
    """A dict that forgets its oldest entries.

    :param most: How many it holds.
    :param size: Bytes in all at most; None: whatever they weigh.
    :param weigh: How many bytes an entry holds.
    """

    def __init__(self, most: int, *, size: int | None = None, weigh: Callable[[Value], int] = lambda _value: 0) -> None:
        super().__init__()
        self._most = most
        self._size = size
        self._weigh = weigh

    def __setitem__(self, key: Any, value: Value) -> None:
        super().__setitem__(key, value)
        while len(self) > self._most or (self._size and sum(map(self._weigh, self.values())) > self._size):
            del self[next(iter(self))]

    def setdefault(self, key: Any, default: Value) -> Value:
        """The entry, made if it is not there."""
        if key not in self:
            self[key] = default
        return self[key]


def shortened(body: dict[str, Any]) -> dict[str, Any]:
    """A request's body as a job keeps it: whole where it is small, lists and objects too; else its numbers, and its texts cut,
    no more than 100 fields.
    """
    if len(json.dumps(body)) <= TEXT:
        return body
    kept = list(body.items())[:100]
    return {
        name[:100]: value[:TEXT] if isinstance(value, str) else value
        for name, value in kept
        if value is None or isinstance(value, str | int | float)
    }
