"""An image in storage, read before anything is bought: is it there, of which type, how large, which digest?"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.errors import InvalidRequestError, LandingError
from airflow_video_providers.core.storage.address import without_secret
from airflow_video_providers.core.storage.errors import is_forbidden, refused
from airflow_video_providers.core.storage.open import open_filesystem
from airflow_video_providers.core.storage.output_path import OutputPath, read_output_path

if TYPE_CHECKING:
    from collections.abc import Sequence

#: No vendor's document names a size; a larger file is a slip, and is held in memory.
MOST_IMAGE = 32 * 1024 * 1024
_MONEY = "Nothing was bought."


@dataclass(frozen=True)
class StoredImage:
    """An image that a request names in storage.

    :param name: The request's field.
    :param address: As the author wrote it.
    :param where: The address, taken apart.
    :param media_type: What its bytes are, whatever its name says.
    :param data: Its bytes, for a vendor that has an upload.
    :param filesystem: What it was read through; None for a local file.
    """

    name: str
    address: str
    where: OutputPath
    media_type: str
    sha256: str
    data: bytes = field(repr=False)
    filesystem: Any = field(default=None, repr=False, compare=False)

    @property
    def shown(self) -> str:
        """The address for a text that people read."""
        return without_secret(self.address)


def read_image(name: str, address: str, media_types: Sequence[str], *, most: int = MOST_IMAGE) -> StoredImage:
    """Read an image from storage, and refuse what no vendor would take.

    :param name: The request's field.
    :param address: ``s3://conn@bucket/key``, ``gs://``, ``abfs://``, ``file://`` or a local path.
    :param media_types: What the documents name for this model; empty: they name none, and any image is taken.
    :raises InvalidRequestError: it is missing, empty, too large or of another type, or its storage refuses. Nothing was
        bought.
    :raises LandingError: the storage cannot be asked right now. Nothing was bought; a retry may help.
    """
    where = read_output_path(address)
    filesystem, data = (
        (None, _local(name, address, where, most)) if not where.scheme else _remote(name, address, where, most)
    )
    if len(data) > most:
        raise refusal(name, address, f"has more than {most / 1024**2:.0f} MiB", "Give a smaller image.")
    kind = type_of(data)
    if kind is None or (media_types and kind not in media_types):
        allowed = ", ".join(media_types) or "JPEG, PNG, WebP, GIF or AVIF"
        found = "is empty" if not data else f"is {kind or 'no image that is known here'}"
        raise refusal(
            name, address, f"{found}, and the model takes {allowed}", "Convert it, or name another file.", allowed
        )
    return StoredImage(name, address, where, kind, hashlib.sha256(data).hexdigest(), data, filesystem)


def type_of(data: bytes) -> str | None:
    """What an image's first bytes say that it is; None for anything else."""
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if data[4:8] == b"ftyp" and data[8:12] in (b"avif", b"avis"):
        return "image/avif"
    return None


def refusal(name: str, address: str, why: str, remedy: str, allowed: str | None = None) -> InvalidRequestError:
    """The error for an image that cannot be bought with."""
    shown = without_secret(address)
    return InvalidRequestError(
        f"The image {shown!r} in {name!r} {why}.", money=_MONEY, remedy=remedy, field=name, value=shown,
        allowed=allowed or "an image that can be read",
    )  # fmt: skip


def _local(name: str, address: str, where: OutputPath, most: int) -> bytes:
    try:
        with open(where.prefix, "rb") as file:
            return file.read(most + 1)
    except OSError as failed:
        why = (
            "is not there on this worker"
            if isinstance(failed, FileNotFoundError)
            else f"cannot be read ({failed.strerror})"
        )
        raise refusal(name, address, why, "Correct the path, or put the image where every worker reads it.") from failed


def _remote(name: str, address: str, where: OutputPath, most: int) -> tuple[Any, bytes]:
    try:
        filesystem = open_filesystem(where)
        try:
            with filesystem.open(where.root, "rb") as file:
                return filesystem, bytes(file.read(most + 1))
        except (FileNotFoundError, IsADirectoryError) as missing:
            raise refusal(name, address, "is not there", "Correct the address, or write the image first.") from missing
        except LandingError:
            raise
        except Exception as failed:
            if is_forbidden(failed):
                why = "may not be read with that connection"
                raise refusal(name, address, why, "Let the connection's account read it.") from failed
            raise refused(f"The image {without_secret(address)!r} cannot be read", failed) from failed
    except LandingError as failed:
        if failed.retryable:
            raise failed.replace(charged="no", money=_MONEY, remedy="Run the task again.") from failed.__cause__
        raise refusal(
            name, address, f"cannot be read: {failed.what.rstrip('.')}", "Correct its connection."
        ) from failed
