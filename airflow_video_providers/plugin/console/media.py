"""Clips as the pages show them: a player each, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_video_providers.core.jobs import OutputRole
from airflow_video_providers.core.storage.address import without_secret
from airflow_video_providers.plugin.console.clip_files import Files, StoredFile
from airflow_video_providers.plugin.console.clips import Clip, NoClipError, clip_of
from airflow_video_providers.plugin.console.render import as_text, in_bytes, named, task_query

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_video_providers.core.purchase.records import Identity

#: What stands beside a video, for people.
_ROLES: dict[str, str] = {
    OutputRole.LAST_FRAME: "The last frame",
    OutputRole.POSTER: "The poster",
    OutputRole.AUDIO: "The sound",
}
#: Bytes, pixels or seconds of a file: what is more was said by no landing.
_MOST_NUMBER = 10**18
#: Outputs of one task that a page shows.
MOST = 16


@dataclass(frozen=True)
class Shown:
    """One output on a page.

    :param source: Where the player reads it; None where it cannot.
    :param why: Why there is no player.
    :param origin: The storage that the player is sent to, for the page's content security policy.
    """

    label: str
    address: str
    facts: str
    content_type: str
    source: str | None = None
    poster: str | None = None
    download: str | None = None
    why: str | None = None
    origin: str | None = None
    width: int | None = None
    height: int | None = None


def shown(files: Files, who: Identity, manifest: Mapping[str, Any], *, secure: bool) -> list[Shown]:
    """The outputs of a manifest.

    :param secure: The page came by https, and may not play from a storage that speaks plain http.
    """
    outputs = manifest.get("outputs")
    entries = [one for one in outputs if isinstance(one, dict)] if isinstance(outputs, list) else []
    videos = sum(entry.get("role", OutputRole.VIDEO) == OutputRole.VIDEO for entry in entries)
    return [_shown(files, who, manifest, entry, videos, secure) for entry in entries[:MOST]]


def _shown(
    files: Files, who: Identity, manifest: Mapping[str, Any], entry: Mapping[str, Any], total: int, secure: bool
) -> Shown:
    index = _index(entry.get("index"))
    role = as_text(entry.get("role", OutputRole.VIDEO))
    number = f"Output {index + 1}" if isinstance(index, int) and total > 1 else "The clip"
    label = f"{number if role == OutputRole.VIDEO else _ROLES.get(role, 'A file')} of {named(who)}"
    address = without_secret(as_text(entry.get("path") or entry.get("uri") or "not known"))
    facts = _facts(entry)
    try:
        clip = clip_of(manifest, index if isinstance(index, int) else -1)
        origin = _origin_of(files, clip, secure)
    except NoClipError as error:
        return Shown(label, address, facts, "", why=str(error))
    query, picture = {"output": index}, clip.content_type.startswith("image/")
    return Shown(
        label, clip.shown, facts, clip.content_type,
        source=f"clip?{task_query(who, **query)}{'' if origin and not picture else '&through=server'}",
        poster=f"clip?{task_query(who, **query, poster=1)}" if isinstance(entry.get("poster"), dict) else None,
        download=f"clip?{task_query(who, **query, download=1, through='server')}",
        origin=origin, width=_number(entry.get("width")), height=_number(entry.get("height")),
    )  # fmt: skip


def _origin_of(files: Files, clip: Clip, secure: bool) -> str | None:
    """The storage's own address, where it signs one that this page may use.

    :raises NoClipError: a file on a disk that this server does not see. Buckets are asked when somebody plays.
    """
    if clip.local:
        files.open(clip).close()
        return None
    return origin_of(clip, secure=secure)


def origin_of(clip: Clip, *, secure: bool) -> str | None:
    """Scheme and host at which the storage would serve the clip; None where it signs no address, or in clear only."""
    try:
        address = StoredFile(clip).signed()
    except NoClipError:
        return None
    parts = urlsplit(address or "")
    if not parts.netloc or "@" in parts.netloc or (secure and parts.scheme != "https"):
        return None
    return f"{parts.scheme}://{parts.netloc}"


def _facts(entry: Mapping[str, Any]) -> str:
    width, height, size = (_number(entry.get(name)) for name in ("width", "height", "bytes"))
    codecs = entry.get("codecs")
    return ", ".join(
        part
        for part in (
            f"{width} × {height}" if width and height else "",
            _seconds(entry.get("duration_s")),
            " and ".join(one for one in codecs if isinstance(one, str)) if isinstance(codecs, list) else "",
            in_bytes(size) if size else "",
        )
        if part
    )


def _index(value: object) -> int | None:
    return 0 if type(value) is int and value == 0 else _number(value)


def _seconds(value: object) -> str:
    plain = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _MOST_NUMBER
    return f"{value:.1f} s" if plain else ""


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < _MOST_NUMBER else None
