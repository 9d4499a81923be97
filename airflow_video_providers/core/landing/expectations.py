"""What was asked for, and what a file is: differences that a container shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.jobs import OutputRole
from airflow_video_providers.core.landing.media_info import rejected

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_video_providers.core.errors import OutputRejectedError

#: A clip may be so much longer or shorter than asked for: vendors round to whole frames, and to whole groups of them.
_SECONDS, _SHARE = 0.5, 0.05
#: Sides are rounded to what an encoder takes.
_RATIO = 0.03
#: Of a resolution: some vendors mean the shorter side, others the area of the 16:9 picture with that side.
_SIDE, _AREA = 0.05, 0.15
#: What the containers call sound; in Matroska and WebM its names begin with A_.
_SOUND = frozenset(
    (
        "mp4a",
        "opus",
        "ac-3",
        "ac-4",
        "ec-3",
        "alac",
        "flac",
        ".mp3",
        "mp3",
        "sowt",
        "twos",
        "lpcm",
        "ipcm",
        "samr",
        "sawb",
    )
)


def differences(expected: Mapping[str, Any] | None, entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Where a landed file is not what was asked for.

    What the container does not say is no difference.

    :param expected: ``duration_s``, ``resolution``, ``aspect_ratio`` and ``audio``, as far as they were asked for.
    :param entry: The file's part of the manifest.
    """
    found: list[dict[str, Any]] = []
    if entry.get("role", OutputRole.VIDEO) != OutputRole.VIDEO:
        return found
    for what, wanted in (expected or {}).items():
        check = _CHECKS.get(what)
        got = None if check is None else check(wanted, entry)
        if got is not None:
            found.append({"index": entry["index"], "what": what, "expected": wanted, "found": got})
    return found


def said(found: list[dict[str, Any]]) -> str:
    """Differences in words."""
    return "; ".join(
        f"output {one['index']}: {one['what']} is {one['found']}, asked for was {one['expected']}" for one in found
    )


def refusal(found: list[dict[str, Any]]) -> OutputRejectedError:
    """The error of ``expect="strict"``: the file is sound, it is paid for, and it is not what was asked for."""
    return rejected(f"The video is not what was asked for ({said(found)})", "expectation").replace(
        remedy="Land it all the same with expect='report', or ask the vendor why it differs."
    )


def _duration(wanted: Any, entry: Mapping[str, Any]) -> Any:
    got = entry.get("duration_s")
    if got is None or not _is_number(wanted) or abs(got - wanted) <= max(_SECONDS, _SHARE * wanted):
        return None
    return got


def _ratio(wanted: Any, entry: Mapping[str, Any]) -> Any:
    width, height = entry.get("width"), entry.get("height")
    across, _, down = str(wanted).partition(":")
    if not width or not height or not (across.isdecimal() and down.isdecimal() and int(across) and int(down)):
        return None
    asked = int(across) / int(down)
    return None if abs(width / height - asked) <= _RATIO * asked else f"{width}x{height}"


def _resolution(wanted: Any, entry: Mapping[str, Any]) -> Any:
    width, height = entry.get("width"), entry.get("height")
    lines = str(wanted).lower().removesuffix("p")
    if not width or not height or not lines.isdecimal() or not int(lines):
        return None
    side, area = int(lines), int(lines) ** 2 * 16 / 9
    near = abs(min(width, height) - side) <= _SIDE * side or abs(width * height - area) <= _AREA * area
    return None if near else f"{width}x{height}"


def _audio(wanted: Any, entry: Mapping[str, Any]) -> Any:
    codecs = [str(codec).strip() for codec in entry.get("codecs", ())]
    if not isinstance(wanted, bool) or not codecs:
        return None
    sound = any(codec.startswith("A_") or codec.lower() in _SOUND for codec in codecs)
    return None if sound is wanted else sound


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_CHECKS = {"duration_s": _duration, "resolution": _resolution, "aspect_ratio": _ratio, "audio": _audio}
