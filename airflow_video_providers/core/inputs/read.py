"""An image in storage, read before anything is bought: is it there, of which type, how large, which digest?

A model that the catalogue does not list may take a sound or a video too: then any file is read, of which nobody says the
type.
"""

from __future__ import annotations

import hashlib
import mimetypes
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.errors import InvalidRequestError, LandingError
from airflow_video_providers.core.storage.address import without_secret
from airflow_video_providers.core.storage.base import open_regular
from airflow_video_providers.core.storage.errors import is_forbidden, refused
from airflow_video_providers.core.storage.open import open_filesystem
from airflow_video_providers.core.storage.output_path import OutputPath, read_output_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_video_providers.core.vendors.base import Vendor

#: No vendor's document names a size; a larger file is a slip, and is held in memory.
MOST_IMAGE = 32 * 1024 * 1024
#: The same of a file that may be a sound or a video.
MOST_FILE = 128 * 1024 * 1024
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
    address: str = field(repr=False)
    where: OutputPath
    media_type: str
    sha256: str
    data: bytes = field(repr=False)
    filesystem: Any = field(default=None, repr=False, compare=False)

    def fits_upload(self, vendor: Vendor) -> bool:
        """Has the vendor an upload that takes it?"""
        return vendor.uploads and not vendor.too_large(len(self.data))

    @property
    def noun(self) -> str:
        """What to call it in a text that people read."""
        return "image" if self.media_type.startswith("image/") else "file"

    @property
    def shown(self) -> str:
        """The address for a text that people read."""
        return without_secret(self.address)


def read_image(name: str, address: str, media_types: Sequence[str] | None, *, most: int | None = None) -> StoredImage:
    """Read an image from storage, and refuse what no vendor would take.

    :param name: The request's field.
    :param address: ``s3://conn@bucket/key``, ``gs://``, ``abfs://``, ``file://`` or a local path.
    :param media_types: What the documents name for this model; empty: they name none, and any image is taken;
        None: nobody says what the field takes, and any file that holds something is taken.
    :param most: Bytes; by default :data:`MOST_IMAGE`, or :data:`MOST_FILE` where any file is taken.
    :raises InvalidRequestError: it is missing, empty, too large or of another type, or its storage refuses. Nothing was
        bought.
    :raises LandingError: the storage cannot be asked right now. Nothing was bought; a retry may help.
    """
    noun = "file" if media_types is None else "image"
    try:
        where = read_output_path(address)
    except InvalidRequestError as wrong:
        raise refusal(
            name, address, "has an address that cannot be used", wrong.remedy or "Correct it.", noun=noun
        ) from None
    most = most or (MOST_FILE if media_types is None else MOST_IMAGE)
    filesystem, data = (
        (None, _local(name, address, where, most, noun))
        if not where.scheme
        else _remote(name, address, where, most, noun)
    )
    if len(data) > most:
        raise refusal(name, address, f"has more than {most / 1024**2:.0f} MiB", f"Give a smaller {noun}.", noun=noun)
    kind = type_of(data)
    if media_types is None:
        if not data:
            raise refusal(name, address, "is empty", "Write it, or name another file.", noun=noun)
        kind = kind or mimetypes.guess_type(where.root or where.prefix)[0] or "application/octet-stream"
    elif kind is None or (media_types and kind not in media_types):
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


def refusal(
    name: str, address: str, why: str, remedy: str, allowed: str | None = None, *, noun: str = "image"
) -> InvalidRequestError:
    """The error for an image, or another file, that cannot be bought with."""
    shown = without_secret(address)
    return InvalidRequestError(
        f"The {noun} {shown!r} in {name!r} {why}.", money=_MONEY, remedy=remedy, field=name, value=shown,
        allowed=allowed or f"{'an' if noun == 'image' else 'a'} {noun} that can be read",
    )  # fmt: skip


def _local(name: str, address: str, where: OutputPath, most: int, noun: str = "image") -> bytes:
    try:
        with open_regular(where.prefix) as file:
            return file.read(most + 1)
    except OSError as failed:
        why = (
            "is not there on this worker"
            if isinstance(failed, FileNotFoundError)
            else f"cannot be read ({failed.strerror})"
        )
        raise refusal(
            name, address, why, f"Correct the path, or put the {noun} where every worker reads it.", noun=noun
        ) from failed


def _remote(name: str, address: str, where: OutputPath, most: int, noun: str = "image") -> tuple[Any, bytes]:
    try:
        filesystem = open_filesystem(where)
        try:
            with filesystem.open(where.root, "rb") as file:
                return filesystem, bytes(file.read(most + 1))
        except (FileNotFoundError, IsADirectoryError) as missing:
            raise refusal(
                name, address, "is not there", f"Correct the address, or write the {noun} first.", noun=noun
            ) from missing
        except LandingError:
            raise
        except Exception as failed:
            if is_forbidden(failed):
                why = "may not be read with that connection"
                raise refusal(name, address, why, "Let the connection's account read it.", noun=noun) from failed
            raise refused(f"The {noun} {without_secret(address)!r} cannot be read", failed) from failed
    except LandingError as failed:
        if failed.retryable:
            raise failed.replace(charged="no", money=_MONEY, remedy="Run the task again.") from failed.__cause__
        raise refusal(
            name, address, f"cannot be read: {failed.what.rstrip('.')}", "Correct its connection.", noun=noun
        ) from failed
