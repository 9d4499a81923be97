"""A request whose images lie in storage: what is recorded of it, and what is sent.

What is recorded has each image's digest in place of its address, so that a signature of today is no change of the
request, and another image under the same name is one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_video_providers.core.inputs.checked import inputs_of, stored_among
from airflow_video_providers.core.inputs.lend import lend
from airflow_video_providers.core.inputs.read import StoredImage, read_image
from airflow_video_providers.core.vendors.input_addresses import replaced
from airflow_video_providers.core.vendors.parameters import ADDRESS_DIGEST, DIGEST, digest_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import timedelta
    from logging import Logger

    from airflow_video_providers.core.client.client import VideoClient
    from airflow_video_providers.core.vendors.models import VideoModel


@dataclass(frozen=True)
class Staged:
    """A request, and the images that it names in storage, wherever in it they stand.

    :param request: As it is recorded: with ``sha256:<digest>`` in place of a stored image's address.
    :param images: The images, read.
    :param extra_fields: The author's further fields, recorded in the same way.
    """

    request: VideoModel
    images: tuple[StoredImage, ...] = ()
    extra_fields: Mapping[str, Any] = field(default_factory=dict)

    def lent(
        self, client: VideoClient, *, loan: timedelta, allowed_hosts: Collection[str], log: Logger
    ) -> tuple[VideoModel, dict[str, Any]]:
        """The request and its further fields as they are sent: with addresses that the vendor can fetch.

        :raises InvalidRequestError: an image cannot be lent. Nothing was bought.
        """
        urls = {
            image.name: lend(image, client, loan=loan, allowed_hosts=allowed_hosts, log=log) for image in self.images
        }
        return self.request.with_inputs(urls), replaced(dict(self.extra_fields), urls)

    def kept(self, kept: Mapping[str, Any]) -> dict[str, Any]:
        """What is kept of the request, with the images' own digests, and their addresses' beside them."""
        digests = {f"{image.name}{DIGEST}": image.sha256 for image in self.images}
        addresses = {f"{image.name}{ADDRESS_DIGEST}": digest_of(image.address) for image in self.images}
        if not self.images or "parameters" not in kept:
            return dict(kept)
        return {**kept, "parameters": {**kept["parameters"], **digests, **addresses}}


def stage(
    request: VideoModel, extra_fields: Mapping[str, Any] | None = None, *, allowed_hosts: Collection[str]
) -> Staged:
    """Read a request's images from storage.

    :param extra_fields: The author's further fields.
    :param allowed_hosts: Host names that may be private, from the connection.
    :raises InvalidRequestError: an image cannot be bought with. Nothing was bought.
    :raises LandingError: its storage cannot be asked right now. Nothing was bought.
    """
    extra_fields = extra_fields or {}
    stored = stored_among(inputs_of(request, extra_fields), model=request.id, allowed_hosts=allowed_hosts)
    images = tuple(read_image(name, given.address, given.media_types) for name, given in stored.items())
    recorded = {image.name: f"sha256:{image.sha256}" for image in images}
    return Staged(request.with_inputs(recorded), images, replaced(dict(extra_fields), recorded))
