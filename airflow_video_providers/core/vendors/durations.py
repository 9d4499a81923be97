"""Settings that say how long: ``90``, ``"90s"``, ``"20m"``, ``"1h30m"``, ``"7d"``."""

from __future__ import annotations

import re
from dataclasses import dataclass

_FORM = re.compile(r"(?:([0-9]{1,9})d)?(?:([0-9]{1,9})h)?(?:([0-9]{1,9})m)?(?:([0-9]{1,9})s)?")
_SECONDS = (86_400, 3_600, 60, 1)
#: Ten years: more is a slip.
MOST = 3_660 * 86_400


@dataclass(frozen=True)
class Duration:
    """Reads such a setting as whole seconds.

    :param least: Seconds that it must be at least.
    :param least_as_text: The same for people.
    :param never: Is ``"never"`` taken, too? It is None.
    """

    least: int
    least_as_text: str
    never: bool = False

    def __call__(self, value: object) -> int | None:
        """The seconds.

        :raises ValueError: it is no such duration; its text says what is allowed.
        """
        text = value.strip().lower() if isinstance(value, str) else value
        if text == "never" and self.never:
            return None
        seconds = _seconds(text)
        if seconds is None or not self.least <= seconds <= MOST:
            raise ValueError(self.allowed)
        return seconds

    @property
    def allowed(self) -> str:
        """What it may be."""
        without_end = ', or "never"' if self.never else ""
        return f'seconds, or a text such as "20m", "1h30m" or "7d", {self.least_as_text} at least{without_end}'


def _seconds(value: object) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if not isinstance(value, str) or not value:
        return None
    if value.isascii() and value.isdigit():
        return int(value) if len(value) <= 9 else None
    found = _FORM.fullmatch(value)
    if found is None:
        return None
    return sum(int(count or 0) * size for count, size in zip(found.groups(), _SECONDS, strict=True))
