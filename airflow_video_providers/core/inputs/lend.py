"""An image from storage as an address that the vendor can fetch: uploaded where it has an upload, else signed.

A signed address is a key to the image for as long as it holds. It goes into the paid call's body and nowhere else.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from airflow_video_providers.core.errors import RequestRejectedError, VendorError
from airflow_video_providers.core.inputs.checked import unreachable
from airflow_video_providers.core.inputs.read import StoredImage, refusal

if TYPE_CHECKING:
    from collections.abc import Collection
    from logging import Logger

    from airflow_video_providers.core.client.client import VideoClient
    from airflow_video_providers.core.errors import InvalidRequestError
    from airflow_video_providers.core.vendors.base import Vendor

#: For which a signed address holds at least: queue and run of a job may take hours on a bad day.
SHORTEST_LOAN = timedelta(hours=6)
#: No storage signs for longer.
LONGEST_LOAN = timedelta(days=7)
#: One of these is in the query of every signed address, in lower case.
_SIGNATURES = {"x-amz-signature", "signature", "x-goog-signature", "sig"}
_TEMPORARY = "x-amz-security-token"
_OTHER_FILE = "Give another file, or its public address."


def loan_for(timeout: float | None) -> timedelta:
    """How long an address has to hold for a job that is waited for so many seconds: twice that, in between the bounds."""
    wished = timedelta(seconds=2 * min(timeout or 0.0, LONGEST_LOAN.total_seconds()))
    return min(max(wished, SHORTEST_LOAN), LONGEST_LOAN)


def lend(
    image: StoredImage, client: VideoClient, *, loan: timedelta, allowed_hosts: Collection[str], log: Logger
) -> str:
    """The address that the vendor fetches.

    :param loan: How long it has to hold.
    :param allowed_hosts: Hosts that may be private: the vendor stands in the same network.
    :raises InvalidRequestError: it cannot be lent; the text says why. Nothing was bought.
    :raises VendorError: the vendor's upload did not take it. Nothing was bought.
    """
    if image.fits_upload(client.vendor):
        return _uploaded(image, client, log)
    if image.filesystem is None:
        raise _on_a_worker(image, client.vendor)
    url = _signed(image, loan)
    if (wrong := unreachable(url, allowed_hosts)) is not None:
        raise refusal(
            image.name, image.address, f"has an address that {wrong}",
            "Use a storage that the vendor reaches, or name its host in allow_private_hosts of the vendor's connection.",
            noun=image.noun,
        )  # fmt: skip
    hours = loan.total_seconds() / 3600
    log.info(
        "The %s %s is lent to %s: its signed address holds for %.0f h.",
        image.noun,
        image.shown,
        client.vendor.title,
        hours,
    )
    if _TEMPORARY in _query(url):
        log.warning(
            "The address of %s is signed with credentials that end by themselves, and holds no longer than they do.",
            image.shown,
        )
    return url


def _uploaded(image: StoredImage, client: VideoClient, log: Logger) -> str:
    """The address that the vendor itself has given it; free of charge, and before anything is bought."""
    name = f"{image.sha256[:32]}.{image.media_type.partition('/')[2]}"
    try:
        url = client.upload(name, image.media_type, image.data)
    except VendorError as failed:
        what = f"The {image.noun} {image.shown!r} in {image.name!r} was not uploaded: {failed.what}"
        remedy = _OTHER_FILE if isinstance(failed, RequestRejectedError) else failed.remedy
        raise failed.replace(what=what, charged="no", money="Nothing was bought.", remedy=remedy) from failed.__cause__
    log.info("The %s %s was uploaded to %s.", image.noun, image.shown, client.vendor.title)
    return url


def _on_a_worker(image: StoredImage, vendor: Vendor) -> InvalidRequestError:
    why = f"{vendor.title} has no upload"
    if vendor.uploads:
        why = f"it is too large for {vendor.title}'s upload ({(vendor.largest_upload or 0) / 1024**2:.0f} MiB at most)"
    return refusal(
        image.name, image.address, f"lies on a worker, and {why}: it can fetch it from nowhere",
        "Put it into a bucket (s3://, gs://, abfs://), or give a public address.",
        noun=image.noun,
    )  # fmt: skip


def _signed(image: StoredImage, loan: timedelta) -> str:
    options: dict[str, Any] = {"version": "v4"} if image.where.family == "gs" else {}
    try:
        url = str(image.filesystem.sign(image.where.root, expiration=int(loan.total_seconds()), **options))
    except Exception as failed:  # each library has its own errors for credentials that hold no key
        raise _may_not_sign(image, type(failed).__name__) from failed
    if not _query(url).keys() & _SIGNATURES:
        raise _may_not_sign(image, "it gives an address without a signature")
    return url


def _may_not_sign(image: StoredImage, why: str) -> InvalidRequestError:
    return refusal(
        image.name, image.address, f"cannot be lent to the vendor: its connection may not sign addresses ({why})",
        "Give the connection credentials that hold a key: S3 an access key, Google a service account's key or the right to "
        "sign as one, Azure the account's key. Or give a public address.",
        noun=image.noun,
    )  # fmt: skip


def _query(url: str) -> dict[str, list[str]]:
    return {name.lower(): values for name, values in parse_qs(urlsplit(url).query).items()}
