"""Describe a verified file and put it under its final name, unless it is there, and never over something else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.errors import LandingError
from airflow_video_providers.core.jobs import OutputRole
from airflow_video_providers.core.landing import decode as medias
from airflow_video_providers.core.landing import manifest as manifests
from airflow_video_providers.core.landing.spool import Spool
from airflow_video_providers.core.storage.base import Store, VerifiedFile, conflict, sha256_of

if TYPE_CHECKING:
    import logging

    from airflow_video_providers.core.jobs import VideoOutput
    from airflow_video_providers.core.landing.fetch import Fetched
    from airflow_video_providers.core.landing.keys import Keys


@dataclass
class Clip:
    """A verified output and what is said of it.

    :param entry: Its part of the manifest.
    :param poster: A JPEG to land beside it, if one is wished for.
    """

    verified: VerifiedFile
    entry: dict[str, Any]
    poster: bytes | None = None


def make_clip(
    index: int,
    keys: Keys,
    spool: Spool,
    fetched: Fetched,
    output: VideoOutput,
    *,
    decode: bool,
    poster: bool,
    paths: bool = False,
) -> Clip:
    """Describe what came, of a video after every frame was decoded and with a poster where those are wished for.

    :param output: What it has to be.
    :param paths: Keep the path of its address, not only the host.
    :raises OutputRejectedError: if a frame cannot be decoded.
    """
    found, job = fetched.media, keys.job
    if output.role is not OutputRole.VIDEO:
        decode = poster = False
    if decode:
        medias.decode(spool.path, found)
    metadata = {"sha256": fetched.sha256, "model": job.model, "request-id": job.request_id}
    verified = VerifiedFile(
        spool.path, fetched.size, fetched.sha256, found.media_type, {k: _ascii(v) for k, v in metadata.items()}
    )
    key = keys.output(index, manifests.extension(output.role, found.media_type), output.role)
    entry = manifests.output_entry(index, key, fetched.size, fetched.sha256, found, output.role)
    if index < len(job.outputs):
        entry["source"] = manifests.source_entry(job.outputs[index].url, path=paths)
    clip = Clip(verified, entry)
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
    if not overwrite and is_there(store, clip.verified, key):
        log.info("%s/%s is there already, with the same bytes.", store.uri, key)
    else:
        try:
            store.put(clip.verified, key, overwrite=overwrite)
        except FileExistsError as raced:
            if not is_there(store, clip.verified, key):
                raise LandingError(f"{store.uri}/{key} was there and went.", reason="storage") from raced
    if clip.poster is not None:
        put(store, clip.poster, clip.entry["poster"]["key"], "image/jpeg", clip.verified.metadata)


def is_there(store: Store, verified: VerifiedFile, key: str) -> bool:
    """A landing that ended between object and manifest left the very same bytes; anything else is foreign.

    :raises LandingError: if it is foreign.
    """
    size = store.size(key)
    if size is None:
        return False
    if size != verified.size or sha256_of(store.read(key)) != verified.sha256:
        raise conflict(f"{store.uri}/{key} holds something else ({size} bytes)")
    return True


def recorded(store: Store, keys: Keys) -> tuple[dict[str, Any] | None, str | None]:
    """The job's manifest, where there is one that can be believed and everything that it names is there.

    :return: The manifest, and in its place why there is none, where something is stored under its name.
    :raises LandingError: if it belongs to another job, or the storage refuses.
    """
    size = store.size(keys.manifest)
    if size is None:
        return None, None
    where = f"{store.uri}/{keys.manifest}"
    data = b"".join(store.read(keys.manifest)) if size <= manifests.MAX_BYTES else b""
    found = manifests.decode(data, keys, where)
    if found is None:
        return None, f"{where} cannot be read and is written anew."
    files = [*found["outputs"], *(out["poster"] for out in found["outputs"] if "poster" in out)]
    missing = [file["key"] for file in files if not _holds(store, file)]
    named = keys.job.outputs
    if not any("role" in output for output in found["outputs"]):  # an older release landed videos only
        named = tuple(output for output in named if output.role is OutputRole.VIDEO)
    if missing or (named and len(named) != len(found["outputs"])):
        return None, f"{where} does not fit what is stored ({', '.join(missing)}): landing again."
    return found, None


def _holds(store: Store, file: dict[str, Any]) -> bool:
    """Is there what the manifest says? Its digest is compared where the storage has one at hand."""
    return store.holds(file["key"], file["bytes"], file["sha256"])


def commit(store: Store, keys: Keys, record: dict[str, Any], *, replace: bool) -> dict[str, Any]:
    """Write the manifest, last; one that another process wrote for the same job and the same files stands.

    :param replace: Write over what is there.
    :return: The manifest that is stored then.
    :raises LandingError: if the storage refuses, or holds a manifest about other files.
    """
    data = manifests.encode(record)
    try:
        put(store, data, keys.manifest, "application/json", {}, overwrite=replace)
    except FileExistsError:
        pass
    except LandingError as failed:
        if failed.reason != "replaced":
            raise
    else:
        return record
    theirs, _ = recorded(store, keys)
    if theirs is None:  # what is there vouches for nothing
        put(store, data, keys.manifest, "application/json", {}, overwrite=True)
        return record
    if [_identity(output) for output in theirs["outputs"]] != [_identity(output) for output in record["outputs"]]:
        raise conflict(f"{store.uri}/{keys.manifest} is about other files than the ones that have come")
    return theirs


def _identity(output: dict[str, Any]) -> tuple[str, str]:
    return output["key"], output["sha256"]


def put(
    store: Store, data: bytes, key: str, content_type: str, metadata: dict[str, str], *, overwrite: bool = True
) -> None:
    """Store what is made here: the manifest, and the posters, which may be made anew."""
    with Spool(store.spool_directory(key), store.spool_mode()) as spool:
        spool.write(data)
        verified = VerifiedFile(spool.path, len(data), sha256_of(iter([data])), content_type, metadata)
        store.put(verified, key, overwrite=overwrite)
