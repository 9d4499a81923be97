"""A request whose images lie in storage: what is recorded of it, and what is sent.

What is recorded has each image's digest in place of its address, so that a signature of today is no change of the
request, and another image under the same name is one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.inputs.lend import lend, unreachable
from airflow_video_providers.core.inputs.read import StoredImage, read_image
from airflow_video_providers.core.redact import public_url
from airflow_video_providers.core.vendors.fields import is_stored
from airflow_video_providers.core.vendors.parameters import ADDRESS_DIGEST, DIGEST, digest_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import timedelta
    from logging import Logger

    from airflow_video_providers.core.client.client import VideoClient
    from airflow_video_providers.core.vendors.models import VideoModel


@dataclass(frozen=True)
class Staged:
    """A request, and the images that it names in storage.

    :param request: As it is recorded: with ``sha256:<digest>`` in place of a stored image's address.
    :param images: The images, read.
    """

    request: VideoModel
    images: tuple[StoredImage, ...] = ()

    def lent(self, client: VideoClient, *, loan: timedelta, allowed_hosts: Collection[str], log: Logger) -> VideoModel:
        """The request as it is sent: with addresses that the vendor can fetch.

        :raises InvalidRequestError: an image cannot be lent. Nothing was bought.
        """
        urls = {
            image.name: lend(image, client, loan=loan, allowed_hosts=allowed_hosts, log=log) for image in self.images
        }
        return self.request.with_images(urls)

    def kept(self, kept: Mapping[str, Any]) -> dict[str, Any]:
        """What is kept of the request, with the images' own digests, and their addresses' beside them."""
        digests = {f"{image.name}{DIGEST}": image.sha256 for image in self.images}
        addresses = {f"{image.name}{ADDRESS_DIGEST}": digest_of(image.address) for image in self.images}
        if not self.images or "parameters" not in kept:
            return dict(kept)
        return {**kept, "parameters": {**kept["parameters"], **digests, **addresses}}


def stage(request: VideoModel, *, allowed_hosts: Collection[str]) -> Staged:
    """Read a request's images from storage.

    :param allowed_hosts: Host names that may be private, from the connection.
    :raises InvalidRequestError: an image cannot be bought with. Nothing was bought.
    :raises LandingError: its storage cannot be asked right now. Nothing was bought.
    """
    images = []
    for name, address in request.images().items():
        if is_stored(address):
            images.append(read_image(name, address, request.file_types(name)))
        elif (wrong := unreachable(address, allowed_hosts)) is not None:
            raise InvalidRequestError(
                f"The {'file' if request.file_types(name) is None else 'image'} in {name!r} {wrong}.",
                money="Nothing was bought.",
                remedy="Give a public address, or s3://, gs:// or abfs://. For a vendor inside your own network name the host "
                "in allow_private_hosts of its connection.",
                model=request.id,
                field=name,
                value=public_url(address),
                allowed="an address that the vendor reaches",
            )
    recorded = {image.name: f"sha256:{image.sha256}" for image in images}
    return Staged(request.with_images(recorded), tuple(images))
