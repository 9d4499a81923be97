"""Describe a verified file and put it under its final name, unless it is there, and never over something else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_video_providers.exceptions import LandingError
from airflow_video_providers.landing import manifest as manifests
from airflow_video_providers.landing import media as medias
from airflow_video_providers.landing.container import EXTENSIONS
from airflow_video_providers.landing.spool import Spool
from airflow_video_providers.landing.store import Parcel, Store, conflict, sha256_of

if TYPE_CHECKING:
    import logging

    from airflow_video_providers.landing.fetch import Fetched
    from airflow_video_providers.landing.keys import Keys


@dataclass
class Clip:
    """A verified output and what is said of it.

    :param entry: Its part of the manifest.
    :param poster: A JPEG to land beside it, if one is wished for.
    """

    parcel: Parcel
    entry: dict[str, Any]
    poster: bytes | None = None


def make_clip(
    index: int, keys: Keys, spool: Spool, fetched: Fetched, *, decode: bool, poster: bool, paths: bool = False
) -> Clip:
    """Describe what came, after a look at every frame and with a poster where those are wished for.

    :param paths: Keep the path of its address, not only the host.
    :raises OutputRejectedError: if a frame cannot be decoded.
    """
    found, job = fetched.media, keys.job
    if decode:
        medias.decode(spool.path, found)
    metadata = {"sha256": fetched.sha256, "model": job.model, "request-id": job.request_id}
    parcel = Parcel(
        spool.path, fetched.size, fetched.sha256, found.media_type, {k: _ascii(v) for k, v in metadata.items()}
    )
    key = keys.output(index, EXTENSIONS[found.media_type])
    entry = manifests.output_entry(index, key, fetched.size, fetched.sha256, found)
    if index < len(job.outputs):
        entry["source"] = manifests.source_entry(job.outputs[index].url, path=paths)
    clip = Clip(parcel, entry)
    if poster:
        clip.poster, width, height = medias.poster(spool.path, found)
        entry["poster"] = {
            "key": keys.output(index, "jpg"),
            "bytes": len(clip.poster),
            "sha256": sha256_of(iter([clip.poster])),
            "content_type": "image/jpeg",
            "width": width,
            "height": height,
        }
    return clip


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode("ascii")


def place(store: Store, clip: Clip, overwrite: bool, log: logging.Logger) -> None:
    """Store an output and its poster.

    :raises LandingError: if the storage refuses, or holds something else.
    """
    key = clip.entry["key"]
    if not overwrite and is_there(store, clip.parcel, key):
        log.info("%s/%s is there already, with the same bytes.", store.uri, key)
    else:
        try:
            store.put(clip.parcel, key, overwrite=overwrite)
        except FileExistsError as raced:
            if not is_there(store, clip.parcel, key):
                raise LandingError(f"{store.uri}/{key} was there and went.", reason="storage") from raced
    if clip.poster is not None:
        put(store, clip.poster, clip.entry["poster"]["key"], "image/jpeg", clip.parcel.metadata)


def is_there(store: Store, parcel: Parcel, key: str) -> bool:
    """A landing that ended between object and manifest left the very same bytes; anything else is foreign.

    :raises LandingError: if it is foreign.
    """
    size = store.size(key)
    if size is None:
        return False
    if size != parcel.size or sha256_of(store.read(key)) != parcel.sha256:
        raise conflict(f"{store.uri}/{key} holds something else ({size} bytes)")
    return True


def put(store: Store, data: bytes, key: str, content_type: str, metadata: dict[str, str]) -> None:
    """Store what is made here and may be made anew: the manifest and the posters."""
    with Spool(store.spool_directory(key), store.spool_mode()) as spool:
        spool.write(data)
        parcel = Parcel(spool.path, len(data), sha256_of(iter([data])), content_type, metadata)
        store.put(parcel, key, overwrite=True)
