"""Put a verified file under its final name, unless it is there, and never over something else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_video_providers.exceptions import LandingError
from airflow_video_providers.landing.spool import Spool
from airflow_video_providers.landing.store import Parcel, Store, sha256_of

if TYPE_CHECKING:
    import logging


@dataclass
class Clip:
    """A verified output and what is said of it.

    :param entry: Its part of the manifest.
    :param poster: A JPEG to land beside it, if one is wished for.
    """

    parcel: Parcel
    entry: dict[str, Any]
    poster: bytes | None = None


def conflict(what: str) -> LandingError:
    """The error for a name that holds something else: a retry cannot help, somebody has to look."""
    error = LandingError(
        f"{what}.",
        reason="conflict",
        remedy="Look at it; then remove it, or land with overwrite=True. The job is not bought again.",
    )
    error.retryable = False
    return error


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
